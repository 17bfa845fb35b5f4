//! `auth/sessions`: where one is signed in, ending it from afar, and how many there may be.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    harness::{Answer, Isolate, PASSWORD, URL, World},
    mfa::Factor,
};

const SESSIONS: &str = "/api/v1/auth/sessions";
const ME: &str = "/api/v1/users/me";

async fn delete(isolate: &Isolate, token: &str, path: &str) -> Answer {
    isolate.send_as(token, "DELETE", path, &Value::Null).await
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn both_kinds_are_listed_the_newest_first() {
    let world = World::new();
    let token = world.user("ada", None).await;
    world.host.clock.advance(Duration::from_hours(2));
    let browser = world.isolate.log_in("ada").await;
    let other = world.user("bob", None).await;
    let list = world.isolate.browse(&browser, "GET", SESSIONS, &Value::Null).await.expect(200);
    assert_eq!(ids(&list), [browser.session.as_str(), token.session.as_str()]);
    let items = list.body["items"].as_array().unwrap();
    assert_eq!((items[0]["current"].as_bool(), items[1]["current"].as_bool()), (Some(true), Some(false)));
    assert_eq!(items[0]["created_at"], "2026-01-01T02:00:00.000Z");
    assert_eq!(items[0]["expires_at"], "2026-01-02T02:00:00.000Z", "a day without use");
    assert_eq!(items[1]["expires_at"], "2026-01-08T00:00:00.000Z", "as its refresh token");
    assert_eq!(items[0]["ip"], crate::harness::address_of("ada"));
    // Use is seen: a browser's by any request, tokens' by a refresh.
    world.host.clock.advance(Duration::from_hours(3));
    world.isolate.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    world.isolate.refresh(&token.refresh).await.expect(200);
    let list = world.isolate.browse(&browser, "GET", SESSIONS, &Value::Null).await.expect(200);
    for item in list.body["items"].as_array().unwrap() {
        assert_eq!(item["last_seen_at"], "2026-01-01T05:00:00.000Z", "{item}");
    }
    let theirs = world.isolate.get(SESSIONS, Some(&other.access)).await.expect(401);
    assert!(theirs.text("/detail").contains("not valid"), "its token is over by now");
}

#[tokio::test]
async fn what_is_over_is_not_listed() {
    let world = World::new();
    let token = world.user("ada", None).await;
    let idle = world.isolate.log_in("ada").await;
    let ended = world.isolate.log_in("ada").await;
    world.isolate.browse(&ended, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
    world.host.clock.advance(Duration::from_hours(25));
    let renewed = world.isolate.refresh(&token.refresh).await.expect(200);
    let list = world.isolate.get(SESSIONS, Some(renewed.text("/access_token"))).await.expect(200);
    assert_eq!(ids(&list), [token.session.as_str()], "neither {idle:?} nor {ended:?}");
}

#[tokio::test]
async fn one_is_ended_from_another() {
    let world = World::new();
    let token = world.user("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    let path = format!("{SESSIONS}/{}", browser.session);
    for _ in 0..2 {
        delete(&world.isolate, &token.access, &path).await.expect(204);
    }
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(401);
    elsewhere.browse_through(&browser, "GET", "/demo/strict/x", None).await.expect(401);
    world.host.clock.advance(Duration::from_secs(10));
    elsewhere.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(401);
    assert_eq!(world.audited("session_ended"), 1);
    // The other way round, with the refresh token of it; then one's own.
    let browser = world.isolate.log_in("ada").await;
    let path = format!("{SESSIONS}/{}", token.session);
    world.isolate.browse(&browser, "DELETE", &path, &Value::Null).await.expect(204);
    world.isolate.refresh(&token.refresh).await.expect(401);
    let path = format!("{SESSIONS}/{}", browser.session);
    world.isolate.browse(&browser, "DELETE", &path, &Value::Null).await.expect(204);
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(401);
}

#[tokio::test]
async fn anothers_session_is_not_there() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", Some("super_admin")).await);
    for id in [bob.session.as_str(), "0198c0de-0000-7000-8000-000000000000", "x", "%00", &bob.session.to_uppercase()] {
        let answer = delete(&world.isolate, &ada.access, &format!("{SESSIONS}/{id}")).await;
        assert_eq!(answer.status, 404, "{id}");
    }
    delete(&world.isolate, &bob.access, &format!("{SESSIONS}/{}", ada.session)).await.expect(404);
    world.isolate.get(ME, Some(&ada.access)).await.expect(200);
    world.isolate.get(ME, Some(&bob.access)).await.expect(200);
    assert_eq!((world.audited("session_ended"), world.count("SELECT COUNT(*) FROM revocations")), (0, 0));
}

#[tokio::test]
async fn all_others_are_ended_and_this_one_goes_on() {
    let world = World::new();
    let this = world.user("ada", None).await;
    let tokens = world.isolate.sign_in("ada").await;
    let browser = world.isolate.log_in("ada").await;
    let bob = world.user("bob", None).await;
    let elsewhere = world.warm_isolate(&[&this, &tokens, &bob]).await;
    elsewhere.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    delete(&world.isolate, &this.access, SESSIONS).await.expect(204);
    world.host.clock.advance(Duration::from_secs(10));
    for isolate in [&world.isolate, &elsewhere] {
        isolate.proxy_get("/demo/private/x", Some(&this.access)).await.expect(200);
        isolate.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
        isolate.proxy_get("/demo/private/x", Some(&tokens.access)).await.expect(401);
        isolate.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(401);
    }
    world.isolate.refresh(&tokens.refresh).await.expect(401);
    let list = world.isolate.get(SESSIONS, Some(&this.access)).await.expect(200);
    assert_eq!(ids(&list), [this.session.as_str()]);
    // Asked again after a failure to tell everyone, it is told again.
    let again = world.isolate.sign_in("ada").await;
    world.host.switchboard.set(Plan::Without("kv"));
    let pending = delete(&world.isolate, &this.access, SESSIONS).await.expect(503);
    assert!(pending.text("/detail").contains("recorded"));
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(1));
    delete(&world.isolate, &this.access, SESSIONS).await.expect(204);
    assert!(world.blacklisted().contains(&format!("sid:{}", again.session)));
}

#[tokio::test]
async fn of_too_many_the_one_used_longest_ago_ends() {
    let world = World::with(&[("SESSION_LIMIT", "3")]);
    world.register("ada", None).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        world.host.clock.advance(Duration::from_mins(20));
        all.push(world.isolate.log_in("ada").await);
    }
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&all[1], "GET", "/demo/private/x", None).await.expect(200);
    // The first is used again, so that the second is the one.
    world.host.clock.advance(Duration::from_hours(2));
    world.isolate.browse_through(&all[0], "GET", "/demo/private/x", None).await.expect(200);
    let fourth = world.isolate.sign_in("ada").await;
    assert_eq!(world.audited("session_ended"), 1);
    world.host.clock.advance(Duration::from_secs(10));
    for (number, status) in [(0, 200), (1, 401), (2, 200)] {
        for isolate in [&world.isolate, &elsewhere] {
            let proxied = isolate.browse_through(&all[number], "GET", "/demo/private/x", None).await;
            assert_eq!(proxied.status, status, "{number}");
        }
    }
    // Those that are over by themselves do not count.
    world.host.clock.advance(Duration::from_hours(30));
    world.isolate.log_in("ada").await;
    world.isolate.log_in("ada").await;
    world.isolate.refresh(&fourth.refresh).await.expect(200);
    assert_eq!(world.audited("session_ended"), 1);
}

