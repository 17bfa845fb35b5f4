//! Delivery: once each, less and less often, and in the end given up where everyone can see it.

use std::time::Duration;

use edgewarden::{native::switchboard::Plan, ports::Clock};
use serde_json::json;

use crate::{
    harness::World,
    mail::{MINUTE, deliver, faults, states},
};

#[tokio::test]
async fn whatever_is_lost_a_mail_arrives_once() {
    // Sending is a claim, the mailer, and a record of what came of it.
    for (plan, at_once) in [
        (Plan::LoseOnce(0), true),
        (Plan::LoseTwice(0), false),
        (Plan::DownFrom(0), false),
        (Plan::LoseOnce(1), false),
        (Plan::DownFrom(1), false),
        (Plan::LoseOnce(2), true),
        (Plan::LoseTwice(2), true),
        (Plan::DownFrom(2), false),
    ] {
        let world = World::new();
        world.register("ada", None).await;
        world.host.switchboard.set(plan);
        deliver(&world).await;
        assert_eq!(states(&world), [if at_once { "sent" } else { "pending" }], "{plan:?}");
        world.host.switchboard.set(Plan::Healthy);
        // Nobody tries again before its time: not this isolate, nor another.
        let other = world.another_isolate();
        world.host.clock.advance(Duration::from_millis(59_999));
        if plan != Plan::DownFrom(0) {
            other.app.deliver_mails().await.unwrap();
            assert_eq!(world.host.switchboard.count("mailer"), 0, "{plan:?}");
        }
        world.host.clock.advance(Duration::from_millis(1));
        other.app.deliver_mails().await.unwrap();
        assert_eq!((states(&world), world.host.mailer.sent().len()), (vec!["sent".to_owned()], 1), "{plan:?}");
    }
}

