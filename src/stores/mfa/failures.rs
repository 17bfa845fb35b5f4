//! Wrong codes in a row, counted where they come from.

use crate::{
    domain::{audit::Entry, id::RowId, time::Timestamp},
    ports::Statement,
};

/// Counts an attempt that failed as one more, if the statement before changed one row and there is a factor.
pub fn count_if_changed(attempt: RowId, now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO mfa_failures (user_id, slot, failures, last_at)
         SELECT u.id, own.slot, 1, ?2 FROM sign_in_attempts AS own JOIN users u ON u.id = own.account
         JOIN totp_factors f ON f.user_id = u.id
         WHERE own.id = ?1 AND changes() = 1
         ON CONFLICT (user_id, slot) DO UPDATE SET failures = failures + 1, last_at = excluded.last_at",
        [attempt.to_string().into(), now.millis().into()],
    )
}

/// Forgets those of an attempt's own row, if the row in the log is there that tells what the code was right for.
pub fn forget_if(attempt: RowId, entry: &Entry) -> Statement {
    Statement::new(
        "DELETE FROM mfa_failures WHERE (user_id, slot) = (SELECT account, slot FROM sign_in_attempts WHERE id = ?1)
         AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
        [attempt.to_string().into(), entry.id.to_string().into()],
    )
}
