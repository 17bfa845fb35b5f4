//! What an attacker sends.

use std::net::TcpListener;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

use crate::{
    client::Client,
    common::forge::{Forge, claims_of, with},
    server::{Server, master_secret},
};

/// Runs a future that never waits: the forge signs natively.
fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Every path on which a token is looked at.
const PATHS: [&str; 4] = ["/demo/private/x", "/demo/optional/x", "/demo/strict/x", "/api/v1/users/me"];

fn refused(server: &Server, token: &str) {
    for path in PATHS {
        let refused = server.get(path, Some(token)).expect(401);
        assert_eq!(refused.body["error"], "invalid_token", "{path}: {}", token.get(..200).unwrap_or(token));
    }
}

pub fn forged_tokens_are_refused(server: &Server) {
    let user = server.user("forged");
    let (own, claims) = (server.forge(), claims_of(&user.access));
    let sign = |header: &Value, claims: &Value| now(own.sign(header, claims));
    server.get("/demo/private/x", Some(&sign(&own.header(), &claims))).expect(200);
    let listener = Listener::start();
    let own_jwk: Value = serde_json::from_str(&own.key.public.as_ref().unwrap().canonical()).unwrap();
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("NONE")),
        ("alg", json!("nOnE")),
        ("alg", json!("HS256")),
        ("alg", json!("Ed25519")),
        ("alg", json!(["EdDSA"])),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("assertion+jwt")),
        ("typ", json!("application/at+jwt")),
        ("typ", Value::Null),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("' OR 1=1; DROP TABLE token_keys --")),
        ("kid", json!(7)),
        ("kid", json!([own.kid().as_str()])),
        ("kid", json!({ "kid": own.kid().as_str() })),
        ("kid", Value::Null),
        ("kid", json!("k".repeat(129))),
        ("kid", json!("k".repeat(43))),
        ("jwk", own_jwk),
        ("jku", json!(format!("{}/jku", listener.url))),
        ("x5u", json!(format!("{}/x5u", listener.url))),
        ("x5c", json!(["AAAA"])),
        ("x5t", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("nested", json!({ "a": { "b": { "c": [[[[1]]]] } } })),
    ] {
        refused(server, &sign(&with(&own.header(), name, value), &claims));
    }
    assert_eq!(listener.connections(), 0, "no header causes a fetch");
    let iat = claims["iat"].as_i64().unwrap();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("exp", json!(iat - 60)),
        ("exp", json!("9999999999")),
        ("exp", json!(9_999_999_999.5)),
        ("exp", json!(-1)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(1e300)),
        ("exp", Value::Null),
        ("nbf", json!(iat + 600)),
        ("iat", json!(iat + 600)),
        ("sid", json!("x")),
        ("jti", json!("x")),
        ("sub", json!(["x"])),
    ] {
        refused(server, &sign(&own.header(), &with(&claims, name, value)));
    }
    // An ID token of ours would look like this (OpenID Connect Core, section 2).
    let id_token = json!({ "iss": claims["iss"], "sub": claims["sub"], "aud": claims["aud"], "exp": claims["exp"], "iat": iat, "nonce": "n" });
    refused(server, &sign(&with(&own.header(), "typ", json!("JWT")), &id_token));
    refused(server, &sign(&own.header(), &id_token));
    let other = now(Forge::new(master_secret()));
    refused(server, &now(other.sign(&other.header(), &claims)));
    refused(server, &now(other.sign(&own.header(), &claims)));
}

