//! An account that somebody makes for another. One batch: the first statement makes it, if its maker and what roles give are
//! still as it was judged by and they did not make too many; what follows does its part where the row in the log is. So to do
//! it twice is to do it once.

use serde::Deserialize;
use serde_json::json;

use super::NewUser;
use crate::{
    domain::{
        audit::{Act, Event},
        time::Timestamp,
        user::{FullName, RoleGrant},
    },
    error::ApiError,
    ports::{Database, Statement, Value},
    stores::{
        audit,
        judged::{Actor, is_ruled, stands},
        last,
        outbox::{self, HOUR, NewLetter},
        run,
    },
};

/// An account to be made.
#[derive(Debug)]
pub struct Creation<'a> {
    /// What it is.
    pub new: NewUser<'a>,
    /// Whether its address is taken as proven.
    pub email_verified: bool,
    /// Its roles.
    pub grants: &'a [RoleGrant],
    /// Who makes it, as they were judged.
    pub by: Actor,
    /// The row in the log.
    pub act: &'a Act,
    /// More rows, for what is more than one thing; of the same time.
    pub more: &'a [Act],
    /// The mail that goes to its address, if one does.
    pub letter: Option<&'a NewLetter>,
    /// So many accounts one administrator makes in an hour: nobody is to have mails sent to whom they like.
    pub an_hour: u32,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// It is there.
    Done,
    /// Another has the username, the address or both.
    Taken {
        /// The username.
        username: bool,
        /// The address.
        email: bool,
    },
    /// Its maker made too many lately.
    TooMany,
    /// The maker's own session is over.
    NotStanding,
    /// Roles give something else than when it was judged, or the maker holds others.
    Overtaken,
}

/// How many accounts somebody made lately.
macro_rules! made_lately {
    ($actor:literal, $since:literal, $event:literal) => {
        concat!(
            "(SELECT COUNT(*) FROM audit_events WHERE actor = ",
            $actor,
            " AND at > ",
            $since,
            " AND event = ",
            $event,
            ")"
        )
    };
}

/// Makes it. Uniqueness is the indexes' business: of two at once, one wins.
pub async fn make(database: &dyn Database, what: &Creation<'_>) -> Result<Made, ApiError> {
    let mut batch = vec![account(what), audit::write_act_if_changed(what.act)];
    batch.extend(what.letter.map(|letter| outbox::write_if_changed(letter, what.new.id)));
    batch.extend(what.more.iter().map(|act| audit::write_act_if_written(act, what.act.entry.id)));
    batch.extend([roles(what), outcome(what)]);
    let found = last(run(database, batch).await?).first::<Outcome>()?;
    Ok(found.ok_or_else(|| ApiError::Internal("no word of an account".to_owned()))?.made(what.an_hour.into()))
}

impl Creation<'_> {
    /// Parameters 1 to 5: who, when, and by whom.
    fn params(&self) -> Vec<Value> {
        let mut params = vec![self.new.id.to_string().into(), self.act.entry.at.millis().into()];
        params.extend(self.by.params());
        params
    }

    fn since(&self) -> Timestamp {
        self.act.entry.at.minus(HOUR)
    }
}

fn account(what: &Creation<'_>) -> Statement {
    let mut params = what.params();
    params.extend([
        what.new.username.as_str().into(),
        what.new.email.as_str().into(),
        what.new.email.key().into(),
        i64::from(what.email_verified).into(),
        what.new.full_name.map_or("", FullName::as_str).into(),
        what.new.password_hash.into(),
        what.since().millis().into(),
        Event::Register.name().into(),
        what.an_hour.into(),
    ]);
    Statement::new(
        concat!(
            "INSERT INTO users (id, username, email, email_key, email_verified, full_name, password_hash, created_at,
               updated_at)
             SELECT ?1, ?6, ?7, ?8, ?9, ?10, ?11, ?2, ?2 WHERE ",
            made_lately!("?5", "?12", "?13"),
            " < ?14 AND ",
            is_ruled!(),
            " ON CONFLICT DO NOTHING"
        ),
        params,
    )
}

/// As long as nobody has changed them since.
fn roles(what: &Creation<'_>) -> Statement {
    Statement::new(
        "INSERT INTO user_roles (user_id, role, granted_at, granted_by, expires_at)
         SELECT ?1, value ->> 'role', ?2, ?3, value ->> 'expires_at'
         FROM json_each(?4) JOIN roles r ON r.name = value ->> 'role'
         WHERE (SELECT token_version FROM users WHERE id = ?1) = 1
           AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?5) ON CONFLICT DO NOTHING",
        [
            what.new.id.to_string().into(),
            what.act.entry.at.millis().into(),
            what.act.actor.to_string().into(),
            json!(what.grants).to_string().into(),
            what.act.entry.id.to_string().into(),
        ],
    )
}

#[derive(Deserialize)]
struct Outcome {
    made: i64,
    username: i64,
    email: i64,
    lately: i64,
    stands: i64,
    ruled: i64,
}

fn outcome(what: &Creation<'_>) -> Statement {
    let mut params = what.params();
    params.extend([
        what.new.username.as_str().into(),
        what.by.version.into(),
        what.new.email.key().into(),
        what.since().millis().into(),
        Event::Register.name().into(),
    ]);
    Statement::new(
        concat!(
            "SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND created_at = ?2) AS made,
               EXISTS (SELECT 1 FROM users WHERE username = ?6 AND id <> ?1) AS username,
               EXISTS (SELECT 1 FROM users WHERE email_key = ?8 AND id <> ?1) AS email, ",
            made_lately!("?5", "?9", "?10"),
            " AS lately, ",
            stands!("?4", "?5", "?7"),
            " AS stands, COALESCE(",
            is_ruled!(),
            ", 0) AS ruled"
        ),
        params,
    )
}

impl Outcome {
    /// What is taken is told to nobody who may not make accounts any more.
    const fn made(&self, an_hour: i64) -> Made {
        match self {
            Self { made: 1, .. } => Made::Done,
            Self { stands: 0, .. } => Made::NotStanding,
            Self { ruled: 0, .. } => Made::Overtaken,
            Self { username: 0, email: 0, lately, .. } if *lately >= an_hour => Made::TooMany,
            Self { username: 0, email: 0, .. } => Made::Overtaken,
            Self { username, email, .. } => Made::Taken { username: *username == 1, email: *email == 1 },
        }
    }
}
