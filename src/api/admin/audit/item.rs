//! A row of the log as it is shown: as JSON, or as cells of a table.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::audit::{Outcome, record::Record};

/// The names of [`Item::cells`].
pub const COLUMNS: [&str; 12] = [
    "id",
    "at",
    "event",
    "severity",
    "outcome",
    "actor",
    "subject",
    "session_id",
    "ip",
    "user_agent",
    "request_id",
    "detail",
];

/// A row.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditRow")]
pub struct Item {
    id: String,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    event: String,
    severity: String,
    outcome: &'static str,
    actor: Option<String>,
    subject: Option<String>,
    session_id: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: String,
    detail: Option<String>,
}

impl From<Record> for Item {
    fn from(row: Record) -> Self {
        Self {
            outcome: Outcome::of_row(&row.event, &row.severity).name(),
            id: row.id,
            at: row.at.rfc3339(),
            event: row.event,
            severity: row.severity,
            actor: row.actor,
            subject: row.subject,
            session_id: row.session_id,
            ip: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
            detail: row.detail,
        }
    }
}

impl Item {
    /// Its cells, in the order of [`COLUMNS`]. What is not there is empty.
    pub fn cells(&self) -> [String; 12] {
        let optional = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
        [
            cell(&self.id),
            cell(&self.at),
            cell(&self.event),
            cell(&self.severity),
            cell(self.outcome),
            optional(&self.actor),
            optional(&self.subject),
            optional(&self.session_id),
            optional(&self.ip),
            optional(&self.user_agent),
            cell(&self.request_id),
            optional(&self.detail),
        ]
    }
}

/// A text that no spreadsheet takes for a formula: strangers choose what their clients call themselves (OWASP, "CSV
/// Injection").
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
        for plain in ["", "Agent/1", "1-1", " =1"] {
            assert_eq!(cell(plain), plain);
        }
    }
}
