//! What anyone may read: the key set, and whether we are here.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Response, StatusCode},
};
use serde_json::{Value, json};

use super::{
    extract::{Reader, bearer},
    kept::Kept,
};
use crate::{
    app::App, config::Environment, domain::rbac::Requirement, error::ApiError, gateway::authenticate::Freshness,
};

/// RFC 7517, §8.5.2.
const KEY_SET: &str = "application/jwk-set+json";

/// `GET /.well-known/jwks.json` (RFC 7517, §5): public keys, which may be kept for `JWKS_MAX_AGE`.
/// With `If-None-Match`, 304 where they have not changed (RFC 9110, §13.1.2).
pub async fn jwks(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    let (bundle, is_current) = app.current_bundle().await?;
    let set = bundle.keyring.published(app.ports.clock.now());
    let body = serde_json::to_vec(&set).map_err(|error| ApiError::Internal(error.to_string()))?;
    // Keys that could not be asked for lately are good, but there may be more: nobody should keep them.
    let cache = match app.config.jwks_max_age.as_secs() {
        age if is_current => format!("public, max-age={age}"),
        _ => "no-cache".to_owned(),
    };
    Kept::new(KEY_SET, body).answer(&headers, &cache)
}

/// `GET /health`: that this Worker runs, and which version. With `?deep=1`, for who looks after the system or in
/// development: how each store answers, how far the feed is behind, and what this isolate goes by; 503 if a store does
/// not answer.
pub async fn health(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let is_deep = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(name, value)| name == "deep" && value == "1");
    if !is_deep {
        return Ok((StatusCode::OK, Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))));
    }
    if app.config.environment != Environment::Development {
        // The record is not asked who this is: it may be what does not answer.
        let token = bearer(&headers).ok_or(ApiError::Unauthenticated)?;
        let caller = app.authenticate(token, Freshness::Bounded).await?;
        Reader(caller).require(&app, &Requirement::permission("system:manage")).await?;
    }
    let health = app.health().await;
    let status = if health.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_value(health).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok((status, Json(body)))
}
