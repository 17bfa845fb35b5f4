//! What reaches an origin, and as whom.

use std::time::Duration;

use crate::harness::{PASSWORD, URL, World};

#[tokio::test]
async fn the_origin_is_told_who_calls_and_gets_no_credentials() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let head = format!(
        "POST\n{URL}/demo/private/a%20b?x=1&y=%2F\nauthorization\nBearer {}\ncf-connecting-ip\n192.0.2.1\naccept\n*/*",
        ada.access
    );
    let proxied = world.isolate.proxy(&head).await.expect(200);
    let rewrite = proxied.rewrite.as_ref().unwrap();
    assert_eq!(rewrite.url, "http://origin.internal:9/demo/private/a%20b?x=1&y=%2F");
    assert_eq!((rewrite.timeout_ms, rewrite.remove.as_slice()), (30_000, ["authorization".to_owned()].as_slice()));
    assert_eq!(proxied.sets("x-auth-subject"), Some(ada.id.as_str()));
    assert_eq!(proxied.sets("x-auth-issuer"), Some(URL));
    assert_eq!(proxied.sets("x-auth-username"), Some("ada"));
    assert_eq!(proxied.sets("x-auth-roles"), Some("user"));
    assert_eq!(proxied.sets("x-auth-session"), Some(ada.session.as_str()));
    assert_eq!(proxied.sets("x-auth-method"), Some("bearer"));
    assert!(proxied.sets("x-auth-scopes").unwrap().contains("profile:read"));
    assert_eq!(proxied.sets("x-auth-email"), None, "only a proven address is told");
    assert_eq!(proxied.sets("x-forwarded-for"), Some("192.0.2.1"));
    assert_eq!(proxied.sets("x-forwarded-proto"), Some("https"));
    assert_eq!(proxied.sets("x-forwarded-host"), Some("auth.example.com"));
    assert_eq!(proxied.sets("x-request-id"), Some(rewrite.request_id.as_str()));
}

#[tokio::test]
async fn a_proven_address_is_told() {
    let world = World::new();
    world.register("ada", None).await;
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    let ada = world.isolate.sign_in("ada").await;
    let proxied = world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    assert_eq!(proxied.sets("x-auth-email"), Some("ada@example.org"));
}

#[tokio::test]
async fn forged_names_are_removed_on_every_route_in_every_spelling() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let forged = ["x-auth-subject", "x_auth_subject", "x.auth.roles", "x-request-id", "remote_user", "x-forwarded-for"];
    for path in ["public", "optional", "private"] {
        let lines = forged.map(|name| format!("\n{name}\nadmin")).concat();
        let head = format!("GET\n{URL}/demo/{path}/x\nauthorization\nBearer {}{lines}", ada.access);
        let proxied = world.isolate.proxy(&head).await.expect(200);
        let rewrite = proxied.rewrite.as_ref().unwrap();
        for name in forged {
            assert!(rewrite.remove.iter().any(|removed| removed == name), "{path}: {name}");
        }
        assert!(rewrite.set.iter().all(|(_, value)| value != "admin"));
        assert_eq!(proxied.sets("x-auth-subject").is_some(), path != "public", "{path}");
    }
}

#[tokio::test]
async fn without_credentials_only_open_routes_pass() {
    let world = World::new();
    world.isolate.proxy_get("/demo/public/x", None).await.expect(200);
    world.isolate.proxy_get("/demo/optional/x", None).await.expect(200);
    let refused = world.isolate.proxy_get("/demo/private/x", None).await.expect(401);
    let challenge =
        refused.headers.iter().find(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str());
    assert_eq!(challenge, Some("Bearer realm=\"edgewarden\""));
    assert!(refused.body["request_id"].is_string());
    world.isolate.proxy_get("/demo/optional/x", Some("bad")).await.expect(401);
    world.isolate.proxy_get("/demo/public/x", Some("bad")).await.expect(200);
}

