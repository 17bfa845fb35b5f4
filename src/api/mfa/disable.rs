//! `POST mfa/disable`: sign-in takes the password alone again.

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

/// Takes `{password, code}`. Every other session is over, and every access token: they say that there was a second factor.
pub async fn disable(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Json<Value>, ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = take_off(&app, &connection, &principal, Fields::new(body), &mut headers).await;
    let detail = "Sign-in takes the password alone; every other session is over.";
    (headers, answer.map(|()| Json(json!({ "detail": detail }))))
}

async fn take_off(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    mut fields: Fields,
    headers: &mut HeaderMap,
) -> Result<(), ApiError> {
    principal.require_if_narrowed(app, "profile:write").await?;
    let both = fields.required_text("password").zip(fields.required("code", Code::parse));
    let (password, code) = fields.complete(both)?;
    let showing = Showing { code: &code, password: Some(&password), purpose: Purpose::Disable };
    show(app, connection, principal, showing, headers).await.map(drop)
}
