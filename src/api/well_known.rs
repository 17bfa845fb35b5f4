//! What anyone may read: the key set, and whether we are here.

use std::sync::Arc;

use axum::{Json, extract::State, http::header, response::IntoResponse};
use serde_json::{Value, json};

use crate::{app::App, error::ApiError};

/// `GET /.well-known/jwks.json` (RFC 7517, §5): public keys, for as long as `JWKS_MAX_AGE`.
pub async fn jwks(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    let bundle = app.bundle().await?;
    let cache = format!("public, max-age={}", app.config.jwks_max_age.as_secs());
    Ok(([(header::CACHE_CONTROL, cache)], Json(bundle.keyring.published(app.ports.clock.now()))))
}

/// `GET /health`: that this Worker runs, and which version.
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}