pub fn misshapen_tokens_are_refused(server: &Server) {
    let user = server.user("misshapen");
    let (own, claims) = (server.forge(), claims_of(&user.access));
    let text = |header: &str, claims: &str| now(own.sign_text(header, claims));
    let (header, body) = (own.header().to_string(), claims.to_string());
    let parts: Vec<&str> = user.access.split('.').collect();
    let [first, second, third] = parts.as_slice() else { panic!("{parts:?}") };
    // The last character of 64 bytes in base64url has four bits to spare.
    let stray = format!("{}{}", &third[..third.len() - 1], if third.ends_with('A') { 'B' } else { 'R' });
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        user.refresh.clone(),
        format!("{first}.{second}"),
        format!("{first}.{second}."),
        format!("{first}.{second}.{third}.{third}"),
        format!("{first}.{second}.{third}.{third}.{third}"),
        format!("{first}=.{second}.{third}"),
        format!("{first}.{second}=.{third}"),
        format!("{first}.{second}.{third}=="),
        format!("{first}.{second} .{third}"),
        format!("{first}.{second}.\t{third}"),
        format!("{first}.{second}.{stray}"),
        format!("{first}.{second}.{}", third.replace(['-', '_'], "+")) + "/",
        // Members that come twice, at any depth; what is no object; what nests without end.
        text(&header.replacen('{', r#"{"typ":"at+jwt","#, 1), &body),
        text(&header.replacen('{', r#"{"alg":"none","#, 1), &body),
        text(&header, &body.replacen('{', r#"{"sub":"root","#, 1)),
        text(&header, &body.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1)),
        text(&format!("[{header}]"), &body),
        text(r#"["EdDSA","at+jwt","x"]"#, &body),
        text(&format!("{}{}", "{\"a\":".repeat(1000), "}".repeat(1000)), &body),
        text(&header.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(900), "]".repeat(900)), 1), &body),
        text(&header, &format!("[{body}]")),
        text(&header, "7"),
        text(&header, ""),
        text("", &body),
        text(&header, &body.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(2000), "]".repeat(2000)), 1)),
        text(&header, &body.replace("pwd", "\u{0}")),
        "x".repeat(7000),
        "x".repeat(9000),
    ] {
        refused(server, &token);
    }
    // A signature of any other length is a wrong one, not a fault of ours.
    for bytes in [0, 1, 31, 32, 48, 63, 65, 96, 128, 256, 512] {
        let signature = Base64UrlUnpadded::encode_string(&vec![7; bytes]);
        refused(server, &format!("{first}.{second}.{signature}"));
    }
    // What is larger than servers take is refused by one or the other, and nothing falls over.
    let host = server.url.strip_prefix("http://").unwrap();
    let large = with(&own.header(), "kid", json!("k".repeat(64 * 1024)));
    for token in
        [now(own.sign(&large, &claims)), "x".repeat(1 << 20), format!("{first}.{}.{third}", "e".repeat(1 << 20))]
    {
        let request = format!(
            "GET /demo/private/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let (status, text) = server.raw(request.as_bytes());
        assert!(matches!(status, 400 | 401 | 413 | 431), "{status}: {}", text.get(..200).unwrap_or(&text));
    }
    server.get("/demo/private/x", Some(&user.access)).expect(200);
}

/// Something that a token's header could make a careless verifier fetch from.
struct Listener {
    url: String,
    socket: TcpListener,
}

impl Listener {
    fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { url: format!("http://{}", socket.local_addr().unwrap()), socket }
    }

    /// How many connections wait. Each answer came before, so whatever it caused has begun.
    fn connections(&self) -> usize {
        std::iter::from_fn(|| self.socket.accept().ok()).count()
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
        ("/api/v1/auth/token", json, "{}", 422),
        ("/api/v1/auth/token", ("content-type", "text/plain"), "username=ada", 415),
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
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
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

pub fn a_body_that_never_ends_is_a_408(server: &Server) {
    let host = server.url.strip_prefix("http://").unwrap();
    for (path, kind) in [("users/register", "application/json"), ("auth/token", "application/x-www-form-urlencoded")] {
        let request = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: 50\r\n\r\n{{\"user"
        );
        let (status, text) = server.raw_until(request.as_bytes(), b"request_id");
        assert_eq!(status, 408, "{text}");
    }
}

pub fn a_refusal_does_not_wait_for_a_body(server: &Server) {
    let host = server.url.strip_prefix("http://").unwrap();
    for (line, wanted) in [
        ("POST /nowhere", 404),
        ("POST /demo/private/x", 401),
        ("GET /demo/public/x", 400),
        ("PUT /demo/public//x", 400),
        ("POST /api/v1/users/me", 405),
        ("PUT /api/v1/users/me", 401),
    ] {
        let request =
            format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 50\r\n\r\n{{\"user");
        let (status, text) = server.raw_until(request.as_bytes(), b"request_id");
        assert_eq!(status, wanted, "{line}: {text}");
    }
}

pub fn a_body_that_is_too_large_is_always_answered(server: &Server) {
    let huge = "x".repeat(900_000);
    for _ in 0..20 {
        server
            .send("POST", "/api/v1/users/register", &[("content-type", "application/json")], huge.as_str())
            .expect(413);
    }
}
