//! Exact sliding-window limits: in any window of a rule's length, at most `limit` is admitted.
//!
//! One key has one referee, which keeps a log of admissions for each counter. All limits of a
//! request that count under that key are decided on at once: either every rule of every limit
//! admits and each log gets one entry, or nothing changes.

mod log;
#[cfg(test)]
mod tests;
mod upkeep;

pub use upkeep::{Sweep, earlier_alarm};

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use self::log::Log;
use super::{
    id::ApiKeyId,
    time::{Timestamp, millis},
};

/// A rule admits at most this much in a window, and a counter remembers at most this much. A referee
/// keeps an entry for each of its counters and each millisecond in which that admitted, in memory and
/// in its storage, from which it reads them all when it wakes: so many are 2.4 megabytes, and as many
/// rows. What no window holds any more is forgotten, and its rows are deleted, while it counts.
pub const MAX_LIMIT: u32 = 100_000;

/// Who or what is counted: the name of one referee. Each kind has a beginning of its own, so that
/// no subject is mistaken for an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey(String);

impl LimitKey {
    /// An address, or the block of addresses that one customer has.
    pub(super) fn ip(text: &str) -> Self {
        Self(format!("ip:{text}"))
    }

    /// An authenticated subject.
    #[must_use]
    pub fn subject(subject: &str) -> Self {
        Self(format!("sub:{subject}"))
    }

    /// An API key.
    #[must_use]
    pub fn api_key(id: ApiKeyId) -> Self {
        Self(format!("key:{id}"))
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// At most `limit` in any window of `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What is admitted in a window, from 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// The window's length in milliseconds.
    pub window_ms: u32,
}

impl Rule {
    /// A rule of `limit` per `window`.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window_ms: u32::try_from(millis(window)).unwrap_or(u32::MAX) }
    }
}

/// How a request counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Which of the key's logs it counts in.
    pub counter: String,
    /// How much it counts. More than a rule's limit is never admitted.
    pub weight: u32,
    /// What must hold of that log.
    pub rules: Vec<Rule>,
    /// How long an admission can matter to anyone who counts in that log, in milliseconds: the
    /// longest window of these rules, or of others with the same counter.
    pub keep_ms: u32,
}

impl Limit {
    /// Rules over a log that nobody else counts in; a request counts one.
    #[must_use]
    pub fn new(counter: impl Into<String>, rules: impl Into<Vec<Rule>>) -> Self {
        let rules = rules.into();
        let keep_ms = rules.iter().map(|rule| rule.window_ms).max().unwrap_or(0);
        Self { counter: counter.into(), weight: 1, rules, keep_ms }
    }
}

/// What a referee says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the request may go on.
    pub admitted: bool,
    /// The limit of the tightest rule; on a refusal, of the rule that refuses for longest.
    pub limit: u32,
    /// What that rule has left after this request.
    pub remaining: u32,
    /// When that rule has its next admission to give back, in milliseconds since the Unix epoch.
    pub reset_ms: i64,
    /// When refused: how many milliseconds until every rule would admit again; otherwise 0.
    pub retry_after_ms: i64,
}

/// What was admitted in one millisecond, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// In which log.
    pub counter: String,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// How much, all together.
    pub weight: u32,
    /// From when on it cannot matter any more.
    pub until: i64,
}

/// The logs of one key.
#[derive(Clone, Debug, Default)]
pub struct Logs(BTreeMap<String, Log>);

impl Logs {
    /// From what was stored, in the order of time.
    pub fn load(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut logs = Self::default();
        for row in rows {
            logs.0.entry(row.counter).or_default().add(row.at, row.weight.into(), row.until);
        }
        logs
    }

    /// Everything, as it is stored.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.0.iter().flat_map(|(counter, log)| log.rows(counter)).collect()
    }

    /// Decides on one request at `now`, and gives the rows to write: each in the place of one of
    /// the same counter and time. On a refusal nothing has changed, and there are none.
    #[must_use]
    pub fn admit(&mut self, limits: &[Limit], now: Timestamp) -> (Decision, Vec<Row>) {
        // A clock that stepped back must not let anyone in early: time goes on from the newest entry.
        let clock = now.millis();
        let now = self.newest().map_or(now, |newest| now.max(newest)).millis();
        // Limits that name one counter are one entry there.
        let weight = |counter: &str| -> u64 {
            limits.iter().filter(|limit| limit.counter == counter).map(|limit| u64::from(limit.weight)).sum()
        };
        let asked = || limits.iter().flat_map(|limit| limit.rules.iter().map(move |rule| (limit, *rule)));
        let wait = |logs: &Self, (limit, rule): (&Limit, Rule)| {
            logs.0.get(&limit.counter).unwrap_or(&Log::NEW).wait(rule, weight(&limit.counter), now)
        };
        let wait_ms = asked().map(|asked| wait(self, asked)).max().unwrap_or(0);
        let admitted = wait_ms == 0;
        // By the clock that will be looked at then.
        let retry_after_ms = if admitted { 0 } else { wait_ms.saturating_add(now - clock) };
        let mut rows = Vec::new();
        if admitted {
            let counters: BTreeMap<&str, u32> = limits.iter().fold(BTreeMap::new(), |mut kept, limit| {
                let keep = kept.entry(limit.counter.as_str()).or_default();
                *keep = limit.keep_ms.max(*keep);
                kept
            });
            for (counter, keep_ms) in counters {
                let log = self.0.entry(counter.to_owned()).or_default();
                // What is over now is so at any later time, and time does not go back behind `now`.
                log.forget(now);
                log.add(now, weight(counter), now.saturating_add(keep_ms.into()));
                rows.extend(log.last_row(counter));
            }
        }
        let shown = asked()
            .map(|(limit, rule)| {
                let state = self.0.get(&limit.counter).unwrap_or(&Log::NEW).state(rule, now);
                let left = u64::from(state.remaining) / weight(&limit.counter).max(1);
                let refuses_for = if admitted { 0 } else { wait(self, (limit, rule)) };
                ((Reverse(refuses_for), left, Reverse(state.reset_ms)), (rule.limit, state))
            })
            .min_by_key(|(tightness, _)| *tightness);
        let (limit, remaining, reset_ms) =
            shown.map_or((0, 0, now), |(_, (limit, state))| (limit, state.remaining, state.reset_ms));
        (Decision { admitted, limit, remaining, reset_ms, retry_after_ms }, rows)
    }

    /// The time of the newest admission.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.0.values().filter_map(Log::newest).max().map(Timestamp::from_millis)
    }
}
