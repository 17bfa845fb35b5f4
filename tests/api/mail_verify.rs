//! `POST auth/verify-email` and `auth/verify-email/resend`.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    common::forge::claims_of,
    harness::{Answer, BOTH_SECRETS, OTHER_SECRET, World},
    mail::{asked, change, deliver, last_token},
};

const PATH: &str = "/api/v1/auth/verify-email";
const RESEND: &str = "/api/v1/auth/verify-email/resend";

async fn verify(world: &World, token: &str) -> Answer {
    world.isolate.post(PATH, &json!({ "token": token })).await
}

fn is_verified(world: &World) -> bool {
    world.count("SELECT email_verified FROM users WHERE username = 'ada'") == 1
}

/// A world in which an account waits to be verified.
async fn begin() -> (World, String) {
    let world = World::new();
    world.register("ada", None).await;
    let token = last_token(&world).await;
    (world, token)
}

#[tokio::test]
async fn the_link_proves_the_address_and_may_be_opened_again() {
    let (world, token) = begin().await;
    let ada = world.isolate.sign_in("ada").await;
    for _ in 0..3 {
        verify(&world, &token).await.expect(200);
        world.host.clock.advance(Duration::from_hours(20));
    }
    assert_eq!(world.audited("email_verified"), 1);
    let about = "SELECT COUNT(*) FROM audit_events WHERE event = 'email_verified' AND subject = (SELECT id FROM users)";
    assert_eq!(world.count(about), 1);
    // Tokens that are out go on as they were; the next one says it.
    assert_eq!(claims_of(&ada.access)["email_verified"], false);
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    assert_eq!(claims_of(renewed.text("/access_token"))["email_verified"], true);
    let me = world.isolate.get("/api/v1/users/me", Some(renewed.text("/access_token"))).await.expect(200);
    assert_eq!(me.body["email_verified"], true);
}

#[tokio::test]
async fn a_token_that_is_none_costs_no_question() {
    let (world, token) = begin().await;
    world.host.switchboard.set(Plan::Healthy);
    for at in 0..token.len() {
        for new in ["A", "_", "-", "."] {
            let changed = format!("{}{new}{}", &token[..at], &token[at + 1..]);
            if changed != token {
                let refused = verify(&world, &changed).await.expect(400);
                assert!(refused.text("/detail").contains("not valid"));
            }
        }
    }
    for (body, status) in [(json!({}), 422), (json!({ "token": 7 }), 422), (json!({ "token": "" }), 400)] {
        world.isolate.post(PATH, &body).await.expect(status);
    }
    assert!(world.host.switchboard.calls().is_empty());
    assert!(!is_verified(&world));
}

#[tokio::test]
async fn a_token_of_another_kind_proves_nothing() {
    let (world, verifies) = begin().await;
    world.isolate.post("/api/v1/auth/password-reset", &json!({ "email": "ada@example.org" })).await.expect(202);
    let resets = last_token(&world).await;
    verify(&world, &resets).await.expect(400);
    let body = json!({ "token": verifies, "new_password": "Other-Horse-8" });
    world.isolate.post("/api/v1/auth/password-reset/confirm", &body).await.expect(400);
    assert!(!is_verified(&world));
}

#[tokio::test]
async fn a_token_is_over_with_its_time_its_account_and_its_address() {
    for (name, sql) in [
        ("inactive", "UPDATE users SET is_active = 0 WHERE username = ?1"),
        ("another address", "UPDATE users SET email = 'x@y.org', email_key = 'x@y.org' WHERE username = ?1"),
        ("forgotten", "DELETE FROM mail_outbox WHERE ?1 = 'ada'"),
        ("expired", "UPDATE mail_outbox SET expires_at = 1767225600000 WHERE ?1 = 'ada'"),
    ] {
        let (world, token) = begin().await;
        change(&world, sql, "ada");
        verify(&world, &token).await.expect(400);
        assert!(!is_verified(&world), "{name}");
        assert_eq!(world.audited("email_verified"), 0, "{name}");
    }
    let (world, token) = begin().await;
    world.host.clock.advance(Duration::from_hours(24));
    verify(&world, &token).await.expect(400);
}

