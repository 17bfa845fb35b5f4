//! Versions of the policy that were put over the API. A version is a row that nothing changes any more: whoever goes back to
//! an earlier one puts a copy of it.

use serde::Deserialize;

use super::{
    audit,
    bundle::Keeper,
    judged::{is_ruled, stands},
    last,
    roles::By,
    run,
};
use crate::{
    domain::{
        bundle::Bundle,
        time::Timestamp,
        versions::{Put, Version},
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
};

/// So many versions are kept, beside those that are in force.
const KEPT: i64 = 100;

/// What a version is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It decides.
    Live,
    /// It is tried beside what decides.
    Candidate,
}

impl Kind {
    /// As it is written down.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Candidate => "candidate",
        }
    }
}

/// The versions in force: of those that were put live beside one file the newest two, should the newer one not be readable, of
/// the two files that were last put beside; and the newest candidate.
macro_rules! in_force {
    () => {
        "SELECT version FROM (
           SELECT version, ROW_NUMBER() OVER (PARTITION BY base ORDER BY version DESC) AS place
           FROM policies WHERE kind = 'live') AS one WHERE place <= 2
         UNION SELECT MAX(version) FROM policies WHERE kind = 'candidate'"
    };
}

/// Reads what is in force.
pub(super) fn read_in_force() -> Statement {
    Statement::new(
        concat!(
            "SELECT version, kind, base, text FROM policies WHERE version IN (",
            in_force!(),
            ") ORDER BY version DESC LIMIT 5"
        ),
        [],
    )
}

/// What was read.
pub(super) fn put(rows: Rows) -> Result<Put, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        version: i64,
        kind: String,
        base: String,
        text: Option<String>,
    }
    let mut put = Put::default();
    for Row { version: number, kind, base, text } in rows.all::<Row>()? {
        let version = Version { number, base, text };
        match kind.as_str() {
            "live" => put.live.push(version),
            _ => put.candidate = Some(version),
        }
    }
    Ok(put)
}

/// A version that is to be put.
#[derive(Debug)]
pub struct New<'a> {
    /// What for.
    pub kind: Kind,
    /// The digest of the file that it is put beside.
    pub base: &'a str,
    /// The policy; `None` is that file itself, or for a candidate that there is none any more.
    pub text: Option<&'a str>,
    /// Which version it is a copy of.
    pub copy_of: Option<i64>,
    /// What is said of it.
    pub note: &'a str,
    /// Which version must be the newest live one, if that matters; 0 is that there is none.
    pub after: Option<i64>,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// It is in force; with everything as it is now.
    Done(Box<Bundle>),
    /// Another version is the newest live one.
    Moved(i64),
    /// The actor's own session is over.
    NotStanding,
    /// What was judged by has changed.
    Overtaken,
}

/// Puts a version, if roles are still as it was judged by. Those that nobody goes back to any more are forgotten.
pub async fn add(keeper: &Keeper<'_>, by: By<'_>, new: &New<'_>) -> Result<Outcome, ApiError> {
    let (entry, [ruled, session, actor]) = (&by.act.entry, by.actor.params());
    let (id, kind) = (Value::from(entry.id.to_string()), Value::from(new.kind.name()));
    let batch = vec![
        Statement::new(
            concat!(
                "INSERT INTO policies (kind, base, text, copy_of, note, created_at, created_by, made_by)
                 SELECT ?2, ?6, ?7, ?8, ?9, ?10, ?5, ?1
                 WHERE (?11 IS NULL OR (SELECT COALESCE(MAX(version), 0) FROM policies WHERE kind = 'live') = ?11) AND ",
                is_ruled!(),
                " ON CONFLICT (made_by) DO NOTHING"
            ),
            [
                id.clone(),
                kind,
                ruled,
                session.clone(),
                actor.clone(),
                new.base.into(),
                new.text.map(ToOwned::to_owned).into(),
                new.copy_of.into(),
                new.note.into(),
                entry.at.millis().into(),
                new.after.into(),
            ],
        ),
        audit::write_act_if_changed(by.act),
        Statement::new(
            concat!(
                "DELETE FROM policies WHERE version <= (SELECT MAX(version) FROM policies) - ?1 AND version NOT IN (
                   SELECT version FROM policies WHERE version IN (",
                in_force!(),
                ") ORDER BY version DESC LIMIT 5)"
            ),
            [KEPT.into()],
        ),
        Statement::new(
            concat!(
                "SELECT (SELECT version FROM policies WHERE made_by = ?1) AS version,
                   (SELECT COALESCE(MAX(version), 0) FROM policies WHERE kind = 'live') AS live, ",
                stands!("?2", "?3", "?4"),
                " AS stands"
            ),
            [id, session, actor, by.actor.version.into()],
        ),
    ];
    let (rows, bundle) = keeper.change(batch).await?;
    let state = last(rows).first::<State>()?;
    Ok(match state {
        Some(State { version: Some(_), .. }) => Outcome::Done(Box::new(bundle)),
        Some(State { stands: 0, .. }) => Outcome::NotStanding,
        Some(State { live, .. }) if new.after.is_some_and(|after| after != live) => Outcome::Moved(live),
        _ => Outcome::Overtaken,
    })
}

#[derive(Deserialize)]
struct State {
    version: Option<i64>,
    live: i64,
    stands: i64,
}

/// A version as it is told of.
#[derive(Debug, Deserialize)]
pub struct About {
    /// Its number.
    pub version: i64,
    /// What it is for.
    pub kind: String,
    /// The file that it was put beside.
    pub base: String,
    /// Whether it is that file.
    pub is_file: i64,
    /// Which version it is a copy of.
    pub copy_of: Option<i64>,
    /// What was said of it.
    pub note: String,
    /// When it was put.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// The policy, if that was asked for.
    pub text: Option<String>,
}

macro_rules! about {
    ($text:literal) => {
        concat!(
            "SELECT version, kind, base, text IS NULL AS is_file, copy_of, note, created_at, created_by, ",
            $text,
            " AS text FROM policies"
        )
    };
}

/// Versions before one, the newest first, without their texts: one more than `limit`, if there are so many.
pub async fn list(database: &dyn Database, before: Option<i64>, limit: u32) -> Result<Vec<About>, ApiError> {
    let statement = Statement::new(
        concat!(about!("NULL"), " WHERE version < ?1 ORDER BY version DESC LIMIT ?2"),
        // As far as numbers are told exactly.
        [before.unwrap_or((1 << 53) - 1).into(), (i64::from(limit) + 1).into()],
    );
    Ok(last(run(database, vec![statement]).await?).all()?)
}

/// One of them.
pub async fn by_number(database: &dyn Database, number: i64) -> Result<Option<About>, ApiError> {
    let statement = Statement::new(concat!(about!("text"), " WHERE version = ?1"), [number.into()]);
    Ok(last(run(database, vec![statement]).await?).first()?)
}
