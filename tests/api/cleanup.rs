//! What the hourly cron deletes, and what it leaves alone.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::Value;

use crate::{
    browser::Browser,
    harness::{Answer, Isolate, SignedIn, World},
    plans::assert_that_nothing_is_scanned,
};

const DAY: Duration = Duration::from_hours(24);
const MOMENT: Duration = Duration::from_millis(1);

async fn clean_up(world: &World) {
    for done in world.isolate.app.clean_up().await {
        done.unwrap();
    }
}

/// How many rows each table has that grows with use.
fn rows(world: &World) -> [i64; 7] {
    [
        world.count("SELECT COUNT(*) FROM sessions"),
        world.count("SELECT COUNT(*) FROM refresh_tokens"),
        world.count("SELECT COUNT(*) FROM audit_events"),
        world.count("SELECT COUNT(*) FROM mail_outbox"),
        world.count("SELECT COUNT(*) FROM sign_in_attempts"),
        world.count("SELECT COUNT(*) FROM sign_in_locks"),
        world.count("SELECT COUNT(*) FROM revocations"),
    ]
}

/// So many sessions of whoever there is, each with a refresh token, that were over at the beginning of time; and as many
/// rows of the log from then.
fn put_many(world: &World) {
    for sql in [
        "INSERT INTO sessions (id, user_id, amr, created_at, expires_at)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200)
         SELECT printf('00000000-0000-7000-8000-%012d', n), users.id, 'pwd', 0, 1 FROM n, users",
        "INSERT INTO refresh_tokens (session_id, salt, generation, rotated_at, expires_at)
         SELECT id, '', 1, 0, 1 FROM sessions WHERE expires_at = 1",
        "INSERT INTO audit_events (id, at, event, severity, request_id)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200)
         SELECT 'many-' || n, 1, 'login_success', 'info', 'x' FROM n",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
}

fn left(world: &World) -> i64 {
    world.count("SELECT COUNT(*) FROM sessions WHERE expires_at = 1")
}

#[tokio::test]
async fn past_every_expiry_nothing_is_left_but_accounts() {
    let world = World::new();
    let (ada, other) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
    world.isolate.log_in("ada").await;
    world.isolate.logout(&other.access).await.expect(200);
    world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.app.deliver_mails().await.unwrap();
    clean_up(&world).await;
    let before = rows(&world);
    assert_eq!((before[0], before[1]), (3, 2), "all of it is of today");
    world.host.clock.advance(400 * DAY);
    clean_up(&world).await;
    // By the newest revocation one tells a record that was put back.
    assert_eq!(rows(&world), [0, 0, 0, 0, 0, 0, 1], "of {before:?}");
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 1);
    world.isolate.sign_in("ada").await;
}

