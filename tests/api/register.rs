//! `POST users/register`.

use std::time::Duration;

use axum::body::Body;
use edgewarden::native::switchboard::Plan;
use http::{Request, header};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, World};

const PATH: &str = "/api/v1/users/register";

fn ada() -> Value {
    json!({ "username": "Ada", "email": "Ada@Example.org", "password": PASSWORD, "full_name": " Ada Lovelace " })
}

#[tokio::test]
async fn an_account_is_created_and_shown_without_its_hash() {
    let world = World::new();
    let answer = world.isolate.post(PATH, &ada()).await.expect(201);
    assert_eq!(answer.text("/username"), "ada");
    assert_eq!(answer.text("/email"), "Ada@example.org");
    assert_eq!(answer.text("/full_name"), "Ada Lovelace");
    assert_eq!(answer.body["roles"], json!(["user"]));
    assert_eq!(answer.body["last_login_at"], Value::Null);
    assert_eq!(answer.text("/created_at"), "2026-01-01T00:00:00.000Z");
    let names: Vec<_> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "created_at",
            "email",
            "email_verified",
            "full_name",
            "id",
            "is_active",
            "last_login_at",
            "mfa_enabled",
            "roles",
            "updated_at",
            "username"
        ]
    );
    assert_eq!(world.audited("register"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE password_hash LIKE '$argon2id$v=19$m=7168%'"), 1);
}

#[tokio::test]
async fn what_is_taken_is_named() {
    let world = World::new();
    world.isolate.post(PATH, &ada()).await.expect(201);
    for (body, fields) in [
        (json!({ "username": "ADA", "email": "other@example.org", "password": PASSWORD }), vec!["username"]),
        (json!({ "username": "other", "email": "ADA@EXAMPLE.ORG", "password": PASSWORD }), vec!["email"]),
        (ada(), vec!["username", "email"]),
    ] {
        let answer = world.isolate.post_from("192.0.2.9", PATH, &body).await.expect(409);
        let named: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
        assert_eq!(named, fields);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 1);
    assert_eq!(world.audited("register"), 1);
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let world = World::new();
    let body = json!({ "username": "a!", "email": "nowhere", "password": "short", "full_name": 7 });
    let answer = world.isolate.post(PATH, &body).await.expect(422);
    let named: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert_eq!(named, ["username", "email", "full_name", "password"]);
    let answer = world.isolate.post(PATH, &json!({})).await.expect(422);
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 3);
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 0);
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_by_kind() {
    let world = World::new();
    let send = async |kind: Option<&str>, body: String| {
        let mut request = Request::post(PATH);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        world.isolate.send(request.body(Body::from(body)).unwrap()).await.status
    };
    let good = ada().to_string();
    assert_eq!(send(None, good.clone()).await, 415);
    assert_eq!(send(Some("text/plain"), good.clone()).await, 415);
    assert_eq!(send(Some("application/json"), String::new()).await, 400);
    assert_eq!(send(Some("application/json"), "[]".into()).await, 400);
    assert_eq!(send(Some("application/json"), r#"{"username":"a","username":"b"}"#.into()).await, 400);
    assert_eq!(send(Some("application/json"), "\u{feff}{}".into()).await, 400);
    let huge = json!({ "username": "x".repeat(70_000) }).to_string();
    assert_eq!(send(Some("application/json"), huge).await, 413);
    assert_eq!(send(Some("Application/JSON; charset=utf-8"), good).await, 201);
}

#[tokio::test]
async fn another_method_is_told_which_are_allowed() {
    let world = World::new();
    let answer = world.isolate.get(PATH, None).await.expect(405);
    assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
    assert_eq!(answer.text("/title"), "Method Not Allowed");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_an_id_of_ours() {
    let world = World::new();
    for answer in [
        world.isolate.get("/health", None).await,
        world.isolate.get("/api/v1/nothing", None).await,
        world.isolate.post(PATH, &json!({})).await,
    ] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert_eq!(answer.header("x-request-id").unwrap().len(), 36);
    }
    let request = Request::get("/health").header("x-request-id", "mine").body(Body::empty()).unwrap();
    assert_ne!(world.isolate.send(request).await.header("x-request-id"), Some("mine"));
}

#[tokio::test]
async fn a_body_is_read_only_so_far_and_only_for_so_long() {
    let world = World::new();
    let send = async |body: Body| {
        let request = Request::post("/api/v1/users/register").header(header::CONTENT_TYPE, "application/json");
        world.isolate.send(request.body(body).unwrap()).await
    };
    let endless = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    send(Body::from_stream(endless)).await.expect(408);
    let broken = futures_util::stream::iter([Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))]);
    send(Body::from_stream(broken)).await.expect(400);
    // Not announced, and without end.
    let flood = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 10_000]));
    send(Body::from_stream(flood)).await.expect(413);
    send(Body::from(vec![b' '; 64 * 1024 + 1])).await.expect(413);
    send(Body::from(vec![b' '; 64 * 1024])).await.expect(400);
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 0);
}

#[tokio::test]
async fn three_an_hour_are_let_in_from_one_address_and_bad_ones_cost_nothing() {
    let world = World::new();
    let named = |name: &str| json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD });
    let post = async |ip: &str, name: &str| world.isolate.post_from(ip, PATH, &named(name)).await;
    for _ in 0..10 {
        let bad = post("192.0.2.1", "a!").await.expect(422);
        assert_eq!(bad.header("x-ratelimit-limit"), None);
    }
    for (name, left) in [("ada", "2"), ("bob", "1")] {
        let answer = post("192.0.2.1", name).await.expect(201);
        assert_eq!(
            (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
            (Some("3"), Some(left))
        );
    }
    // What tells of an account counts, too.
    let taken = post("192.0.2.1", "ada").await.expect(409);
    assert_eq!(taken.header("x-ratelimit-remaining"), Some("0"));
    let refused = post("192.0.2.1", "cyd").await.expect(429);
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-remaining")), (Some("3600"), Some("0")));
    post("192.0.2.2", "cyd").await.expect(201);
    world.host.clock.advance(Duration::from_hours(1));
    post("192.0.2.1", "dan").await.expect(201);
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 4);
}

#[tokio::test]
async fn nobody_registers_while_the_limiter_does_not_answer() {
    let world = World::new();
    world.host.switchboard.set(Plan::Without("limiter"));
    world.isolate.post(PATH, &ada()).await.expect(503);
    assert_eq!(world.host.switchboard.calls(), ["limiter"], "nothing was written, nothing hashed");
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 0);
}
