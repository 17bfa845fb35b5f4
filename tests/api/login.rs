//! `POST auth/login`: a browser signs in and gets a session cookie.

use http::{Request, header};
use serde_json::{Value, json};

use crate::{
    browser::{Browser, session_cookie, session_line},
    harness::{Answer, PASSWORD, URL, World},
};

const IP: &str = "192.0.2.1";

async fn form(world: &World, fields: &[(&str, &str)]) -> Answer {
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::post("/api/v1/auth/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ORIGIN, URL)
        .header("cf-connecting-ip", IP);
    world.isolate.send(request.body(body.into()).unwrap()).await
}

fn credentials(password: &str) -> Value {
    json!({ "username": "ada", "password": password })
}

#[tokio::test]
async fn json_is_answered_with_a_session_and_its_cookie() {
    let world = World::new();
    world.register("ada", None).await;
    for identifier in ["ada", "Ada@Example.org"] {
        let body = json!({ "username": identifier, "password": PASSWORD });
        let answer = world.isolate.try_log_in(Some(URL), IP, &body).await.expect(200);
        let line = session_line(&answer).unwrap();
        assert!(line.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax") && !line.contains("Max-Age"), "{line}");
        assert_eq!(answer.text("/expires_at"), "2026-01-31T00:00:00.000Z");
        assert_eq!(answer.text("/scope"), "content:create content:read profile:delete profile:read profile:write");
        assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
        let browser = Browser::of(&answer);
        let me = world.isolate.browse(&browser, "GET", "/api/v1/users/me", &Value::Null).await.expect(200);
        assert_eq!(me.text("/username"), "ada");
    }
    assert_eq!(world.audited("login_success"), 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM refresh_tokens"), 0);
}

#[tokio::test]
async fn a_form_leads_to_a_path_of_ours() {
    let world = World::new();
    world.register("ada", None).await;
    let right = [("username", "ada"), ("password", PASSWORD)];
    let answer = form(&world, &right).await.expect(303);
    assert_eq!(answer.header("location"), Some("/"));
    assert!(session_cookie(&answer).is_some());
    let answer = form(&world, &[&right[..], &[("return_to", "/app?x=1"), ("remember_me", "on")]].concat()).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/app?x=1")));
    assert!(session_line(&answer).unwrap().contains("; Max-Age=2592000"), "{answer:?}");
    for evil in ["//evil.example", "/\\evil.example", "https://evil.example/", "evil"] {
        let answer = form(&world, &[&right[..], &[("return_to", evil)]].concat()).await.expect(400);
        assert!(session_cookie(&answer).is_none(), "{evil}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 2);
}

#[tokio::test]
async fn only_our_own_page_signs_a_browser_in() {
    let world = World::new();
    world.register("ada", None).await;
    for origin in [
        None,
        Some("null"),
        Some("https://evil.example"),
        Some("https://app.auth.example.com"),
        Some("http://auth.example.com"),
        Some("https://auth.example.com:8443"),
        Some("https://auth.example.com.evil.example"),
        Some("http://127.0.0.1:8787"),
    ] {
        let answer = world.isolate.try_log_in(origin, IP, &credentials(PASSWORD)).await.expect(403);
        assert!(answer.text("/detail").contains("own pages"), "{origin:?}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts"), 0, "nothing was looked at");
    // Programs name no page; where one is named, it must be ours.
    for (path, body) in [
        ("/api/v1/auth/token", credentials(PASSWORD)),
        ("/api/v1/auth/refresh", json!({ "refresh_token": "ewr_x" })),
        ("/api/v1/users/register", json!({ "username": "eve", "email": "eve@example.org", "password": PASSWORD })),
    ] {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ORIGIN, "https://evil.example");
        world.isolate.send(request.body(body.to_string().into()).unwrap()).await.expect(403);
    }
    world.isolate.post("/api/v1/auth/token", &credentials(PASSWORD)).await.expect(200);
}

#[tokio::test]
async fn a_failure_gives_no_cookie_and_counts_as_any_other() {
    let world = World::new();
    world.register("ada", None).await;
    for number in 0..5 {
        let ip = format!("192.0.2.{number}");
        let answer = world.isolate.try_log_in(Some(URL), &ip, &credentials("Wrong-Horse-7")).await.expect(401);
        assert_eq!(answer.headers.get_all(header::SET_COOKIE).iter().count(), 0);
        assert_eq!(answer.text("/error"), "invalid_grant");
    }
    world.isolate.try_log_in(Some(URL), "192.0.2.9", &credentials(PASSWORD)).await.expect(429);
    world.isolate.try_sign_in("192.0.2.9", "ada", PASSWORD).await.expect(429);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
}

#[tokio::test]
async fn what_is_no_sign_in_is_refused() {
    let world = World::new();
    let answer = world.isolate.try_log_in(Some(URL), IP, &json!({ "remember_me": "yes" })).await.expect(422);
    let fields: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["username", "password", "remember_me"]);
    form(&world, &[("username", "ada")]).await.expect(400);
    let other = Request::post("/api/v1/auth/login").header(header::ORIGIN, URL).body("x".into()).unwrap();
    world.isolate.send(other).await.expect(415);
}

#[tokio::test]
async fn an_account_that_changes_while_it_signs_in_leaves_no_session() {
    let world = World::new();
    world.register("ada", None).await;
    world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    world.host.database.meddle(1, "UPDATE users SET is_active = 0");
    world.isolate.try_log_in(Some(URL), IP, &credentials(PASSWORD)).await.expect(401);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
    assert!(world.host.sessions.keys().is_empty(), "nor a copy of one");
}

#[tokio::test]
async fn the_session_that_the_browser_had_ends_whosever_it_was() {
    let world = World::new();
    for username in ["ada", "bob"] {
        world.register(username, None).await;
    }
    let before = world.isolate.log_in("bob").await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&before, "GET", "/demo/private/x", None).await.expect(200);
    let again = |cookie: String| {
        let request = Request::post("/api/v1/auth/login")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ORIGIN, URL)
            .header(header::COOKIE, cookie);
        world.isolate.send(request.body(credentials(PASSWORD).to_string().into()).unwrap())
    };
    // A wrong password ends nothing, nor does a cookie that is not ours.
    let other = Browser { cookie: format!("{}A", before.cookie), ..before.clone() };
    again(other.cookie).await.expect(200);
    world.isolate.browse_through(&before, "GET", "/demo/private/x", None).await.expect(200);
    let answer = again(before.cookie.clone()).await.expect(200);
    world.isolate.browse_through(&Browser::of(&answer), "GET", "/demo/private/x", None).await.expect(200);
    world.isolate.browse_through(&before, "GET", "/demo/private/x", None).await.expect(401);
    elsewhere.browse_through(&before, "GET", "/demo/strict/x", None).await.expect(401);
    assert_eq!(world.audited("session_ended"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE end_reason = 'renewed'"), 1);
}

#[tokio::test]
async fn a_development_server_on_plain_http_has_cookies_too() {
    let world = World::with(&[("ENVIRONMENT", "development"), ("PUBLIC_URL", "http://127.0.0.1:8787")]);
    world.register("ada", None).await;
    let answer = world.isolate.try_log_in(Some("http://127.0.0.1:8787"), IP, &credentials(PASSWORD)).await.expect(200);
    let lines: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().map(|l| l.to_str().unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(line.starts_with("edgewarden") && !line.contains("Secure") && line.contains("HttpOnly"), "{line}");
    }
    let cookie = lines.iter().find(|line| line.starts_with("edgewarden=")).unwrap().split(';').next().unwrap();
    let head = format!("POST\nhttp://localhost:8787/demo/private/x\ncookie\n{cookie}\norigin\n");
    world.isolate.proxy(&format!("{head}http://localhost:8787")).await.expect(200);
    world.isolate.proxy(&format!("{head}http://127.0.0.1:8787")).await.expect(200);
    world.isolate.proxy(&format!("{head}http://localhost:9999")).await.expect(403);
    world.isolate.proxy(&format!("{head}http://evil.example")).await.expect(403);
}
