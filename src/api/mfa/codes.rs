//! `POST mfa/recovery-codes`: other recovery codes in the place of those from before.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use super::show::{Purpose, Showing, show};
use crate::{
    api::{
        Connection,
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::mfa::Code,
    error::ApiError,
};

/// Takes `{password, code}` and answers `{recovery_codes}`.
pub async fn renew(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<Json<Value>, ApiError> {
    principal.require_if_narrowed(&app, "profile:write").await?;
    let mut fields = Fields::new(body);
    let both = fields.required_text("password").zip(fields.required("code", Code::parse));
    let (password, code) = fields.complete(both)?;
    let showing = Showing { code: &code, password: Some(&password), purpose: Purpose::Codes };
    let shown = show(&app, &connection, &principal, showing, &mut HeaderMap::new()).await?;
    let codes = shown.codes.ok_or_else(|| ApiError::Internal("no recovery codes".to_owned()))?;
    Ok(Json(json!({ "recovery_codes": codes.texts() })))
}
