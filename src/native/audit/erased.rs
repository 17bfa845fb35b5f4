//! Whose address and client may be gone from the log: of whom the account was erased, which the log tells.

use std::{collections::HashMap, time::Duration};

use rusqlite::{Connection, OptionalExtension};

use crate::domain::{audit::record::Record, time::Timestamp};

/// An erasure removes what was written until then, and what requests under way wrote for a while after.
const LATE: Duration = Duration::from_hours(24);

/// Answers for one copy, and remembers.
pub(super) struct Erased<'c> {
    connection: &'c Connection,
    /// Rows from before that are forgotten, and with them what they tell of erasures.
    log_from: Timestamp,
    known: HashMap<String, Option<Timestamp>>,
}

impl<'c> Erased<'c> {
    pub(super) fn new(connection: &'c Connection, log_from: Timestamp) -> Self {
        Self { connection, log_from, known: HashMap::new() }
    }

    /// Whether the origin of a row went with whose it was.
    pub(super) fn explains(&mut self, row: &Record) -> Result<bool, rusqlite::Error> {
        let Some(user) = row.whose() else { return Ok(false) };
        let erased_at = if let Some(known) = self.known.get(user) {
            *known
        } else {
            let found = self.look(user)?;
            self.known.insert(user.to_owned(), found);
            found
        };
        Ok(erased_at.is_some_and(|erased_at| row.at <= erased_at.plus(LATE)))
    }

    /// An account is erased if nothing is left of its name, and the row of another's act says so.
    fn look(&self, user: &str) -> Result<Option<Timestamp>, rusqlite::Error> {
        let sql = "SELECT erased_at FROM users WHERE id = ?1 AND username = 'erased:' || id AND erased_at IS NOT NULL
                   AND (erased_at < ?2 OR EXISTS (
                     SELECT 1 FROM audit_events WHERE event = 'admin_action' AND at = users.erased_at
                     AND subject = users.id AND actor <> subject AND detail IS NULL))";
        let found = self.connection.query_row(sql, (user, self.log_from.millis()), |row| row.get(0)).optional()?;
        Ok(found.map(Timestamp::from_millis))
    }
}
