//! What a code that was right does: each statement goes by the row in the log.

use super::Change;
use crate::{
    domain::{audit::Entry, id::UserId, session::EndReason},
    ports::{Statement, Value},
    stores::{
        mfa::enrol::{NewCodes, keep_codes},
        revocations,
        sessions::{EndedBy, Proof, go_on},
    },
};

/// The session has had a second factor just now.
pub(super) fn step_up(change: &Change<'_>) -> Vec<Statement> {
    let (entry, request) = (change.entry, change.entry.origin.request.to_string());
    let proof = Proof { amr: change.shown.amr(), at: Some(entry.at), step: change.shown.step() };
    let mut batch = vec![go_on(change.session, change.renewed, &proof, entry)];
    if let Some(renewed) = change.renewed {
        batch.push(Statement::new(
            "UPDATE sessions SET ended_at = ?3, end_reason = ?4, ended_by = ?5
             WHERE id = ?1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM sessions WHERE id = ?2)",
            [
                change.session.to_string().into(),
                renewed.id.to_string().into(),
                entry.at.millis().into(),
                EndReason::Renewed.as_str().into(),
                request.as_str().into(),
            ],
        ));
        batch.push(revocations::record_sessions_ended_by(&request, entry.at, change.revoked_until));
    }
    batch
}

/// There is no second factor any more: what says that there was one is over, and so is every other session.
pub(super) fn disable(change: &Change<'_>) -> Vec<Statement> {
    let entry = change.entry;
    let mut batch = take_off(change.user, entry).to_vec();
    batch.push(revocations::record_users_version_if_changed(change.user, entry.at, change.revoked_until));
    let proof = Proof { amr: "pwd", at: None, step: None };
    batch.push(go_on(change.session, change.renewed, &proof, entry));
    let ended = EndedBy {
        user: change.user,
        keep: Some(change.renewed.map_or(change.session, |renewed| renewed.id)),
        reason: EndReason::FactorChange,
        until: change.revoked_until,
        entry,
    };
    batch.extend(ended.statements());
    batch
}

/// Removes all that is kept of a second factor, if the row in the log is there. The last statement changes the user, once.
pub(in crate::stores::mfa) fn take_off(user: UserId, entry: &Entry) -> [Statement; 6] {
    let params: [Value; 2] = [user.to_string().into(), entry.id.to_string().into()];
    let remove = |sql| Statement::new(sql, params.clone());
    macro_rules! delete_from {
        ($table:literal) => {
            concat!("DELETE FROM ", $table, " WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)")
        };
    }
    [
        remove(delete_from!("totp_factors")),
        remove(delete_from!("recovery_codes")),
        remove(delete_from!("mfa_setups")),
        remove(delete_from!("mfa_challenges")),
        remove(delete_from!("mfa_failures")),
        Statement::new(
            "UPDATE users SET mfa_enabled = 0, token_version = token_version + 1, updated_at = ?3
             WHERE id = ?1 AND mfa_enabled = 1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [&params[..], &[entry.at.millis().into()]].concat(),
        ),
    ]
}

/// Other recovery codes.
pub(super) fn renew_codes(change: &Change<'_>, codes: NewCodes<'_>) -> Vec<Statement> {
    let entry = change.entry;
    let mut batch = vec![Statement::new(
        "UPDATE totp_factors SET codes_set = ?2, codes_key = ?3, codes_step = ?4, codes_session = ?5, codes_made_at = ?6
         WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?7)",
        [
            change.user.to_string().into(),
            codes.set.to_string().into(),
            codes.key.into(),
            codes.step.into(),
            change.session.to_string().into(),
            entry.at.millis().into(),
            entry.id.to_string().into(),
        ],
    )];
    batch.extend(keep_codes(change.user, codes, entry));
    batch
}