#[tokio::test]
async fn one_that_another_has_claimed_since_is_the_others_to_record() {
    let world = World::new();
    world.register("ada", None).await;
    world.host.mailer.refuse(true);
    world.host.database.meddle(1, "UPDATE mail_outbox SET claimed_by = 'another'");
    deliver(&world).await;
    assert_eq!(states(&world), ["pending"]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_tried_less_and_less_and_then_given_up() {
    let world = World::with(&[("VERIFY_EMAIL_TTL", "7d")]);
    world.register("ada", None).await;
    world.host.switchboard.set(Plan::Without("mailer"));
    let (app, mut tries) = (&world.isolate.app, Vec::new());
    for minute in 0..=(3 * 24 * 60) {
        let before = world.host.switchboard.count("mailer");
        app.deliver_mails().await.unwrap();
        if world.host.switchboard.count("mailer") > before {
            tries.push(minute);
        }
        world.host.clock.advance(MINUTE);
    }
    assert_eq!(tries[..10], [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
    assert!(tries[10..].windows(2).all(|pair| pair[1] - pair[0] == 360), "{tries:?}");
    assert_eq!(faults(&world, "mail"), tries.len(), "one line for each run that could not");
    // The last try that was due before three days were over; then no more.
    assert_eq!((states(&world), faults(&world, "dead_letter")), (vec!["pending".to_owned()], 0));
    world.host.clock.advance(Duration::from_hours(6));
    world.host.switchboard.set(Plan::Healthy);
    app.deliver_mails().await.unwrap();
    assert_eq!((states(&world), faults(&world, "dead_letter")), (vec!["dead".to_owned()], 1));
    assert!(world.host.mailer.sent().is_empty());
}

#[tokio::test]
async fn what_is_refused_is_a_dead_letter_that_everyone_can_see() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    deliver(&world).await;
    world.host.clock.advance(MINUTE);
    world.register("ada", None).await;
    world.host.mailer.refuse(true);
    deliver(&world).await;
    world.host.mailer.refuse(false);
    world.host.clock.advance(MINUTE);
    world.register("bob", None).await;
    assert_eq!(states(&world), ["sent", "dead", "pending"]);
    let line = world.host.log.lines().into_iter().find(|line| line.contains("dead_letter")).unwrap();
    assert!(line.contains("verify_email") && line.contains("no such mailbox") && !line.contains('@'), "{line}");
    let health = world.isolate.get("/health?deep=1", Some(&root.access)).await.expect(200);
    assert_eq!(health.body["mails"], json!({ "pending": 1, "dead": 1 }));
    assert_eq!(health.text("/status"), "ok");
}

#[tokio::test]
async fn a_link_that_is_over_is_not_sent() {
    let world = World::with(&[("VERIFY_EMAIL_TTL", "5m")]);
    world.register("ada", None).await;
    world.host.clock.advance(MINUTE * 5);
    assert!(deliver(&world).await.is_empty());
    assert_eq!(states(&world), ["dead"]);
}

#[tokio::test]
async fn many_go_out_ten_at_once() {
    let world = World::new();
    world.register("ada", None).await;
    let many = "INSERT INTO mail_outbox (id, kind, account, recipient, details, created_at, expires_at, state, next_at)
                WITH RECURSIVE n (n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM n WHERE n < 58)
                SELECT '00000000-0000-7000-8000-0000000000' || n, kind, account, 'a' || n || '@example.org', details,
                  created_at, expires_at, state, next_at FROM n, mail_outbox";
    world.host.database.look(many, &[]).unwrap();
    assert_eq!(deliver(&world).await.len(), 10, "beside one answer");
    // Claiming twice, because the answer was lost, claims no more.
    world.host.switchboard.set(Plan::LoseOnce(0));
    assert_eq!(deliver(&world).await.len(), 20, "and the next");
    world.isolate.app.deliver_mails().await.unwrap();
    assert_eq!(world.host.mailer.sent().len(), 50);
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_forgotten_in_its_time() {
    let world = World::with(&[("VERIFY_EMAIL_TTL", "7d")]);
    let forget = async |days: u64, left: i64| {
        world.host.clock.advance(Duration::from_hours(24 * days));
        world.isolate.app.forget_mails().await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox"), left);
    };
    world.register("ada", None).await;
    deliver(&world).await;
    let body = json!({ "email": "nobody@example.org" });
    world.isolate.post("/api/v1/auth/password-reset", &body).await.expect(202);
    world.register("bob", None).await;
    world.host.mailer.refuse(true);
    deliver(&world).await;
    world.host.clock.advance(Duration::from_secs(1));
    world.register("cyd", None).await;
    forget(6, 4).await;
    forget(1, 2).await;
    let left = world.host.database.look("SELECT state FROM mail_outbox ORDER BY created_at", &[]).unwrap();
    assert_eq!(left.0.iter().map(|row| row["state"].as_str().unwrap()).collect::<Vec<_>>(), ["dead", "pending"]);
    forget(22, 2).await;
    forget(1, 1).await;
    let many = "INSERT INTO mail_outbox (id, kind, account, recipient, details, created_at, expires_at, state, next_at)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12000)
                SELECT 'many-' || n, 'verify_email', 'x', '', '{}', 1, 1, 'nobody', 1 FROM n";
    world.host.database.look(many, &[]).unwrap();
    world.host.switchboard.set(Plan::Healthy);
    forget(0, 2001).await;
    assert_eq!(world.host.switchboard.count("database"), 20, "500 at a time");
}

#[tokio::test]
async fn without_a_mailer_everything_else_goes_on() {
    let world = World::new();
    world.host.switchboard.set(Plan::Without("mailer"));
    world.register("ada", None).await;
    deliver(&world).await;
    assert_eq!((states(&world), faults(&world, "mail")), (vec!["pending".to_owned()], 1));
    let row = world.host.database.look("SELECT tries, next_at, last_error FROM mail_outbox", &[]).unwrap().0.remove(0);
    let next = world.host.clock.now().plus(MINUTE).millis();
    assert_eq!((&row["tries"], &row["next_at"], &row["last_error"]), (&json!(1), &json!(next), &json!("switched off")));
    world.isolate.sign_in("ada").await;
}
