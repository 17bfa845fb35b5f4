//! `DELETE users/me`: close one's account.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};
use serde_json::{Value, json};

use crate::{
    api::{
        Connection,
        auth::{
            logout::removal,
            prove::{Confirmed, confirm},
        },
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        rbac::Requirement,
    },
    error::ApiError,
    stores::{
        audit, sign_in,
        users::{self, Confirmation},
    },
};

/// Takes `{password}`. (1) The password confirms it. (2) One batch closes the account and ends all of its sessions.
/// (3) Everyone is told; only then is it answered.
pub async fn deactivate(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<(HeaderMap, Json<Value>), ApiError> {
    principal.require(&app, &Requirement::permission("profile:delete")).await?;
    let database = app.ports.database.as_ref();
    // (1)
    let mut fields = Fields::new(body);
    let password = fields.required_text("password");
    fields.refuse()?;
    let user = users::by_id(database, principal.user()?).await?.ok_or(ApiError::Unauthenticated)?;
    let password = password.unwrap_or_default();
    let Confirmed { account, attempt } = confirm(&app, &connection, &user.username, &password).await?;
    // (2)
    let (session, now) = (principal.session(), app.ports.clock.now());
    let entry = Entry {
        subject: Some(user.id),
        session: Some(session),
        ..connection.entry(&app, Event::AccountDeactivated, now)
    };
    let (until, hash) = (app.revoked_until(entry.at), &account.password_hash);
    let confirmed = Confirmation { password_hash: hash, attempt };
    let revoked = users::deactivate(database, &user, session, confirmed, until, &entry).await?;
    let Some(revoked) = revoked else {
        sign_in::resolve(database, attempt).await?;
        return Err(ApiError::HasChanged);
    };
    audit::log(app.ports.log.as_ref(), &entry);
    // (3)
    app.publish(&revoked, None, Publication::First).await?;
    let headers = removal(&app).map(|line| (header::SET_COOKIE, line)).into_iter().collect();
    Ok((headers, Json(json!({ "detail": "The account is closed." }))))
}
