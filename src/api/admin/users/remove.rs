//! `DELETE admin/users/{id}`: close another's account, or, with `?erase=true`, remove the person from it.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    response::NoContent,
};

use super::DELETE;
use crate::{
    api::{
        Connection,
        admin::judge::{TRIES, act, admit, give_way, judge, judged, overtaken, settle},
        extract::Principal,
        query::Query,
    },
    app::App,
    domain::audit::Event,
    error::ApiError,
    stores::users::{self, Erasure, Removal},
};

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
    let id = admit(&app, &principal, &id, &[DELETE], "One's own account is closed by DELETE users/me.").await?;
    let is_erasure = parse_erase(query.as_deref())?;
    for tries in 0..TRIES {
        // (2)
        let case = judge(&app, &principal, id, &[DELETE]).await?;
        // (3)
        let closed = act(&app, &connection, &principal, &case.user, Event::AccountDeactivated)?;
        let mut erased = act(&app, &connection, &principal, &case.user, Event::AccountErased)?;
        erased.entry.at = closed.entry.at;
        let hash = app.config.hasher.unusable();
        let removal = Removal {
            judged: judged(&principal, &case)?,
            closed: &closed,
            revoked_until: app.revoked_until(closed.entry.at),
            erased: is_erasure.then_some(Erasure { password_hash: &hash, act: &erased }),
        };
        let administered = users::remove(app.ports.database.as_ref(), removal).await?;
        // (4)
        if settle(&app, administered, &[&closed, &erased]).await? {
            return Ok(NoContent);
        }
        give_way(&app, tries).await;
    }
    Err(overtaken())
}

/// What the query asks for. Nothing else is read from it, and nothing is guessed: it cannot be undone.
fn parse_erase(query: Option<&str>) -> Result<bool, ApiError> {
    let mut query = Query::new(query);
    let erases = query.optional_flag("erase");
    query.refuse()?;
    Ok(erases.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_plainly_erases() {
        for (query, erased) in [("", Some(false)), ("erase=true", Some(true)), ("erase=false", Some(false))] {
            assert_eq!(parse_erase(Some(query)).ok(), erased, "{query}");
        }
        for query in ["erase", "erase=1", "erase=TRUE", "erase=true&erase=false", "Erase=true", "erased=true", "x=1"] {
            assert!(matches!(parse_erase(Some(query)), Err(ApiError::Invalid(_))), "{query}");
        }
    }
}