#[tokio::test]
async fn a_narrowed_token_sees_and_ends_only_what_its_scope_allows() {
    let world = World::new();
    world.register("ada", None).await;
    let narrowed = |scope: &'static str| {
        let fields = [("username", "ada"), ("password", PASSWORD), ("scope", scope)];
        let isolate = world.isolate.clone();
        async move { isolate.form("192.0.2.1", &fields).await.expect(200).text("/access_token").to_owned() }
    };
    let reader = narrowed("content:read").await;
    world.isolate.get(SESSIONS, Some(&reader)).await.expect(403);
    delete(&world.isolate, &reader, SESSIONS).await.expect(403);
    let profile = narrowed("profile:read").await;
    world.isolate.get(SESSIONS, Some(&profile)).await.expect(200);
    let refused = delete(&world.isolate, &profile, SESSIONS).await.expect(403);
    assert!(refused.header("www-authenticate").unwrap().contains("scope=\"profile:write\""));
    let writer = narrowed("profile:write").await;
    delete(&world.isolate, &writer, SESSIONS).await.expect(204);
    // A browser's session can be narrowed, too.
    let body = json!({ "username": "ada", "password": PASSWORD, "scope": "content:read" });
    let answer = world.isolate.try_log_in(Some(URL), "192.0.2.2", &body).await.expect(200);
    assert_eq!(answer.text("/scope"), "content:read");
    let browser = Browser::of(&answer);
    world.isolate.browse(&browser, "GET", SESSIONS, &Value::Null).await.expect(403);
    let proxied = world.another_isolate().browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    assert_eq!(proxied.sets("x-auth-scopes"), Some("content:read"));
}

