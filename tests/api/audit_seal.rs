//! The cron seals the log: when, in which ranges, under which secret; and forgets no row that is not sealed.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::Value;

use crate::{
    audit_verify::{DAY, assert_good, seal, sealed_days, verified},
    harness::{BOTH_SECRETS, OTHER_SECRET, SECRET, World},
    plans::assert_that_nothing_is_scanned,
};

const MOMENT: Duration = Duration::from_millis(1);

fn seals(world: &World) -> i64 {
    world.count("SELECT COUNT(*) FROM audit_seals")
}

/// The lines of the log that tell of seals.
fn told(world: &World) -> Vec<Value> {
    let lines = world.host.log.lines();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == "audit_seal").collect()
}

/// So many rows of one day, from its first millisecond on, so many in each.
fn put_many(world: &World, rows: u32, in_each: u32) {
    let sql = format!(
        "INSERT INTO audit_events (id, at, event, severity, ip, user_agent, request_id)
         WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {rows} - 1)
         SELECT printf('%06d', n), 1767225600000 + n / {in_each}, 'token_refresh', 'info', '192.0.2.' || (n % 200),
           'Agent/1', 'x' FROM n"
    );
    world.host.database.script(&[sql]).unwrap();
}

#[tokio::test]
async fn a_day_is_sealed_an_hour_after_its_end_and_once() {
    let world = World::new();
    world.user("ada", None).await;
    world.host.clock.advance((DAY + Duration::from_hours(1)).saturating_sub(MOMENT));
    seal(&world).await;
    assert_eq!(seals(&world), 0);
    world.host.clock.advance(MOMENT);
    seal(&world).await;
    world.another_isolate().app.seal_audit().await.unwrap();
    assert_eq!((seals(&world), told(&world).len()), (1, 1));
    let (line, rows) = (&told(&world)[0], world.count("SELECT COUNT(*) FROM audit_events"));
    assert_eq!((&line["number"], &line["rows"], &line["key_id"]), (&1.into(), &rows.into(), &"k1".into()));
    assert_eq!((&line["from"], &line["to"]), (&"1970-01-01T00:00:00.000Z".into(), &"2026-01-02T00:00:00.000Z".into()));
    let head = world.host.database.look("SELECT head FROM audit_seals", &[]).unwrap();
    assert_eq!(head.0[0]["head"], line["head"]);
    // Days without rows are part of the next that has some.
    world.host.clock.advance(10 * DAY);
    seal(&world).await;
    assert_eq!(seals(&world), 1);
    world.isolate.sign_in("ada").await;
    world.host.clock.advance(2 * DAY);
    for done in world.isolate.app.clean_up().await {
        done.unwrap();
    }
    assert_eq!(seals(&world), 2);
    assert_eq!(told(&world)[1]["from"], told(&world)[0]["to"]);
    assert_good(&world, "days");
}

#[tokio::test]
async fn a_full_day_is_several_ranges_and_none_splits_a_moment() {
    let world = World::new();
    put_many(&world, 25_000, 7);
    world.host.clock.advance(Duration::from_hours(1) + Duration::from_secs(10));
    seal(&world).await;
    assert_eq!(seals(&world), 1, "a full one is sealed on the day");
    world.host.clock.advance(DAY);
    seal(&world).await;
    let rows: Vec<_> = told(&world).iter().map(|line| line["rows"].as_i64().unwrap()).collect();
    assert_eq!(rows, [19_999, 5_001]);
    assert_good(&world, "full");
    // More rows of one moment than a range holds are one range.
    let world = World::new();
    put_many(&world, 20_050, 20_040);
    world.host.clock.advance(2 * DAY);
    seal(&world).await;
    let rows: Vec<_> = told(&world).iter().map(|line| line["rows"].as_i64().unwrap()).collect();
    assert_eq!(rows, [20_040, 10]);
    assert_good(&world, "moment");
}

