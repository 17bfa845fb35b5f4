//! What the dashboard makes of counts.

use schemars::JsonSchema;
use serde::Serialize;

use super::time::Timestamp;

/// So many days are shown, today included.
pub const DAYS: i64 = 30;

/// Accounts of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// Whether they are open.
    pub is_active: bool,
    /// Whether they have a second factor.
    pub mfa_enabled: bool,
    /// How many there are.
    pub users: i64,
}

/// Accounts in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Accounts {
    /// How many there are, but such as were erased.
    pub total_users: i64,
    /// Those that are open.
    pub active_users: i64,
    /// Those that are closed.
    pub inactive_users: i64,
    /// The part of those that are open which has a second factor, from 0 to 1, to four places.
    pub mfa_share: f64,
}

impl Accounts {
    /// Of counts by state.
    #[must_use]
    pub fn new(totals: &[Total]) -> Self {
        let count = |of: &dyn Fn(&&Total) -> bool| totals.iter().filter(of).map(|total| total.users).sum::<i64>();
        let (active_users, inactive_users) = (count(&|total| total.is_active), count(&|total| !total.is_active));
        let with_factor = count(&|total| total.is_active && total.mfa_enabled);
        let total_users = active_users.saturating_add(inactive_users);
        Self { total_users, active_users, inactive_users, mfa_share: share(with_factor, active_users) }
    }
}

/// To four places; nothing of nobody.
fn share(part: i64, whole: i64) -> f64 {
    let ten_thousandths = part.saturating_mul(10_000).saturating_add(whole / 2).checked_div(whole).unwrap_or(0);
    f64::from(i32::try_from(ten_thousandths).unwrap_or(0)) / 10_000.0
}

/// What happened on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Which, as days since the Unix epoch.
    pub day: i64,
    /// How often somebody signed in.
    pub sign_ins: i64,
    /// How often a password or a code was wrong.
    pub failures: i64,
    /// How many accounts were made.
    pub registrations: i64,
}

/// A day as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DayView {
    date: String,
    sign_ins: i64,
    failures: i64,
    registrations: i64,
}

/// The first day that is shown today.
#[must_use]
pub const fn first_day(today: i64) -> i64 {
    today.saturating_sub(DAYS - 1)
}

/// Every day up to today, the oldest first; such as nothing is known of with zeros.
#[must_use]
pub fn days(known: &[Day], today: i64) -> Vec<DayView> {
    let view = |day| {
        let found = known.iter().find(|known| known.day == day).copied().unwrap_or_default();
        let Day { sign_ins, failures, registrations, .. } = found;
        DayView { date: Timestamp::of_day(day).date(), sign_ins, failures, registrations }
    };
    (first_day(today)..=today).map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_there_once_and_the_last_is_today() {
        let today = Timestamp::parse_rfc3339("2028-03-01T23:59:59Z").unwrap().day();
        let known = [
            Day { day: today - 1, sign_ins: 3, failures: 2, registrations: 1 },
            Day { day: today - DAYS, sign_ins: 9, ..Day::default() },
            Day { day: today + 1, sign_ins: 9, ..Day::default() },
        ];
        let shown = days(&known, today);
        assert_eq!(shown.len(), 30);
        assert_eq!((shown[0].date.as_str(), shown[29].date.as_str()), ("2028-02-01", "2028-03-01"), "a leap year");
        let leap = DayView { date: "2028-02-29".to_owned(), sign_ins: 3, failures: 2, registrations: 1 };
        assert_eq!(shown[28], leap);
        assert_eq!(shown.iter().map(|day| day.sign_ins).sum::<i64>(), 3);
    }

    #[test]
    fn accounts_are_summed_and_shares_rounded() {
        let total = |is_active, mfa_enabled, users| Total { is_active, mfa_enabled, users };
        let of = |open, with, closed| {
            Accounts::new(&[total(true, false, open), total(true, true, with), total(false, true, closed)])
        };
        let accounts = of(2, 1, 4);
        assert_eq!((accounts.total_users, accounts.active_users, accounts.inactive_users), (7, 3, 4));
        let near = |share: f64, wanted: f64| (share - wanted).abs() < 1e-9;
        assert!(near(accounts.mfa_share, 0.3333), "{accounts:?}");
        assert!(near(of(1, 2, 0).mfa_share, 0.6667) && near(of(0, 5, 1).mfa_share, 1.0));
        assert!(near(of(0, 0, 3).mfa_share, 0.0), "nobody has none");
    }
}
