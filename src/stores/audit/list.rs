//! Reading the log, newest first, page by page.
//!
//! Each page walks one index in order: that of the filter that leaves least. The other filters are held against the rows
//! that it leads to, of which one page looks at [`MAX_WALK`] at most: where few match, a page may hold few rows, or none, and
//! yet say where to go on.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        audit::{Severity, record::Record},
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::run,
};

/// So many rows are looked at for one page, where not all of them match.
pub const MAX_WALK: i64 = 5000;

/// Which rows. What is left out does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these events, by name.
    pub events: Option<Vec<&'static str>>,
    /// By whom, where that is not whom it is about.
    pub actor: Option<String>,
    /// About whom.
    pub subject: Option<String>,
    /// From this very address, as it was written down.
    pub ip: Option<String>,
    /// How loud.
    pub severity: Option<Severity>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// A place in the log: rows before it are older, or of the same time and of a lower id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The time.
    pub at: Timestamp,
    /// The id. Empty: before all rows of that time.
    pub id: String,
}

/// Some rows, and where there may be more.
#[derive(Debug)]
pub struct Page {
    /// The rows, the newest first.
    pub rows: Vec<Record>,
    /// Where the next page begins.
    pub next: Option<Place>,
}

/// What is walked: rows of one index that have parameter 5, from parameters 1 and 2 on to parameter 3.
macro_rules! walk {
    ($index:literal, $lead:literal) => {
        concat!("FROM audit_events INDEXED BY ", $index, " WHERE ", $lead, " AND (at, id) < (?1, ?2)")
    };
}

/// How far the walk goes: the time of the row after so many as parameter 4 says.
macro_rules! end {
    ($index:literal, $lead:literal) => {
        concat!("SELECT at ", walk!($index, $lead), " AND at >= ?3 ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?4")
    };
}

/// What asks for a page: for its rows, and for how far was looked.
struct Questions {
    rows: &'static str,
    end: &'static str,
}

macro_rules! questions {
    ($index:literal, $lead:literal) => {
        Questions {
            rows: concat!(
                "SELECT id, at, event, severity, actor, subject, session_id, ip, user_agent, request_id, detail ",
                walk!($index, $lead),
                " AND at >= COALESCE((",
                end!($index, $lead),
                "), ?3)
                 AND (?6 IS NULL OR subject = ?6) AND (?7 IS NULL OR actor = ?7) AND (?8 IS NULL OR ip = ?8)
                 AND (?9 IS NULL OR event IN (SELECT value FROM json_each(?9))) AND (?10 IS NULL OR severity = ?10)
                 ORDER BY at DESC, id DESC LIMIT ?11"
            ),
            end: end!($index, $lead),
        }
    };
}

impl Filter {
    /// Where reading begins, if nobody says where.
    #[must_use]
    pub fn start(&self) -> Place {
        const LAST: Timestamp = Timestamp::from_millis(1 << 53);
        Place { at: self.to.unwrap_or(LAST), id: String::new() }
    }

    /// What leaves least: what asks for it by its index, and its value.
    fn lead(&self) -> (Questions, Option<&str>) {
        match (&self.subject, &self.actor, &self.ip, self.events.as_deref()) {
            (Some(subject), ..) => (questions!("audit_events_by_subject", "subject = ?5"), Some(subject)),
            (_, Some(actor), ..) => (questions!("audit_events_by_actor", "actor = ?5"), Some(actor)),
            (_, _, Some(ip), _) => (questions!("audit_events_by_ip", "ip = ?5"), Some(ip)),
            (_, _, _, Some([event])) => (questions!("audit_events_by_event", "event = ?5"), Some(event)),
            _ => (questions!("audit_events_by_time", "?5 IS NULL"), None),
        }
    }

    /// Whether every row that the walk comes by is one of those that are wanted.
    fn is_exact(&self) -> bool {
        let by_one = [self.subject.is_some(), self.actor.is_some(), self.ip.is_some(), self.events.is_some()];
        let of_several = self.events.as_ref().is_some_and(|events| events.len() != 1);
        self.severity.is_none() && !of_several && by_one.iter().filter(|&&is| is).count() <= 1
    }

    /// Whether there can be no such row.
    fn is_empty(&self) -> bool {
        self.events.as_ref().is_some_and(Vec::is_empty)
    }

    fn statements(&self, before: &Place, limit: i64) -> Vec<Statement> {
        let (questions, lead) = self.lead();
        let start = self.start();
        let before = if before.at < start.at { before } else { &start };
        let walk = if self.is_exact() { limit } else { MAX_WALK };
        let walked: [Value; 5] = [
            before.at.millis().into(),
            before.id.as_str().into(),
            self.from.unwrap_or_default().millis().into(),
            walk.into(),
            lead.into(),
        ];
        let mut params = walked.to_vec();
        params.extend([
            self.subject.clone().into(),
            self.actor.clone().into(),
            self.ip.clone().into(),
            self.events.as_ref().map(|events| json!(events).to_string()).into(),
            self.severity.map(Severity::name).into(),
            (limit + 1).into(),
        ]);
        vec![Statement::new(questions.rows, params), Statement::new(questions.end, walked)]
    }
}

/// Reads up to `limit` rows from before a place.
pub async fn page(database: &dyn Database, filter: &Filter, before: &Place, limit: i64) -> Result<Page, ApiError> {
    if filter.is_empty() {
        return Ok(Page { rows: Vec::new(), next: None });
    }
    let mut answers = run(database, filter.statements(before, limit)).await?.into_iter();
    let mut rows = answers.next().unwrap_or_default().all::<Record>()?;
    let looked_to = looked_to(answers.next().unwrap_or_default())?;
    let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    let next = if is_full {
        rows.pop();
        rows.last().map(|row| Place { at: row.at, id: row.id.clone() })
    } else {
        looked_to.map(|at| Place { at, id: String::new() })
    };
    Ok(Page { rows, next })
}

fn looked_to(rows: Rows) -> Result<Option<Timestamp>, ApiError> {
    #[derive(Deserialize)]
    struct End {
        at: Timestamp,
    }
    Ok(rows.first::<End>()?.map(|end| end.at))
}
