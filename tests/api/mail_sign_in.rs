//! What a sign-in has to do with mails: who is locked out is told, and nobody signs in before their address is proven,
//! if that is wanted.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::json;

use crate::{
    attempts::{attempt, fail},
    harness::{PASSWORD, World},
    mail::{change, deliver, last_token},
};

/// A row of a closed sign-in, sent or not.
fn closed(world: &World, state: &'static str) -> i64 {
    let params = [state.into()];
    let sql = "SELECT COUNT(*) AS n FROM mail_outbox WHERE kind = 'sign_in_closed' AND state = ?1";
    world.host.database.look(sql, &params).unwrap().0[0]["n"].as_i64().unwrap()
}

#[tokio::test]
async fn who_is_locked_out_is_told_once_a_day() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "2")]);
    world.register("ada", None).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    deliver(&world).await;
    fail(&world, "ada", 0..1).await;
    assert!(!world.isolate.app.chores_are_due());
    fail(&world, "ada", 1..2).await;
    let told = deliver(&world).await.pop().unwrap();
    assert_eq!(told.subject.as_str(), "Sign-in to your Edgewarden account is paused");
    assert!(told.text.contains("From: 198.51.0.1") && told.text.contains("1 January 2026, 00:00 UTC"), "{}", told.text);
    for day in 0..3 {
        for number in 0..2 {
            world.host.clock.advance(Duration::from_hours(1));
            fail(&world, "ada", 10 * day + number * 2 + 10..10 * day + number * 2 + 12).await;
        }
        assert_eq!(closed(&world, "sent") + closed(&world, "pending"), 1 + i64::from(day), "day {day}");
        world.host.clock.advance(Duration::from_hours(22));
    }
}

#[tokio::test]
async fn closing_does_the_same_work_whoever_exists() {
    let world = World::new();
    for username in ["ada", "gone"] {
        world.register(username, None).await;
    }
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    change(&world, "UPDATE users SET is_active = 0 WHERE username = ?1", "gone");
    for (number, username) in [(0, "ada"), (10, "nobody"), (20, "gone")] {
        fail(&world, username, number..number + 4).await;
        let before = world.count("SELECT COUNT(*) FROM mail_outbox");
        world.host.switchboard.set(Plan::Healthy);
        fail(&world, username, number + 4..number + 5).await;
        assert_eq!(world.host.switchboard.calls(), ["limiter", "database", "database"]);
        assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox"), before + 1, "{username}");
    }
    assert_eq!((closed(&world, "pending"), closed(&world, "nobody")), (1, 2));
    // Put twice, the batch writes one.
    world.register("bob", None).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "bob");
    fail(&world, "bob", 30..34).await;
    world.host.switchboard.set(Plan::LoseOnce(2));
    attempt(&world, 34, "bob", "Wrong-Horse-7").await.expect(401);
    assert_eq!(closed(&world, "pending"), 2);
}

#[tokio::test]
async fn nobody_signs_in_before_their_address_is_proven_if_that_is_wanted() {
    let world = World::with(&[("REQUIRE_VERIFIED_EMAIL", "true")]);
    world.register("ada", None).await;
    let token = last_token(&world).await;
    attempt(&world, 0, "ada", "Wrong-Horse-7").await.expect(401);
    // Who knows the password is told, as often as they ask; that closes nothing.
    for number in 1..10 {
        world.host.switchboard.set(Plan::Healthy);
        let refused = attempt(&world, number, "ada", PASSWORD).await.expect(403);
        assert!(refused.text("/detail").contains("confirmed"), "{refused:?}");
        assert_eq!(world.host.switchboard.count("database"), 2);
    }
    assert_eq!((world.audited("login_failure"), world.audited("account_locked")), (10, 0));
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
    world.isolate.post("/api/v1/auth/verify-email", &json!({ "token": token })).await.expect(200);
    attempt(&world, 20, "ada", PASSWORD).await.expect(200);
}
