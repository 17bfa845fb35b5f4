//! The database port: a batch of SQL statements, all or nothing, and nothing finer. One batch is
//! one round trip, so counting calls counts trips.

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Map;

/// A bound parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// An integer within ±2^53, which is what D1 carries.
    Integer(i64),
    /// Text.
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One statement: constant text, bound parameters (`?1`, `?2`, …).
#[derive(Clone, Debug)]
pub struct Statement {
    /// The SQL.
    pub sql: &'static str,
    /// Its parameters, at most 100.
    pub params: Vec<Value>,
}

impl Statement {
    /// A statement and its parameters.
    #[must_use]
    pub fn new(sql: &'static str, params: impl Into<Vec<Value>>) -> Self {
        Self { sql, params: params.into() }
    }
}

/// One row: column name → value.
pub type Row = Map<String, serde_json::Value>;

/// What one statement gave.
#[derive(Clone, Debug, Default)]
pub struct Rows(pub Vec<Row>);

/// A row that is not of the shape the code expects: a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("unexpected row: {0}")]
pub struct BadRow(String);

impl Rows {
    /// All rows.
    pub fn all<T: DeserializeOwned>(self) -> Result<Vec<T>, BadRow> {
        let read = |row| serde_json::from_value(serde_json::Value::Object(row));
        self.0.into_iter().map(read).collect::<Result<_, _>>().map_err(|error| BadRow(error.to_string()))
    }

    /// The first row, if there is one.
    pub fn first<T: DeserializeOwned>(self) -> Result<Option<T>, BadRow> {
        let first = Self(self.0.into_iter().take(1).collect());
        Ok(first.all()?.pop())
    }
}

/// Why a batch gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The database refused it; nothing of the batch was kept.
    #[error("database refused the batch: {0}")]
    Refused(String),
    /// The answer never came; the batch may have been kept.
    #[error("database did not answer: {0}")]
    Lost(String),
}

/// A SQL database.
#[async_trait]
pub trait Database: Send + Sync {
    /// Runs the statements in order, in one transaction; answers with the rows of each.
    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DatabaseError>;
}
