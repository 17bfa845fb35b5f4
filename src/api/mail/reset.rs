//! `POST auth/password-reset` and `auth/password-reset/confirm`: have a mail sent, and choose a new password with the
//! token in it.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Map, Value, json};

use super::{Accepted, ask};
use crate::{
    api::{Connection, extract::JsonObject, form::Fields, limits},
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        mail::{Kind, Proven, Purpose},
        password::Password,
        user::{Email, Username},
    },
    error::{ApiError, FieldError},
    stores::{
        audit,
        outbox::reset::{self, Chosen, Entries, Owner},
    },
};

/// Takes `{email}`.
pub async fn request(
    State(app): State<Arc<App>>,
    connection: Connection,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Accepted, ApiError>) {
    let mut headers = HeaderMap::new();
    let what = (Kind::ResetPassword, Some(Event::PasswordResetRequested));
    let detail = "If the address belongs to an account, a mail is on its way.";
    let answer = ask(&app, &connection, body, what, detail, &mut headers).await;
    (headers, answer)
}

/// Takes `{token, new_password}`.
pub async fn confirm(
    State(app): State<Arc<App>>,
    connection: Connection,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Json<Value>, ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = choose(&app, &connection, body, &mut headers).await;
    (headers, answer.map(|()| Json(json!({ "detail": "The password is changed. Sign in with it." }))))
}

/// (1) The limit by address, since each try may cost a hash. (2) The token's MAC, before the database is asked. (3) One
/// batch says whose password it can choose, or that it is over. (4) The password, held against the policy as its owner's;
/// its hash has the token's own salt, so that whoever lost the answer can ask again. (5) One batch uses the token, sets
/// the password and ends what goes by the old one. (6) As for every revocation, others are told before it is answered.
async fn choose(
    app: &App,
    connection: &Connection,
    body: Map<String, Value>,
    headers: &mut HeaderMap,
) -> Result<(), ApiError> {
    let mut fields = Fields::new(body);
    let token = fields.required("token", |text| Ok(text.to_owned()));
    let password = fields.required("new_password", |text| Ok(text.to_owned()));
    fields.refuse()?;
    let (token, password) = (token.unwrap_or_default(), password.unwrap_or_default());
    // (1)
    limits::admit(app, connection, &app.config.reset_limit, headers).await?;
    // (2)
    let token = Proven::decode(&token, Purpose::ResetPassword, &app.config.token_mac_key)
        .map_err(|_| ApiError::InvalidMailToken)?;
    // (3)
    let (database, now) = (app.ports.database.as_ref(), app.ports.clock.now());
    let request = connection.request.to_string();
    let owner = reset::owner(database, token.row(), &request, now).await?.ok_or(ApiError::InvalidMailToken)?;
    // (4)
    let password = allowed(app, &owner, &password)?;
    let hash = app.config.hasher.hash(&password, token.salt())?;
    // (5)
    let of_owner = |event| Entry { subject: Some(owner.id), ..connection.entry(app, event, now) };
    let entries = Entries { reset: of_owner(Event::PasswordReset), verified: of_owner(Event::EmailVerified) };
    let until = app.revoked_until(entries.reset.at);
    let told = app.letter(Kind::PasswordChanged, &connection.origin, entries.reset.at);
    let chosen = reset::choose(database, token.row(), &owner, &hash, until, &entries, &told).await?;
    // (6)
    let Chosen::Done { written, revoked } = chosen else { return Err(ApiError::InvalidMailToken) };
    app.note_mail();
    for entry in [&entries.verified, &entries.reset] {
        if written.contains(&entry.id.to_string()) {
            audit::log(app.ports.log.as_ref(), entry);
        }
    }
    let publication = if written.is_empty() { Publication::Again } else { Publication::First };
    app.publish(&revoked, None, publication).await
}

fn allowed(app: &App, owner: &Owner, text: &str) -> Result<Password, ApiError> {
    let (username, email) = (Username::parse(&owner.username).ok(), Email::parse(&owner.email).ok());
    Password::choose(text, app.config.password_classes, username.as_ref(), email.as_ref())
        .map_err(|problem| ApiError::Invalid(vec![FieldError::new("new_password", problem)]))
}
