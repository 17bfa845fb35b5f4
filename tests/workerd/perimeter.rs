//! What only HTTP can show of the perimeter: the `Host` that was sent, plain http, and answers that pass through.

use crate::{client::Client, server::Server};

/// A request as it is, by method, path, `Host` and further lines; the answer with its head in lower case.
fn raw(client: &impl Client, method: &str, path: &str, host: &str, lines: &str) -> (u16, String) {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}connection: close\r\n\r\n");
    let (status, text) = client.raw(head.as_bytes());
    (status, text.to_lowercase())
}

#[track_caller]
fn assert_sealed(text: &str) {
    for line in [
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: strict-origin-when-cross-origin",
        "permissions-policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "cache-control: no-store",
        "x-request-id: ",
    ] {
        assert!(text.contains(&format!("\r\n{line}")), "{line}: {text}");
    }
    // Neither a developer's machine nor plain http says so.
    assert!(!text.contains("strict-transport-security"), "{text}");
}

pub fn no_other_host_is_answered_for(server: &Server) {
    let own = server.url.strip_prefix("http://").unwrap();
    for path in ["/health", "/api/v1/users/me", "/.well-known/jwks.json", "/demo/public/x", "/nothing"] {
        for host in ["evil.example", "auth.evil.example:8787", "127.0.0.1.evil.example", "192.0.2.1"] {
            let (status, text) = raw(server, "GET", path, host, &format!("x-forwarded-host: {own}\r\n"));
            assert_eq!(status, 421, "{host}{path}: {text}");
            assert!(text.contains("application/problem+json") && !text.contains(host), "{text}");
            assert_sealed(&text);
        }
    }
    for host in [own, "localhost", "127.0.0.1:1", "[::1]:9"] {
        assert_eq!(raw(server, "GET", "/health", host, "").0, 200, "{host}");
        assert_eq!(raw(server, "GET", "/demo/public/x", host, "").0, 200, "{host}");
    }
}

pub fn preflights_are_answered_for_what_there_is(server: &Server) {
    let ask = |path: &str, origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "GET")];
        server.send("OPTIONS", path, &headers, "")
    };
    let own = ask("/api/v1/users/me", &server.url).expect(204);
    assert_eq!(own.header("access-control-allow-origin"), Some(server.url.as_str()));
    assert_eq!(own.header("access-control-allow-credentials"), Some("true"));
    let set = ask("/.well-known/jwks.json", "https://app.example").expect(204);
    assert_eq!(
        (set.header("access-control-allow-origin"), set.header("access-control-allow-credentials")),
        (Some("*"), None)
    );
    let refused = ask("/api/v1/users/me", "https://app.example").expect(403);
    assert_eq!(refused.header("access-control-allow-origin"), None);
    ask("/api/v1/nothing", &server.url).expect(404);
    let plain = server.send("OPTIONS", "/api/v1/users/me", &[], "").expect(204);
    assert_eq!(plain.header("allow"), Some("GET, HEAD, PUT, DELETE, OPTIONS"));
    let (status, text) = raw(server, "OPTIONS", "/health", server.url.strip_prefix("http://").unwrap(), "");
    assert_eq!(status, 204);
    assert_sealed(&text);
}

pub fn an_origins_answer_gets_what_it_left_out(server: &Server) {
    let answer = server.get("/demo/public/x", None).expect(200);
    for (name, value) in [
        ("x-content-type-options", Some("nosniff")),
        ("x-frame-options", Some("DENY")),
        ("referrer-policy", Some("strict-origin-when-cross-origin")),
        ("permissions-policy", Some("camera=(), microphone=(), geolocation=(), payment=(), usb=()")),
        ("content-security-policy", None),
        ("strict-transport-security", None),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

pub fn the_sixty_first_request_in_a_minute_is_refused(server: &Server) {
    let narrow = server.try_beside(&[("API_LIMIT", "60")]).unwrap_or_else(|log| panic!("no start:\n{log}"));
    let user = narrow.user("sixty");
    for left in (0..60).rev() {
        let answer = narrow.get("/api/v1/users/me", Some(&user.access)).expect(200);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let refused = narrow.get("/api/v1/users/me", Some(&user.access)).expect(429);
    assert!(refused.header("retry-after").is_some());
    narrow.get("/health", None).expect(200);
    narrow.refresh(&user.refresh).expect(200);
    narrow.logout(&user.access).expect(200);
    // Whoever has no token counts by address, which has its own.
    narrow.get("/api/v1/users/me", None).expect(401);
}

/// Whether an answer leads to a host and path. The scheme may not be the one that the Worker said: `wrangler dev` writes
/// what it was asked with into every header that names the host. That it is https is tested natively.
fn leads_to(text: &str, place: &str) -> bool {
    let line = text.lines().find_map(|line| line.strip_prefix("location: "));
    line.and_then(|url| url.split_once("://")).is_some_and(|(_, rest)| rest == place)
}

pub fn production_answers_on_its_own_host_and_leads_to_https(server: &Server) {
    const OWN: &str = "auth.example.com";
    let vars = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://auth.example.com"),
        ("ALLOWED_HOSTS", "*.apps.example.com"),
    ];
    let production = server.try_beside(&vars).unwrap_or_else(|log| panic!("no start:\n{log}"));
    for path in ["/health?q=%2f", "/api/v1/auth/login", "/dev/outbox", "/demo/public/a%20b?x=1&y=", "/nothing"] {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let forged = "x-forwarded-proto: https\r\ncf-visitor: {\"scheme\":\"https\"}\r\ncontent-length: 0\r\n";
            let (status, text) = raw(&production, method, path, OWN, forged);
            assert_eq!(status, 308, "{method} {path}: {text}");
            assert!(leads_to(&text, &format!("{OWN}{path}")), "{text}");
            assert_sealed(&text);
        }
        let (status, text) = raw(&production, "GET", path, "a.apps.example.com", "");
        assert!(status == 308 && leads_to(&text, &format!("a.apps.example.com{path}")), "{text}");
        let local = production.url.strip_prefix("http://").unwrap();
        for host in [local, "localhost", "evil.example", "apps.example.com", "auth.example.com:8443"] {
            let (status, text) = raw(&production, "GET", path, host, "");
            assert_eq!(status, 421, "{host}{path}: {text}");
            assert!(!text.contains("\r\nlocation:"), "{text}");
            assert_sealed(&text);
        }
    }
}
