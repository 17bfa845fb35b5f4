//! How often a password may be tried on one account, whoever asks from wherever.

use std::{thread, time::Duration};

use edgewarden::{native::switchboard::Plan, ports::Value as Sql};

use crate::harness::{Answer, PASSWORD, World};

const WRONG: &str = "Wrong-Horse-7";

/// A sign-in from the address of that number.
pub async fn attempt(world: &World, number: u16, username: &str, password: &str) -> Answer {
    world.isolate.try_sign_in(&format!("198.51.{}.{}", number / 200, number % 200), username, password).await
}

/// So many failures, each from an address of its own.
pub async fn fail(world: &World, username: &str, numbers: std::ops::Range<u16>) {
    for number in numbers {
        attempt(world, number, username, WRONG).await.expect(401);
    }
}

/// An answer without what differs by chance.
fn told(answer: Answer) -> (u16, Vec<(String, String)>, serde_json::Value) {
    let Answer { status, headers, mut body } = answer;
    body.as_object_mut().unwrap().remove("request_id");
    let header =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    let headers = headers.iter().map(header).filter(|(name, _)| name != "x-request-id");
    (status, headers.collect(), body)
}

#[test]
fn of_fifty_at_once_five_are_looked_at_whoever_exists() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = World::new();
    runtime().block_on(world.register("ada", None));
    for (round, username) in ["ada", "nobody"].into_iter().enumerate() {
        let base = u16::try_from(round).unwrap() * 100;
        let statuses: Vec<u16> = thread::scope(|scope| {
            let send = |number| {
                let (world, runtime) = (&world, &runtime);
                scope.spawn(move || runtime().block_on(attempt(world, base + number, username, WRONG)).status)
            };
            let threads: Vec<_> = (0..50).map(send).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let count = |status| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((count(401), count(429)), (5, 45), "{username}");
        let times = i64::try_from(round).unwrap() + 1;
        assert_eq!((world.audited("login_failure"), world.audited("login_blocked")), (5 * times, 45 * times));
        assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), times);
    }
    assert_eq!(world.audited("account_locked"), 1, "what is not there cannot be locked");
    let lines = world.host.log.lines();
    let logged = |event: &str| lines.iter().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count();
    assert_eq!((logged("login_failure"), logged("login_blocked"), logged("account_locked")), (10, 90, 1));
    let about = "SELECT COUNT(*) FROM audit_events WHERE event = 'login_blocked' AND severity = 'warning' AND subject =
                 (SELECT id FROM users WHERE username = 'ada')";
    assert_eq!(world.count(about), 45);
}

#[tokio::test]
async fn refusals_are_alike_and_do_the_same_work_whoever_exists() {
    let world = World::new();
    world.register("ada", None).await;
    let seen = async |number: u16, username: &str| {
        world.host.switchboard.set(Plan::Healthy);
        let answer = told(attempt(&world, number, username, PASSWORD).await);
        (answer, world.host.switchboard.calls())
    };
    fail(&world, "ada", 0..5).await;
    fail(&world, "nobody", 10..15).await;
    let (locked, calls) = seen(20, "ada").await;
    assert_eq!(locked.0, 429);
    assert!(locked.1.contains(&("retry-after".to_owned(), "1800".to_owned())), "{locked:?}");
    assert_eq!(calls, ["limiter", "database"], "nothing is recorded, as nothing was looked at");
    assert_eq!(seen(21, "nobody").await, (locked, calls));
    // Those whose fate is not known yet.
    for (number, username) in [(30, "bob"), (40, "none")] {
        if username == "bob" {
            world.register(username, None).await;
        }
        fail(&world, username, number..number + 4).await;
        world.host.switchboard.set(Plan::DownFrom(2));
        attempt(&world, number + 4, username, WRONG).await.expect(503);
        world.host.switchboard.set(Plan::Healthy);
    }
    world.host.clock.advance(Duration::from_mins(1));
    let (waiting, calls) = seen(50, "bob").await;
    assert!(waiting.1.contains(&("retry-after".to_owned(), "840".to_owned())), "{waiting:?}");
    assert_eq!(seen(51, "none").await, (waiting, calls));
}

