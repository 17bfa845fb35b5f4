//! What an origin gets to see.

use crate::{client::Client, server::Server};

pub fn the_origin_sees_the_caller_and_nothing_forged(server: &Server) {
    let user = server.user("proxied");
    let bearer = format!("Bearer {}", user.access);
    let forged = [
        ("X-Auth-Subject", "root"),
        ("x_auth_subject", "root"),
        ("X.Auth.Roles", "root"),
        ("X-Forwarded-User", "root"),
        ("Remote_User", "root"),
        ("X-Request-Id", "root"),
        ("Cookie", "a=1; __Host-edgewarden=root; b=2"),
        ("X-Harmless", "stays"),
        ("authorization", bearer.as_str()),
    ];
    for path in ["/demo/public/a%20b", "/demo/optional/a%20b", "/demo/private/a%20b"] {
        let echo = server.send("GET", &format!("{path}?q=%2F&q2=x"), &forged, "").expect(200);
        assert!(!echo.text.contains("root"), "{}", echo.text);
        let headers = echo.body["headers"].as_object().unwrap();
        assert_eq!(echo.str("/path"), path);
        assert_eq!(echo.str("/query/q"), "/");
        assert!(!headers.contains_key("authorization") && !headers.contains_key("x-api-key"));
        assert_eq!(headers["cookie"], "a=1; b=2");
        assert_eq!(headers["x-harmless"], "stays");
        assert_eq!(Some(headers["x-request-id"].as_str().unwrap()), echo.header("x-request-id"));
        if path.contains("public") {
            assert!(headers.keys().all(|name| !name.starts_with("x-auth-")));
        } else {
            assert_eq!(headers["x-auth-subject"], user.id.as_str());
            assert_eq!(headers["x-auth-roles"], "user");
            assert_eq!(headers["x-auth-method"], "bearer");
        }
    }
}

pub fn a_browser_without_a_session_is_led_to_where_it_signs_in(server: &Server) {
    let html = ("accept", "text/html,*/*;q=0.8");
    let led = server.send("GET", "/demo/session/x?q=1", &[html, ("sec-fetch-mode", "navigate")], "").expect(302);
    assert_eq!(led.header("location"), Some("/login?return_to=%2Fdemo%2Fsession%2Fx%3Fq%3D1"));
    server.send("GET", "/demo/session/x?q=1", &[html, ("sec-fetch-mode", "cors")], "").expect(401);
    server.send("GET", "/demo/session/x?q=1", &[], "").expect(401);
}

pub fn bodies_and_answers_stream_through(server: &Server) {
    let body = "x".repeat(60_000);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let echo = server.send(method, "/demo/public/x", &[("content-type", "text/plain")], body.clone()).expect(200);
        assert_eq!((echo.str("/method"), echo.str("/body").len()), (method, 60_000));
        assert_eq!(echo.str("/headers/content-length"), "60000", "a known length stays known");
    }
    let large = vec![b'x'; 8 << 20];
    let echo = server.send("POST", "/demo/public/x", &[], large).expect(200);
    assert_eq!(echo.str("/body"), format!("{} bytes", 8 << 20));
    let head = server.send("HEAD", "/demo/public/x", &[], "").expect(200);
    assert!(head.text.is_empty());
}

pub fn limits_are_shown_and_kept(server: &Server) {
    let user = server.user("counted");
    for left in (0..10).rev() {
        let answer = server.get("/demo/limited/x", Some(&user.access)).expect(200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("10"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let refused = server.get("/demo/limited/x", Some(&user.access)).expect(429);
    assert!(refused.header("retry-after").is_some());
    let other = server.user("uncounted");
    server.get("/demo/limited/x", Some(&other.access)).expect(200);
}

pub fn paths_are_taken_one_way(server: &Server) {
    let raw = |path: &str| {
        let host = server.url.strip_prefix("http://").unwrap();
        server.raw(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).0
    };
    assert_eq!(raw("/demo/public/x"), 200);
    assert_eq!(raw("/demo/%70ublic/x"), 200);
    assert_eq!(raw("/demo/%61dmin/x"), 401, "an encoded letter is that letter");
    for path in [
        "/demo/public/..%2fadmin/x",
        "/demo/public//x",
        "/demo/public/a%5cb",
        "/demo/public/%00",
        "/demo/public/%252e",
        "/demo/public;x=y/z",
        "/demo/public/%ff",
        "/demo/public/%zz",
    ] {
        assert_eq!(raw(path), 400, "{path}");
    }
    for path in ["/", "/demo", "/demo/public/", "/demo/nothing/x", "/DEMO/public/x"] {
        assert_eq!(raw(path), 404, "{path}");
    }
}
