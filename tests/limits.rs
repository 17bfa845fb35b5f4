//! Limits are exact on any schedule: held against a count of everything that was ever admitted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

use std::{collections::BTreeMap, time::Duration};

use edgewarden::{
    domain::{
        rate_limit::{Limit, LimitKey, Logs, Row, Rule},
        time::Timestamp,
    },
    native::Host,
    ports::RateLimiter,
};
use proptest::prelude::*;

const ARRIVALS: usize = 10_000;
const COUNTERS: [&str; 3] = ["a", "b", "c"];

/// Numbers from a seed (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn rule(&mut self) -> Rule {
        Rule { limit: self.small(1, 12), window_ms: self.small(10, 600) }
    }

    fn small(&mut self, from: u32, to: u32) -> u32 {
        from + u32::try_from(self.below(u64::from(to - from) + 1)).unwrap()
    }
}

/// A referee that is never restarted, one that is at any moment, and all that was admitted.
struct World {
    logs: Logs,
    restarted: Logs,
    /// What the second one wrote.
    stored: BTreeMap<(String, i64), Row>,
    admitted: BTreeMap<&'static str, Vec<(i64, u32)>>,
}

impl World {
    /// How much of a counter lies in the window of `rule` that ends at `now`.
    fn inside(&self, counter: &str, rule: Rule, now: i64) -> u32 {
        let admitted = self.admitted[counter].iter().rev();
        admitted.take_while(|(at, _)| *at > now - i64::from(rule.window_ms)).map(|(_, weight)| weight).sum()
    }

    fn store(&mut self, rows: Vec<Row>) {
        for sweep in self.restarted.sweeps() {
            self.stored.retain(|(counter, at), _| *counter != sweep.counter || *at > sweep.at);
        }
        self.stored.extend(rows.into_iter().map(|row| ((row.counter.clone(), row.at), row)));
    }

    /// As an object that is evicted, or whose alarm rings.
    fn restart_or_forget(&mut self, numbers: &mut Numbers) {
        match (numbers.below(200), self.restarted.newest()) {
            (0, newest) => {
                self.stored.retain(|_, row| newest.is_some_and(|newest| row.until > newest.millis()));
                let mut rows: Vec<_> = self.stored.values().cloned().collect();
                rows.sort_by_key(|row| row.at);
                self.restarted = Logs::load(rows);
            }
            (1, Some(newest)) => {
                self.restarted.forget(newest);
                self.stored.retain(|_, row| row.until > newest.millis());
            }
            _ => {}
        }
    }
}

/// One arrival: some of the limits, each with a weight.
fn arrival(numbers: &mut Numbers, rules: &[Vec<Rule>; 3]) -> Vec<Limit> {
    let which = numbers.below(7) + 1;
    let asked = (0..3).filter(|index| which & (1 << index) != 0);
    asked
        .map(|index| Limit { weight: numbers.small(1, 4), ..Limit::new(COUNTERS[index], rules[index].clone()) })
        .collect()
}

fn schedule(seed: u64) -> Result<(), TestCaseError> {
    let numbers = &mut Numbers(seed);
    let rules = [0, 1, 2].map(|_| (0..=numbers.below(3)).map(|_| numbers.rule()).collect::<Vec<_>>());
    let admitted = COUNTERS.map(|counter| (counter, Vec::new())).into();
    let (logs, restarted, stored) = (Logs::default(), Logs::default(), BTreeMap::new());
    let mut world = World { logs, restarted, stored, admitted };
    let (mut clock, mut count) = (0_i64, 0);
    for _ in 0..ARRIVALS {
        // Now and then the clock steps back; time, as limits count it, does not.
        let gap = if numbers.below(100) == 0 { -300 } else { i64::from(numbers.small(0, 25)) };
        clock += gap;
        let newest = world.admitted.values().filter_map(|list| list.last()).map(|(at, _)| *at).max();
        let now = newest.map_or(clock, |newest| newest.max(clock));
        let limits = arrival(numbers, &rules);
        let fits = |limit: &Limit| {
            let fits = |rule: &Rule| world.inside(&limit.counter, *rule, now) + limit.weight <= rule.limit;
            limit.rules.iter().all(fits)
        };
        let fits = limits.iter().all(fits);
        world.restart_or_forget(numbers);
        let (decision, rows) = world.logs.admit(&limits, Timestamp::from_millis(clock));
        prop_assert_eq!(decision.admitted, fits, "at {}", now);
        let (again, written) = world.restarted.admit(&limits, Timestamp::from_millis(clock));
        prop_assert_eq!(decision, again, "after a restart, at {}", now);
        prop_assert_eq!(&rows, &written);
        prop_assert_eq!(rows.len(), if fits { limits.len() } else { 0 }, "all or nothing");
        world.store(written);
        if fits {
            count += 1;
            for limit in &limits {
                let counter = COUNTERS.into_iter().find(|counter| *counter == limit.counter).unwrap();
                world.admitted.get_mut(counter).unwrap().push((now, limit.weight));
            }
        } else if limits.iter().all(|limit| limit.rules.iter().all(|rule| limit.weight <= rule.limit)) {
            // Waiting as long as it says is enough, and a moment less is not.
            let after = |ms: i64| Timestamp::from_millis(clock + decision.retry_after_ms + ms);
            prop_assert!(world.logs.clone().admit(&limits, after(0)).0.admitted);
            prop_assert!(!world.logs.clone().admit(&limits, after(-1)).0.admitted);
        }
    }
    prop_assert!(count > ARRIVALS / 100, "only {} were admitted", count);
    // Whatever the order they came in: no window holds more than its limit.
    for (counter, rules) in COUNTERS.into_iter().zip(&rules) {
        for (rule, (at, _)) in rules.iter().flat_map(|rule| world.admitted[counter].iter().map(move |one| (rule, one)))
        {
            let window = |(other, _): &&(i64, u32)| *other <= *at && *other > at - i64::from(rule.window_ms);
            let near = world.admitted[counter].partition_point(|(other, _)| *other <= at - i64::from(rule.window_ms));
            let inside: u32 = world.admitted[counter][near..].iter().take_while(window).map(|(_, weight)| weight).sum();
            prop_assert!(inside <= rule.limit, "{} in a window that ends at {}", inside, at);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn limits_are_exact_on_any_schedule(seed in any::<u64>()) {
        schedule(seed)?;
    }
}

#[tokio::test]
async fn what_is_stored_is_bounded_by_what_the_windows_hold() {
    let host = Host::new(Timestamp::from_secs(1_000_000)).unwrap();
    let brief = Limit::new("brief", [Rule { limit: 5, window_ms: 1000 }]);
    let day = Limit::new("day", [Rule { limit: 50, window_ms: 86_400_000 }]);
    let key = LimitKey::subject("someone");
    let mut most = 0;
    for second in 0..86_400 {
        for _ in 0..2 {
            host.clock.advance(Duration::from_millis(500));
            assert!(host.limiter.admit(&key, std::slice::from_ref(&brief)).await.unwrap().admitted);
        }
        if second % 3600 == 0 {
            assert!(host.limiter.admit(&key, std::slice::from_ref(&day)).await.unwrap().admitted);
        }
        if second % 10_000 == 0 {
            host.limiter.restart();
        }
        most = most.max(host.limiter.stored());
    }
    // The day's own, a second's, and those that are over but not yet many.
    assert!((24..=24 + 3 + 64).contains(&most), "{most}");
    // What is over by itself goes without anyone asking.
    host.clock.advance(Duration::from_hours(48));
    assert_eq!(host.limiter.stored(), 0);
}
