//! Finding accounts: every list walks one index, in order, from where the page before ended. Where accounts on the way are
//! left out by what else is asked for, no more than a thousand of them are looked at for one page; a page may then have
//! fewer than it could, or none, and another after it.

use std::cmp::Ordering;

use serde::Deserialize;

use super::{UserRow, user_columns};
use crate::{
    domain::{time::Timestamp, user::User},
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::run,
};

/// Comes after every id.
const AFTER_ALL: &str = "g";

/// Which accounts are looked for. Those of whom nobody is left are never found.
#[derive(Debug)]
pub struct Search<'a> {
    /// How username, address or name begin, in lower case.
    pub query: Option<&'a str>,
    /// Who holds this role.
    pub role: Option<&'a str>,
    /// Who is open, or closed.
    pub active: Option<bool>,
    /// After whom.
    pub after: Option<&'a Place>,
    /// How many.
    pub limit: u32,
    /// When.
    pub now: Timestamp,
}

/// Where a page ends: by what a list is in order, of which kind that is, and who that is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Place {
    /// 0 where no query is made, or whether username, address or name begins so: 1, 2, 3.
    pub phase: i64,
    /// The username, address or name; empty where no query is made.
    pub key: String,
    /// The account's id.
    pub id: String,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The accounts.
    pub users: Vec<User>,
    /// Where they end, if there may be more.
    pub next: Option<Place>,
}

/// Reads the accounts among a `$window` of places, and where that ends. `?1` to `?4` are the same in both.
macro_rules! page {
    ($window:expr) => {
        [
            concat!(
                "WITH places AS MATERIALIZED (",
                $window,
                ") SELECT ",
                user_columns!(),
                ", places.phase, places.key FROM places CROSS JOIN users u ON u.id = places.id
                 WHERE u.erased_at IS NULL AND (?1 IS NULL OR u.is_active = ?1)
                 AND (phase < 2 OR NOT (u.username >= ?5 AND u.username < ?5 || char(1114111)))
                 AND (phase < 3 OR NOT (u.email_key >= ?5 AND u.email_key < ?5 || char(1114111)))
                 AND (?2 IS NULL OR EXISTS (SELECT 1 FROM user_roles r WHERE r.user_id = u.id AND r.role = ?2
                   AND (r.expires_at IS NULL OR r.expires_at > ?3)))
                 LIMIT ?4"
            ),
            concat!(
                "WITH places AS MATERIALIZED (",
                $window,
                ") SELECT phase, key, id FROM places WHERE ?1 IS ?1 AND ?2 IS ?2 AND ?3 IS ?3 AND ?4 IS ?4
                 LIMIT 1 OFFSET 999"
            ),
        ]
    };
}

const ALL: [&str; 2] = page!("SELECT 0 AS phase, '' AS key, id FROM users WHERE id < ?5 ORDER BY id DESC LIMIT 1000");
const BY_ACTIVE: [&str; 2] = page!(
    "SELECT 0 AS phase, '' AS key, id FROM users WHERE is_active = ?1 AND erased_at IS NULL AND id < ?5
     ORDER BY id DESC LIMIT 1000"
);
const BY_ROLE: [&str; 2] = page!(
    "SELECT 0 AS phase, '' AS key, user_id AS id FROM user_roles WHERE role = ?2 AND user_id < ?5
     ORDER BY user_id DESC LIMIT 1000"
);
/// Of whose username begins so, then of whose address does, then of whose name does; each once.
const BY_QUERY: [&str; 2] = page!(
    "SELECT phase, key, id FROM (
       SELECT * FROM (SELECT 1 AS phase, username AS key, id FROM users
         WHERE username >= ?6 AND username < ?5 || char(1114111)
         ORDER BY username LIMIT 1000)
       UNION ALL
       SELECT * FROM (SELECT 2 AS phase, email_key AS key, id FROM users
         WHERE email_key >= ?7 AND email_key < ?5 || char(1114111)
         ORDER BY email_key LIMIT 1000)
       UNION ALL
       SELECT * FROM (SELECT 3 AS phase, lower(full_name) AS key, id FROM users
         WHERE erased_at IS NULL AND full_name <> '' AND lower(full_name) >= ?8 AND (lower(full_name), id) > (?8, ?9)
         AND lower(full_name) < ?5 || char(1114111)
         ORDER BY lower(full_name), id LIMIT 1000)
     ) LIMIT 1000"
);

impl Search<'_> {
    fn statements(&self) -> [Statement; 2] {
        let mut params: Vec<Value> = vec![
            self.active.map(i64::from).into(),
            self.role.into(),
            self.now.millis().into(),
            self.limit.saturating_add(1).into(),
        ];
        let texts = if let Some(query) = self.query {
            params.push(query.into());
            params.extend(self.begins(query));
            BY_QUERY
        } else {
            params.push(self.after.map_or(AFTER_ALL, |place| place.id.as_str()).into());
            match (self.role, self.active) {
                (Some(_), _) => BY_ROLE,
                (None, Some(_)) => BY_ACTIVE,
                (None, None) => ALL,
            }
        };
        texts.map(|sql| Statement::new(sql, params.clone()))
    }

    /// From which username and address on, and after which name with id: of a kind that the page before ended in, from the
    /// next; of one that it has gone through, none.
    fn begins(&self, query: &str) -> [Value; 4] {
        const NONE: &str = "\u{10FFFF}\u{10FFFF}";
        let (phase, key, id) = self.after.map_or((0, "", ""), |place| (place.phase, &*place.key, &*place.id));
        let from = |own: i64, first: &str, next: &str| match phase.cmp(&own) {
            Ordering::Less => Value::from(first),
            Ordering::Equal => next.into(),
            Ordering::Greater => NONE.into(),
        };
        // Nothing is called so that it would come between: no name holds a control character.
        let next = format!("{key}\u{1}");
        [from(1, query, &next), from(2, query, &next), from(3, query, key), from(3, "", id)]
    }
}

/// Finds accounts.
pub async fn search(database: &dyn Database, search: &Search<'_>) -> Result<Found, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        phase: i64,
        key: String,
        #[serde(flatten)]
        user: UserRow,
    }
    let mut rows = run(database, search.statements().to_vec()).await?.into_iter();
    let mut next = || -> Rows { rows.next().unwrap_or_default() };
    let (mut found, window_end) = (next().all::<Row>()?, next().first::<Place>()?);
    let limit = usize::try_from(search.limit).unwrap_or(usize::MAX);
    let is_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| is_more).map(|row| Place {
        phase: row.phase,
        key: row.key.clone(),
        id: row.user.id.to_string(),
    });
    let users = found.into_iter().map(|row| row.user.try_into()).collect::<Result<_, _>>()?;
    Ok(Found { users, next: last.or(window_end) })
}
