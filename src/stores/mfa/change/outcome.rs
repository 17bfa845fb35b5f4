//! What came of a change.

use serde::Deserialize;

use super::{Again, Change, Changed, Shows, What};
use crate::{
    domain::{id::RowId, time::Timestamp},
    error::ApiError,
    ports::Rows,
    stores::{audit, keys, last, revocations, users::UserRow},
};

/// So long recovery codes are told again to whoever shows again what they were asked for by.
const TOLD_AGAIN_FOR_MS: i64 = 5 * 60_000;

/// Reads it off what the statements gave.
pub(super) fn outcome(mut rows: Vec<Rows>, change: &Change<'_>) -> Result<Shows, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        scope: Option<String>,
        amr: String,
        session_expires_at: Timestamp,
        factor_step: Option<i64>,
        authenticated_at: Timestamp,
        #[serde(flatten)]
        user: UserRow,
    }
    #[derive(Deserialize)]
    struct Codes {
        id: RowId,
        key: String,
        step: i64,
        session: String,
        made_at: i64,
    }
    let session = rows.pop().unwrap_or_default().first::<Found>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let mut revoked = revocations::entries(rows.pop().unwrap_or_default())?;
    let version = revocations::entries(rows.pop().unwrap_or_default())?;
    let keys_version = keys::version(rows.pop().unwrap_or_default())?;
    let codes = last(rows).first::<Codes>()?;
    let Some(session) = session else { return Ok(Shows::Over) };
    if matches!(change.what, What::Disable) {
        revoked.extend(version);
    }
    let is_done = written.contains(&change.entry.id.to_string());
    let step = change.shown.step();
    let factor_step = session.factor_step;
    let changed = Box::new(Changed {
        user: session.user.try_into()?,
        scope: session.scope,
        amr: session.amr.split(' ').map(ToOwned::to_owned).collect(),
        authenticated_at: session.authenticated_at,
        session_expires_at: session.session_expires_at,
        keys_version,
        revoked,
        written,
    });
    if is_done {
        return Ok(Shows::Done(changed));
    }
    let Some(codes) = codes else { return Ok(Shows::Over) };
    let of_this_step = |other: Option<i64>| step.is_some() && step == other;
    Ok(match change.what {
        What::StepUp if of_this_step(factor_step) => Shows::Again(changed, None),
        What::Codes(_)
            if of_this_step(Some(codes.step))
                && codes.session == change.session.to_string()
                && codes.made_at > change.entry.at.millis() - TOLD_AGAIN_FOR_MS =>
        {
            Shows::Again(changed, Some(Again { set: codes.id, key: codes.key }))
        }
        _ => Shows::Wrong,
    })
}
