//! What the dashboard shows. Totals are kept by triggers (`migrations/0014_dashboard.sql`), so reading them reads a row for
//! each; what depends on now is counted over an index: accounts that are closed, sessions that stand, roles that are over.

use serde::Deserialize;

use crate::{
    domain::{
        dashboard::{Day, Total, first_day},
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{run, sessions::is_live},
};

/// How it is.
#[derive(Debug)]
pub struct Dashboard {
    /// Accounts, by state.
    pub totals: Vec<Total>,
    /// How many accounts hold a role directly; of roles that somebody holds.
    pub holders: Vec<Holders>,
    /// How many accounts are closed to whoever is not known, for now.
    pub locked: i64,
    /// How many sessions stand.
    pub live_sessions: i64,
    /// Days of which something is known.
    pub days: Vec<Day>,
}

/// Who holds a role.
#[derive(Debug, Deserialize)]
pub struct Holders {
    /// Which.
    pub role: String,
    /// How many.
    pub holders: i64,
}

#[derive(Deserialize)]
struct TotalRow {
    is_active: i64,
    mfa_enabled: i64,
    users: i64,
}

#[derive(Deserialize)]
struct NowRow {
    locked: i64,
    live_sessions: i64,
}

#[derive(Deserialize)]
struct DayRow {
    day: i64,
    sign_ins: i64,
    failures: i64,
    registrations: i64,
}

/// Reads it, as it is at `now`.
pub async fn read(database: &dyn Database, now: Timestamp) -> Result<Dashboard, ApiError> {
    let batch = vec![
        Statement::new("SELECT is_active, mfa_enabled, users FROM user_totals", []),
        Statement::new(
            "SELECT role, SUM(holders) AS holders FROM (
               SELECT role, holders FROM role_totals
               UNION ALL
               SELECT role, -COUNT(*) FROM user_roles INDEXED BY user_roles_by_expiry WHERE expires_at <= ?1 GROUP BY role)
             GROUP BY role HAVING SUM(holders) > 0",
            [now.millis().into()],
        ),
        // Of locks, many are of names that nobody has; the slot of everyone together is the empty one.
        Statement::new(
            concat!(
                "SELECT (SELECT COUNT(*) FROM sign_in_locks AS l CROSS JOIN users AS u ON u.id = l.account
                   WHERE l.until > ?2 AND l.slot = ?1 AND u.erased_at IS NULL) AS locked,
                 (SELECT COUNT(*) FROM sessions AS s INDEXED BY sessions_that_stand WHERE ",
                is_live!(),
                ") AS live_sessions"
            ),
            ["".into(), now.millis().into()],
        ),
        Statement::new(
            "SELECT day, sign_ins, failures, registrations FROM daily_totals WHERE day BETWEEN ?1 AND ?2 ORDER BY day",
            [first_day(now.day()).into(), now.day().into()],
        ),
    ];
    let mut rows = run(database, batch).await?.into_iter();
    let mut next = || rows.next().unwrap_or_default();
    let (totals, holders) = (next().all::<TotalRow>()?, next().all::<Holders>()?);
    let (now, days) = (next().first::<NowRow>()?, next().all::<DayRow>()?);
    let NowRow { locked, live_sessions } = now.ok_or_else(|| ApiError::Internal("no word of now".to_owned()))?;
    Ok(Dashboard {
        totals: totals.into_iter().map(Total::from).collect(),
        holders,
        locked,
        live_sessions,
        days: days.into_iter().map(Day::from).collect(),
    })
}

impl From<TotalRow> for Total {
    fn from(row: TotalRow) -> Self {
        Self { is_active: row.is_active != 0, mfa_enabled: row.mfa_enabled != 0, users: row.users }
    }
}

impl From<DayRow> for Day {
    fn from(DayRow { day, sign_ins, failures, registrations }: DayRow) -> Self {
        Self { day, sign_ins, failures, registrations }
    }
}

/// Deletes counts of days up to this one.
pub async fn forget(database: &dyn Database, last: i64) -> Result<(), ApiError> {
    run(database, vec![Statement::new("DELETE FROM daily_totals WHERE day <= ?1", [last.into()])]).await?;
    Ok(())
}
