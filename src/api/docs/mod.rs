//! `GET /openapi.json` and `GET /docs`: the API's description, for programs and for people, where `DOCS` says so.
//!
//! The document is a file that `edgewarden openapi` writes and a test holds against the code; here it is only fitted to where
//! it is served, once in an isolate's life. The page is our own, small and
//! without anything inline, so that the Content Security Policy stays shut on the very origin that gives out sessions.

use std::sync::{Arc, OnceLock};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Response},
};
use serde_json::{Map, Value, json};

use super::kept::{self, Kept};
use crate::{
    app::App,
    config::{Config, Environment},
    error::ApiError,
    security_headers::PAGE,
};

/// The document as it is for [`PREFIX`].
pub const DOCUMENT: &str = include_str!("openapi.json");
/// The prefix that the file has.
pub const PREFIX: &str = "/api/v1";

/// What is not there in production, whatever `DOCS` says.
const DEVELOPMENT: &str = "/dev/";

/// The document, fitted once.
pub type Fitted = OnceLock<Result<Arc<Kept>, String>>;

/// `GET /openapi.json`.
pub async fn openapi(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    let fitted = app.description.get_or_init(|| {
        let text = fit(&app.config).map_err(|error| error.to_string())?;
        Ok(Arc::new(Kept::new("application/vnd.oai.openapi+json;version=3.1", text)))
    });
    let kept = fitted.as_ref().map_err(|error| ApiError::Internal(error.clone()))?;
    kept.answer(&headers, kept::ASK_AGAIN)
}

/// `GET /docs`.
pub async fn page(headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    let mut response = asset("text/html; charset=utf-8", include_str!("page.html"), &headers)?;
    response.headers_mut().insert(HeaderName::from_static(PAGE.0), HeaderValue::from_static(PAGE.1));
    Ok(response)
}

/// `GET /docs/page.css`.
pub async fn style(headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    asset("text/css; charset=utf-8", include_str!("page.css"), &headers)
}

/// `GET /docs/page.js`.
pub async fn script(headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    asset("text/javascript; charset=utf-8", include_str!("page.js"), &headers)
}

fn asset(kind: &'static str, text: &'static str, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    Kept::new(kind, text).answer(headers, kept::ASK_AGAIN)
}

/// The document for this very place: its URL, its prefix, and what there is.
fn fit(config: &Config) -> serde_json::Result<String> {
    let mut document: Value = serde_json::from_str(DOCUMENT)?;
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        let all = std::mem::take(paths).into_iter();
        let there =
            all.filter(|(path, _)| config.environment == Environment::Development || !path.starts_with(DEVELOPMENT));
        *paths = there.map(|(path, item)| (under(&config.api_prefix, path), item)).collect::<Map<_, _>>();
    }
    if let Some(object) = document.as_object_mut() {
        object.insert("servers".to_owned(), json!([{ "url": config.public_url.as_str() }]));
    }
    if let Some(cookie) = document.pointer_mut("/components/securitySchemes/session/name") {
        *cookie = config.cookies().session().into();
    }
    serde_json::to_string(&document)
}

fn under(prefix: &str, path: String) -> String {
    match path.strip_prefix(PREFIX) {
        Some(rest) if rest.starts_with('/') => format!("{prefix}{rest}"),
        _ => path,
    }
}
