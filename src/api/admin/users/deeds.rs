//! What is done to another's account in one word: `POST …/unlock`, `POST …/verify-email`, `DELETE …/sessions`.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::NoContent,
};

use super::{
    WRITE,
    administer::{Doing, Planned},
};
use crate::{
    api::{Connection, admin::judge::Case, extract::Principal},
    app::App,
    domain::{audit::Event, user::User},
    error::ApiError,
    stores::users::Deed,
};

/// Takes away what keeps sign-in closed: locks, and what was counted towards them.
pub async fn unlock(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<NoContent, ApiError> {
    let told = "One's own account is opened by time, or by a new password.";
    deed(&app, &connection, &principal, &id, Event::AccountUnlocked, told, |_| Deed::Unlock).await
}

/// Takes an address as proven.
pub async fn verify_email(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<NoContent, ApiError> {
    let told = "One's own address is proven by the mail that was sent there.";
    deed(&app, &connection, &principal, &id, Event::EmailVerified, told, |user| {
        if user.email_verified { Deed::Nothing } else { Deed::Prove }
    })
    .await
}

/// Ends every session.
pub async fn end_sessions(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<NoContent, ApiError> {
    let told = "One's own sessions are ended by DELETE auth/sessions, or POST auth/logout-all.";
    deed(&app, &connection, &principal, &id, Event::LogoutAll, told, |_| Deed::EndSessions).await
}

async fn deed(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    id: &str,
    event: Event,
    oneself: &'static str,
    deed: impl Fn(&User) -> Deed,
) -> Result<NoContent, ApiError> {
    let doing = Doing::new(app, connection, principal, id, &[WRITE], oneself).await?;
    let plan = |case: &Case| Ok(Planned { act: doing.act(case, event)?, more: Vec::new(), deed: deed(&case.user) });
    doing.administer(plan).await?;
    Ok(NoContent)
}
