//! What an attacker sends.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::json;

use crate::{
    client::Client,
    common::forge::{Forge, claims_of, with},
    server::{Server, master_secret},
};

/// Runs a future that never waits: the forge signs natively.
fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub fn forged_tokens_are_refused(server: &Server) {
    let user = server.user("forged");
    let (own, claims) = (server.forge(), claims_of(&user.access));
    let sign = |header: &serde_json::Value, claims: &serde_json::Value| now(own.sign(header, claims));
    server.get("/demo/private/x", Some(&sign(&own.header(), &claims))).expect(200);
    let iat = claims["iat"].as_i64().unwrap();
    let mut tokens = vec![user.refresh.clone(), "a.b.c".into(), "x".repeat(7000)];
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("typ", json!("JWT")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!(7)),
        ("jku", json!(format!("{}/.well-known/jwks.json", server.url))),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        tokens.push(sign(&with(&own.header(), name, value), &claims));
    }
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("exp", json!(iat - 60)),
        ("exp", json!("9999999999")),
        ("nbf", json!(iat + 600)),
        ("sid", json!("x")),
    ] {
        tokens.push(sign(&own.header(), &with(&claims, name, value)));
    }
    let other = now(Forge::new(master_secret()));
    tokens.push(now(other.sign(&other.header(), &claims)));
    tokens.push(now(other.sign(&own.header(), &claims)));
    // A signature of any other length is a wrong one, not a fault of ours.
    let (input, _) = user.access.rsplit_once('.').unwrap();
    for bytes in [0, 1, 31, 63, 65, 128] {
        tokens.push(format!("{input}.{}", Base64UrlUnpadded::encode_string(&vec![7; bytes])));
    }
    for token in &tokens {
        for path in ["/demo/private/x", "/demo/optional/x", "/demo/strict/x", "/api/v1/users/me"] {
            let refused = server.get(path, Some(token)).expect(401);
            assert_eq!(refused.body["error"], "invalid_token", "{path}: {token}");
        }
    }
}

pub fn broken_requests_get_an_answer(server: &Server) {
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let huge = "x".repeat(200_000);
    for (path, kind, body, status) in [
        ("/api/v1/users/register", json, "", 400),
        ("/api/v1/users/register", json, "{", 400),
        ("/api/v1/users/register", json, "[1]", 400),
        ("/api/v1/users/register", json, "\"\u{0}\"", 400),
        ("/api/v1/users/register", form, "username=ada", 415),
        ("/api/v1/users/register", json, huge.as_str(), 413),
        ("/api/v1/auth/token", json, "{}", 415),
        ("/api/v1/auth/token", form, "username=ada", 400),
        ("/api/v1/auth/token", form, "grant_type=implicit", 400),
        ("/api/v1/auth/token", form, huge.as_str(), 413),
        ("/api/v1/auth/refresh", json, "{\"refresh_token\":7}", 422),
        ("/api/v1/auth/refresh", json, "{\"refresh_token\":\"ewr_k1_AAAA\"}", 401),
        ("/api/v1/auth/logout", json, "{\"refresh_token\":\"x\"}", 401),
    ] {
        let answer = server.send("POST", path, &[kind, ("cf-connecting-ip", &server.address())], body);
        assert_eq!(answer.status, status, "{path} {}: {answer:?}", body.get(..40).unwrap_or(body));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.str("/request_id").len(), 36);
    }
    for path in ["/health", "/demo/public/x", "/api/v1/users/me"] {
        let host = server.url.strip_prefix("http://").unwrap();
        for byte in ["\u{1}", "\u{b}", "\u{1b}", "\u{7f}"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx: a{byte}b\r\n\r\n");
            let (status, text) = server.raw(request.as_bytes());
            assert_eq!(status, 400, "{text}");
        }
    }
    let answer = server.send("GET", "/demo/public/x", &[], "body");
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")));
    let deep = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    server.send("POST", "/api/v1/users/register", &[json], deep.get(..60_000).unwrap()).expect(400);
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let answer = server.send(method, "/api/v1/auth/token", &[], "").expect(405);
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    // Two lengths at once, and a header that never ends: an answer or a closed connection, no hang.
    let host = server.url.strip_prefix("http://").unwrap();
    for request in [
        format!(
            "POST /api/v1/auth/refresh HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!(
            "GET /demo/private/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
            "a.".repeat(100_000)
        ),
        "GET /demo/public/x HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let (status, text) = server.raw(request.as_bytes());
        assert!(status < 500, "{status}: {text}");
    }
    server.get("/health", None).expect(200);
}
