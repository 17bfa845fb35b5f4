//! How API keys end: deleted, rotated, over, with their account; and what is known of it where.

use std::time::Duration;

use axum::body::Body;
use edgewarden::{domain::revocation::feed::Answer as FeedAnswer, native::switchboard::Plan};
use http::Request;
use serde_json::{Value, json};

use crate::{
    api_keys::{KEYS, make, remove, rotate, use_from, use_key},
    harness::{Isolate, SignedIn, World},
    mfa::{enrol, enrolled, half, verify},
};

const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_key_that_is_deleted_is_refused_at_once_on_a_strict_route_and_elsewhere_within_the_bound() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let (adas, bobs) = (
        make(&world.isolate, &ada, &json!({ "name": "a" })).await,
        make(&world.isolate, &bob, &json!({ "name": "b" })).await,
    );
    let other = world.another_isolate();
    for key in [&adas, &bobs] {
        use_key(&other, "/demo/private/x", &key.key).await.expect(200);
    }
    world.host.clock.advance(Duration::from_secs(1));
    world.host.switchboard.set(Plan::Healthy);
    use_key(&other, "/demo/private/x", &adas.key).await.expect(200);
    assert_eq!(world.host.switchboard.calls(), ["limiter"], "remembered: its limit is all that is asked");

    remove(&world.isolate, &ada, &adas.id).await.expect(204);
    use_key(&world.isolate, "/demo/private/x", &adas.key).await.expect(401);
    world.host.switchboard.set(Plan::Healthy);
    use_key(&other, "/demo/strict/x", &adas.key).await.expect(401);
    assert_eq!(world.host.switchboard.count("feed"), 1);
    assert_eq!(world.host.switchboard.count("database"), 1);

    remove(&world.isolate, &bob, &bobs.id).await.expect(204);
    world.host.clock.advance(BOUND);
    world.host.switchboard.set(Plan::Healthy);
    use_key(&other, "/demo/private/x", &bobs.key).await.expect(401);
    assert_eq!((world.host.switchboard.count("feed"), world.host.switchboard.count("database")), (1, 1));
    // To end it twice is to end it once; another's, or none, is not there.
    remove(&world.isolate, &bob, &bobs.id).await.expect(204);
    remove(&world.isolate, &ada, &bobs.id).await.expect(404);
    for id in ["x", "0190163d-8694-739b-aea5-966c26f8ad91"] {
        remove(&world.isolate, &ada, id).await.expect(404);
        rotate(&world.isolate, &ada, id, &Value::Null).await.expect(404);
    }
    rotate(&world.isolate, &ada, &bobs.id, &Value::Null).await.expect(404);
    assert_eq!(world.audited("api_key_revoked"), 2);
}

#[tokio::test]
async fn the_keys_of_a_closed_account_open_nothing_until_it_is_opened_again() {
    let world = World::new();
    let (ada, boss) = (world.user("ada", None).await, world.user("boss", Some("admin")).await);
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    let (strict, bounded) = (world.another_isolate(), world.another_isolate());
    for other in [&strict, &bounded] {
        use_key(other, "/demo/private/x", &key.key).await.expect(200);
    }
    let path = format!("/api/v1/admin/users/{}", ada.id);
    world.isolate.send_as(&boss.access, "PATCH", &path, &json!({ "is_active": false })).await.expect(200);
    world.host.switchboard.set(Plan::Healthy);
    use_key(&strict, "/demo/strict/x", &key.key).await.expect(401);
    assert_eq!((world.host.switchboard.count("feed"), world.host.switchboard.count("database")), (1, 1));
    world.host.clock.advance(BOUND);
    use_key(&bounded, "/demo/private/x", &key.key).await.expect(401);
    world.isolate.get("/api/v1/users/me", Some(&key.key)).await.expect(401);
    world.isolate.send_as(&boss.access, "PATCH", &path, &json!({ "is_active": true })).await.expect(200);
    world.host.clock.advance(BOUND);
    use_key(&bounded, "/demo/private/x", &key.key).await.expect(200);
    // Nobody's are anybody's.
    world.isolate.send_as(&boss.access, "DELETE", &format!("{path}?erase=true"), &Value::Null).await.expect(204);
    use_key(&strict, "/demo/strict/x", &key.key).await.expect(401);
    assert_eq!(world.count("SELECT COUNT(*) FROM api_keys"), 0);
}

