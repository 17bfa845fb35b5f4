//! `POST auth/token`, password grant, and `GET users/me`.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;

use crate::{
    common::forge::claims_of,
    harness::{Answer, PASSWORD, World},
};

const IP: &str = "192.0.2.1";

#[tokio::test]
async fn a_right_password_gives_a_pair() {
    let world = World::new();
    let id = world.register("ada", None).await;
    for identifier in ["ada", "ADA", "ada@example.org", "Ada@Example.ORG"] {
        let answer = world.isolate.try_sign_in(IP, identifier, PASSWORD).await.expect(200);
        assert_eq!(answer.text("/token_type"), "bearer");
        assert_eq!(answer.body["expires_in"], 900);
        assert_eq!(answer.text("/scope"), "content:create content:read profile:delete profile:read profile:write");
        assert!(answer.text("/refresh_token").starts_with("ewr_k1_"));
        let claims = claims_of(answer.text("/access_token"));
        assert_eq!(
            (claims["sub"].as_str(), claims["sid"].as_str()),
            (Some(id.as_str()), answer.body["session_id"].as_str())
        );
        assert_eq!(claims["iss"], "https://auth.example.com");
        assert_eq!(claims["aud"], "edgewarden");
        assert_eq!(claims["amr"], serde_json::json!(["pwd"]));
        assert!(claims.get("scope").is_none(), "a token that carries all its roles give says no scope");
        assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
    }
    assert_eq!(world.audited("login_success"), 4);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'succeeded'"), 4);
}

#[tokio::test]
async fn unknown_wrong_and_inactive_look_alike_and_do_the_same_work() {
    let world = World::new();
    world.register("ada", None).await;
    world.register("gone", None).await;
    world.host.database.look("UPDATE users SET is_active = 0 WHERE username = 'gone'", &[]).unwrap();
    let seen = async |username: &str, password: &str| {
        world.host.switchboard.set(Plan::Healthy);
        let answer = world.isolate.try_sign_in("192.0.2.9", username, password).await.expect(401);
        let Answer { mut body, headers, .. } = answer;
        body.as_object_mut().unwrap().remove("request_id");
        let challenge = headers.get("www-authenticate").cloned();
        (body, challenge, world.host.switchboard.calls())
    };
    let wrong = seen("ada", "Wrong-Horse-7").await;
    assert_eq!(wrong.0["error"], "invalid_grant");
    assert_eq!(wrong.1.as_ref().unwrap(), "Bearer realm=\"edgewarden\"");
    assert_eq!(seen("nobody", PASSWORD).await, wrong);
    assert_eq!(seen("gone", PASSWORD).await, wrong);
    assert_eq!(seen("ada", &"x".repeat(5000)).await, wrong);
    assert_eq!(world.audited("login_failure"), 4);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
}

