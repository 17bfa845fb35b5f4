//! Taking off another's second factor: of who has lost both app and recovery codes, and proved to somebody who they are.

use super::change::take_off;
use crate::{
    domain::{audit::Act, session::EndReason, time::Timestamp},
    error::ApiError,
    ports::{Database, Statement},
    stores::{
        audit,
        judged::{self, Administered, Judged, is_as_judged},
        outbox::{self, NewLetter},
        revocations, run,
        sessions::EndedBy,
    },
};

/// A second factor to be taken off.
#[derive(Debug)]
pub struct Reset<'a> {
    /// Whose, and who does it.
    pub judged: Judged<'a>,
    /// The row in the log.
    pub act: &'a Act,
    /// Until when what was issued could matter.
    pub revoked_until: Timestamp,
    /// The mail that tells its owner, and how many there may be in an hour.
    pub told: (&'a NewLetter, u32),
}

/// Takes it off, and ends every session of its owner. To do it twice is to do it once.
pub async fn reset(database: &dyn Database, what: Reset<'_>) -> Result<Administered, ApiError> {
    let (entry, user) = (&what.act.entry, what.judged.user.id);
    let mut batch = vec![
        // Touched, so that what comes after knows.
        Statement::new(
            concat!(
                "UPDATE users SET updated_at = ?2 WHERE id = ?1 AND mfa_enabled = 1 AND erased_at IS NULL AND ",
                is_as_judged!()
            ),
            what.judged.params(entry.at),
        ),
        audit::write_act_if_changed(what.act),
        outbox::notify_if_written(what.told.0, user, entry.id, what.told.1),
    ];
    batch.extend(take_off(user, entry));
    batch.push(revocations::record_users_version_if_changed(user, entry.at, what.revoked_until));
    let ended = EndedBy { user, keep: None, reason: EndReason::FactorChange, until: what.revoked_until, entry };
    batch.extend(ended.statements());
    batch.extend(what.judged.read(entry));
    let rows = run(database, batch).await?;
    judged::outcome(rows, |state| state.erased_at.is_none(), |state| state.mfa_enabled == 0)
}