#[tokio::test]
async fn a_key_is_rotated_at_once_or_with_an_overlap() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let body = json!({ "name": "k", "scopes": ["content:read"], "allowed_ips": ["192.0.2.0/24"], "per_minute": 30,
        "expires_at": "2026-01-11T00:00:00Z" });
    let old = make(&world.isolate, &ada, &body).await;
    let other = world.another_isolate();
    use_key(&other, "/demo/private/x", &old.key).await.expect(200);
    world.host.clock.advance(Duration::from_hours(24));
    let ada = world.isolate.sign_in("ada").await;
    let new = rotate(&world.isolate, &ada, &old.id, &Value::Null).await.expect(200);
    assert_ne!(new.text("/id"), old.id);
    assert_eq!(
        (new.text("/name"), new.text("/expires_at")),
        ("k", "2026-01-12T00:00:00.000Z"),
        "for as long as before"
    );
    assert_eq!((&new.body["scopes"], &new.body["per_minute"]), (&json!(["content:read"]), &json!(30)));
    assert_eq!(new.body["allowed_ips"], json!(["192.0.2.0/24"]));
    use_key(&other, "/demo/strict/x", &old.key).await.expect(401);
    use_key(&other, "/demo/strict/x", new.text("/key")).await.expect(200);
    use_from(&other, "203.0.113.1", "/demo/private/x", new.text("/key")).await.expect(403);

    // With an overlap both are good, and then the new one alone; wherever the old one was known.
    world.host.clock.advance(Duration::from_secs(1));
    let newest = rotate(&world.isolate, &ada, new.text("/id"), &json!({ "overlap_seconds": 3600 })).await.expect(200);
    for key in [new.text("/key"), newest.text("/key")] {
        use_key(&other, "/demo/strict/x", key).await.expect(200);
    }
    // Whoever asks once more, because the answer was lost, learns which one that is.
    for (old, new) in [(old.id.as_str(), new.text("/id")), (new.text("/id"), newest.text("/id"))] {
        let refused = rotate(&world.isolate, &ada, old, &Value::Null).await.expect(409);
        assert!(refused.text("/detail").contains(new), "{refused:?}");
    }
    let listed = world.isolate.get(KEYS, Some(&ada.access)).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed.text("/items/1/replaced_by"), newest.text("/id"));
    world.host.clock.advance(Duration::from_secs(3599));
    let ada = world.isolate.sign_in("ada").await;
    use_key(&other, "/demo/private/x", new.text("/key")).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    use_key(&other, "/demo/private/x", new.text("/key")).await.expect(401);
    use_key(&other, "/demo/private/x", newest.text("/key")).await.expect(200);
    let listed = world.isolate.get(KEYS, Some(&ada.access)).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.audited("api_key_rotated"), 2);
}

#[tokio::test]
async fn a_key_that_was_to_go_on_for_a_while_can_be_ended_before() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let old = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    let other = world.another_isolate();
    use_key(&other, "/demo/private/x", &old.key).await.expect(200);
    rotate(&world.isolate, &ada, &old.id, &json!({ "overlap_seconds": 86400 })).await.expect(200);
    world.host.clock.advance(Duration::from_mins(2));
    use_key(&other, "/demo/strict/x", &old.key).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    remove(&world.isolate, &ada, &old.id).await.expect(204);
    use_key(&other, "/demo/strict/x", &old.key).await.expect(401);
    world.host.clock.advance(BOUND);
    use_key(&other, "/demo/private/x", &old.key).await.expect(401);
}

#[tokio::test]
async fn of_two_that_rotate_a_key_at_once_one_does() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let old = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    let body = json!({ "overlap_seconds": 60 });
    let (one, two) = (world.another_isolate(), world.another_isolate());
    let (a, b) = tokio::join!(rotate(&one, &ada, &old.id, &body), rotate(&two, &ada, &old.id, &body));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(world.count("SELECT COUNT(*) FROM api_keys"), 2);
}

#[tokio::test]
async fn where_the_record_does_not_answer_nothing_is_let_through_that_is_not_known() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    let (warm, cold) = (world.another_isolate(), world.another_isolate());
    use_key(&warm, "/demo/private/x", &key.key).await.expect(200);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    cold.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    world.host.switchboard.set(Plan::Without("database"));
    use_key(&cold, "/demo/private/x", &key.key).await.expect(503);
    use_key(&warm, "/demo/private/x", &key.key).await.expect(200);
    world.isolate.get("/api/v1/users/me", Some(&key.key)).await.expect(503);
    // Nor where only its copy can be asked, and that says that it changed: the record knows.
    world.host.switchboard.set(Plan::Healthy);
    remove(&world.isolate, &ada, &key.id).await.expect(204);
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "feed's database", "database"]));
    world.host.clock.advance(BOUND);
    use_key(&warm, "/demo/private/x", &key.key).await.expect(503);
}

#[tokio::test]
async fn old_keys_are_forgotten() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let ended = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    make(&world.isolate, &ada, &json!({ "name": "k", "expires_at": "2026-01-02T00:00:00Z" })).await;
    make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    remove(&world.isolate, &ada, &ended.id).await.expect(204);
    for (hours, left) in [(23, 3), (1, 2), (24 * 29, 2), (24, 1), (24 * 400, 0)] {
        world.host.clock.advance(Duration::from_hours(hours));
        world.isolate.app.forget_keys().await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM api_keys"), left, "{hours} hours later");
    }
}