#[tokio::test]
async fn of_too_much_at_once_the_log_tells_and_the_next_run_goes_on() {
    let world = World::new();
    for day in 0..130 {
        let sql = format!(
            "INSERT INTO audit_events (id, at, event, severity, request_id)
             VALUES ('day-{day}', 1735689600000 + {day} * 86400000, 'logout', 'info', 'x')"
        );
        world.host.database.script(&[sql]).unwrap();
    }
    seal(&world).await;
    let faults = || world.host.log.lines().iter().filter(|line| line.contains("closed ranges of the log")).count();
    assert_eq!((seals(&world), faults()), (84, 1));
    seal(&world).await;
    assert_eq!((seals(&world), faults()), (130, 1));
    assert_good(&world, "much");
}

#[tokio::test]
async fn what_was_interrupted_is_gone_on_with() {
    let begin = || {
        let world = World::new();
        put_many(&world, 1_100, 1);
        world.host.clock.advance(2 * DAY);
        world
    };
    let world = begin();
    world.host.switchboard.set(Plan::Healthy);
    seal(&world).await;
    let calls = world.host.switchboard.calls().len();
    assert_eq!(calls, 7, "the question, two pages read and stamped, the seal, and the question again");
    let head = told(&world)[0]["rows"].clone();
    for number in 0..calls {
        for plan in [Plan::DownFrom(number), Plan::LoseOnce(number), Plan::LoseThenDown(number)] {
            let world = begin();
            world.host.switchboard.set(plan);
            let done = world.isolate.app.seal_audit().await.is_ok();
            assert_eq!(done, plan == Plan::LoseOnce(number), "{plan:?}");
            world.host.switchboard.set(Plan::Healthy);
            seal(&world).await;
            assert_eq!(
                (seals(&world), &told(&world).last().map_or(head.clone(), |line| line["rows"].clone())),
                (1, &head)
            );
            assert_good(&world, "interrupted");
        }
    }
}

#[tokio::test]
async fn what_changes_under_way_is_read_again() {
    let late = "INSERT INTO audit_events (id, at, event, severity, ip, request_id)
                VALUES ('late', 1767225600000, 'login_failure', 'warning', '192.0.2.9', 'x')";
    let erased = "UPDATE audit_events SET ip = NULL, user_agent = NULL";
    for meddling in [late, erased, "DELETE FROM audit_events WHERE at = 1767225600001"] {
        for batch in 0..7 {
            let world = World::new();
            put_many(&world, 1_100, 1);
            world.host.clock.advance(2 * DAY);
            world.host.database.meddle(batch, meddling);
            seal(&world).await;
            assert_eq!(seals(&world), 1, "{meddling}: {batch}");
            let (code, told) = verified(&world, "meddled", &[], SECRET);
            // What comes after the seal is what it is there for; and a row without a subject is nobody's to be erased.
            let hidden = meddling == erased && told.contains("were removed") && !told.contains("differ");
            assert!(code == 0 || batch == 6 || hidden, "{meddling}: {batch}: {told}");
        }
    }
    // Another seal of that number was faster.
    let world = World::new();
    world.user("ada", None).await;
    world.host.clock.advance(2 * DAY);
    let other = "INSERT INTO audit_seals VALUES (1, 0, 1767312000000, 7, '', '', 'h', 'k1', '', 0, NULL)";
    world.host.database.meddle(3, other);
    seal(&world).await;
    assert_eq!((seals(&world), told(&world).len()), (1, 0));
    seal(&world).await;
    assert!(world.host.log.lines().iter().any(|line| line.contains("range 1 is not as it was sealed")));
}

#[tokio::test]
async fn what_was_touched_before_is_sealed_and_told() {
    let world = World::new();
    world.user("ada", None).await;
    world.host.database.look("UPDATE audit_events SET origin_hash = 'x' WHERE event = 'register'", &[]).unwrap();
    world.host.clock.advance(2 * DAY);
    seal(&world).await;
    assert_eq!(seals(&world), 1, "it stands in the way of nothing that comes after it");
    let told = |line: &String| line.contains("audit seal") && line.contains("has not the origin that it had");
    assert!(world.host.log.lines().iter().any(told));
    let (code, told) = verified(&world, "before", &[], SECRET);
    assert!(code == 1 && told.contains("range 1,") && told.contains("ip or user_agent of row"), "{told}");
}

