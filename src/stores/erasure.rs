//! What tells of a person, beside their account: their sessions, API keys, mails, second factor and tries to sign in, and where the log says that
//! they were. Once the account is erased it goes, 500 rows of a kind at a time. The request that erases removes so much at
//! once, which is all of it but for few; the cron goes on.
//!
//! The rows of the log stay, and name the id, which nobody is known by any more. Where a row tells of an act on
//! another's account, address and client are the actor's: they go with the actor, not with whom it is about. Sealed rows stay
//! as they were sealed (`domain/audit/record.rs`): the salt goes with address and client, the hash of them stays.

use std::time::Duration;

use serde::Deserialize;

use super::{last, run};
use crate::{
    domain::{
        id::UserId,
        time::{Timestamp, millis},
    },
    error::ApiError,
    ports::{Database, Statement, Value},
};

/// At most so many rounds in one run: 50,000 rows of each kind.
const ROUNDS: usize = 100;
/// So long after an erasure it is looked at once more: a request that was under way may have written something since.
const LAST_LOOK: Duration = Duration::from_hours(1);

/// Whether the account of parameter 1 is erased.
macro_rules! is_erased {
    () => {
        "EXISTS (SELECT 1 FROM users WHERE id = ?1 AND erased_at IS NOT NULL)"
    };
}

/// Rows of the log that tell where the person of parameter 1 was, each kind by its own index: about them, and by them.
macro_rules! traces {
    (about) => {
        "FROM audit_events AS e WHERE e.subject = ?1 AND e.at >= (SELECT clean_to FROM erasures WHERE user_id = ?1)
         AND (e.ip IS NOT NULL OR e.user_agent IS NOT NULL OR e.origin_salt IS NOT NULL) AND e.actor IS NULL"
    };
    (by) => {
        "FROM audit_events AS e WHERE e.actor = ?1
         AND (e.ip IS NOT NULL OR e.user_agent IS NOT NULL OR e.origin_salt IS NOT NULL)"
    };
}

