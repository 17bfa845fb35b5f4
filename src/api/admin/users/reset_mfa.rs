//! `POST admin/users/{id}/reset-mfa`: take off another's second factor.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::NoContent,
};

use super::WRITE;
use crate::{
    api::{
        Connection,
        admin::judge::{TRIES, act, admit, give_way, judge, judged, overtaken, settle},
        extract::Principal,
    },
    app::App,
    domain::{audit::Event, mail::Kind},
    error::ApiError,
    stores::mfa::{self, Reset},
};

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
    let id =
        admit(&app, &principal, &id, &[WRITE], "One's own second factor is taken off by POST mfa/disable.").await?;
    for tries in 0..TRIES {
        // (2)
        let case = judge(&app, &principal, id, &[WRITE]).await?;
        // (3)
        let act = act(&app, &connection, &principal, &case.user, Event::MfaReset)?;
        let reset = Reset {
            judged: judged(&principal, &case)?,
            act: &act,
            revoked_until: app.revoked_until(act.entry.at),
            told: (&app.letter(Kind::MfaDisabled, &connection.origin, act.entry.at), app.config.mails_an_hour),
        };
        let administered = mfa::reset(app.ports.database.as_ref(), reset).await?;
        app.note_mail();
        // (4)
        if settle(&app, administered, &[&act]).await? {
            return Ok(NoContent);
        }
        give_way(&app, tries).await;
    }
    Err(overtaken())
}