#[tokio::test]
async fn what_was_ended_before_and_not_told_is_told_with_what_ends_now() {
    let world = World::new();
    world.register("ada", None).await;
    let mut browsers = Vec::new();
    for number in 0..3 {
        let ip = format!("2001:db8:1:{number}::1");
        let body = json!({ "username": "ada", "password": PASSWORD });
        browsers.push(Browser::of(&world.isolate.try_log_in(Some(URL), &ip, &body).await.expect(200)));
    }
    let elsewhere = world.another_isolate();
    for browser in &browsers {
        elsewhere.browse_through(browser, "GET", "/demo/private/x", None).await.expect(200);
    }
    // One is ended where nobody can be told.
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "kv"]));
    let path = format!("{SESSIONS}/{}", browsers[1].session);
    world.isolate.browse(&browsers[0], "DELETE", &path, &Value::Null).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    // Then all others, elsewhere: also that one is over there from then on.
    elsewhere.browse(&browsers[0], "DELETE", SESSIONS, &Value::Null).await.expect(204);
    for (number, status) in [(0, 200), (1, 401), (2, 401)] {
        elsewhere.browse_through(&browsers[number], "GET", "/demo/private/x", None).await.expect(status);
    }
}

#[tokio::test]
async fn the_same_when_others_end_by_a_new_password_or_by_a_second_factor() {
    for path in ["/api/v1/auth/change-password", "/api/v1/mfa/confirm"] {
        let world = World::new();
        let (ada, other) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
        let elsewhere = world.warm_isolate(&[&ada, &other]).await;
        let body = if path.ends_with("confirm") {
            let setup = elsewhere.post_as(&ada.access, crate::mfa::SETUP, &json!({})).await.expect(200);
            json!({ "code": Factor::of(&setup).code(&world) })
        } else {
            json!({ "current_password": PASSWORD, "new_password": "Another-Horse-8" })
        };
        world.host.switchboard.set(Plan::WithoutAll(&["feed", "kv"]));
        delete(&world.isolate, &ada.access, &format!("{SESSIONS}/{}", other.session)).await.expect(503);
        world.host.switchboard.set(Plan::Healthy);
        elsewhere.post_as(&ada.access, path, &body).await.expect(200);
        elsewhere.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
        elsewhere.proxy_get("/demo/private/x", Some(&other.access)).await.expect(401);
    }
}
