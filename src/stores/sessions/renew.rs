//! Sessions that go on as something more, or something else, than they were: under another id if a cookie holds them, so
//! that an identifier from before is worth nothing after.

use crate::{
    domain::{audit::Entry, id::SessionId, session::NewSession, time::Timestamp, token::refresh::salt_text},
    ports::Statement,
};

/// How a session's holder proved who they are, as it is from now on.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Their methods, with blanks between (RFC 8176).
    pub amr: &'static str,
    /// When, if that was now.
    pub at: Option<Timestamp>,
    /// The step of the clock that it was done with, if it was.
    pub step: Option<i64>,
}

/// The same session under another id and salt, if the row in the log is there: it does not live longer for that. What
/// was proven is as before, unless that changed.
pub(in crate::stores) fn renew(
    session: SessionId,
    renewed: &NewSession,
    proof: Option<&Proof>,
    entry: &Entry,
) -> Statement {
    Statement::new(
        "INSERT INTO sessions (id, user_id, ip, user_agent, amr, created_at, expires_at, kind, salt, scope,
           last_seen_at, idle_ms, idle_until, authenticated_at, factor_step)
         SELECT ?2, user_id, ip, user_agent, COALESCE(?6, amr), created_at, expires_at, kind, ?3, scope,
           ?4, idle_ms, MIN(expires_at, ?4 + idle_ms), COALESCE(?7, authenticated_at), COALESCE(?8, factor_step)
         FROM sessions WHERE id = ?1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?5)
         ON CONFLICT (id) DO NOTHING",
        [
            session.to_string().into(),
            renewed.id.to_string().into(),
            salt_text(&renewed.salt).into(),
            entry.at.millis().into(),
            entry.id.to_string().into(),
            proof.map(|proof| proof.amr).into(),
            proof.and_then(|proof| proof.at).map(Timestamp::millis).into(),
            proof.and_then(|proof| proof.step).into(),
        ],
    )
}

/// The same session as it is, with what was proven, if the row in the log is there.
fn prove(session: SessionId, proof: &Proof, entry: &Entry) -> Statement {
    Statement::new(
        "UPDATE sessions SET amr = ?2, authenticated_at = COALESCE(?3, authenticated_at),
           factor_step = COALESCE(?4, factor_step)
         WHERE id = ?1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?5)",
        [
            session.to_string().into(),
            proof.amr.into(),
            proof.at.map(Timestamp::millis).into(),
            proof.step.into(),
            entry.id.to_string().into(),
        ],
    )
}

/// The session goes on with what was proven, under another id if there is one.
pub(in crate::stores) fn go_on(
    session: SessionId,
    renewed: Option<&NewSession>,
    proof: &Proof,
    entry: &Entry,
) -> Statement {
    match renewed {
        Some(renewed) => renew(session, renewed, Some(proof), entry),
        None => prove(session, proof, entry),
    }
}
