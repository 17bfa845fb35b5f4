//! `POST auth/refresh`: rotation, repeated answers, and theft.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;

use crate::{
    common::forge::claims_of,
    harness::{OTHER_SECRET, PASSWORD, World},
};

#[tokio::test]
async fn each_use_rotates_and_roles_are_read_afresh() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world
        .host
        .database
        .look("INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'admin', 0 FROM users", &[])
        .unwrap();
    let first = world.isolate.refresh(&ada.refresh).await.expect(200);
    assert_ne!(first.text("/refresh_token"), ada.refresh);
    assert_eq!(first.text("/session_id"), ada.session);
    let claims = claims_of(first.text("/access_token"));
    assert_eq!(claims["roles"], serde_json::json!(["admin", "user"]));
    assert_eq!(claims["auth_time"], claims_of(&ada.access)["auth_time"]);
    let second = world.isolate.refresh(first.text("/refresh_token")).await.expect(200);
    assert_ne!(second.text("/refresh_token"), first.text("/refresh_token"));
    assert_eq!(world.audited("token_refresh"), 2);
}

#[tokio::test]
async fn the_grant_works_at_the_token_endpoint_too() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", ada.refresh.as_str())];
    world.isolate.form("192.0.2.1", &fields).await.expect(200);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "ewr_forged")];
    let refused = world.isolate.form("192.0.2.1", &fields).await.expect(401);
    assert_eq!(refused.text("/error"), "invalid_grant");
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for_again_within_the_grace() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let first = world.isolate.refresh(&ada.refresh).await.expect(200);
    for _ in 0..3 {
        world.host.clock.advance(Duration::from_secs(9));
        let again = world.isolate.refresh(&ada.refresh).await.expect(200);
        assert_eq!(again.text("/refresh_token"), first.text("/refresh_token"));
    }
    assert_eq!(world.audited("token_refresh"), 1, "one rotation, whatever is repeated");
    world.host.clock.advance(Duration::from_secs(3));
    let late = world.isolate.refresh(&ada.refresh).await.expect(401);
    assert!(late.text("/detail").contains("reuse"), "{late:?}");
}

#[tokio::test]
async fn the_token_before_the_last_is_theft_and_ends_everything_of_the_session() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let first = world.isolate.refresh(&ada.refresh).await.expect(200);
    let second = world.isolate.refresh(first.text("/refresh_token")).await.expect(200);
    let theft = world.isolate.refresh(&ada.refresh).await.expect(401);
    assert!(theft.text("/detail").contains("reuse"));
    assert_eq!(theft.text("/error"), "invalid_grant");
    // The family is dead, and so are its access tokens: here at once …
    world.isolate.refresh(second.text("/refresh_token")).await.expect(401);
    for token in [&ada.access, first.text("/access_token"), second.text("/access_token")] {
        world.isolate.get("/api/v1/users/me", Some(token)).await.expect(401);
        world.isolate.proxy_get("/demo/private/x", Some(token)).await.expect(401);
    }
    // … and in an isolate that learns it from the blacklist.
    let other = world.another_isolate();
    other.proxy_get("/demo/private/x", Some(second.text("/access_token"))).await.expect(401);
    assert_eq!(world.audited("token_reuse_detected"), 1);
    let lines = world.host.log.lines();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("token_reuse_detected")).collect();
    assert!(told.len() == 1 && told[0].contains(&ada.id), "told once, and whose it was: {told:?}");
    let subjects = "SELECT COUNT(*) FROM audit_events WHERE event = 'token_reuse_detected' AND subject IS NOT NULL";
    assert_eq!(world.count(subjects), 1);
    assert_eq!(world.blacklisted(), [format!("sid:{}", ada.session)]);
    // Another session of the same user lives on.
    world.isolate.try_sign_in("192.0.2.77", "ada", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn with_no_grace_every_replay_is_theft() {
    let world = World::with(&[("REFRESH_GRACE", "0")]);
    let ada = world.user("ada", None).await;
    world.isolate.refresh(&ada.refresh).await.expect(200);
    let replay = world.isolate.refresh(&ada.refresh).await.expect(401);
    assert!(replay.text("/detail").contains("reuse"));
}

#[tokio::test]
async fn with_no_grace_our_own_second_try_is_not_theft() {
    let world = World::with(&[("REFRESH_GRACE", "0")]);
    let ada = world.user("ada", None).await;
    world.host.switchboard.set(Plan::LoseOnce(1));
    let answer = world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.refresh(answer.text("/refresh_token")).await.expect(200);
    assert_eq!(world.audited("token_reuse_detected"), 0);
    assert_eq!(world.audited("token_refresh"), 2);
}

#[tokio::test]
async fn with_no_grace_a_clock_that_is_behind_changes_nothing() {
    let world = World::with(&[("REFRESH_GRACE", "0")]);
    let ada = world.user("ada", None).await;
    world.isolate.refresh(&ada.refresh).await.expect(200);
    world.host.database.look("UPDATE refresh_tokens SET rotated_at = rotated_at + 500", &[]).unwrap();
    let replay = world.isolate.refresh(&ada.refresh).await.expect(401);
    assert!(replay.text("/detail").contains("reuse"));
}

#[tokio::test]
async fn a_token_is_not_used_up_when_we_cannot_sign() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    // A new isolate that cannot open the signing key, as after a lost secret.
    let broken = World::isolate_over(&world.host, &[("KEY_ENCRYPTION_KEY", OTHER_SECRET)]);
    broken.refresh(&ada.refresh).await.expect(503);
    world.host.clock.advance(Duration::from_mins(10));
    world.isolate.refresh(&ada.refresh).await.expect(200);
    assert_eq!(world.audited("token_reuse_detected"), 0);
}

