//! Holding a copy of the log against its seals: what `edgewarden audit verify` does.
//!
//! Nothing of the copy is believed but what follows from the secret: which ranges there are, where they end, how many rows
//! they hold and which. Whatever was edited, the ranges are named in which that shows; the others are still good.

mod chain;
pub mod command;
mod database;
mod erased;

use std::{fmt, time::Duration};

use crate::domain::{
    audit::seal::{Range, SETTLED_AFTER},
    time::Timestamp,
};

pub use chain::{Against, verify};
pub use database::open;

/// A row is sealed at the latest so long after it was written: when its day is over and settled, and the hourly cron ran twice.
pub const SEALED_AFTER: Duration = SETTLED_AFTER.saturating_add(Duration::from_hours(24 + 2));

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many ranges were looked through.
    pub ranges: usize,
    /// How many rows are in them.
    pub rows: i64,
    /// From when to when they are.
    pub covered: Option<(Timestamp, Timestamp)>,
    /// Rows from before that, which are about to be forgotten: nothing vouches for them.
    pub leaving: i64,
    /// Rows from after that: how many, and from when the oldest is.
    pub not_sealed: Option<(i64, Timestamp)>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Something that is not as it was sealed.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A range, by its number, and from when to when it is.
    Range(i64, Timestamp, Timestamp, Wrong),
    /// The head that was given is none of the chain's.
    UnknownHead,
    /// Rows from this time on should have been sealed.
    Overdue(Timestamp),
}

/// What is wrong with a range.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its seal is not there, nor those up to this number, and those after it are.
    Missing(i64),
    /// Its seal is not one that we made.
    NotGenuine,
    /// The secret of this id vouches for it, which is not given.
    UnknownKey(String),
    /// It does not go on where the one before it ends.
    NotNext,
    /// It is marked as forgotten, though it ended less than `AUDIT_RETENTION` ago, or others before it are not.
    ForgottenEarly,
    /// It holds more or fewer rows than were sealed.
    Count {
        /// So many were sealed.
        sealed: i64,
        /// So many are there.
        found: i64,
    },
    /// It holds as many rows as were sealed, and other ones.
    Rows,
    /// Address or client of this row were changed.
    OriginChanged(String),
    /// They are gone from this row, and nobody was erased whose they were.
    OriginGone(String),
}

impl Fault {
    const fn of(range: &Range, wrong: Wrong) -> Self {
        Self::Range(range.number, range.from_at, range.to_at, wrong)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(number, from, to, Wrong::Missing(last)) if number != last => {
                write!(f, "ranges {number} to {last}, {} to {}: their seals are missing", from.rfc3339(), to.rfc3339())
            }
            Self::Range(number, from, to, wrong) => {
                write!(f, "range {number}, {} to {}: {wrong}", from.rfc3339(), to.rfc3339())
            }
            Self::UnknownHead => {
                f.write_str("no range has the head that is given: it is forgotten, or the chain was rewritten")
            }
            Self::Overdue(since) => {
                write!(
                    f,
                    "rows from {} on are not sealed, and should be: seals are missing, or the cron does not run",
                    since.rfc3339()
                )
            }
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(_) => f.write_str("its seal is missing"),
            Self::NotGenuine => f.write_str("its seal is not genuine"),
            Self::UnknownKey(id) => write!(f, "its seal is under {id:?}, which is not in TOKEN_MAC_KEY"),
            Self::NotNext => f.write_str("it does not follow the range before it"),
            Self::ForgottenEarly => f.write_str("it is marked as forgotten, and must not be yet"),
            Self::Count { sealed, found } => write!(f, "it holds {found} rows, and {sealed} were sealed"),
            Self::Rows => f.write_str("rows differ from what was sealed"),
            Self::OriginChanged(row) => write!(f, "ip or user_agent of row {row:?} were changed"),
            Self::OriginGone(row) => {
                write!(f, "ip and user_agent of row {row:?} were removed, and nobody was erased whose they were")
            }
        }
    }
}
