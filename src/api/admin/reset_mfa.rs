//! `POST admin/users/{id}/reset-mfa`: take off another's second factor.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::NoContent,
};

use super::judge::{TRIES, act, may_administer};
use crate::{
    api::{Connection, extract::Principal},
    app::{App, Publication},
    domain::{audit::Event, id::UserId, mail::Kind, rbac::Requirement, token::verify::Refusal},
    error::ApiError,
    stores::{
        audit,
        mfa::{self, Done, Reset},
        users,
    },
};

/// What it takes.
const PERMISSION: &str = "users:write";

/// (1) What the caller must have, before anything is told of accounts. (2) Whether they may do so to this one. (3) One batch
/// does it, if the account is still as it was judged, and ends every session of its owner. (4) Everyone is told; only then is
/// it answered. To do it twice is to do it once.
pub async fn reset(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<NoContent, ApiError> {
    // (1)
    principal.require(&app, &Requirement::permission(PERMISSION)).await?;
    principal.require_recent_factor(&app).await?;
    let (actor, id) = (principal.user()?, UserId::parse(&id).map_err(|_| ApiError::NotFound)?);
    if id == actor {
        return Err(ApiError::Malformed("One's own second factor is taken off by POST mfa/disable."));
    }
    for _ in 0..TRIES {
        // (2)
        let user = users::by_id(app.ports.database.as_ref(), id).await?.ok_or(ApiError::NotFound)?;
        may_administer(&app, &principal, &user).await?;
        // (3)
        let act = act(&app, &connection, &principal, &user, Event::MfaReset)?;
        let reset = Reset {
            user: &user,
            session: principal.session(),
            actor_version: principal.0.version(),
            act: &act,
            revoked_until: app.revoked_until(act.entry.at),
            told: (&app.letter(Kind::MfaDisabled, &connection.origin, act.entry.at), app.config.mails_an_hour),
        };
        let (now, revoked) = match mfa::reset(app.ports.database.as_ref(), reset).await? {
            Done::Reset { now, revoked } => (now, revoked),
            Done::Gone => return Err(ApiError::NotFound),
            Done::NotStanding => return Err(ApiError::InvalidToken(Refusal::Revoked)),
            Done::Overtaken => continue,
        };
        // (4)
        if now {
            audit::log_act(app.ports.log.as_ref(), &act);
            app.note_mail();
        }
        let publication = if now { Publication::First } else { Publication::Again };
        app.publish(&revoked, None, publication).await?;
        return Ok(NoContent);
    }
    Err(ApiError::Unavailable("an account changed again and again".to_owned()))
}