#[tokio::test]
async fn what_no_route_takes_reaches_no_origin() {
    let world = World::new();
    for path in
        ["", "/", "/demo", "/demo/public", "/demo/public/", "/DEMO/public/x", "/api", "/api/v1x/users/me", "/jwks.json"]
    {
        world.isolate.proxy_get(path, None).await.expect(404);
    }
    for path in ["/demo//public/x", "/demo/%2e%2e/x", "/demo/public/a%2fb", "/demo/public/a;b", "/demo/public/%00"] {
        world.isolate.proxy_get(path, None).await.expect(400);
    }
    // An encoded letter is that letter, to the policy and to the origin alike.
    let proxied = world.isolate.proxy_get("/demo/%70ublic/x", None).await.expect(200);
    assert_eq!(proxied.rewrite.unwrap().url, "http://origin.internal:9/demo/public/x");
    world.isolate.proxy_get("/demo/%61dmin/x", None).await.expect(401);
}

#[tokio::test]
async fn our_endpoints_answer_on_the_auth_host_only() {
    let world = World::with(&[("ALLOWED_HOSTS", "app.example.com")]);
    let head = "GET\nhttps://app.example.com/api/v1/users/me";
    world.isolate.proxy(head).await.expect(404);
    world.isolate.proxy("GET\nhttps://app.example.com/health").await.expect(404);
    // Their paths are theirs in any spelling: none of them is ever a route's.
    assert!(world.isolate.is_own(&format!("GET\n{URL}/%61pi/v1/users/me")));
    assert!(!world.isolate.is_own(&format!("GET\n{URL}/api/v1x")));
}

#[tokio::test]
async fn owners_and_admins_pass() {
    let world = World::new();
    let (ada, bob, root) = (
        world.user("ada", None).await,
        world.user("bob", Some("moderator")).await,
        world.user("root", Some("admin")).await,
    );
    let path = format!("/demo/owner/{}/x", ada.id);
    world.isolate.proxy_get(&path, Some(&ada.access)).await.expect(200);
    world.isolate.proxy_get(&path, Some(&root.access)).await.expect(200);
    let refused = world.isolate.proxy_get(&path, Some(&bob.access)).await.expect(403);
    assert_eq!(refused.body["detail"], "not the owner");
    world.isolate.proxy_get(&path, None).await.expect(401);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let refused = world.isolate.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(403);
    assert_eq!(refused.body["detail"], "missing role: admin");
    assert_eq!(refused.body["error"], "insufficient_scope");
    let line = world.host.log.lines().pop().unwrap();
    assert!(line.contains("demo.admin") && line.contains("missing role: admin"), "{line}");
}

#[tokio::test]
async fn no_password_and_no_token_is_ever_in_the_log_or_the_database() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.try_sign_in("192.0.2.1", "ada", "Wrong-Horse-7").await.expect(401);
    let next = world.isolate.refresh(&ada.refresh).await.expect(200);
    let last = world.isolate.refresh(next.text("/refresh_token")).await.expect(200);
    world.isolate.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(403);
    world.isolate.proxy_get("/demo/private/x", Some(&format!("{}x", ada.access))).await.expect(401);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    world.isolate.logout(last.text("/access_token")).await.expect(200);
    let mut everything = world.host.log.lines();
    assert!(everything.len() >= 8, "{everything:?}");
    for table in [
        "SELECT * FROM users",
        "SELECT * FROM sessions",
        "SELECT * FROM refresh_tokens",
        "SELECT * FROM audit_events",
        "SELECT * FROM sign_in_attempts",
        "SELECT * FROM revocations",
        "SELECT * FROM signing_keys",
    ] {
        everything.push(serde_json::json!(world.host.database.look(table, &[]).unwrap().0).to_string());
    }
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for secret in [
        PASSWORD.to_owned(),
        "Wrong-Horse-7".to_owned(),
        signature(&ada.access),
        signature(last.text("/access_token")),
        ada.refresh.clone(),
        next.text("/refresh_token").to_owned(),
        last.text("/refresh_token").to_owned(),
    ] {
        assert!(everything.iter().all(|text| !text.contains(&secret)), "{secret}");
    }
}

