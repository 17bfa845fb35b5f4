//! What is done to another's account in one word: `POST …/unlock`, `POST …/verify-email`, `DELETE …/sessions`.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::NoContent,
};

use super::WRITE;
use crate::{
    api::{
        Connection,
        admin::judge::{TRIES, act, judge, judged, overtaken, settle, subject},
        extract::Principal,
    },
    app::App,
    domain::{audit::Event, rbac::Requirement, user::User},
    error::ApiError,
    stores::users::{self, Administration, Deed},
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

/// (1) What the caller must have, before anything is told of accounts. (2) Whether they may do so to this one. (3) One batch
/// does it, if the account is still as it was judged. (4) Everyone is told; only then is it answered.
async fn deed<'d>(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    id: &str,
    event: Event,
    oneself: &'static str,
    deed: impl Fn(&User) -> Deed<'d>,
) -> Result<NoContent, ApiError> {
    // (1)
    principal.require(app, &Requirement::permission(WRITE)).await?;
    principal.require_recent_factor(app).await?;
    let id = subject(principal, id, oneself)?;
    for _ in 0..TRIES {
        // (2)
        let case = judge(app, principal, id, &[WRITE]).await?;
        // (3)
        let act = act(app, connection, principal, &case.user, event)?;
        let revoked_until = app.revoked_until(act.entry.at);
        let what =
            Administration { judged: judged(principal, &case)?, act: &act, revoked_until, deed: deed(&case.user) };
        let administered = users::administer(app.ports.database.as_ref(), &what).await?;
        // (4)
        let administered = administered.ok_or_else(|| ApiError::Internal("a conflict of nothing".to_owned()))?;
        if settle(app, administered, &[&act]).await? {
            return Ok(NoContent);
        }
    }
    Err(overtaken())
}