#[tokio::test]
async fn the_sixth_try_in_a_minute_from_one_address_is_refused() {
    let world = World::new();
    world.register("ada", None).await;
    for left in ["4", "3", "2", "1", "0"] {
        let wrong = world.isolate.try_sign_in(IP, &format!("nobody-{left}"), "Wrong-Horse-7").await.expect(401);
        assert_eq!(wrong.header("x-ratelimit-remaining"), Some(left));
    }
    let refused = world.isolate.try_sign_in(IP, "ada", PASSWORD).await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(refused.headers.get_all("x-ratelimit-limit").iter().count(), 1);
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    world.isolate.try_sign_in("192.0.2.2", "ada", PASSWORD).await.expect(200);
    world.host.clock.advance(Duration::from_mins(1));
    world.isolate.try_sign_in(IP, "ada", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn more_than_twenty_in_a_quarter_of_an_hour_are_refused() {
    let world = World::new();
    for number in 0..20 {
        world.isolate.try_sign_in(IP, &format!("nobody-{number}"), "x").await.expect(401);
        world.host.clock.advance(Duration::from_secs(13));
    }
    let refused = world.isolate.try_sign_in(IP, "nobody", "x").await.expect(429);
    assert_eq!(refused.header("x-ratelimit-limit"), Some("20"));
    assert_eq!(refused.header("retry-after"), Some("640"));
}

#[tokio::test]
async fn a_form_that_is_not_one_is_refused() {
    let world = World::new();
    for (fields, code) in [
        (vec![("username", "ada")], "invalid_request"),
        (vec![("password", "x"), ("username", "")], "invalid_request"),
        (vec![("username", "a"), ("username", "b"), ("password", "x")], "invalid_request"),
        (vec![("grant_type", "client_credentials")], "unsupported_grant_type"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
    ] {
        let answer = world.isolate.form(IP, &fields).await.expect(400);
        assert_eq!(answer.text("/error"), code);
    }
    let other = http::Request::post("/api/v1/auth/token").header("content-type", "text/plain");
    world.isolate.send(other.body("username=ada".into()).unwrap()).await.expect(415);
    world.isolate.post("/api/v1/auth/token", &serde_json::json!({})).await.expect(422);
}

#[tokio::test]
async fn an_account_that_changes_while_it_signs_in_gets_no_session() {
    for change in [
        "UPDATE users SET is_active = 0",
        "UPDATE users SET token_version = token_version + 1",
        "UPDATE users SET password_hash = 'another'",
    ] {
        let world = World::new();
        world.register("ada", None).await;
        // Someone else's change comes between the batch that reads and the batch that records.
        world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
        world.host.database.meddle(1, change);
        world.isolate.try_sign_in(IP, "ada", PASSWORD).await.expect(401);
        assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0, "{change}");
        assert_eq!(world.count("SELECT COUNT(*) FROM refresh_tokens"), 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'failed'"), 1);
        assert_eq!((world.audited("login_success"), world.audited("login_failure")), (0, 1), "{change}");
        let lines = world.host.log.lines();
        assert_eq!(lines.iter().filter(|line| line.contains("login_failure")).count(), 1);
    }
}

#[tokio::test]
async fn an_account_that_changes_while_it_signs_in_is_closed_if_that_was_one_too_many() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "1")]);
    world.register("ada", None).await;
    world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    world.host.database.meddle(1, "UPDATE users SET password_hash = 'another'");
    world.isolate.try_sign_in(IP, "ada", PASSWORD).await.expect(401);
    assert_eq!((world.audited("login_failure"), world.audited("account_locked")), (1, 1));
    world.isolate.try_sign_in(IP, "ada", PASSWORD).await.expect(429);
}

#[tokio::test]
async fn me_is_the_account_as_it_is_now() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let me = world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    assert_eq!((me.text("/id"), me.text("/username")), (ada.id.as_str(), "ada"));
    assert_eq!(me.text("/last_login_at"), "2026-01-01T00:00:00.000Z");
    world.host.database.look("UPDATE users SET full_name = 'Countess'", &[]).unwrap();
    let me = world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    assert_eq!(me.text("/full_name"), "Countess");
}

#[tokio::test]
async fn our_endpoints_notice_a_change_by_the_next_request() {
    for change in [
        "UPDATE users SET is_active = 0",
        "UPDATE users SET token_version = 2",
        "UPDATE sessions SET ended_at = 1",
        "UPDATE sessions SET expires_at = 1",
    ] {
        let world = World::new();
        let ada = world.user("ada", None).await;
        world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
        world.host.database.look(change, &[]).unwrap();
        world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(401);
    }
}

#[tokio::test]
async fn a_fault_of_ours_counts_against_nobody() {
    let world = World::new();
    world.register("ada", None).await;
    world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    world.host.switchboard.set(Plan::Without("crypto"));
    for number in 0..6 {
        world.isolate.try_sign_in(&format!("192.0.2.{number}"), "ada", PASSWORD).await.expect(503);
    }
    world.host.switchboard.set(Plan::Healthy);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome <> 'succeeded'"), 0);
    world.isolate.try_sign_in("192.0.2.9", "ada", PASSWORD).await.expect(200);
}
