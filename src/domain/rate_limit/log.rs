//! One counter's admissions. Each entry knows the sum of all up to it, so that what lies in a
//! window is one subtraction, and where it begins is found by halving.

use std::collections::VecDeque;

use super::{Row, Rule};

/// What was admitted in one millisecond.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: i64,
    /// The weights of this entry and all before it, since the log began.
    total: u64,
    /// From when on it cannot matter any more.
    until: i64,
}

/// Admissions in the order of time, one entry for each millisecond, as far back as anyone looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    /// The weights of what was forgotten.
    forgotten: u64,
    /// How many were forgotten since the last of their rows were deleted, and when the newest of them was.
    stale: (usize, i64),
}

/// What a rule has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub remaining: u32,
    /// When it has its next admission to give back.
    pub reset_ms: i64,
}

impl Log {
    /// A log without entries.
    pub const NEW: Self = Self { entries: VecDeque::new(), forgotten: 0, stale: (0, 0) };

    pub fn newest(&self) -> Option<i64> {
        self.entries.back().map(|entry| entry.at)
    }

    pub fn over_at(&self) -> Option<i64> {
        // Entries that were made under a longer window may stand before others.
        self.entries.iter().map(|entry| entry.until).max()
    }

    /// Adds to the end. `at` is not before the newest entry.
    pub fn add(&mut self, at: i64, weight: u64, until: i64) {
        let total = self.total() + weight;
        match self.entries.back_mut() {
            Some(newest) if newest.at == at => {
                newest.total = total;
                newest.until = newest.until.max(until);
            }
            _ => self.entries.push_back(Entry { at, total, until }),
        }
    }

    /// Forgets what is over at `now`.
    pub fn forget(&mut self, now: i64) {
        while let Some(oldest) = self.entries.pop_front_if(|oldest| oldest.until <= now) {
            self.forgotten = oldest.total;
            self.stale = (self.stale.0 + 1, oldest.at);
        }
    }

    /// Up to when rows are to be deleted, if more than `many` are stored that were forgotten; from then on
    /// they count as deleted.
    pub fn sweep(&mut self, many: usize) -> Option<i64> {
        let (count, newest) = self.stale;
        (count > many).then(|| {
            self.stale.0 = 0;
            newest
        })
    }

    pub fn rows<'a>(&'a self, counter: &'a str) -> impl Iterator<Item = Row> + 'a {
        (0..self.entries.len()).filter_map(move |index| self.row(index, counter))
    }

    pub fn last_row(&self, counter: &str) -> Option<Row> {
        self.row(self.entries.len().checked_sub(1)?, counter)
    }

    /// How many milliseconds until `rule` would admit `weight`, if nothing else comes.
    pub fn wait(&self, rule: Rule, weight: u64, now: i64) -> i64 {
        let limit = u64::from(rule.limit);
        if weight > limit {
            // Never. Who asks all the same is told to stay away for a window.
            return i64::from(rule.window_ms).max(1);
        }
        let first = self.first_inside(rule, now);
        let before = self.total_before(first);
        let excess = (self.total() - before + weight).saturating_sub(limit);
        if excess == 0 {
            return 0;
        }
        // The entry with which enough has left the window.
        let leaving = self.entries.partition_point(|entry| entry.total < before + excess);
        let leaves_at = self.entries.get(leaving).map_or(now, |entry| entry.at).saturating_add(rule.window_ms.into());
        leaves_at.saturating_sub(now).max(1)
    }

    pub fn state(&self, rule: Rule, now: i64) -> State {
        let first = self.first_inside(rule, now);
        let used = self.total() - self.total_before(first);
        let remaining = u64::from(rule.limit).saturating_sub(used);
        let reset_ms = self.entries.get(first).map_or(now, |entry| entry.at.saturating_add(rule.window_ms.into()));
        State { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), reset_ms }
    }

    /// The first entry inside the window that ends at `now`: of times in `(now - window, now]`.
    fn first_inside(&self, rule: Rule, now: i64) -> usize {
        let start = now.saturating_sub(rule.window_ms.into());
        self.entries.partition_point(|entry| entry.at <= start)
    }

    fn total(&self) -> u64 {
        self.entries.back().map_or(self.forgotten, |entry| entry.total)
    }

    fn total_before(&self, index: usize) -> u64 {
        let before = index.checked_sub(1).and_then(|before| self.entries.get(before));
        before.map_or(self.forgotten, |entry| entry.total)
    }

    fn row(&self, index: usize, counter: &str) -> Option<Row> {
        let Entry { at, total, until } = *self.entries.get(index)?;
        let weight = u32::try_from(total - self.total_before(index)).unwrap_or(u32::MAX);
        Some(Row { counter: counter.to_owned(), at, weight, until })
    }
}