/// Where more was revoked than can be told of, the record is asked about a key, once within the bound.
#[tokio::test]
async fn a_key_of_which_cannot_be_told_is_asked_about_once_within_the_bound() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    let other = world.another_isolate();
    use_key(&other, "/demo/private/x", &key.key).await.expect(200);
    let (now, told) = (other.app.ports.clock.now(), other.app.ports.revocations.since(None).await.unwrap());
    let told = FeedAnswer { incomplete_until: Some(now.plus(Duration::from_hours(1)).millis()), ..told };
    other.app.knowledge().hear(told, now, now);
    world.host.clock.advance(Duration::from_secs(1));
    world.host.switchboard.set(Plan::Healthy);
    for _ in 0..5 {
        use_key(&other, "/demo/private/x", &key.key).await.expect(200);
    }
    assert_eq!(world.host.switchboard.count("database"), 0, "it was asked about a moment ago");
    world.host.clock.advance(Duration::from_secs(9));
    for _ in 0..5 {
        use_key(&other, "/demo/private/x", &key.key).await.expect(200);
    }
    assert_eq!(world.host.switchboard.count("database"), 1);
}

/// Where not everyone can be told, the new key is answered if the old one goes on for now, and everyone hears of it in time.
#[tokio::test]
async fn a_key_is_rotated_with_an_overlap_while_nobody_can_be_told() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let old = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    let other = world.another_isolate();
    use_key(&other, "/demo/private/x", &old.key).await.expect(200);
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "kv"]));
    let new = rotate(&world.isolate, &ada, &old.id, &json!({ "overlap_seconds": 60 })).await.expect(200);
    rotate(&world.isolate, &ada, new.text("/id"), &Value::Null).await.expect(503);
    assert!(world.host.log.lines().iter().any(|line| line.contains("rotated key")));
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_mins(1));
    world.hear(&other).await;
    use_key(&other, "/demo/private/x", &old.key).await.expect(401);
    use_key(&other, "/demo/private/x", new.text("/key")).await.expect(401);
}

/// A factor that was shown when a key was made counts as long as it is its owner's.
#[tokio::test]
async fn a_key_loses_the_factor_that_is_reset_and_its_owner_ends_it_all_the_same() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    let chief = world.user("chief", Some("admin")).await;
    world.host.clock.advance(Duration::from_secs(30));
    let token = half(&world, "ada").await;
    let shown = SignedIn::from(&verify(&world.isolate, &token, &factor.code(&world)).await.expect(200));
    let (key, other) = (
        make(&world.isolate, &shown, &json!({ "name": "k" })).await,
        make(&world.isolate, &shown, &json!({ "name": "other" })).await,
    );
    for sql in [
        "INSERT INTO roles (name, require_mfa) VALUES ('careful', 1)",
        "UPDATE versions SET version = version + 1 WHERE name = 'roles'",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    world.give(&ada.id, "careful");
    world.hear(&world.isolate).await;
    let (warm, fresh) = (world.another_isolate(), world.another_isolate());
    use_key(&warm, "/demo/strict/x", &key.key).await.expect(200);
    let path = format!("/api/v1/admin/users/{}/reset-mfa", ada.id);
    world.isolate.send_as(&chief.access, "POST", &path, &Value::Null).await.expect(204);
    for isolate in [&warm, &fresh] {
        use_key(isolate, "/demo/strict/x", &key.key).await.expect(401);
    }
    // Whoever lacks what their roles require may not much, but end what may be in the wrong hands.
    let ada = world.isolate.sign_in("ada").await;
    world.isolate.get("/api/v1/auth/sessions", Some(&ada.access)).await.expect(401);
    world.isolate.post_as(&ada.access, KEYS, &json!({ "name": "k" })).await.expect(401);
    rotate(&world.isolate, &ada, &key.id, &Value::Null).await.expect(401);
    let listed = world.isolate.get(KEYS, Some(&ada.access)).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    remove(&world.isolate, &ada, &other.id).await.expect(204);
    // Another factor is not the one that was shown.
    enrol(&world, &ada).await;
    use_key(&warm, "/demo/strict/x", &key.key).await.expect(401);
}

/// From where a key may be used is told of no key that is over.
#[tokio::test]
async fn a_key_that_is_over_is_over_from_wherever_it_comes() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k", "allowed_ips": ["192.0.2.0/24"] })).await;
    let other = world.another_isolate();
    let me = async |isolate: &Isolate, ip: &str| {
        let request = Request::get("/api/v1/users/me").header("x-api-key", &key.key).header("cf-connecting-ip", ip);
        isolate.send(request.body(Body::empty()).unwrap()).await.status
    };
    for isolate in [&other, &world.isolate] {
        assert_eq!((me(isolate, "192.0.2.1").await, me(isolate, "203.0.113.1").await), (200, 403));
    }
    remove(&world.isolate, &ada, &key.id).await.expect(204);
    for isolate in [&other, &world.isolate] {
        assert_eq!((me(isolate, "203.0.113.1").await, me(isolate, "192.0.2.1").await), (401, 401));
    }
}
