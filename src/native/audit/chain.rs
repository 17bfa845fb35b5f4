//! Going through the chain and the rows of each range.

use std::time::Duration;

use rusqlite::{Connection, Row, types::ValueRef};

use super::{Fault, Report, SEALED_AFTER, Wrong, erased::Erased};
use crate::domain::{
    audit::{
        record::{OriginIs, Record},
        seal::{Range, RowsDigest, Seal},
    },
    secret::SecretList,
    time::Timestamp,
};

/// So many rows of a range are named.
const NAMED: usize = 5;
/// The beginning of time.
const BEGINNING: Timestamp = Timestamp::from_millis(i64::MIN);

/// What a copy is held against.
#[derive(Debug)]
pub struct Against<'a> {
    /// `TOKEN_MAC_KEY`.
    pub keys: &'a SecretList,
    /// `AUDIT_RETENTION`.
    pub retention: Duration,
    /// A head that somebody else has kept.
    pub head: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// Looks through a copy.
///
/// # Errors
/// What SQLite refuses: it is no copy of ours.
pub fn verify(connection: &Connection, against: &Against<'_>) -> Result<Report, rusqlite::Error> {
    let seals = seals(connection)?;
    let (mut report, mut before) = (Report::default(), None);
    let log_from = seals.iter().find(|(_, is_forgotten)| *is_forgotten).map_or(BEGINNING, |(seal, _)| seal.range.to_at);
    let mut erased = Erased::new(connection, log_from);
    for (seal, is_forgotten) in &seals {
        report.faults.extend(in_chain(seal, *is_forgotten, before, against));
        if before.is_some() || !is_forgotten {
            let from = if seal.range.number == 1 { BEGINNING } else { seal.range.from_at };
            look_through(connection, &mut erased, from, &seal.range, &mut report)?;
        }
        before = Some(seal);
    }
    if against.head.is_some_and(|head| !seals.iter().any(|(seal, _)| seal.head == head)) {
        report.faults.push(Fault::UnknownHead);
    }
    look_around(connection, &seals, against.now, &mut report)?;
    Ok(report)
}

/// What is wrong with a seal, and with its place after the one before it.
fn in_chain(seal: &Seal, is_forgotten: bool, before: Option<&Seal>, against: &Against<'_>) -> Vec<Fault> {
    let (range, mut faults) = (&seal.range, Vec::new());
    let (next, end, head) = before.map_or((1, Timestamp::default(), ""), |seal| {
        (seal.range.number.saturating_add(1), seal.range.to_at, seal.head.as_str())
    });
    // The chain of a log of which something is forgotten begins with the last that is.
    let begins = before.is_none() && is_forgotten;
    if begins {
        if range.to_at.plus(against.retention) > against.now {
            faults.push(Fault::of(range, Wrong::ForgottenEarly));
        }
    } else if range.number != next {
        faults.push(Fault::Range(next, end, range.from_at, Wrong::Missing(range.number.saturating_sub(1))));
    } else if range.previous != head || range.from_at != end {
        faults.push(Fault::of(range, Wrong::NotNext));
    }
    if is_forgotten && !begins {
        faults.push(Fault::of(range, Wrong::ForgottenEarly));
    }
    if against.keys.find(&seal.key_id).is_none() {
        faults.push(Fault::of(range, Wrong::UnknownKey(seal.key_id.clone())));
    } else if !seal.is_genuine(against.keys) {
        faults.push(Fault::of(range, Wrong::NotGenuine));
    }
    faults
}

