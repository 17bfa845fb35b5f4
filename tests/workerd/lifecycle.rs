//! What happens around the Worker: grants, restarts, a dead origin, a bad configuration.

use crate::{
    client::{Client, PASSWORD},
    server::Server,
};

pub fn a_role_is_granted_while_it_runs(server: &Server) {
    let user = server.user("promoted");
    server.get("/demo/admin/x", Some(&user.access)).expect(403);
    let (granted, said) = server.grant("promoted", "admin");
    assert!(granted, "{said}");
    // The old token knows nothing of it, and our endpoints want a new one; a refresh gives it.
    server.get("/api/v1/users/me", Some(&user.access)).expect(401);
    let renewed = server.refresh(&user.refresh).expect(200);
    server.get("/demo/admin/x", Some(renewed.str("/access_token"))).expect(200);
    let again = server.grant("promoted", "admin");
    assert!(again.0, "twice is once: {}", again.1);
    let told = "SELECT COUNT(*) FROM audit_events e JOIN users u ON u.id = e.subject
                WHERE u.username = 'promoted' AND event = 'role_changed' AND detail = '+admin'";
    assert_eq!(server.count(told), 1);
    for (username, role, why) in [
        ("nobody-here", "admin", "no user"),
        ("promoted", "emperor", "no role"),
        ("x' OR '1'='1", "admin", "usage"),
        ("promoted", "a'b", "name of a role"),
    ] {
        let (granted, said) = server.grant(username, role);
        assert!(!granted && said.contains(why), "{said}");
    }
    server.get("/demo/admin/x", Some(renewed.str("/access_token"))).expect(200);
}

pub fn users_and_tokens_outlive_a_restart(server: &Server) {
    let user = server.user("durable");
    let gone = server.user("gone-before");
    server.get("/demo/private/x", Some(&gone.access)).expect(200);
    server.logout(&gone.access).expect(200);
    let keys = server.get("/.well-known/jwks.json", None).expect(200).text;
    server.restart();
    server.get("/demo/private/x", Some(&user.access)).expect(200);
    assert_eq!(server.get("/.well-known/jwks.json", None).expect(200).text, keys);
    // So do revocations: the feed kept them.
    for path in ["/demo/private/x", "/demo/strict/x"] {
        server.get(path, Some(&gone.access)).expect(401);
    }
    server.try_sign_in(&server.address(), "durable", PASSWORD).expect(200);
    server.refresh(&user.refresh).expect(200);
}

/// The probe's schedule, as the local platform is told it.
const PROBE: &str = "/cdn-cgi/local/scheduled?cron=*/10+*+*+*+*";

pub fn the_probe_measures_a_revocation_and_health_tells_of_everything(server: &Server) {
    let canaries = "SELECT COUNT(*) FROM revocations WHERE kind = 'token' AND user_id IS NULL";
    let before = server.count(canaries);
    server.get(PROBE, None).expect(200);
    assert_eq!(server.count(canaries), before + 1);
    let measured = server.logged("\"kind\":\"probe\"").expect("a measurement");
    let after: i64 =
        measured.split("\"refused_after_ms\":").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    // A view is asked for again when it is five seconds old; that it takes no longer than the bound is what it is about.
    assert!((0..10_000).contains(&after), "{measured}");
    let health = server.get("/health?deep=1", None).expect(200);
    for store in ["database", "kv", "feed", "limiter"] {
        assert_eq!(health.body["stores"][store]["ok"], true, "{health:?}");
    }
    assert!(health.body["feed"]["pulled_ago_ms"].as_i64().is_some_and(|ago| ago < 60_000), "{health:?}");
    assert_eq!(health.body["status"], "ok");
}

pub fn a_dead_origin_is_a_502(server: &Server) {
    let user = server.user("stranded");
    server.get("/demo/private/x", Some(&user.access)).expect(200);
    server.kill_origin();
    for _ in 0..3 {
        let answer = server.get("/demo/private/x", Some(&user.access)).expect(502);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(Some(answer.str("/request_id")), answer.header("x-request-id"));
    }
    server.send("POST", "/demo/public/x", &[], "body").expect(502);
    server.get("/api/v1/users/me", Some(&user.access)).expect(200);
    server.restart();
    server.get("/demo/private/x", Some(&user.access)).expect(200);
}

pub fn a_bad_configuration_stops_it_with_one_sentence(server: &Server) {
    for (name, value, sentence) in [
        ("ACCESS_TTL", "soon", "ACCESS_TTL must be a whole number and a unit"),
        ("TOKEN_MAC_KEY", "k1:short", "TOKEN_MAC_KEY has a value under 32 bytes: make one with"),
    ] {
        let log = server.try_beside(&[(name, value)]).err().expect("it must not start");
        assert!(log.contains(sentence), "{log}");
    }
}
