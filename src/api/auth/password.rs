//! `POST auth/change-password`: a new password for the old one.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};
use serde_json::{Map, Value, json};

use super::{
    device,
    prove::{Confirmed, confirm},
    renewal::Renewal,
    sign_in::know,
};
use crate::{
    api::{
        Connection,
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::{
        audit::{Entry, Event},
        device::Known,
        mail::Kind,
        password::Password,
        user::{Email, Username},
    },
    error::{ApiError, FieldError},
    stores::{
        audit, sign_in,
        users::{self, Confirmation, PasswordChange},
    },
};

/// (1) The fields, of which the new password is held against the rules. (2) The old one confirms it, as an attempt that
/// counts. (3) One batch changes it and ends every other session; a cookie session goes on under another id. (4) The
/// browser gets its new cookies, whatever comes after: the old ones are worth nothing. (5) Everyone is told; only then is it
/// said that it is done.
pub async fn change(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Json<Value>, ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = replace(&app, &connection, &principal, body, &mut headers).await;
    let detail = "The password is changed; every other session is over.";
    (headers, answer.map(|()| Json(json!({ "detail": detail }))))
}

async fn replace(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    body: Map<String, Value>,
    headers: &mut HeaderMap,
) -> Result<(), ApiError> {
    principal.require_if_narrowed("profile:write")?;
    let user = users::by_id(app.ports.database.as_ref(), principal.user()?).await?;
    let user = user.ok_or(ApiError::Unauthenticated)?;
    // (1)
    let mut fields = Fields::new(body);
    let current = fields.required_text("current_password");
    let (username, email) = (Username::parse(&user.username).ok(), Email::parse(&user.email).ok());
    let classes = app.config.password_classes;
    let chosen =
        fields.required("new_password", |text| Password::choose(text, classes, username.as_ref(), email.as_ref()));
    let (current, chosen) = fields.complete(current.zip(chosen))?;
    if Password::presented(&current).is_some_and(|current| current.is(&chosen)) {
        return Err(ApiError::Invalid(vec![FieldError::new("new_password", "is the one that you have")]));
    }
    // (2)
    let Confirmed { account, attempt } = confirm(app, connection, &user.username, &current).await?;
    // (3)
    let (session, now) = (principal.session(), app.ports.clock.now());
    let new_hash = app.config.hasher.hash(&chosen, &app.ports.random())?;
    let renewal = Renewal::of(app, principal, now);
    let entry = Entry {
        subject: Some(user.id),
        session: Some(renewal.id()),
        ..connection.entry(app, Event::PasswordChanged, now)
    };
    let change = PasswordChange {
        user: &user,
        confirmed: Confirmation { password_hash: &account.password_hash, attempt },
        new_hash: &new_hash,
        session,
        renewed: renewal.renewed(),
        revoked_until: app.revoked_until(now),
        entry: &entry,
        told: (&app.letter(Kind::PasswordChanged, &connection.origin, now), app.config.mails_an_hour),
    };
    let database = app.ports.database.as_ref();
    let Some(ended) = users::change_password(database, change).await? else {
        sign_in::resolve(database, attempt).await?;
        return Err(ApiError::HasChanged);
    };
    audit::log(app.ports.log.as_ref(), &entry);
    app.note_mail();
    // (4)
    headers.extend(renewal.set_cookie(app).map(|line| (header::SET_COOKIE, line)));
    let known = Known { user: user.id, password_version: account.password_version.saturating_add(1) };
    know(app, device::read(connection, &app.config, now), known, headers);
    // (5)
    app.publish_ended(&ended).await
}
