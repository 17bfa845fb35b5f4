//! Signing in: two batches around the hash. The first reserves the attempt, if there may be one more,
//! and reads the account; the second records what came of it. Both do the same work whether the
//! account exists or not.

mod cleanup;
mod outcome;

pub use cleanup::forget_old;
pub use outcome::{
    ByPassword, Failed, Opening, VerifiedHash, record_failure, record_refused, record_success, resolve, succeeded,
};
pub(super) use outcome::{insert_session, rehash, resolve_pending};

use serde::Deserialize;
use serde_json::json;

use super::{
    audit, keys, run,
    users::{self, Account},
};
use crate::{
    domain::{
        attempts::{AttemptRules, Obstacles},
        audit::Entry,
        device::{Device, Known},
        id::RowId,
        time::Timestamp,
        user::Identifier,
    },
    error::ApiError,
    ports::{Database, Statement, Value},
};

/// A try to sign in.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Its id.
    pub id: RowId,
    /// What was typed.
    pub identifier: &'a Identifier,
    /// What stands for the account where there is none: a MAC of the identifier.
    pub unknown_account: String,
    /// The browser it comes from, if that has signed anyone in before.
    pub device: Option<&'a Device>,
    /// How many there may be.
    pub rules: &'a AttemptRules,
    /// When.
    pub at: Timestamp,
}

/// What came of asking for an attempt.
#[derive(Debug)]
pub enum Reserved {
    /// It may be made.
    Attempt {
        /// The account with its password hash, if there is one.
        account: Option<Box<Account>>,
        /// The version of the signing keys.
        keys_version: i64,
    },
    /// There have been too many.
    Blocked(Obstacles),
}

/// What an attempt counts under: the account that was meant, or what stands for it, and there the
/// browser's own slot if its owner has signed in from it before, with the password that stands. Parameters 1
/// to 4. The join begins with the few that the browser names.
macro_rules! one {
    () => {
        "(SELECT account, CASE WHEN account IN (
            SELECT users.id FROM json_each(?3) AS known CROSS JOIN users ON users.id = known.value ->> 'user'
            AND users.password_version = known.value ->> 'password_version') THEN ?4 ELSE '' END AS slot
          FROM (SELECT COALESCE((SELECT id FROM users WHERE username = ?1 OR email_key = ?1), ?2) AS account)) AS one"
    };
}

/// The attempts that count against another one: parameter 5 is now, 6 the window's beginning.
macro_rules! counted {
    () => {
        "FROM sign_in_attempts WHERE account = one.account AND slot = one.slot
         AND at > ?6 AND outcome IN ('pending', 'failed')"
    };
}

/// A lock that holds.
macro_rules! lock {
    () => {
        "FROM sign_in_locks WHERE account = one.account AND slot = one.slot AND until > ?5"
    };
}

/// Reserves an attempt if there may be one, and reads what it is about. If there may not, `blocked`
/// is written.
pub async fn reserve(database: &dyn Database, attempt: &Attempt<'_>, blocked: &Entry) -> Result<Reserved, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        reserved: i64,
        locked_until: Option<i64>,
        waits_for: Option<i64>,
    }
    let (id, identifier) = (attempt.id.to_string(), attempt.identifier.as_str());
    let known =
        |Known { user, password_version }: &Known| json!({ "user": user, "password_version": password_version });
    let users: Vec<_> = attempt.device.iter().flat_map(|device| device.users()).map(known).collect();
    let with = |more: &[Value]| {
        let rules = attempt.rules;
        let shared: [Value; 7] = [
            identifier.into(),
            attempt.unknown_account.as_str().into(),
            json!(users).to_string().into(),
            attempt.device.map(Device::slot).unwrap_or_default().into(),
            attempt.at.millis().into(),
            rules.window_start(attempt.at).millis().into(),
            i64::from(rules.max_failures).into(),
        ];
        [&shared, more].concat()
    };
    let batch = vec![
        // Put twice, the second finds the first one's row, or the one that says that it was blocked.
        Statement::new(
            concat!(
                "INSERT INTO sign_in_attempts (id, account, slot, number, ip, at, outcome)
                 SELECT ?8, one.account, one.slot,
                 1 + (SELECT COALESCE(MAX(number), 0) FROM sign_in_attempts WHERE account = one.account),
                 ?9, ?5, 'pending' FROM ",
                one!(),
                " WHERE (SELECT COUNT(*) ",
                counted!(),
                ") < ?7 AND NOT EXISTS (SELECT 1 ",
                lock!(),
                ") AND NOT EXISTS (SELECT 1 FROM audit_events WHERE id = ?10) ON CONFLICT (id) DO NOTHING"
            ),
            with(&[id.as_str().into(), blocked.origin.ip.clone().into(), blocked.id.to_string().into()]),
        ),
        audit::write_unless_reserved(blocked, attempt.id, identifier),
        users::select_for_sign_in(identifier),
        keys::read_version(),
        // From the newest back, the attempt that must leave before there are too few.
        Statement::new(
            concat!(
                "SELECT EXISTS (SELECT 1 FROM sign_in_attempts WHERE id = ?8) AS reserved,
                 (SELECT until ",
                lock!(),
                ") AS locked_until, (SELECT at ",
                counted!(),
                " ORDER BY at DESC LIMIT 1 OFFSET ?7 - 1) AS waits_for FROM ",
                one!()
            ),
            with(&[id.as_str().into()]),
        ),
    ];
    let mut rows = run(database, batch).await?;
    let found = rows.pop().unwrap_or_default().first::<Found>()?;
    let found = found.ok_or_else(|| ApiError::Internal("no word of an attempt".to_owned()))?;
    let keys_version = keys::version(rows.pop().unwrap_or_default())?;
    if found.reserved == 1 {
        return Ok(Reserved::Attempt {
            account: users::for_sign_in(rows.pop().unwrap_or_default())?.map(Box::new),
            keys_version,
        });
    }
    let at = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    Ok(Reserved::Blocked(Obstacles { locked_until: at(found.locked_until), waits_for: at(found.waits_for) }))
}
