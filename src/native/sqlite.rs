//! The database port on SQLite, with the real migrations and with D1's limits: 100 parameters,
//! LIKE patterns of 50 bytes, statements of 100 kB, integers within ±2^53, foreign keys on.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rusqlite::{Connection, limits::Limit, types::ValueRef};

use super::switchboard::{Fate, Switchboard};
use crate::ports::{Database, DatabaseError, Row, Rows, Statement, Value};

/// The name of this port in counts.
pub const PORT: &str = "database";
/// What D1 carries exactly.
const MAX_INTEGER: i64 = 1 << 53;
/// Every migration, in order.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_accounts.sql"),
    include_str!("../../migrations/0002_built_in_roles.sql"),
    include_str!("../../migrations/0003_token_keys.sql"),
    include_str!("../../migrations/0004_revocation_feed.sql"),
    include_str!("../../migrations/0005_sign_in_attempts.sql"),
    include_str!("../../migrations/0006_mail_outbox.sql"),
    include_str!("../../migrations/0007_cookie_sessions.sql"),
    include_str!("../../migrations/0008_cleanup.sql"),
    include_str!("../../migrations/0009_erasure.sql"),
    include_str!("../../migrations/0010_second_factor.sql"),
    include_str!("../../migrations/0011_roles.sql"),
    include_str!("../../migrations/0012_audit_log.sql"),
    include_str!("../../migrations/0013_api_keys.sql"),
    include_str!("../../migrations/0014_dashboard.sql"),
    include_str!("../../migrations/0015_policy.sql"),
];

/// A database with nothing in it but what every installation has.
pub(super) fn migrated() -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    for migration in MIGRATIONS {
        connection.execute_batch(migration)?;
    }
    Ok(connection)
}

/// The name of the feed's own way to it.
pub const FEEDS_PORT: &str = "feed's database";