#[tokio::test]
async fn a_session_is_kept_while_its_thief_may_still_come_and_no_longer() {
    // How it came to be over, and how long after today that was.
    let cases: [(&str, Duration); 4] = [
        ("UPDATE sessions SET ended_at = 1767225600000, end_reason = 'ended'", Duration::ZERO),
        ("UPDATE sessions SET expires_at = 1767225600000", Duration::ZERO),
        ("SELECT 1", 7 * DAY),
        ("UPDATE sessions SET idle_until = 1767225600000 WHERE kind = 'cookie'", Duration::ZERO),
    ];
    for (over, after) in cases {
        let world = World::new();
        world.register("ada", None).await;
        let by_cookie = over.contains("cookie");
        if by_cookie {
            world.isolate.log_in("ada").await;
        } else {
            world.isolate.sign_in("ada").await;
        }
        world.host.database.look(over, &[]).unwrap();
        world.host.clock.advance((after + 7 * DAY).saturating_sub(MOMENT));
        clean_up(&world).await;
        assert_eq!(rows(&world)[..2], [1, i64::from(!by_cookie)], "{over}");
        world.host.clock.advance(MOMENT);
        clean_up(&world).await;
        assert_eq!(rows(&world)[..2], [0, 0], "{over}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_lives_briefly_does_not_shorten_it_below_a_day() {
    let world = World::with(&[("REFRESH_TTL", "5m")]);
    world.user("ada", None).await;
    world.host.clock.advance((DAY + Duration::from_mins(5)).saturating_sub(MOMENT));
    clean_up(&world).await;
    assert_eq!(rows(&world)[..2], [1, 1]);
    world.host.clock.advance(MOMENT);
    clean_up(&world).await;
    assert_eq!(rows(&world)[..2], [0, 0]);
}

/// What everyone is told who holds something of a session.
async fn told(isolate: &Isolate, ada: &SignedIn, browser: &Browser, stolen: &SignedIn) -> Vec<(u16, String)> {
    let about = |answer: Answer| {
        let detail = answer.body.get("detail").or(answer.body.get("items"));
        (answer.status, detail.map(ToString::to_string).unwrap_or_default())
    };
    vec![
        about(isolate.get("/api/v1/auth/sessions", Some(&ada.access)).await),
        about(isolate.browse(browser, "GET", "/api/v1/users/me", &Value::Null).await),
        about(isolate.refresh(&stolen.refresh).await),
        about(isolate.get("/api/v1/users/me", Some(&stolen.access)).await),
        about(isolate.logout(&stolen.access).await),
    ]
}

#[tokio::test]
async fn whoever_asks_is_told_the_same_before_and_after() {
    let mut answers = Vec::new();
    for cleans in [false, true] {
        let world = World::new();
        let (ada, stolen) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
        // Six days on, all are in use; the stolen one has been exchanged twice.
        let mut exchanged = stolen.clone();
        for _ in 0..2 {
            exchanged = SignedIn::from(&world.isolate.refresh(&exchanged.refresh).await.expect(200));
        }
        world.host.clock.advance(6 * DAY);
        let ada = SignedIn::from(&world.isolate.refresh(&ada.refresh).await.expect(200));
        let exchanged = SignedIn::from(&world.isolate.refresh(&exchanged.refresh).await.expect(200));
        let browser = world.isolate.log_in("ada").await;
        let stolen = SignedIn { access: exchanged.access.clone(), ..stolen };
        if cleans {
            put_many(&world);
            clean_up(&world).await;
            assert_eq!(left(&world), 0);
        }
        let mut told = told(&world.isolate, &ada, &browser, &stolen).await;
        assert!(told[2].1.contains("reuse"), "{told:?}");
        // Ids differ by chance.
        told[0].1 = told[0].1.matches("\"current\"").collect();
        answers.push((told, world.audited("token_reuse_detected")));
        // It stays so while the session is kept, and is a 401 after that.
        for (days, says) in [(6, "reuse"), (2, "not valid")] {
            world.host.clock.advance(days * DAY);
            clean_up(&world).await;
            let late = world.isolate.refresh(&stolen.refresh).await.expect(401);
            assert!(late.text("/detail").contains(says), "{days}: {late:?}");
        }
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].1, 1);
}

#[tokio::test]
async fn batches_are_small_and_what_was_interrupted_is_gone_on_with() {
    let world = World::new();
    world.user("ada", None).await;
    put_many(&world);
    // Each run is cut off after so many calls: the question, then what deletes.
    let mut seen = vec![left(&world)];
    while left(&world) > 0 {
        world.host.switchboard.set(Plan::DownFrom(2));
        assert_eq!(world.isolate.app.forget_sessions().await.is_ok(), left(&world) == 0);
        seen.push(left(&world));
    }
    assert_eq!(seen, [1200, 700, 200, 0]);
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.app.seal_audit().await.unwrap();
    let mut seen = Vec::new();
    loop {
        world.host.switchboard.set(Plan::DownFrom(1));
        let is_done = world.isolate.app.forget_audit().await.is_ok();
        seen.push(world.count("SELECT COUNT(*) FROM audit_events WHERE at = 1"));
        if is_done {
            break;
        }
    }
    assert_eq!(seen, [700, 200, 0]);
    world.host.switchboard.set(Plan::Healthy);
    assert_eq!((rows(&world)[0], rows(&world)[1], world.audited("register")), (1, 1, 1), "what lives is there");
}

#[tokio::test]
async fn a_lost_answer_is_a_batch_that_runs_twice() {
    let world = World::new();
    world.user("ada", None).await;
    put_many(&world);
    for call in 0..6 {
        world.host.switchboard.set(Plan::LoseOnce(call));
        clean_up(&world).await;
    }
    assert_eq!((left(&world), rows(&world)[0]), (0, 1));
}

#[tokio::test]
async fn one_kind_that_fails_stops_no_other_and_of_too_many_the_log_tells() {
    let world = World::new();
    world.register("ada", None).await;
    put_many(&world);
    for sql in [
        "CREATE TRIGGER broken BEFORE DELETE ON refresh_tokens BEGIN SELECT RAISE(ABORT, 'broken'); END",
        "INSERT INTO audit_events (id, at, event, severity, request_id)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 48801)
         SELECT 'more-' || n, 1, 'login_success', 'info', 'x' FROM n",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    let failed = world.isolate.app.clean_up().await.iter().filter(|done| done.is_err()).count();
    assert_eq!((failed, left(&world)), (1, 1200));
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_events WHERE at = 1"), 1);
    let told: Vec<_> = world.host.log.lines().into_iter().filter(|line| line.contains("\"cleanup\"")).collect();
    assert!(told.len() == 1 && told[0].contains("audit rows"), "{told:?}");
}

#[tokio::test]
async fn it_goes_through_no_table() {
    let world = World::new();
    world.user("ada", None).await;
    put_many(&world);
    drop(world.host.database.plans());
    clean_up(&world).await;
    assert_that_nothing_is_scanned(&world, 10);
}
