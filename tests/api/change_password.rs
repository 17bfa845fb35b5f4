//! `POST auth/change-password`.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, session_cookie},
    harness::{Answer, Isolate, PASSWORD, SignedIn, World},
};

const PATH: &str = "/api/v1/auth/change-password";
const NEW: &str = "Another-Horse-8";
const PRIVATE: &str = "/demo/private/x";

fn body(current: &str, new: &str) -> Value {
    json!({ "current_password": current, "new_password": new })
}

async fn change(isolate: &Isolate, ada: &SignedIn, current: &str, new: &str) -> Answer {
    isolate.post_as(&ada.access, PATH, &body(current, new)).await
}

#[tokio::test]
async fn it_ends_every_session_but_this_one() {
    let world = World::new();
    let this = world.user("ada", None).await;
    let (other, browser) = (world.isolate.sign_in("ada").await, world.isolate.log_in("ada").await);
    let elsewhere = world.warm_isolate(&[&this, &other]).await;
    change(&world.isolate, &this, PASSWORD, NEW).await.expect(200);
    world.host.clock.advance(Duration::from_secs(10));
    for isolate in [&world.isolate, &elsewhere] {
        isolate.proxy_get(PRIVATE, Some(&this.access)).await.expect(200);
        isolate.proxy_get(PRIVATE, Some(&other.access)).await.expect(401);
        isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
    }
    world.isolate.refresh(&other.refresh).await.expect(401);
    world.isolate.refresh(&this.refresh).await.expect(200);
    world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(401);
    world.isolate.try_sign_in("192.0.2.1", "ada", NEW).await.expect(200);
    assert_eq!((world.audited("password_changed"), world.count("SELECT password_version FROM users")), (1, 2));
}

#[tokio::test]
async fn a_cookie_session_goes_on_under_another_id_and_lives_no_longer() {
    let world = World::new();
    world.register("ada", None).await;
    let before = world.isolate.log_in("ada").await;
    world.isolate.browse_through(&before, "GET", PRIVATE, None).await.expect(200);
    world.host.clock.advance(Duration::from_hours(5));
    let answer = world.isolate.browse(&before, "POST", PATH, &body(PASSWORD, NEW)).await.expect(200);
    let cookie = session_cookie(&answer).unwrap();
    assert_ne!(cookie, before.cookie);
    let after = Browser { cookie, ..before.clone() };
    for isolate in [&world.isolate, &world.another_isolate()] {
        isolate.browse_through(&before, "GET", PRIVATE, None).await.expect(401);
        let proxied = isolate.browse_through(&after, "GET", PRIVATE, None).await.expect(200);
        assert_ne!(proxied.sets("x-auth-session"), Some(before.session.as_str()));
    }
    let list = world.isolate.browse(&after, "GET", "/api/v1/auth/sessions", &Value::Null).await.expect(200);
    let items = list.body["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["created_at"]), (1, &json!("2026-01-01T00:00:00.000Z")));
    assert_eq!(world.count("SELECT COUNT(DISTINCT expires_at) FROM sessions"), 1);
}

#[tokio::test]
async fn a_browser_that_was_known_is_known_by_the_new_password() {
    let world = World::new();
    world.register("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    let answer = world.isolate.browse(&browser, "POST", PATH, &body(PASSWORD, NEW)).await.expect(200);
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let device = lines.into_iter().find(|line| line.starts_with("__Host-edgewarden-device=")).unwrap();
    // Strangers close the account; the browser gets in.
    for number in 0..5 {
        world.isolate.try_sign_in(&format!("192.0.2.{number}"), "ada", "Wrong-Horse-7").await.expect(401);
    }
    world.isolate.try_sign_in("192.0.2.9", "ada", NEW).await.expect(429);
    let request = http::Request::post("/api/v1/auth/token")
        .header("content-type", "application/json")
        .header("cookie", device.split(';').next().unwrap());
    let body = json!({ "username": "ada", "password": NEW }).to_string();
    world.isolate.send(request.body(body.into()).unwrap()).await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_counts() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    for _ in 0..4 {
        let answer = change(&world.isolate, &ada, "Wrong-Horse-7", NEW).await.expect(400);
        assert!(answer.text("/detail").contains("password is not right"));
    }
    // Right in between: what failed before counts no more.
    change(&world.isolate, &ada, PASSWORD, NEW).await.expect(200);
    for _ in 0..5 {
        change(&world.isolate, &ada, "Wrong-Horse-7", PASSWORD).await.expect(400);
    }
    let closed = change(&world.isolate, &ada, NEW, PASSWORD).await.expect(429);
    assert!(closed.header("retry-after").is_some());
    assert_eq!((world.audited("login_failure"), world.audited("account_locked")), (9, 1));
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
}

#[tokio::test]
async fn a_password_that_is_none_is_refused_before_the_old_one_is_tried() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    for (new, why) in [
        ("Sh0rt-x", "at least 8"),
        ("no-upper-case-7", "upper-case"),
        ("Ada-1234-xyz", "username"),
        (PASSWORD, "is the one that you have"),
        (&"Aa1-".repeat(33), "at most 128"),
    ] {
        let answer = change(&world.isolate, &ada, PASSWORD, new).await;
        assert_eq!(answer.status, 422, "{new}");
        assert_eq!(answer.body["errors"][0]["field"], "new_password");
        assert!(answer.body["errors"][0]["message"].as_str().unwrap().contains(why), "{answer:?}");
    }
    world.isolate.post_as(&ada.access, PATH, &json!({})).await.expect(422);
    world.isolate.post(PATH, &body(PASSWORD, NEW)).await.expect(401);
}

#[tokio::test]
async fn who_comes_second_finds_the_password_changed() {
    for change_under_way in [
        "UPDATE users SET password_hash = 'another'",
        "UPDATE sessions SET ended_at = 1",
        "UPDATE users SET is_active = 0",
    ] {
        let world = World::new();
        let ada = world.user("ada", None).await;
        world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
        // The record, the account, the reservation; then somebody comes between.
        world.host.database.meddle(3, change_under_way);
        change(&world.isolate, &ada, PASSWORD, NEW).await.expect(409);
        assert_eq!(
            world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'pending'"),
            0,
            "it counts no more"
        );
        assert_eq!((world.audited("password_changed"), world.count("SELECT password_version FROM users")), (0, 1));
    }
}

#[tokio::test]
async fn that_it_is_not_everywhere_yet_is_told_and_everyone_hears_of_it() {
    let world = World::new();
    let (ada, other) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
    let elsewhere = world.warm_isolate(&[&ada, &other]).await;
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "kv"]));
    change(&world.isolate, &ada, PASSWORD, NEW).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    world.hear(&elsewhere).await;
    elsewhere.proxy_get(PRIVATE, Some(&other.access)).await.expect(401);
    world.isolate.try_sign_in("192.0.2.1", "ada", NEW).await.expect(200);
}
