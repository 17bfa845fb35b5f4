//! Forward auth: a proxy asks about a request, and what it is told is what the gateway would have done.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use http::{Request, header};
use serde_json::json;

use crate::{
    api_keys::make,
    common::{callers::Caller, forge::claims_of, table::rows},
    harness::{Answer, Isolate, SignedIn, URL, World},
};

const VALUE: &str = "abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEF";
pub const SET_UP: &[(&str, &str)] = &[(
    "FORWARD_AUTH_SECRET",
    "k2:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG,k1:abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEF",
)];
const VERIFY: &str = "/api/v1/auth/verify";
const IDENTITY: [&str; 9] =
    ["subject", "issuer", "username", "email", "roles", "scopes", "session", "method", "assertion"];

/// What a proxy asks about a GET, with headers beside or in place of its own.
pub async fn ask(isolate: &Isolate, path: &str, more: &[(&str, &str)]) -> Answer {
    let own = [
        ("x-forward-auth-secret", VALUE),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "auth.example.com"),
        ("x-forwarded-uri", path),
        ("x-forwarded-for", "192.0.2.7"),
        ("cf-connecting-ip", "198.51.100.1"),
    ];
    let kept = own.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    let mut request = Request::get(format!("{URL}{VERIFY}"));
    for (name, value) in kept.chain(more).filter(|(_, value)| *value != "-") {
        request = request.header(*name, *value);
    }
    isolate.send(request.body(axum::body::Body::empty()).unwrap()).await
}

async fn ask_as(isolate: &Isolate, path: &str, who: &SignedIn) -> Answer {
    ask(isolate, path, &[("authorization", &format!("Bearer {}", who.access))]).await
}

#[tokio::test]
async fn who_calls_is_told_in_full_and_nobody_as_nothing() {
    let world = World::with(SET_UP);
    let ada = world.user("ada", Some("moderator")).await;
    let told = ask_as(&world.isolate, "/demo/private/x?y=1", &ada).await.expect(200);
    assert_eq!((told.header("x-auth-subject"), told.header("x-auth-username")), (Some(&*ada.id), Some("ada")));
    assert_eq!((told.header("x-auth-roles"), told.header("x-auth-method")), (Some("moderator user"), Some("bearer")));
    assert_eq!((told.header("x-auth-email"), told.header("cache-control")), (Some(""), Some("no-store")));
    let assertion = claims_of(told.header("x-auth-assertion").unwrap());
    assert_eq!((&assertion["sub"], &assertion["aud"]), (&json!(ada.id), &json!("http://origin.internal:9")));
    for (path, status) in [("/demo/public/x", 200), ("/demo/optional/x", 200)] {
        let nobody = ask(&world.isolate, path, &[]).await.expect(status);
        for name in IDENTITY {
            assert_eq!(nobody.header(&format!("x-auth-{name}")), Some(""), "{path} {name}");
        }
    }
    let limited = ask_as(&world.isolate, "/demo/limited/x", &ada).await.expect(200);
    assert_eq!((limited.header("x-ratelimit-limit"), limited.header("x-ratelimit-remaining")), (Some("10"), Some("9")));
    let lines = world.host.log.lines();
    let line = lines.iter().rfind(|line| line.contains("\"allowed\"")).unwrap();
    assert!(line.contains("\"route\":\"demo.limited\"") && !line.contains("/demo/limited"), "{line}");
}

#[tokio::test]
async fn it_decides_as_the_status_table_says_but_for_what_proxies_know() {
    let world = World::with(SET_UP);
    let mut callers = Vec::new();
    for caller in [Caller::User, Caller::Moderator, Caller::Admin] {
        let name = format!("{caller:?}").to_lowercase();
        callers.push((caller, Some(world.user(&name, caller.role()).await)));
    }
    callers.push((Caller::Anonymous, None));
    let mut asked = 0;
    for row in rows().filter(|row| !row.path.starts_with("/api/") && !row.name.starts_with("GET ")) {
        for (caller, who) in &callers {
            let me = who.as_ref().map_or("me", |who| who.id.as_str());
            let path = row.path.replace("{me}", me).replace("{other}", "019b76da-a800-7000-8000-000000000000");
            let bearer = who.as_ref().map_or("-".to_owned(), |who| format!("Bearer {}", who.access));
            let more = [("x-forwarded-method", row.method), ("authorization", bearer.as_str())];
            let status = ask(&world.isolate, &path, &more).await.status;
            let expected = match (row.expect)(*caller) {
                404 => 403,
                other => other,
            };
            assert_eq!(status, expected, "{} {path} as {caller:?}", row.method);
            asked += 1;
        }
    }
    assert!(asked > 80, "{asked}");
}

