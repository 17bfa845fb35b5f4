//! `auth/mfa/step-up`, routes that want a second factor lately, and roles that want one at all.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    browser::{Browser, session_cookie},
    harness::{PASSWORD, SignedIn, World},
    mfa::{CONFIRM, Factor, SETUP, STATUS, STEP_UP, VERIFY, claims, enrolled, sign_in},
};

const FACTOR: &str = "/demo/factor/x";
const PRIVATE: &str = "/demo/private/x";

/// What a refusal says in `WWW-Authenticate`.
fn challenge(proxied: &crate::harness::Proxied) -> &str {
    proxied.headers.iter().find(|(name, _)| name == "www-authenticate").map_or("", |(_, value)| value)
}

#[tokio::test]
async fn a_route_that_wants_it_lately_refuses_and_is_passed_and_refuses_again() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let ada = sign_in(&world, "ada", &factor).await;
    world.isolate.proxy_get(FACTOR, Some(&ada.access)).await.expect(200);
    world.host.clock.advance(Duration::from_mins(5));
    world.isolate.proxy_get(FACTOR, Some(&ada.access)).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    let refused = world.isolate.proxy_get(FACTOR, Some(&ada.access)).await.expect(401);
    assert_eq!(refused.body["error"], "insufficient_user_authentication");
    assert!(challenge(&refused).contains("error=\"insufficient_user_authentication\""), "{refused:?}");
    assert!(challenge(&refused).ends_with("max_age=\"300\""), "{refused:?}");
    // Refreshing does not make it later.
    let renewed = SignedIn::from(&world.isolate.refresh(&ada.refresh).await.expect(200));
    world.isolate.proxy_get(FACTOR, Some(&renewed.access)).await.expect(401);
    // Showing it does, here and after a refresh.
    let body = json!({ "code": factor.next(&world) });
    let stepped = world.isolate.post_as(&renewed.access, STEP_UP, &body).await.expect(200);
    assert!(stepped.body.get("refresh_token").is_none());
    assert_eq!(stepped.text("/session_id"), renewed.session);
    let access = stepped.text("/access_token");
    assert_eq!(
        (claims(access)["amr"].clone(), &claims(access)["auth_time"]),
        (json!(["pwd", "otp"]), &claims(access)["iat"])
    );
    world.isolate.proxy_get(FACTOR, Some(access)).await.expect(200);
    world.isolate.proxy_get(FACTOR, Some(&renewed.access)).await.expect(401);
    let renewed = world.isolate.refresh(&renewed.refresh).await.expect(200);
    world.isolate.proxy_get(FACTOR, Some(renewed.text("/access_token"))).await.expect(200);
    world.host.clock.advance(Duration::from_secs(301));
    world.isolate.proxy_get(FACTOR, Some(access)).await.expect(401);
    assert_eq!(world.audited("mfa_stepped_up"), 1);
}

#[tokio::test]
async fn a_browser_shows_it_and_goes_on_under_another_id() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let body = json!({ "username": "ada", "password": PASSWORD });
    let asked = world.isolate.try_log_in(Some(crate::harness::URL), "192.0.2.1", &body).await.expect(200);
    let request =
        http::Request::post(VERIFY).header("content-type", "application/json").header("origin", crate::harness::URL);
    let body = json!({ "mfa_token": asked.text("/mfa_token"), "code": factor.next(&world) }).to_string();
    let before = Browser::of(&world.isolate.send(request.body(body.into()).unwrap()).await.expect(200));
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&before, "GET", FACTOR, None).await.expect(200);
    world.host.clock.advance(Duration::from_secs(301));
    for isolate in [&world.isolate, &elsewhere] {
        isolate.app.refresh().await;
        isolate.browse_through(&before, "GET", FACTOR, None).await.expect(401);
    }
    let body = json!({ "code": factor.code(&world) });
    world.isolate.browse_from(None, &before, "POST", STEP_UP, &body).await.expect(403);
    let answer = world.isolate.browse(&before, "POST", STEP_UP, &body).await.expect(200);
    assert!(answer.body.get("access_token").is_none());
    let after = Browser {
        cookie: session_cookie(&answer).unwrap(),
        session: answer.text("/session_id").to_owned(),
        ..before.clone()
    };
    assert_ne!(after.session, before.session);
    world.host.clock.advance(Duration::from_secs(10));
    for isolate in [&world.isolate, &elsewhere] {
        isolate.browse_through(&after, "GET", FACTOR, None).await.expect(200);
        isolate.browse_through(&before, "GET", PRIVATE, None).await.expect(401);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND kind = 'cookie'"), 1);
}