#[tokio::test]
async fn name_and_address_are_one_account() {
    let world = World::new();
    world.register("ada", None).await;
    fail(&world, "ada", 0..2).await;
    fail(&world, "Ada@Example.org", 2..4).await;
    fail(&world, "ADA", 4..5).await;
    for (number, identifier) in [(5, "ada"), (6, "ada@example.org")] {
        attempt(&world, number, identifier, PASSWORD).await.expect(429);
    }
}

#[tokio::test]
async fn a_lock_ends_and_the_count_begins_anew() {
    // Under the defaults, and where the lock ends before those who led to it are out of the window.
    for (vars, lock) in [(&[][..], 30), (&[("LOCKOUT", "2m"), ("LOGIN_WINDOW", "1h")][..], 2)] {
        let world = World::with(vars);
        world.register("ada", None).await;
        fail(&world, "ada", 0..5).await;
        world.host.clock.advance(Duration::from_millis(lock * 60_000 - 1));
        assert_eq!(attempt(&world, 5, "ada", PASSWORD).await.expect(429).header("retry-after"), Some("1"));
        world.host.clock.advance(Duration::from_millis(1));
        fail(&world, "ada", 10..14).await;
        attempt(&world, 14, "ada", PASSWORD).await.expect(200);
        fail(&world, "ada", 20..25).await;
        attempt(&world, 25, "ada", PASSWORD).await.expect(429);
        assert_eq!(world.audited("account_locked"), 2);
    }
}

#[tokio::test]
async fn failures_leave_the_window_one_by_one() {
    let world = World::new();
    world.register("ada", None).await;
    for number in 0..8 {
        attempt(&world, number, "ada", WRONG).await.expect(401);
        world.host.clock.advance(Duration::from_mins(4));
    }
    assert_eq!(world.audited("account_locked"), 0, "never five in a quarter of an hour");
}

#[tokio::test]
async fn a_success_forgives_what_came_before_it_and_nothing_else() {
    let world = World::new();
    let id = world.register("ada", None).await;
    world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    fail(&world, "ada", 0..2).await;
    let put = |row: &str, slot: &str, number: i64, at_minutes: i64, outcome: &str| {
        let at = 1_767_225_600_000 + at_minutes * 60_000;
        let params: [Sql; 6] = [row.into(), id.as_str().into(), slot.into(), number.into(), at.into(), outcome.into()];
        let sql =
            "INSERT INTO sign_in_attempts (id, account, slot, number, at, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        world.host.database.look(sql, &params).unwrap();
    };
    world.host.clock.advance(Duration::from_mins(5));
    put("dead", "", 2, 4, "pending");
    put("alive", "", 2, 5, "pending");
    put("elsewhere", "another", 1, 5, "failed");
    // Another's failure comes while this one hashes.
    let later = "INSERT INTO sign_in_attempts (id, account, number, at, outcome)
                 SELECT 'later', id, 99, 1767225900000, 'failed' FROM users";
    world.host.database.meddle(1, later);
    attempt(&world, 9, "ada", PASSWORD).await.expect(200);
    let left = "SELECT COUNT(*) FROM sign_in_attempts WHERE outcome <> 'succeeded'";
    assert_eq!(world.count(left), 3);
    let named = "SELECT COUNT(*) FROM sign_in_attempts WHERE id IN ('alive', 'elsewhere', 'later')";
    assert_eq!(world.count(named), 3);
    // The one that still hashes and the later failure count.
    fail(&world, "ada", 10..13).await;
    attempt(&world, 13, "ada", PASSWORD).await.expect(429);
}

#[tokio::test]
async fn what_was_never_resolved_counts_until_it_is_out_of_the_window() {
    let world = World::new();
    world.register("ada", None).await;
    world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    for number in 0..5 {
        // The batch that would resolve it.
        world.host.switchboard.set(Plan::DownFrom(3));
        attempt(&world, number, "ada", PASSWORD).await.expect(503);
    }
    world.host.switchboard.set(Plan::Healthy);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'pending'"), 5);
    assert_eq!(attempt(&world, 5, "ada", PASSWORD).await.expect(429).header("retry-after"), Some("900"));
    world.host.clock.advance(Duration::from_mins(15));
    attempt(&world, 6, "ada", PASSWORD).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 0, "who did not fail closes nothing");
}

