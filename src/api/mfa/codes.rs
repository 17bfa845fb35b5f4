//! `POST mfa/recovery-codes`: other recovery codes in the place of those from before.

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

/// Takes `{password, code}` and answers `{recovery_codes}`.
pub async fn renew(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<Json<Value>, ApiError> {
    let shown = show_both(&app, &connection, &principal, body, Purpose::Codes, &mut HeaderMap::new()).await?;
    let codes = shown.codes.ok_or_else(|| ApiError::Internal("no recovery codes".to_owned()))?;
    Ok(Json(json!({ "recovery_codes": codes.texts() })))
}