#[tokio::test]
async fn a_used_token_does_not_prove_an_address_that_came_back() {
    let (world, token) = begin().await;
    verify(&world, &token).await.expect(200);
    change(
        &world,
        "UPDATE users SET email = 'x@y.org', email_key = 'x@y.org', email_verified = 0 WHERE username = ?1",
        "ada",
    );
    verify(&world, &token).await.expect(400);
    let back = "UPDATE users SET email = 'ada@example.org', email_key = 'ada@example.org' WHERE username = ?1";
    change(&world, back, "ada");
    verify(&world, &token).await.expect(400);
    assert!(!is_verified(&world));
}

#[tokio::test]
async fn whose_address_changes_under_way_is_not_verified() {
    let (world, token) = begin().await;
    world.host.database.meddle(0, "UPDATE users SET email = 'x@y.org', email_key = 'x@y.org'");
    verify(&world, &token).await.expect(400);
    assert!(!is_verified(&world));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_given_again() {
    for plan in [Plan::LoseOnce(0), Plan::LoseTwice(0), Plan::LoseThenDown(0)] {
        let (world, token) = begin().await;
        world.host.switchboard.set(plan);
        let status = verify(&world, &token).await.status;
        assert_eq!(status, if plan == Plan::LoseOnce(0) { 200 } else { 503 });
        world.host.switchboard.set(Plan::Healthy);
        verify(&world, &token).await.expect(200);
        assert_eq!(world.audited("email_verified"), 1, "{plan:?}");
    }
}

#[tokio::test]
async fn mac_keys_rotate() {
    let (world, token) = begin().await;
    let body = json!({ "token": token });
    let without = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", OTHER_SECRET)]);
    without.post(PATH, &body).await.expect(400);
    World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", BOTH_SECRETS)]).post(PATH, &body).await.expect(200);
}

#[tokio::test]
async fn asking_again_is_answered_and_costs_alike_whoever_exists() {
    let world = World::new();
    for username in ["ada", "bob", "gone"] {
        world.register(username, None).await;
    }
    deliver(&world).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "bob");
    change(&world, "UPDATE users SET is_active = 0 WHERE username = ?1", "gone");
    let mut answers = Vec::new();
    for name in ["nobody", "bob", "gone", "ada"] {
        let before = world.count("SELECT COUNT(*) FROM mail_outbox");
        answers.push(asked(&world, RESEND, &json!({ "email": format!("{name}@example.org") })).await);
        assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox"), before + 1, "{name}");
        assert!(world.isolate.app.chores_are_due());
        let sent = deliver(&world).await;
        assert_eq!(sent.len(), if name == "ada" { 4 } else { 3 }, "{name}");
    }
    assert_eq!(answers[0].0, 202);
    assert_eq!(answers[0].3, ["limiter", "database"]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE state = 'nobody' AND recipient <> ''"), 0);
    let token = last_token(&world).await;
    verify(&world, &token).await.expect(200);
}

#[tokio::test]
async fn three_an_hour_are_sent_to_an_account_from_wherever_they_are_asked_for() {
    let world = World::new();
    world.register("ada", None).await;
    for (name, left) in [("ada", 2), ("nobody", 3)] {
        for number in 0..5 {
            let ip = format!("192.0.2.{number}");
            let body = json!({ "email": format!("{name}@Example.org") });
            let told: Value = world.isolate.post_from(&ip, RESEND, &body).await.expect(202).body;
            assert!(told["detail"].as_str().unwrap().starts_with("If the address"));
        }
        let written = world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'verify_email'");
        assert_eq!(written, if name == "ada" { 1 + left } else { 3 + left });
    }
    assert_eq!(deliver(&world).await.len(), 3);
    world.host.clock.advance(Duration::from_hours(1));
    world.isolate.post(RESEND, &json!({ "email": "ada@example.org" })).await.expect(202);
    assert_eq!(deliver(&world).await.len(), 4);
}

#[tokio::test]
async fn an_address_asks_for_few_and_for_none_while_the_limiter_is_silent() {
    let world = World::new();
    for number in 0..6 {
        let body = json!({ "email": format!("a{number}@example.org") });
        let answer = world.isolate.post_from("192.0.2.1", RESEND, &body).await;
        assert_eq!(answer.status, if number < 5 { 202 } else { 429 });
        assert!(answer.header("x-ratelimit-limit").is_some());
    }
    world.isolate.post(RESEND, &json!({ "email": "nowhere" })).await.expect(422);
    world.host.switchboard.set(Plan::Without("limiter"));
    world.isolate.post(RESEND, &json!({ "email": "a@example.org" })).await.expect(503);
    assert_eq!(world.host.switchboard.calls(), ["limiter"]);
}