#[tokio::test]
async fn it_ends_with_disuse_with_the_session_and_with_the_account() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.host.clock.advance(Duration::from_hours(7 * 24));
    let late = world.isolate.refresh(&ada.refresh).await.expect(401);
    assert!(!late.text("/detail").contains("reuse"));

    // Used every six days, it lives as long as the session: thirty days.
    let mut token = world.user("bob", None).await.refresh;
    for _ in 0..4 {
        world.host.clock.advance(Duration::from_hours(6 * 24));
        token = world.isolate.refresh(&token).await.expect(200).text("/refresh_token").to_owned();
    }
    world.host.clock.advance(Duration::from_hours(6 * 24));
    world.isolate.refresh(&token).await.expect(401);
    assert_eq!(world.audited("token_reuse_detected"), 0);

    let eve = world.user("eve", None).await;
    world.host.database.look("UPDATE users SET is_active = 0 WHERE username = 'eve'", &[]).unwrap();
    world.isolate.refresh(&eve.refresh).await.expect(401);
}

#[tokio::test]
async fn theft_can_be_made_to_end_everything_of_the_user() {
    for (revokes, status) in [("family", 200), ("user", 401)] {
        let world = World::with(&[("REUSE_REVOKES", revokes)]);
        let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
        let (other, browser) = (world.isolate.sign_in("ada").await, world.isolate.log_in("ada").await);
        let elsewhere = world.warm_isolate(&[&other, &bob]).await;
        let second = world.isolate.refresh(&ada.refresh).await.expect(200);
        world.isolate.refresh(second.text("/refresh_token")).await.expect(200);
        for _ in 0..2 {
            let theft = world.isolate.refresh(&ada.refresh).await.expect(401);
            assert!(theft.text("/detail").contains("reuse"));
        }
        world.host.clock.advance(Duration::from_secs(10));
        for isolate in [&world.isolate, &elsewhere] {
            let proxied = isolate.proxy_get("/demo/private/x", Some(&other.access)).await;
            assert_eq!(proxied.status, status, "{revokes}");
            let proxied = isolate.browse_through(&browser, "GET", "/demo/private/x", None).await;
            assert_eq!(proxied.status, status, "{revokes}");
            isolate.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
        }
        assert_eq!(world.isolate.refresh(&other.refresh).await.status, status);
        assert_eq!(world.audited("token_reuse_detected"), 1);
        assert!(world.count("SELECT MAX(token_version) FROM users") <= 2, "once");
    }
}

#[tokio::test]
async fn a_forged_token_costs_no_call() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.host.switchboard.set(Plan::Healthy);
    let mut forged = ada.refresh.clone();
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    for text in [forged.as_str(), "", "ewr_", &ada.access, &"x".repeat(10_000)] {
        world.isolate.refresh(text).await.expect(401);
    }
    assert!(world.host.switchboard.calls().is_empty());
    world.isolate.post("/api/v1/auth/refresh", &serde_json::json!({})).await.expect(422);
}
