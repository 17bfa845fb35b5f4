//! `POST auth/verify-email` and `auth/verify-email/resend`: prove an address, and have another mail sent for that.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use super::{Accepted, ask};
use crate::{
    api::{Connection, extract::JsonObject, form::Fields, limits},
    app::App,
    domain::{
        audit::Event,
        mail::{Kind, Proven, Purpose},
    },
    error::ApiError,
    stores::{
        audit,
        outbox::verify::{self, Verified},
    },
};

/// Takes `{token}`. (1) The token's MAC, before any I/O. (2) One batch uses it, if its address is still the account's.
/// Tokens that are out go on saying what they said; the next refresh says that the address is proven.
pub async fn verify(
    State(app): State<Arc<App>>,
    connection: Connection,
    JsonObject(body): JsonObject,
) -> Result<Json<Value>, ApiError> {
    let mut fields = Fields::new(body);
    let token = fields.required("token", |text| Ok(text.to_owned()));
    fields.refuse()?;
    // (1)
    let text = token.as_deref().unwrap_or_default();
    let token = Proven::decode(text, Purpose::VerifyEmail, &app.config.token_mac_key)
        .map_err(|_| ApiError::InvalidMailToken)?;
    // (2)
    let mut entry = connection.entry(&app, Event::EmailVerified, app.ports.clock.now());
    match verify::verify(app.ports.database.as_ref(), token.row(), &entry).await? {
        Verified::Proven { user, now } => {
            if now {
                entry.subject = Some(user);
                audit::log(app.ports.log.as_ref(), &entry);
            } else {
                limits::count(&app, &connection, &connection.ip.limit_key()).await?;
            }
            Ok(Json(json!({ "detail": "The email address is confirmed." })))
        }
        Verified::NotGood => {
            limits::count(&app, &connection, &connection.ip.limit_key()).await?;
            Err(ApiError::InvalidMailToken)
        }
    }
}

/// Takes `{email}`.
pub async fn resend(
    State(app): State<Arc<App>>,
    connection: Connection,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Accepted, ApiError>) {
    let mut headers = HeaderMap::new();
    let detail = "If the address belongs to an account that has not confirmed it, a mail is on its way.";
    let answer = ask(&app, &connection, body, (Kind::VerifyEmail, None), detail, &mut headers).await;
    (headers, answer)
}