/// Whether anything is left of the person of parameter 1.
macro_rules! is_left {
    () => {
        concat!(
            "(EXISTS (SELECT 1 FROM sessions WHERE user_id = ?1)
              OR EXISTS (SELECT 1 FROM mail_outbox WHERE account = ?1)
              OR EXISTS (SELECT 1 FROM sign_in_attempts WHERE account = ?1)
              OR EXISTS (SELECT 1 FROM sign_in_locks WHERE account = ?1)
              OR EXISTS (SELECT 1 FROM api_keys WHERE user_id = ?1)
              OR EXISTS (SELECT 1 FROM totp_factors WHERE user_id = ?1)
              OR EXISTS (SELECT 1 FROM recovery_codes WHERE user_id = ?1)
              OR EXISTS (SELECT 1 FROM mfa_setups WHERE user_id = ?1)
              OR EXISTS (SELECT 1 FROM mfa_challenges WHERE user_id = ?1)
              OR EXISTS (SELECT 1 FROM mfa_failures WHERE user_id = ?1)
              OR EXISTS (SELECT 1 ",
            traces!(about),
            ") OR EXISTS (SELECT 1 ",
            traces!(by),
            "))"
        )
    };
}

/// Notes that an account is erased, if the row in the log is there that tells of it.
pub(super) fn note(user: UserId, at: Timestamp, row: &str) -> Statement {
    Statement::new(
        "INSERT INTO erasures (user_id, at, next_at) SELECT ?1, ?2, ?2
         WHERE EXISTS (SELECT 1 FROM audit_events WHERE id = ?3) ON CONFLICT (user_id) DO NOTHING",
        [user.to_string().into(), at.millis().into(), row.into()],
    )
}

/// Removes some of what tells of a person, if their account is erased: 500 rows of each kind. Sessions are ended and
/// recorded as revoked before; their refresh tokens go first, since they refer to them. Mails that wait go before those
/// that were sent.
pub(super) fn remove_some(user: UserId) -> Vec<Statement> {
    let of = |sql: &'static str| Statement::new(sql, [user.to_string().into()]);
    vec![
        of(concat!(
            "DELETE FROM refresh_tokens WHERE session_id IN (
               SELECT id FROM sessions WHERE user_id = ?1 ORDER BY created_at, rowid LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!(
            "DELETE FROM sessions WHERE id IN (
               SELECT id FROM sessions WHERE user_id = ?1 ORDER BY created_at, rowid LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!(
            "DELETE FROM mail_outbox WHERE id IN (
               SELECT id FROM mail_outbox WHERE account = ?1 ORDER BY state = 'pending' DESC LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!(
            "DELETE FROM sign_in_attempts WHERE id IN (
               SELECT id FROM sign_in_attempts WHERE account = ?1 LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!(
            "DELETE FROM sign_in_locks WHERE (account, slot) IN (
               SELECT account, slot FROM sign_in_locks WHERE account = ?1 LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!(
            "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE user_id = ?1 LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!("DELETE FROM totp_factors WHERE user_id = ?1 AND ", is_erased!())),
        // Ten at most.
        of(concat!("DELETE FROM recovery_codes WHERE user_id = ?1 AND ", is_erased!())),
        of(concat!("DELETE FROM mfa_setups WHERE user_id = ?1 AND ", is_erased!())),
        of(concat!(
            "DELETE FROM mfa_challenges WHERE id IN (SELECT id FROM mfa_challenges WHERE user_id = ?1 LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!(
            "DELETE FROM mfa_failures WHERE (user_id, slot) IN (
               SELECT user_id, slot FROM mfa_failures WHERE user_id = ?1 LIMIT 500) AND ",
            is_erased!()
        )),
        // Of those who are in the log 100,000 times, not all rows are gone through each time.
        Statement::new(
            concat!(
                "UPDATE erasures SET clean_to = MIN(at - ?2, COALESCE((SELECT e.at ",
                traces!(about),
                " ORDER BY e.at LIMIT 1), at - ?2)) WHERE user_id = ?1"
            ),
            [user.to_string().into(), millis(LAST_LOOK).into()],
        ),
        of(concat!(
            "UPDATE audit_events SET ip = NULL, user_agent = NULL, origin_salt = NULL WHERE id IN (SELECT e.id ",
            traces!(about),
            " ORDER BY e.at LIMIT 500) AND ",
            is_erased!()
        )),
        of(concat!(
            "UPDATE audit_events SET ip = NULL, user_agent = NULL, origin_salt = NULL WHERE id IN (SELECT e.id ",
            traces!(by),
            " LIMIT 500) AND ",
            is_erased!()
        )),
    ]
}

/// Goes on with every erasure that is due, one after the other. One is done when nothing is left of it an hour later. Says
/// whether all are seen to.
pub async fn finish(database: &dyn Database, now: Timestamp) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Due {
        user_id: UserId,
    }
    for _ in 0..ROUNDS {
        let next = Statement::new(
            "SELECT user_id FROM erasures WHERE next_at <= ?1 ORDER BY next_at LIMIT 1",
            [now.millis().into()],
        );
        let Some(Due { user_id }) = last(run(database, vec![next]).await?).first::<Due>()? else {
            return Ok(true);
        };
        let params: [Value; 3] = [user_id.to_string().into(), now.millis().into(), millis(LAST_LOOK).into()];
        let mut batch = remove_some(user_id);
        batch.extend([
            Statement::new(
                concat!("DELETE FROM erasures WHERE user_id = ?1 AND at + ?3 <= ?2 AND NOT ", is_left!()),
                params.clone(),
            ),
            Statement::new(
                concat!(
                    "UPDATE erasures SET next_at = at + ?3 WHERE user_id = ?1 AND ?2 < at + ?3 AND NOT ",
                    is_left!()
                ),
                params,
            ),
        ]);
        run(database, batch).await?;
    }
    Ok(false)
}
