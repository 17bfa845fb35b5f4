//! `POST auth/logout-all`.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::json;

use crate::harness::World;

const PATH: &str = "/api/v1/auth/logout-all";

#[tokio::test]
async fn every_session_of_the_user_ends_and_nobody_elses() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let phone = world.isolate.sign_in("ada").await;
    let other = world.another_isolate();
    for token in [&ada.access, &phone.access, &bob.access] {
        other.proxy_get("/demo/private/x", Some(token)).await.expect(200);
    }
    world.isolate.post_as(&phone.access, PATH, &json!({})).await.expect(200);
    for user in [&ada, &phone] {
        for path in ["/demo/private/x", "/demo/strict/x"] {
            world.isolate.proxy_get(path, Some(&user.access)).await.expect(401);
        }
        other.proxy_get("/demo/strict/x", Some(&user.access)).await.expect(401);
        other.get("/api/v1/users/me", Some(&user.access)).await.expect(401);
        other.refresh(&user.refresh).await.expect(401);
    }
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    for isolate in [&world.isolate, &other] {
        isolate.proxy_get("/demo/strict/x", Some(&bob.access)).await.expect(200);
    }
    assert_eq!(world.audited("logout_all"), 1);
    // The next sign-in is one like any other.
    let again = world.isolate.sign_in("ada").await;
    for isolate in [&world.isolate, &other] {
        isolate.proxy_get("/demo/strict/x", Some(&again.access)).await.expect(200);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL"), 2);
}

#[tokio::test]
async fn a_refresh_token_alone_is_enough_and_twice_is_once() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.sign_in("ada").await;
    world.host.clock.advance(Duration::from_hours(1));
    let body = json!({ "refresh_token": ada.refresh });
    for _ in 0..2 {
        world.isolate.post(PATH, &body).await.expect(200);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL"), 0);
    assert_eq!((world.audited("logout_all"), world.count("SELECT token_version FROM users")), (1, 2));
}

#[tokio::test]
async fn an_old_refresh_token_signs_nobody_out() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let second = world.isolate.refresh(&ada.refresh).await.expect(200).text("/refresh_token").to_owned();
    let third = world.isolate.refresh(&second).await.expect(200).text("/refresh_token").to_owned();
    world.isolate.post(PATH, &json!({ "refresh_token": ada.refresh })).await.expect(401);
    assert_eq!((world.audited("logout_all"), world.count("SELECT token_version FROM users")), (0, 1));
    // Over by itself, it is worth as little; the one before the newest may be all that a client has.
    let late = world.another_isolate();
    world.host.clock.advance(Duration::from_hours(7 * 24));
    late.post(PATH, &json!({ "refresh_token": third })).await.expect(401);
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.post(PATH, &json!({ "refresh_token": ada.refresh })).await.expect(200);
}

#[tokio::test]
async fn with_what_does_not_stand_nobody_is_signed_out() {
    let world = World::new();
    let (ada, phone) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
    world.isolate.logout(&ada.access).await.expect(200);
    world.isolate.post_as(&ada.access, PATH, &json!({})).await.expect(401);
    world.isolate.post(PATH, &json!({ "refresh_token": ada.refresh })).await.expect(401);
    world.isolate.post(PATH, &json!({ "refresh_token": "ewr_x" })).await.expect(401);
    world.isolate.post(PATH, &json!({ "refresh_token": 7 })).await.expect(422);
    world.isolate.post(PATH, &json!({})).await.expect(401);
    world.isolate.proxy_get("/demo/strict/x", Some(&phone.access)).await.expect(200);
    assert_eq!(world.count("SELECT token_version FROM users"), 1);
}

/// It is recorded and nobody was told; then the client signs out of this session alone. That tells of all of it.
#[tokio::test]
async fn a_logout_after_one_that_is_pending_does_not_hide_it() {
    let world = World::new();
    let (ada, phone) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
    let other = world.warm_isolate(&[&ada, &phone]).await;
    world.host.switchboard.set(Plan::Without("feed"));
    world.isolate.post_as(&ada.access, PATH, &json!({})).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.logout(&ada.access).await.expect(200);
    for user in [&ada, &phone] {
        other.proxy_get("/demo/strict/x", Some(&user.access)).await.expect(401);
    }
}