#[tokio::test]
async fn one_that_is_sent_again_is_answered_again_and_another_session_cannot_use_it() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let (ada, other) = (sign_in(&world, "ada", &factor).await, sign_in(&world, "ada", &factor).await);
    let code = factor.next(&world);
    let step_up = async |user: &SignedIn| world.isolate.post_as(&user.access, STEP_UP, &json!({ "code": code })).await;
    step_up(&ada).await.expect(200);
    let again = step_up(&ada).await.expect(200);
    world.isolate.proxy_get(FACTOR, Some(again.text("/access_token"))).await.expect(200);
    step_up(&other).await.expect(400);
    assert_eq!((world.audited("mfa_stepped_up"), world.audited("mfa_failure")), (1, 1));
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'pending'"), 0);
    // Nor is the step that signed in good for it.
    let body = json!({ "code": factor.recovery[0] });
    world.isolate.post_as(&other.access, STEP_UP, &body).await.expect(200);
    world.isolate.post_as(&other.access, STEP_UP, &body).await.expect(400);
}

#[tokio::test]
async fn who_has_none_cannot_show_one() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get(FACTOR, Some(&ada.access)).await.expect(401);
    world.isolate.post_as(&ada.access, STEP_UP, &json!({ "code": "123456" })).await.expect(409);
    world.isolate.post_as(&ada.access, STEP_UP, &json!({})).await.expect(422);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome <> 'succeeded'"), 0);
}

#[tokio::test]
async fn a_narrowed_token_stays_so() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let fields = [("username", "ada"), ("password", PASSWORD), ("scope", "content:read")];
    let asked = world.isolate.form("192.0.2.1", &fields).await.expect(200);
    let answer = crate::mfa::verify(&world.isolate, asked.text("/mfa_token"), &factor.next(&world)).await.expect(200);
    let body = json!({ "code": factor.next(&world) });
    let stepped = world.isolate.post_as(answer.text("/access_token"), STEP_UP, &body).await.expect(200);
    assert_eq!(stepped.text("/scope"), "content:read");
    // It may not touch the factor itself.
    let body = json!({ "password": PASSWORD, "code": factor.next(&world) });
    world.isolate.post_as(stepped.text("/access_token"), crate::mfa::DISABLE, &body).await.expect(403);
}

#[tokio::test]
async fn a_role_that_wants_one_opens_nothing_without() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", Some("admin")).await, world.user("bob", None).await);
    let browser = world.isolate.log_in("ada").await;
    let elsewhere = world.warm_isolate(&[&ada, &bob]).await;
    // Of moderators; admins inherit it. Whoever is in already is held to it as well, within the bound.
    world.host.database.look("UPDATE roles SET require_mfa = 1 WHERE name = 'moderator'", &[]).unwrap();
    for isolate in [&world.isolate, &elsewhere] {
        world.hear(isolate).await;
        for path in [PRIVATE, "/demo/optional/x", "/demo/admin/x"] {
            let refused = isolate.proxy_get(path, Some(&ada.access)).await.expect(401);
            assert!(challenge(&refused).contains("insufficient_user_authentication"), "{path}");
            isolate.proxy_get(path, Some(&bob.access)).await.expect(if path == "/demo/admin/x" { 403 } else { 200 });
        }
        isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
        isolate.proxy_get("/demo/public/x", Some(&ada.access)).await.expect(200);
    }
    for (method, path) in [
        ("GET", "/api/v1/users/me"),
        ("GET", "/api/v1/auth/sessions"),
        ("DELETE", "/api/v1/auth/sessions"),
        ("DELETE", "/api/v1/admin/users/019b76da-a800-7f55-b0f5-a1810b7af78c"),
    ] {
        world.isolate.send_as(&ada.access, method, path, &Value::Null).await.expect(401);
    }
    let status = world.isolate.get(STATUS, Some(&ada.access)).await.expect(200);
    assert_eq!((&status.body["required"], &status.body["enabled"]), (&json!(true), &json!(false)));
    // They can enrol, also with a token that was narrowed, and everything is open then, in this session.
    let fields = [("username", "ada"), ("password", PASSWORD), ("scope", "profile:read profile:write")];
    let narrowed = world.isolate.form("192.0.2.8", &fields).await.expect(200);
    let narrowed = narrowed.text("/access_token");
    world.isolate.get(STATUS, Some(narrowed)).await.expect(200);
    world.isolate.post_as(narrowed, SETUP, &json!({})).await.expect(200);
    world.isolate.post_as(narrowed, CONFIRM, &json!({ "code": "000000" })).await.expect(400);
    world.isolate.get("/api/v1/users/me", Some(narrowed)).await.expect(401);
    let setup = world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(200);
    let factor = Factor::of(&setup);
    world.isolate.post_as(&ada.access, CONFIRM, &json!({ "code": factor.code(&world) })).await.expect(200);
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(401);
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.get("/api/v1/users/me", Some(renewed.text("/access_token"))).await.expect(200);
    world.isolate.proxy_get("/demo/admin/x", Some(renewed.text("/access_token"))).await.expect(200);
    world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
    // And they can always sign out.
    world.isolate.logout(&ada.access).await.expect(200);
}