#[tokio::test]
async fn an_answer_that_is_lost_twice_counts_once() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "3")]);
    world.register("ada", None).await;
    world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    // The batch that reserves, and the one that records a failure.
    for (number, call) in [(0, 1), (1, 2)] {
        world.host.switchboard.set(Plan::LoseTwice(call));
        attempt(&world, number, "ada", WRONG).await.expect(503);
    }
    world.host.switchboard.set(Plan::Healthy);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts"), 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 0);
    attempt(&world, 2, "ada", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_batch_that_closes_an_account_may_be_put_twice() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "2")]);
    world.register("ada", None).await;
    fail(&world, "ada", 0..1).await;
    world.host.switchboard.set(Plan::LoseOnce(2));
    attempt(&world, 1, "ada", WRONG).await.expect(401);
    // And so may the one that refuses: what it has said stands, though the lock is gone by then.
    world.host.switchboard.set(Plan::LoseOnce(1));
    world.host.database.meddle(1, "DELETE FROM sign_in_locks");
    attempt(&world, 2, "ada", PASSWORD).await.expect(429);
    for (event, count) in [("login_failure", 2), ("account_locked", 1), ("login_blocked", 1)] {
        assert_eq!(world.audited(event), count, "{event}");
        let lines = world.host.log.lines();
        assert_eq!(
            lines.iter().filter(|line| line.contains(event)).count(),
            usize::try_from(count).unwrap(),
            "{event}"
        );
    }
}

#[tokio::test]
async fn a_worker_of_the_version_before_goes_on_beside_it() {
    let world = World::new();
    world.register("ada", None).await;
    for number in 0..5 {
        let sql = "INSERT INTO sign_in_attempts (id, account, ip, at, outcome)
                   SELECT ?1, id, NULL, 1767225600000, 'failed' FROM users";
        world.host.database.look(sql, &[format!("old-{number}").as_str().into()]).unwrap();
    }
    attempt(&world, 0, "ada", PASSWORD).await.expect(429);
    world.host.database.look("DELETE FROM sign_in_attempts WHERE id = 'old-0'", &[]).unwrap();
    attempt(&world, 1, "ada", PASSWORD).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'failed'"), 0);
}

#[tokio::test]
async fn what_counts_no_more_is_forgotten() {
    let world = World::new();
    world.register("ada", None).await;
    fail(&world, "ada", 0..5).await;
    attempt(&world, 5, "nobody", WRONG).await.expect(401);
    let many = "INSERT INTO sign_in_attempts (id, account, at, outcome)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1800)
                SELECT 'many-' || n, 'many', 1767225600000, 'failed' FROM n";
    world.host.database.look(many, &[]).unwrap();
    // The window, and an hour.
    world.host.clock.advance(Duration::from_millis(75 * 60_000 - 1));
    attempt(&world, 6, "nobody", WRONG).await.expect(401);
    world.isolate.app.forget_attempts().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts"), 1802);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 0);
    world.host.clock.advance(Duration::from_millis(1));
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.app.forget_attempts().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts"), 1, "the newest");
    assert_eq!(world.host.switchboard.count("database"), 4, "500 at a time");
}

#[tokio::test]
async fn a_hundred_thousand_are_forgotten_at_once_and_of_more_the_log_tells() {
    let world = World::new();
    let many = "INSERT INTO sign_in_attempts (id, account, at, outcome)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100001)
                SELECT 'many-' || n, 'many', 1, 'failed' FROM n";
    world.host.database.look(many, &[]).unwrap();
    let told = || world.host.log.lines().iter().filter(|line| line.contains("\"what\":\"cleanup\"")).count();
    for left in [1, 0] {
        world.isolate.app.forget_attempts().await.unwrap();
        assert_eq!((world.count("SELECT COUNT(*) FROM sign_in_attempts"), told()), (left, 1));
    }
}
