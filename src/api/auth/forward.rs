//! `GET auth/verify`: forward auth. A proxy that shows the secret asks what becomes of a request, and forwards it itself.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};

use crate::{
    api::{Connection, layers::OfRoute, limits},
    app::App,
    error::ApiError,
    gateway::{
        Verdict,
        forward::Rewrite,
        head::Head,
        original::{self, IDENTITY, SECRET},
    },
};

/// Answers with who calls, in headers, if the request may go on.
pub async fn verify(State(app): State<Arc<App>>, connection: Connection, headers: HeaderMap) -> Response {
    match ask(&app, &connection, &headers).await {
        Ok(rewrite) => {
            app.log_forward_auth(&rewrite, connection.request);
            allowed(&rewrite)
        }
        Err((error, route)) => {
            let mut refused = error.for_proxies().into_response();
            if let Some(route) = route {
                refused.extensions_mut().insert(OfRoute(route));
            }
            refused
        }
    }
}

async fn ask(
    app: &App,
    connection: &Connection,
    headers: &HeaderMap,
) -> Result<Box<Rewrite>, (ApiError, Option<String>)> {
    let refuse = |error| (error, None);
    let secret = app.config.forward_auth_secret.as_ref().ok_or_else(|| refuse(ApiError::NoForwardAuth))?;
    let shown = headers.get(SECRET).and_then(|value| value.to_str().ok());
    if !shown.is_some_and(|shown| secret.holds(shown)) {
        // Whoever is no proxy counts by address; a proxy counts for nothing.
        limits::count(app, connection, &connection.ip.limit_key()).await.map_err(refuse)?;
        return Err(refuse(ApiError::NotTheProxy));
    }
    // As the platform has them where the gateway forwards: a byte is a character.
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let head = original::head(&headers).map_err(|unclear| refuse(ApiError::Unclear(unclear)))?;
    let head = Head::parse(&head).ok_or_else(|| refuse(ApiError::Internal("no head".to_owned())))?;
    match app.resolve(&head, connection.request).await {
        Verdict::Forward(rewrite) => Ok(rewrite),
        Verdict::Refuse(error, route) => Err((error, route)),
        // Our own endpoints are asked for where they are, and no preflight is told of here.
        Verdict::Own | Verdict::Preflight(_) | Verdict::Need(_) => Err(refuse(ApiError::NotFound)),
    }
}

fn allowed(rewrite: &Rewrite) -> Response {
    let mut response = Response::new(Body::empty());
    let told = rewrite.set.iter().filter(|(name, _)| IDENTITY.contains(&name.as_str()));
    let said =
        IDENTITY.iter().map(|name| ((*name).to_owned(), String::new())).chain(told.chain(&rewrite.answer).cloned());
    for (name, value) in said {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
