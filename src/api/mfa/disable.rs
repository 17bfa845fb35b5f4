//! `POST mfa/disable`: sign-in takes the password alone again.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use super::show::{Purpose, show_both};
use crate::{
    api::{
        Connection,
        extract::{JsonObject, Principal},
    },
    app::App,
    error::ApiError,
};

/// Takes `{password, code}`. Every other session is over, and every access token: they say that there was a second factor.
pub async fn disable(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Json<Value>, ApiError>) {
    let mut headers = HeaderMap::new();
    let shown = show_both(&app, &connection, &principal, body, Purpose::Disable, &mut headers).await;
    let detail = "Sign-in takes the password alone; every other session is over.";
    (headers, shown.map(|_| Json(json!({ "detail": detail }))))
}