/// Holds the rows of a range against what was sealed of them.
fn look_through(
    connection: &Connection,
    erased: &mut Erased<'_>,
    from: Timestamp,
    range: &Range,
    report: &mut Report,
) -> Result<(), rusqlite::Error> {
    let mut digest = RowsDigest::default();
    let mut origins = Vec::new();
    let mut question = connection.prepare_cached(
        "SELECT id, at, event, severity, actor, subject, session_id, ip, user_agent, request_id, detail, origin_salt, origin_hash
         FROM audit_events WHERE at >= ?1 AND at < ?2 ORDER BY at, id",
    )?;
    let mut rows = question.query((from.millis(), range.to_at.millis()))?;
    while let Some(row) = rows.next()? {
        let row = record(row)?;
        digest.add(&row);
        match row.origin() {
            OriginIs::Changed => origins.push(Wrong::OriginChanged(row.id)),
            OriginIs::Gone if !erased.explains(&row)? => origins.push(Wrong::OriginGone(row.id)),
            _ => {}
        }
    }
    let (found, digest) = digest.finish();
    if found != range.rows {
        report.faults.push(Fault::of(range, Wrong::Count { sealed: range.rows, found }));
    } else if digest != range.digest {
        report.faults.push(Fault::of(range, Wrong::Rows));
    }
    report.faults.extend(origins.into_iter().take(NAMED).map(|wrong| Fault::of(range, wrong)));
    report.ranges += 1;
    report.rows += found;
    report.covered = Some((report.covered.map_or(range.from_at, |(from, _)| from), range.to_at));
    Ok(())
}

/// What lies before and after the ranges.
fn look_around(
    connection: &Connection,
    seals: &[(Seal, bool)],
    now: Timestamp,
    report: &mut Report,
) -> Result<(), rusqlite::Error> {
    if let Some((seal, true)) = seals.first() {
        let sql = "SELECT COUNT(*) FROM audit_events WHERE at < ?1";
        report.leaving = connection.query_row(sql, [seal.range.to_at.millis()], |row| row.get(0))?;
    }
    let end = seals.last().map_or(BEGINNING, |(seal, _)| seal.range.to_at);
    let sql = "SELECT COUNT(*), MIN(at), MAX(at) FROM audit_events WHERE at >= ?1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<i64>>(2)?));
    if let (count, Some(oldest), Some(newest)) = connection.query_row(sql, [end.millis()], read)? {
        let (oldest, newest) = (Timestamp::from_millis(oldest), Timestamp::from_millis(newest));
        report.not_sealed = Some((count, oldest));
        // A copy may be of long ago: its newest row tells.
        if oldest.plus(SEALED_AFTER) < newest.min(now) {
            report.faults.push(Fault::Overdue(oldest));
        }
    }
    Ok(())
}

/// All seals in order, and whether they are marked as forgotten.
fn seals(connection: &Connection) -> Result<Vec<(Seal, bool)>, rusqlite::Error> {
    let mut question = connection.prepare(
        "SELECT number, from_at, to_at, rows, digest, previous, head, key_id, mac, forgotten_at IS NOT NULL
         FROM audit_seals ORDER BY number",
    )?;
    let time = |row: &Row<'_>, column| row.get(column).map(Timestamp::from_millis);
    let read = |row: &Row<'_>| {
        let range = Range {
            number: row.get(0)?,
            from_at: time(row, 1)?,
            to_at: time(row, 2)?,
            rows: row.get(3)?,
            digest: text(row, 4)?.unwrap_or_default(),
            previous: text(row, 5)?.unwrap_or_default(),
        };
        let [head, key_id, mac] = [text(row, 6)?, text(row, 7)?, text(row, 8)?].map(Option::unwrap_or_default);
        Ok((Seal { range, head, key_id, mac }, row.get(9)?))
    };
    question.query_map([], read)?.collect()
}

fn record(row: &Row<'_>) -> Result<Record, rusqlite::Error> {
    Ok(Record {
        id: text(row, 0)?.unwrap_or_default(),
        at: Timestamp::from_millis(row.get(1)?),
        event: text(row, 2)?.unwrap_or_default(),
        severity: text(row, 3)?.unwrap_or_default(),
        actor: text(row, 4)?,
        subject: text(row, 5)?,
        session_id: text(row, 6)?,
        ip: text(row, 7)?,
        user_agent: text(row, 8)?,
        request_id: text(row, 9)?.unwrap_or_default(),
        detail: text(row, 10)?,
        origin_salt: text(row, 11)?,
        origin_hash: text(row, 12)?,
    })
}

/// A text, whatever is in it: what is no text any more is to be told as edited, not as unreadable.
fn text(row: &Row<'_>, column: usize) -> Result<Option<String>, rusqlite::Error> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
    })
}
