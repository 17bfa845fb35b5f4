//! The database port on D1.

use async_trait::async_trait;
use worker::{D1Database, send::SendFuture, wasm_bindgen::JsValue};

use super::bounded;
use crate::ports::{Database, DatabaseError, Row, Rows, Statement, Value};

/// One D1 database.
pub struct D1(D1Database);

impl D1 {
    /// The bound database.
    #[must_use]
    pub const fn new(database: D1Database) -> Self {
        Self(database)
    }

    async fn send(&self, statements: Vec<Statement>) -> worker::Result<Vec<Rows>> {
        let mut prepared = Vec::with_capacity(statements.len());
        for Statement { sql, params } in statements {
            let params: Vec<_> = params.iter().map(js_value).collect();
            prepared.push(self.0.prepare(sql).bind(&params)?);
        }
        let results = self.0.batch(prepared).await?;
        results.iter().map(|result| Ok(Rows(result.results::<Row>()?))).collect()
    }
}

#[async_trait]
impl Database for D1 {
    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DatabaseError> {
        let answer = SendFuture::new(bounded("database", self.send(statements))).await;
        answer.map_err(|error| {
            let message = error.message;
            // SQLite's own refusals name a result code; whatever else went wrong, nobody knows
            // whether the batch was kept.
            if message.contains("SQLITE_") && !message.contains("SQLITE_BUSY") {
                DatabaseError::Refused(message)
            } else {
                DatabaseError::Lost(message)
            }
        })
    }
}

/// D1 carries integers as floating-point numbers, exactly within ±2^53.
#[expect(clippy::cast_precision_loss, reason = "all integers here are ids, counts and times within ±2^53")]
fn js_value(value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        Value::Integer(number) => JsValue::from_f64(*number as f64),
        Value::Text(text) => JsValue::from_str(text),
    }
}
