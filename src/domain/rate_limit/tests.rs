//! Limits, case by case; `tests/limits.rs` has the schedules.

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

const FIVE_PER_SECOND: Rule = Rule { limit: 5, window_ms: 1000 };

/// One limit with these rules, of which a request counts `weight`.
fn of(weight: u32, rules: &[Rule]) -> Limit {
    Limit { weight, ..Limit::new("test", rules) }
}

/// What is decided on one limit.
fn ask(logs: &mut Logs, limit: &Limit, now: i64) -> Decision {
    logs.admit(std::slice::from_ref(limit), at(now)).0
}

#[test]
fn the_sixth_in_a_window_is_refused_until_the_first_leaves_it() {
    let (mut logs, limit) = (Logs::default(), of(1, &[FIVE_PER_SECOND]));
    for i in 0..5 {
        let decision = ask(&mut logs, &limit, i * 10);
        assert!(decision.admitted);
        assert_eq!(i64::from(decision.remaining), 4 - i);
    }
    let before = logs.rows();
    let (refused, rows) = logs.admit(std::slice::from_ref(&limit), at(50));
    assert_eq!((refused.admitted, refused.remaining, refused.reset_ms), (false, 0, 1000));
    assert_eq!(refused.retry_after_ms, 950);
    assert_eq!((rows, logs.rows()), (Vec::new(), before), "a refusal writes nothing");
    assert!(!ask(&mut logs, &limit, 999).admitted);
    assert!(ask(&mut logs, &limit, 1000).admitted);
}

#[test]
fn several_rules_admit_together_or_not_at_all() {
    let (mut logs, limit) = (Logs::default(), of(1, &[FIVE_PER_SECOND, Rule { limit: 6, window_ms: 10_000 }]));
    for i in 0..5 {
        assert!(ask(&mut logs, &limit, i).admitted);
    }
    assert!(ask(&mut logs, &limit, 2000).admitted);
    let refused = ask(&mut logs, &limit, 3000);
    assert_eq!((refused.admitted, refused.limit, refused.retry_after_ms), (false, 6, 7000));
    assert!(ask(&mut logs, &limit, 10_000).admitted);
}

#[test]
fn several_limits_are_charged_together_or_not_at_all() {
    let narrow = Limit::new("narrow", [Rule { limit: 1, window_ms: 1000 }]);
    let wide = Limit::new("wide", [Rule { limit: 3, window_ms: 10_000 }]);
    let both = [narrow.clone(), wide.clone()];
    let mut logs = Logs::default();
    let (admitted, rows) = logs.admit(&both, at(0));
    assert!(admitted.admitted && rows.len() == 2);
    for now in 1..100 {
        let (refused, rows) = logs.admit(&both, at(now));
        assert_eq!((refused.admitted, refused.limit, rows.len()), (false, 1, 0));
    }
    // The wide one was charged once, so it has two left.
    assert_eq!(ask(&mut logs, &wide, 100).remaining, 1);
    assert!(ask(&mut logs, &wide, 101).admitted);
    let (refused, _) = logs.admit(&both, at(1000));
    assert_eq!((refused.admitted, refused.limit, refused.retry_after_ms), (false, 3, 9000));
    assert!(ask(&mut logs, &narrow, 1000).admitted, "what another refused was not charged here");
}

#[test]
fn weights_count_as_many_and_the_wait_is_until_enough_has_left() {
    let (mut logs, rule) = (Logs::default(), Rule { limit: 10, window_ms: 1000 });
    for (now, weight) in [(0, 1), (10, 2), (20, 3)] {
        assert!(ask(&mut logs, &of(weight, &[rule]), now).admitted);
    }
    for (weight, retry) in [(5, 970), (6, 980), (7, 980), (8, 990), (10, 990)] {
        let refused = ask(&mut logs, &of(weight, &[rule]), 30);
        assert_eq!((refused.admitted, refused.retry_after_ms, refused.remaining), (false, retry, 4), "{weight}");
    }
    assert_eq!(ask(&mut logs, &of(4, &[rule]), 30).remaining, 0);
}

#[test]
fn what_weighs_more_than_the_limit_is_never_admitted() {
    let mut logs = Logs::default();
    let refused = ask(&mut logs, &of(6, &[FIVE_PER_SECOND]), 0);
    assert_eq!((refused.admitted, refused.retry_after_ms, refused.remaining), (false, 1000, 5));
    assert!(logs.rows().is_empty());
}

#[test]
fn limits_that_name_one_counter_twice_are_one_entry() {
    let mut logs = Logs::default();
    let twice = [of(2, &[FIVE_PER_SECOND]), of(3, &[FIVE_PER_SECOND])];
    let (decision, rows) = logs.admit(&twice, at(0));
    assert!(decision.admitted);
    assert_eq!(rows, [Row { counter: "test".into(), at: 0, weight: 5, until: 1000 }]);
    assert!(!logs.admit(&twice, at(999)).0.admitted);
}

#[test]
fn a_clock_that_steps_back_lets_nobody_in_early() {
    let (mut logs, limit) = (Logs::default(), of(1, &[FIVE_PER_SECOND]));
    for _ in 0..5 {
        assert!(ask(&mut logs, &limit, 10_000).admitted);
    }
    let refused = ask(&mut logs, &limit, 1_000);
    assert_eq!((refused.admitted, refused.retry_after_ms), (false, 10_000));
    assert!(ask(&mut logs, &limit, 11_000).admitted);
    // Those of before were forgotten then, and stay so: time does not go back behind 11,000.
    let again = ask(&mut logs, &limit, 10_500);
    assert_eq!((again.admitted, again.remaining, again.reset_ms), (true, 3, 12_000));
}

#[test]
fn who_shares_a_counter_keeps_what_the_others_still_look_at() {
    let brief = Limit { keep_ms: 10_000, ..of(1, &[FIVE_PER_SECOND]) };
    let long = of(1, &[Rule { limit: 6, window_ms: 10_000 }]);
    let mut logs = Logs::default();
    for now in [0, 2000, 4000, 6000, 8000, 9000] {
        assert!(ask(&mut logs, &brief, now).admitted);
    }
    assert_eq!(ask(&mut logs, &long, 9500).retry_after_ms, 500);
}

#[test]
fn what_was_stored_decides_as_what_was_remembered() {
    let (mut logs, limit) = (Logs::default(), of(2, &[FIVE_PER_SECOND]));
    assert!(ask(&mut logs, &limit, 0).admitted);
    assert!(ask(&mut logs, &limit, 0).admitted);
    assert_eq!(logs.rows(), [Row { counter: "test".into(), at: 0, weight: 4, until: 1000 }], "one row a millisecond");
    let mut loaded = Logs::load(logs.rows());
    assert_eq!(ask(&mut loaded, &limit, 400), ask(&mut logs, &limit, 400));
    assert_eq!(loaded.newest(), Some(at(0)));
}

#[test]
fn a_hundred_thousand_in_a_window_are_exact() {
    let (mut logs, limit) = (Logs::default(), of(1, &[Rule { limit: MAX_LIMIT, window_ms: 3_600_000 }]));
    for now in 0..i64::from(MAX_LIMIT) {
        assert!(ask(&mut logs, &limit, now).admitted);
    }
    for now in 100_000..200_000 {
        assert!(!ask(&mut logs, &limit, now).admitted);
    }
    assert!(ask(&mut logs, &limit, 3_600_000).admitted);
    assert!(!ask(&mut logs, &limit, 3_600_000).admitted);
}