#[tokio::test]
async fn a_header_with_a_control_character_is_refused_whoever_it_is_for() {
    let world = World::new();
    for path in ["/demo/public/x", "/health"] {
        world.isolate.proxy(&format!("GET\n{URL}{path}\nx\na\u{1}b")).await.expect(400);
    }
}

#[tokio::test]
async fn a_get_with_a_body_is_refused_here_not_blamed_on_the_origin() {
    let world = World::new();
    for (method, length, status) in [("GET", "4", 400), ("HEAD", "4", 400), ("GET", "0", 200), ("DELETE", "4", 200)] {
        let head = format!("{method}\n{URL}/demo/public/x\ncontent-length\n{length}");
        world.isolate.proxy(&head).await.expect(status);
    }
}

#[tokio::test]
async fn a_scheme_without_a_token_is_a_bad_token() {
    let world = World::new();
    for value in ["Bearer", "bearer ", "Bearer\tx", "BEARER  x"] {
        let head = format!("GET\n{URL}/demo/optional/x\nauthorization\n{value}");
        world.isolate.proxy(&head).await.expect(401);
    }
    let head = format!("GET\n{URL}/demo/optional/x\nauthorization\nBearerx y");
    world.isolate.proxy(&head).await.expect(200);
}

#[tokio::test]
async fn a_limited_route_counts_each_subject_by_itself() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    for left in (0..10).rev() {
        let proxied = world.isolate.proxy_get("/demo/limited/x", Some(&ada.access)).await.expect(200);
        let answer = proxied.rewrite.unwrap().answer;
        let remaining = answer.iter().find(|(name, _)| name == "x-ratelimit-remaining").map(|(_, value)| value.clone());
        assert_eq!(remaining, Some(left.to_string()));
    }
    let refused = world.isolate.proxy_get("/demo/limited/x", Some(&ada.access)).await.expect(429);
    assert!(refused.headers.contains(&("retry-after".to_owned(), "60".to_owned())));
    world.isolate.proxy_get("/demo/limited/x", Some(&bob.access)).await.expect(200);
    world.host.clock.advance(Duration::from_mins(1));
    world.isolate.proxy_get("/demo/limited/x", Some(&ada.access)).await.expect(200);
}

#[tokio::test]
async fn routes_that_share_a_counter_count_together_each_with_its_weight() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let get = async |path: &str| world.isolate.proxy_get(path, Some(&ada.access)).await;
    for _ in 0..2 {
        get("/demo/costly/x").await.expect(200);
    }
    // Its own limit refuses now, and charges nothing to what it shares, where 10 of 20 are left.
    for _ in 0..10 {
        get("/demo/costly/x").await.expect(429);
    }
    world.host.limiter.restart();
    for _ in 0..10 {
        get("/demo/cheap/x").await.expect(200);
    }
    let refused = get("/demo/cheap/x").await.expect(429);
    assert!(refused.headers.contains(&("retry-after".to_owned(), "3600".to_owned())));
    world.isolate.proxy_get("/demo/costly/x", Some(&bob.access)).await.expect(200);
    world.host.clock.advance(Duration::from_hours(1));
    let ada = world.isolate.sign_in("ada").await;
    world.isolate.proxy_get("/demo/costly/x", Some(&ada.access)).await.expect(200);
}

#[tokio::test]
async fn a_limit_by_address_counts_a_customer_whatever_is_presented() {
    let world = World::new();
    let get = async |ip: &str| world.isolate.proxy(&format!("GET\n{URL}/demo/busy/x\ncf-connecting-ip\n{ip}")).await;
    for number in 0..50 {
        get(&format!("2001:db8:1:2::{number:x}")).await.expect(200);
    }
    get("2001:db8:1:2:ffff::").await.expect(429);
    get("2001:db8:1:3::").await.expect(200);
}