/// An in-memory database, and one way to it.
pub struct Sqlite {
    port: &'static str,
    connection: Arc<Mutex<Connection>>,
    switchboard: Arc<Switchboard>,
    meddling: Mutex<Option<(usize, &'static str)>>,
    asked: Mutex<BTreeSet<&'static str>>,
}

impl Sqlite {
    pub(super) fn new(switchboard: Arc<Switchboard>) -> Result<Self, rusqlite::Error> {
        let connection = migrated()?;
        connection.set_limit(Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50)?;
        connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000)?;
        connection.set_limit(Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5)?;
        connection.set_limit(Limit::SQLITE_LIMIT_VDBE_OP, 25_000)?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { port: PORT, connection, switchboard, meddling: Mutex::default(), asked: Mutex::default() })
    }

    /// Another way to the same database, counted by itself.
    pub(super) fn another_way(&self, port: &'static str) -> Self {
        let (connection, switchboard) = (self.connection.clone(), self.switchboard.clone());
        Self { port, connection, switchboard, meddling: Mutex::default(), asked: Mutex::default() }
    }

    /// Asks the database directly, around counting and faults: what a test looks at.
    ///
    /// # Errors
    /// What SQLite refuses.
    pub fn look(&self, sql: &'static str, params: &[Value]) -> Result<Rows, rusqlite::Error> {
        run(&self.connection(), &Statement::new(sql, params))
    }

    /// Runs statements without parameters in one transaction, around counting and faults: a script, as `wrangler d1
    /// execute` does.
    ///
    /// # Errors
    /// What SQLite refuses; nothing of the script is kept then.
    pub fn script(&self, statements: &[String]) -> Result<Vec<Rows>, rusqlite::Error> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let rows = statements.iter().map(|sql| query(&transaction, sql, &[])).collect::<Result<_, _>>()?;
        transaction.commit()?;
        Ok(rows)
    }

    /// Writes a copy into a file that is not there yet.
    ///
    /// # Errors
    /// What SQLite refuses.
    pub fn save(&self, path: &Path) -> Result<(), rusqlite::Error> {
        self.connection().execute("VACUUM INTO ?1", [path.to_string_lossy()]).map(|_| ())
    }

    /// How the database looks for what was asked of it since the last time: each statement with the lines of its plan.
    ///
    /// # Errors
    /// What SQLite refuses.
    pub fn plans(&self) -> Result<Vec<(&'static str, Vec<String>)>, rusqlite::Error> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        let connection = self.connection();
        let plan = |sql: &'static str| {
            let mut prepared = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let (mut lines, mut rows) = (Vec::new(), prepared.raw_query());
            while let Some(row) = rows.next()? {
                lines.push(row.get("detail")?);
            }
            drop(rows);
            Ok((sql, lines))
        };
        asked.into_iter().map(plan).collect()
    }

    /// Has someone else change something just before a batch: the `batches`-th from now, from 0.
    pub fn meddle(&self, batches: usize, sql: &'static str) {
        *self.meddling.lock().unwrap_or_else(PoisonError::into_inner) = Some((batches, sql));
    }

    fn let_meddle(&self) -> Result<(), rusqlite::Error> {
        let mut meddling = self.meddling.lock().unwrap_or_else(PoisonError::into_inner);
        match meddling.take() {
            Some((0, sql)) => self.connection().execute_batch(sql),
            Some((batches, sql)) => {
                *meddling = Some((batches - 1, sql));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transact(&self, statements: &[Statement]) -> Result<Vec<Rows>, rusqlite::Error> {
        let texts = statements.iter().map(|statement| statement.sql);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(texts);
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let rows = statements.iter().map(|statement| run(&transaction, statement)).collect::<Result<_, _>>()?;
        transaction.commit()?;
        Ok(rows)
    }
}

#[async_trait]
impl Database for Sqlite {
    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DatabaseError> {
        let lost = || DatabaseError::Lost("switched off".to_owned());
        match self.switchboard.enter(self.port) {
            Fate::Down => Err(lost()),
            fate => {
                let refused = |error: rusqlite::Error| DatabaseError::Refused(error.to_string());
                self.let_meddle().map_err(refused)?;
                let rows = self.transact(&statements).map_err(refused)?;
                if fate == Fate::Lost { Err(lost()) } else { Ok(rows) }
            }
        }
    }
}

fn run(connection: &Connection, statement: &Statement) -> Result<Rows, rusqlite::Error> {
    query(connection, statement.sql, &statement.params)
}

fn query(connection: &Connection, sql: &str, params: &[Value]) -> Result<Rows, rusqlite::Error> {
    let mut prepared = connection.prepare(sql)?;
    if prepared.parameter_count() != params.len() {
        return Err(rusqlite::Error::InvalidParameterCount(params.len(), prepared.parameter_count()));
    }
    for (index, value) in params.iter().enumerate() {
        match value {
            Value::Null => prepared.raw_bind_parameter(index + 1, rusqlite::types::Null)?,
            Value::Integer(number) if number.abs() > MAX_INTEGER => {
                return Err(rusqlite::Error::IntegralValueOutOfRange(index, *number));
            }
            Value::Integer(number) => prepared.raw_bind_parameter(index + 1, number)?,
            Value::Text(text) => prepared.raw_bind_parameter(index + 1, text)?,
        }
    }
    let names: Vec<_> = prepared.column_names().map(ToOwned::to_owned).collect();
    let mut found = Vec::new();
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        let value = |(index, name): (usize, &String)| Ok((name.clone(), json(row.get_ref(index)?, index)?));
        found.push(names.iter().enumerate().map(value).collect::<Result<Row, rusqlite::Error>>()?);
    }
    Ok(Rows(found))
}

fn json(value: ValueRef<'_>, index: usize) -> Result<serde_json::Value, rusqlite::Error> {
    Ok(match value {
        ValueRef::Null => serde_json::Value::Null,
        ValueRef::Integer(number) if number.abs() > MAX_INTEGER => {
            return Err(rusqlite::Error::IntegralValueOutOfRange(index, number));
        }
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(_) => return Err(rusqlite::Error::InvalidColumnType(index, "blob".into(), value.data_type())),
    })
}
