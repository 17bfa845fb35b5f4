//! `DELETE admin/users/{id}`: close another's account, or, with `?erase=true`, remove the person from it.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    response::NoContent,
};

use super::judge::{TRIES, act, may_administer};
use crate::{
    api::{Connection, extract::Principal},
    app::{App, Publication},
    domain::{audit::Event, id::UserId, rbac::Requirement, token::verify::Refusal},
    error::{ApiError, FieldError},
    stores::{
        audit,
        users::{self, Erasure, Removal, Removed},
    },
};

/// What it takes.
const PERMISSION: &str = "users:delete";

/// (1) What the caller must have, before anything is told of accounts. (2) Whether they may do so to this one. (3) One batch
/// does it, if the account is still as it was judged. (4) Everyone is told; only then is it answered. To do it twice is to do
/// it once.
pub async fn remove(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<NoContent, ApiError> {
    // (1)
    principal.require(&app, &Requirement::permission(PERMISSION)).await?;
    principal.require_recent_factor(&app).await?;
    let is_erasure = parse_erase(query.as_deref().unwrap_or_default())?;
    let (actor, id) = (principal.user()?, UserId::parse(&id).map_err(|_| ApiError::NotFound)?);
    if id == actor {
        return Err(ApiError::Malformed("One's own account is closed by DELETE users/me."));
    }
    for _ in 0..TRIES {
        // (2)
        let user = users::by_id(app.ports.database.as_ref(), id).await?.ok_or(ApiError::NotFound)?;
        may_administer(&app, &principal, &user).await?;
        // (3)
        let closed = act(&app, &connection, &principal, &user, Event::AccountDeactivated)?;
        let mut erased = act(&app, &connection, &principal, &user, Event::AccountErased)?;
        erased.entry.at = closed.entry.at;
        let hash = app.config.hasher.unusable();
        let removal = Removal {
            user: &user,
            session: principal.session(),
            actor_version: principal.0.version(),
            closed: &closed,
            revoked_until: app.revoked_until(closed.entry.at),
            erased: is_erasure.then_some(Erasure { password_hash: &hash, act: &erased }),
        };
        let (written, revoked) = match users::remove(app.ports.database.as_ref(), removal).await? {
            Removed::Done { written, revoked } => (written, revoked),
            Removed::Gone => return Err(ApiError::NotFound),
            Removed::NotStanding => return Err(ApiError::InvalidToken(Refusal::Revoked)),
            Removed::Overtaken => continue,
        };
        // (4)
        for act in [&closed, &erased].into_iter().filter(|act| written.contains(&act.entry.id.to_string())) {
            audit::log_act(app.ports.log.as_ref(), act);
        }
        let publication = if written.is_empty() { Publication::Again } else { Publication::First };
        app.publish(&revoked, None, publication).await?;
        return Ok(NoContent);
    }
    Err(ApiError::Unavailable("an account changed again and again".to_owned()))
}

/// What the query asks for. Nothing else is read from it, and nothing is guessed: it cannot be undone.
fn parse_erase(query: &str) -> Result<bool, ApiError> {
    let mut erases = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        erases = match (name.as_ref(), value.as_ref(), erases) {
            ("erase", "true", None) => Some(true),
            ("erase", "false", None) => Some(false),
            ("erase", ..) => {
                return Err(ApiError::Invalid(vec![FieldError::new("erase", "must be true or false, once")]));
            }
            _ => return Err(ApiError::Invalid(vec![FieldError::new("query", "may hold only erase")])),
        };
    }
    Ok(erases.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_plainly_erases() {
        for (query, erased) in [("", Some(false)), ("erase=true", Some(true)), ("erase=false", Some(false))] {
            assert_eq!(parse_erase(query).ok(), erased, "{query}");
        }
        for query in ["erase", "erase=1", "erase=TRUE", "erase=true&erase=false", "Erase=true", "erased=true", "x=1"] {
            assert!(matches!(parse_erase(query), Err(ApiError::Invalid(_))), "{query}");
        }
    }
}