#[tokio::test]
async fn nobody_asks_who_does_not_show_the_secret() {
    let without = World::new();
    ask(&without.isolate, "/demo/public/x", &[]).await.expect(404);
    let world = World::with(SET_UP);
    for wrong in [
        "-",
        "",
        "x",
        "abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEG",
        "k1:abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEF",
    ] {
        ask(&world.isolate, "/demo/public/x", &[("x-forward-auth-secret", wrong)]).await.expect(403);
    }
    // By no method is it answered as if it were allowed.
    for method in ["OPTIONS", "POST", "PUT", "DELETE"] {
        let request = Request::builder().method(method).uri(format!("{URL}{VERIFY}")).header("origin", URL);
        let request = request.header("access-control-request-method", "GET").body(axum::body::Body::empty()).unwrap();
        assert_eq!(world.isolate.send(request).await.status, 405, "{method}");
    }
    let newer = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    ask(&world.isolate, "/demo/public/x", &[("x-forward-auth-secret", newer)]).await.expect(200);
    // Elsewhere these headers decide nothing, secret or not.
    let head = format!(
        "GET\n{URL}/demo/private/x\nx-forward-auth-secret\n{VALUE}\nx-forwarded-uri\n/demo/public/x\nx-forwarded-method\nGET"
    );
    world.isolate.proxy(&head).await.expect(401);
    let head = head.replace("/demo/private", "/demo/public");
    let rewrite = world.isolate.proxy(&head).await.expect(200).rewrite.unwrap();
    assert!(rewrite.remove.contains(&"x-forwarded-uri".to_owned()));
    assert!(rewrite.remove.contains(&"x-forward-auth-secret".to_owned()), "{:?}", rewrite.remove);
}

#[tokio::test]
async fn what_is_asked_about_is_what_the_proxy_says_and_nothing_else() {
    let world = World::with(SET_UP);
    let ada = world.user("ada", None).await;
    let bearer = format!("Bearer {}", ada.access);
    let with = async |path: &str, more: &[(&str, &str)]| {
        let more = [&[("authorization", bearer.as_str())], more].concat();
        ask(&world.isolate, path, &more).await.status
    };
    for name in ["x-original-uri", "x-original-url", "x-rewrite-url", "x-forwarded-path", "x-forwarded-prefix"] {
        assert_eq!(with("/demo/admin/x", &[(name, "/demo/public/x")]).await, 403, "{name}");
        assert_eq!(with("/demo/public/x", &[(name, "/demo/admin/x")]).await, 200, "{name}");
    }
    // `demo.login` takes GET alone.
    let post = ("x-forwarded-method", "POST");
    assert_eq!(with("/login", &[post]).await, 403);
    for name in ["x-http-method-override", "x-method-override", "x-http-method"] {
        assert_eq!(with("/login", &[post, (name, "GET")]).await, 403, "{name}");
        assert_eq!(with("/login", &[(name, "POST")]).await, 200, "{name}");
    }
    assert_eq!(with("/demo/public/x", &[("upgrade", "h2c")]).await, 403);
    for path in [
        "/demo/public/../admin/x",
        "/demo/public/%2e%2e/admin/x",
        "/demo/public/%2E%2E/admin/x",
        "//demo/public/x",
        "/demo/public/x;y",
        "/demo/public%2Fx",
        "/demo/publi%63/x",
        "/demo/public/x#y",
        "/demo/nothing",
        "/api/v1/users/me",
        "/health",
        "https://auth.example.com/demo/public/x",
    ] {
        assert_eq!(with(path, &[]).await, 403, "{path}");
    }
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-host", "-"),
        ("x-forwarded-method", "-"),
        ("x-forwarded-method", "TRACE"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-uri", "-"),
    ] {
        assert_eq!(with("/demo/public/x", &[(name, value)]).await, 403, "{name}: {value}");
    }
    let identity = [("x-auth-subject", "root"), ("x-auth-assertion", "x")];
    let told = ask(&world.isolate, "/demo/public/x", &identity).await.expect(200);
    assert_eq!((told.header("x-auth-subject"), told.header("x-auth-assertion")), (Some(""), Some("")));
}