#[tokio::test]
async fn under_another_secret_the_heads_stay() {
    let world = sealed_days().await;
    let heads = |world: &World| world.host.database.look("SELECT head FROM audit_seals", &[]).unwrap().0;
    let before = heads(&world);
    let isolate = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", BOTH_SECRETS)]);
    world.host.switchboard.set(Plan::LoseOnce(1));
    isolate.app.renew_seals().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_seals WHERE key_id = 'k2'"), 3);
    assert_eq!((heads(&world), verified(&world, "rotated", &[], OTHER_SECRET).0), (before, 0));
    let (code, told) = verified(&world, "rotated", &[], SECRET);
    assert!(code == 1 && told.contains("is under \"k2\""), "{told}");
    // What is not genuine is not made so.
    world.host.database.look("UPDATE audit_seals SET rows = 1, key_id = 'k1' WHERE number = 2", &[]).unwrap();
    isolate.app.renew_seals().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_seals WHERE key_id = 'k1'"), 1);
    assert!(world.host.log.lines().iter().any(|line| line.contains("range 2 is not as it was sealed")));
    let (code, told) = verified(&world, "forged", &[], BOTH_SECRETS);
    assert!(code == 1 && told.contains("range 2,") && !told.contains("range 3,"), "{told}");
}

#[tokio::test]
async fn rows_go_by_whole_ranges_and_never_before_they_are_sealed() {
    let world = sealed_days().await;
    let first = "SELECT COUNT(*) FROM audit_events WHERE at < 1767312000000";
    let rows = world.count("SELECT COUNT(*) FROM audit_events");
    let forget = async || world.isolate.app.forget_audit().await.unwrap();
    // The last row of a range is kept for as long as is said, and so is every other of that range.
    world.host.clock.advance(361 * DAY + Duration::from_hours(23));
    for (wait, there, covered) in [(DAY.saturating_sub(MOMENT), 2, "1970"), (MOMENT, 0, "2026-01-02")] {
        world.host.clock.advance(wait);
        forget().await;
        assert_eq!(world.count(first), there);
        let (code, told) = verified(&world, "kept", &[], SECRET);
        assert!(code == 0 && told.contains(&format!("from {covered}")), "{told}");
    }
    // All of the sealed ones, and not the one that is not sealed.
    world.host.clock.advance(400 * DAY);
    forget().await;
    assert_eq!((seals(&world), world.count("SELECT COUNT(*) FROM audit_seals WHERE forgotten_at IS NULL")), (1, 0));
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_events"), rows - 14);
    seal(&world).await;
    forget().await;
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_events"), 0);
    world.isolate.sign_in("ada").await;
    world.host.clock.advance(2 * DAY);
    seal(&world).await;
    assert_good(&world, "forgotten");
    // Whoever shortens the log to hide something does so too early.
    world
        .host
        .database
        .look("UPDATE audit_seals SET forgotten_at = 1 WHERE number = (SELECT MAX(number) FROM audit_seals)", &[])
        .unwrap();
    let (code, told) = verified(&world, "early", &[], SECRET);
    assert!(code == 1 && told.contains("must not be yet"), "{told}");
}

#[tokio::test]
async fn it_goes_through_no_table() {
    let world = sealed_days().await;
    let isolate = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", BOTH_SECRETS)]);
    drop(world.host.database.plans());
    world.host.clock.advance(2 * DAY);
    seal(&world).await;
    isolate.app.renew_seals().await.unwrap();
    world.host.clock.advance(800 * DAY);
    world.isolate.app.forget_audit().await.unwrap();
    assert_that_nothing_is_scanned(&world, 12);
}
