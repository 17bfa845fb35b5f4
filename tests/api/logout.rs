//! `POST auth/logout`.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn the_access_token_is_refused_from_the_next_request_on() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    world.isolate.logout(&ada.access).await.expect(200);
    for path in ["/demo/private/x", "/demo/strict/x", "/demo/optional/x"] {
        let refused = world.isolate.proxy_get(path, Some(&ada.access)).await.expect(401);
        assert_eq!(refused.body["error"], "invalid_token");
    }
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(401);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    assert_eq!(world.audited("logout"), 1);
}

#[tokio::test]
async fn session_and_token_stand_on_the_blacklist_for_their_remaining_life() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.logout(&ada.access).await.expect(200);
    let keys = world.blacklisted();
    assert_eq!(keys.len(), 2);
    assert!(keys[0].starts_with("jti:") && keys[1] == format!("sid:{}", ada.session));
    // As long as any token of the session could live, whatever ACCESS_TTL it was made under.
    world.host.clock.advance(Duration::from_hours(1));
    assert_eq!(world.blacklisted().len(), 2, "the leeway is part of a token's life, and so is what was under way");
    world.host.clock.advance(Duration::from_secs(66));
    assert!(world.blacklisted().is_empty());
    let kinds = world.host.database.look("SELECT kind FROM revocations ORDER BY seq", &[]).unwrap();
    assert_eq!(json!(kinds.0), json!([{ "kind": "session" }, { "kind": "token" }]));
}

#[tokio::test]
async fn an_access_token_that_is_over_does_not_stand_in_the_way_of_the_refresh_token() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.host.clock.advance(Duration::from_hours(1));
    let request = Request::post("/api/v1/auth/logout")
        .header("authorization", format!("Bearer {}", ada.access))
        .header("content-type", "application/json");
    let body = json!({ "refresh_token": ada.refresh }).to_string();
    world.isolate.send(request.body(body.into()).unwrap()).await.expect(200);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    let subjects = "SELECT COUNT(*) FROM audit_events WHERE event = 'logout' AND subject = (SELECT id FROM users)";
    assert_eq!(world.count(subjects), 1, "the row says whose session it was");
}

#[tokio::test]
async fn a_refresh_token_alone_is_enough() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let body = json!({ "refresh_token": ada.refresh });
    world.isolate.post("/api/v1/auth/logout", &body).await.expect(200);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    world.isolate.post("/api/v1/auth/logout", &body).await.expect(200);
    assert_eq!(world.audited("logout"), 1, "twice is once");
}

#[tokio::test]
async fn twice_is_once() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.logout(&ada.access).await.expect(200);
    world.isolate.logout(&ada.access).await.expect(200);
    assert_eq!(world.audited("logout"), 1);
}

#[tokio::test]
async fn without_anything_of_a_session_there_is_nothing_to_end() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.logout("x").await.expect(401);
    world.isolate.post("/api/v1/auth/logout", &json!({})).await.expect(401);
    world.isolate.post("/api/v1/auth/logout", &json!({ "refresh_token": "ewr_x" })).await.expect(401);
    world.isolate.post("/api/v1/auth/logout", &json!({ "refresh_token": 7 })).await.expect(422);
    let nothing = Request::post("/api/v1/auth/logout").body(Body::empty()).unwrap();
    world.isolate.send(nothing).await.expect(401);
    let text = Request::post("/api/v1/auth/logout").body(Body::from("x")).unwrap();
    world.isolate.send(text).await.expect(415);
    world.host.clock.advance(Duration::from_mins(16));
    world.isolate.logout(&ada.access).await.expect(401);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"), 0);
}