#[tokio::test]
async fn browsers_and_programs_are_known_as_they_are_by_the_gateway() {
    let world = World::with(SET_UP);
    let ada = world.user("ada", None).await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k", "allowed_ips": ["192.0.2.0/24"] })).await.key;
    let told = ask(&world.isolate, "/demo/key/x", &[("x-api-key", &key)]).await.expect(200);
    assert_eq!(told.header("x-auth-method"), Some("api_key"));
    let elsewhere = [("x-api-key", key.as_str()), ("x-forwarded-for", "192.0.2.7, 203.0.113.9")];
    ask(&world.isolate, "/demo/key/x", &elsewhere).await.expect(403);

    let browser = world.isolate.log_in("ada").await;
    let cookie = ("cookie", browser.cookie.as_str());
    let told = ask(&world.isolate, "/demo/session/x", &[cookie]).await.expect(200);
    assert_eq!(told.header("x-auth-session"), Some(&*browser.session));
    // What changes something, and a WebSocket, must come from a page of ours.
    for more in
        [("x-forwarded-method", "POST"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("upgrade", "websocket")]
    {
        ask(&world.isolate, "/demo/session/x", &[cookie, more]).await.expect(403);
        ask(&world.isolate, "/demo/session/x", &[cookie, more, ("origin", "https://evil.example")]).await.expect(403);
        ask(&world.isolate, "/demo/session/x", &[cookie, more, ("origin", URL)]).await.expect(200);
    }
    // A browser without one is not led anywhere: proxies do not know that.
    let nobody = ask(&world.isolate, "/demo/session/x", &[("accept", "text/html")]).await.expect(401);
    assert!(nobody.headers.contains_key(header::WWW_AUTHENTICATE) && !nobody.headers.contains_key(header::LOCATION));
}

#[tokio::test]
async fn limits_count_for_who_is_asked_about_and_a_proxy_has_none() {
    let world = World::with(&[SET_UP, &[("API_LIMIT", "5")]].concat());
    let ada = world.user("ada", None).await;
    for _ in 0..20 {
        ask(&world.isolate, "/demo/public/x", &[]).await.expect(200);
        ask(&world.isolate, "/demo/private/x", &[]).await.expect(401);
    }
    world.host.clock.advance(Duration::from_mins(1));
    for _ in 0..10 {
        ask_as(&world.isolate, "/demo/limited/x", &ada).await.expect(200);
    }
    let refused = ask_as(&world.isolate, "/demo/limited/x", &ada).await.expect(403);
    assert!(
        refused.header("retry-after").is_some() && refused.header("x-ratelimit-remaining") == Some("0"),
        "{refused:?}"
    );
    let lines = world.host.log.lines();
    let line = lines.iter().rfind(|line| line.contains("rate_limited")).unwrap();
    assert!(line.contains("\"route\":\"demo.limited\""), "{line}");
}

#[tokio::test]
async fn where_nobody_can_tell_it_is_503_and_a_warm_isolate_asks_nobody() {
    let world = World::with(SET_UP);
    let ada = world.user("ada", None).await;
    ask_as(&world.isolate, "/demo/private/x", &ada).await.expect(200);
    world.isolate.app.do_chores().await;
    world.host.switchboard.set(Plan::Healthy);
    ask_as(&world.isolate, "/demo/private/x", &ada).await.expect(200);
    assert_eq!(world.host.switchboard.calls(), Vec::<&str>::new());
    let cold = world.another_isolate();
    world.host.switchboard.set(Plan::WithoutAll(&["database", "kv", "feed"]));
    ask_as(&cold, "/demo/private/x", &ada).await.expect(503);
    ask(&cold, "/demo/public/x", &[]).await.expect(503);
}
