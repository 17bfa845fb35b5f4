//! The perimeter of our own endpoints: what every one of them does whatever it is for. Hosts, schemes, headers, methods,
//! content types, sizes, pages of others, and what development opens.

use axum::body::Body;
use edgewarden::api::{DEVELOPMENT_ENDPOINTS, ENDPOINTS};
use http::{Request, header};
use serde_json::{Value, json};

use crate::harness::{Answer, Isolate, SECRET, SignedIn, URL, World};

const LISTED: &str = "https://app.example.org";
const OTHER: &str = "https://evil.example";
const KEY_SET: &str = "/.well-known/jwks.json";
const DEVELOPMENT: &[(&str, &str)] = &[("ENVIRONMENT", "development"), ("PUBLIC_URL", "http://127.0.0.1:8787")];

/// Every endpoint as (method, path).
fn endpoints() -> impl Iterator<Item = (String, String)> {
    ENDPOINTS.iter().chain(DEVELOPMENT_ENDPOINTS).map(|(method, path)| {
        (
            method.to_uppercase(),
            path.replace("{prefix}", "/api/v1").replace("{id}", "019b76da-a800-7000-8000-000000000000"),
        )
    })
}

/// A request with these headers, to its URL.
async fn send(isolate: &Isolate, method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    isolate.send(request.body(body.into()).unwrap()).await
}

/// One without a body, to a path of ours over https.
async fn ask(isolate: &Isolate, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(isolate, method, &format!("{URL}{path}"), headers, Body::empty()).await
}

fn bearer(user: &SignedIn) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", user.access))
}

/// What the contract wants on every answer of ours.
#[track_caller]
fn assert_sealed(answer: &Answer, strict: bool) {
    for (name, value) in [
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    let wanted = strict.then_some("max-age=31536000; includeSubDomains");
    assert_eq!(answer.header("strict-transport-security"), wanted, "{answer:?}");
    assert_eq!(answer.header("x-request-id").unwrap().len(), 36);
    assert!(answer.header("x-xss-protection").is_none());
    assert!(answer.header("cache-control").is_some());
}

/// The same of one that `edge.js` is handed.
#[track_caller]
fn assert_crosses_sealed(isolate: &Isolate, head: &str, status: u16, strict: bool) -> Value {
    let answer = isolate.cross(head);
    assert_eq!(answer["status"], status, "{head}: {answer}");
    let header = |name: &str| {
        let headers = answer["headers"].as_array().unwrap();
        headers.iter().find(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned())
    };
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert!(header("content-security-policy").is_some() && header("x-request-id").is_some());
    assert_eq!(header("strict-transport-security").is_some(), strict, "{answer}");
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    answer
}

#[tokio::test]
async fn no_other_host_is_answered_for_ours_or_for_anyones() {
    let world = World::new();
    world.isolate.warm_up().await;
    for path in endpoints().map(|(_, path)| path).chain(["/demo/public/x", "/", "/a%2fb"].map(str::to_owned)) {
        for host in [
            "evil.example",
            "auth.example.com:8443",
            "auth.example.com.evil.example",
            "x.auth.example.com",
            "localhost",
            "127.0.0.1:8787",
            "192.0.2.1",
        ] {
            let head = format!("POST\nhttps://{host}{path}\nx-forwarded-host\nauth.example.com\nx\n\u{1}");
            let answer = assert_crosses_sealed(&world.isolate, &head, 421, true);
            assert!(!answer.to_string().contains(host), "it is not told back: {answer}");
        }
    }
    // One spelling is the other, and a port that is the scheme's own is none.
    for host in ["auth.example.com", "AUTH.example.com", "auth.example.com.", "auth.example.com:443"] {
        assert!(world.isolate.is_own(&format!("GET\nhttps://{host}/health")), "{host}");
        world.isolate.proxy(&format!("GET\nhttps://{host}/demo/public/x")).await.expect(200);
    }
}

#[tokio::test]
async fn hosts_that_are_listed_are_answered_and_ours_always_is() {
    let world = World::with(&[("ALLOWED_HOSTS", "api.example.org, *.Apps.example.org,odd.example.org:8443")]);
    for (host, status) in [
        ("api.example.org", 200),
        ("a.apps.example.org", 200),
        ("a.b.apps.example.org", 200),
        ("odd.example.org:8443", 200),
        ("auth.example.com", 200),
        ("apps.example.org", 421),
        ("evilapps.example.org", 421),
        ("api.example.org:8443", 421),
        ("odd.example.org", 421),
        ("a.apps.example.org:99", 421),
    ] {
        world.isolate.proxy(&format!("GET\nhttps://{host}/demo/public/x")).await.expect(status);
        // Being answered is not being ours: our endpoints have one host.
        let is_own = world.isolate.is_own(&format!("GET\nhttps://{host}/health"));
        assert_eq!(is_own, host == "auth.example.com", "{host}");
    }
}

#[tokio::test]
async fn in_production_http_leads_to_https_with_method_and_body() {
    let world = World::with(&[("ALLOWED_HOSTS", "odd.example.org:8443")]);
    world.isolate.warm_up().await;
    for path in endpoints().map(|(_, path)| path).chain(["/demo/public/a%20b".to_owned()]) {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let head = format!(
                "{method}\nhttp://auth.example.com{path}?q=1&r=%2F\nx-forwarded-proto\nhttps\nforwarded\nproto=https"
            );
            let answer = assert_crosses_sealed(&world.isolate, &head, 308, false);
            let location = json!(["location", format!("https://auth.example.com{path}?q=1&r=%2F")]);
            assert!(answer["headers"].as_array().unwrap().contains(&location), "{answer}");
        }
    }
    // Another host leads nowhere.
    for head in ["GET\nhttp://evil.example/health", "GET\nhttp://auth.example.com:8080/health"] {
        assert_crosses_sealed(&world.isolate, head, 421, false);
    }
    let odd = assert_crosses_sealed(&world.isolate, "GET\nhttp://odd.example.org:8443//evil.example/", 308, false);
    let location = json!(["location", "https://odd.example.org:8443//evil.example/"]);
    assert!(odd["headers"].as_array().unwrap().contains(&location), "{odd}");
    // A header cannot take https away either.
    let head = "GET\nhttps://auth.example.com/demo/public/x\nx-forwarded-proto\nhttp";
    world.isolate.proxy(head).await.expect(200);
}

#[tokio::test]
async fn every_answer_of_every_endpoint_is_sealed() {
    for (overrides, url, strict) in
        [(&[][..], URL, true), (DEVELOPMENT, "http://127.0.0.1:8787", false), (DEVELOPMENT, "https://127.0.0.1", false)]
    {
        let world = World::with(overrides);
        let ada = world.user("ada", Some("super_admin")).await;
        let (name, value) = bearer(&ada);
        for (method, path) in endpoints() {
            for method in [method.as_str(), "HEAD", "OPTIONS", "TRACE"] {
                for headers in [&[][..], &[(name, value.as_str())], &[("origin", OTHER)]] {
                    // What signs out comes last, as the others are to answer well.
                    if path.contains("logout") && !headers.is_empty() {
                        continue;
                    }
                    let answer = send(&world.isolate, method, &format!("{url}{path}"), headers, Body::empty()).await;
                    assert_sealed(&answer, strict);
                    let is_public = path == KEY_SET && matches!(answer.status, 200 | 304);
                    assert_eq!(answer.header("cache-control") == Some("no-store"), !is_public, "{answer:?}");
                }
            }
        }
        for path in ["/api/v1/nothing", "/api/v1", "/health/", "/api/v1/auth/login/"] {
            let answer = send(&world.isolate, "GET", &format!("{url}{path}"), &[], Body::empty()).await.expect(404);
            assert_sealed(&answer, strict);
        }
        let set = send(&world.isolate, "GET", &format!("{url}{KEY_SET}"), &[], Body::empty()).await;
        let known = [("if-none-match", set.header("etag").unwrap())];
        let same = send(&world.isolate, "GET", &format!("{url}{KEY_SET}"), &known, Body::empty()).await.expect(304);
        assert_sealed(&same, strict);
    }
}

#[tokio::test]
async fn methods_are_those_that_there_are() {
    let world = World::new();
    for (_, path) in endpoints().filter(|(_, path)| path != "/dev/outbox") {
        let mut there: Vec<_> = endpoints().filter(|(_, other)| *other == path).map(|(method, _)| method).collect();
        if there.iter().any(|method| method == "GET") {
            there.push("HEAD".to_owned());
            let answer = ask(&world.isolate, "HEAD", &path, &[]).await;
            assert_ne!(answer.status, 405);
            assert_eq!(answer.body, Value::Null, "HEAD has no body");
        }
        // Proxies take 204 for a yes.
        let is_a_proxys = path.ends_with("/auth/verify");
        if !is_a_proxys {
            there.push("OPTIONS".to_owned());
        }
        there.sort();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"] {
            if there.iter().any(|known| known == method) {
                continue;
            }
            let refused = ask(&world.isolate, method, &path, &[]).await.expect(405);
            let mut allowed: Vec<_> = refused.header("allow").unwrap().split(',').map(str::trim).collect();
            allowed.sort_unstable();
            assert_eq!(allowed, there, "{method} {path}");
        }
        if is_a_proxys {
            continue;
        }
        let options = ask(&world.isolate, "OPTIONS", &path, &[]).await.expect(204);
        let mut allowed: Vec<_> = options.header("allow").unwrap().split(", ").collect();
        allowed.sort_unstable();
        assert_eq!(allowed, there, "{path}");
        assert!(options.header("content-length").is_none());
    }
    ask(&world.isolate, "OPTIONS", "/api/v1/nothing", &[]).await.expect(404);
    ask(&world.isolate, "OPTIONS", "/dev/outbox", &[]).await.expect(404);
}

const PREFLIGHT: (&str, &str) = ("access-control-request-method", "PUT");

#[track_caller]
fn assert_reader(answer: &Answer, origin: Option<&str>) {
    assert_eq!(answer.header("access-control-allow-origin"), origin, "{answer:?}");
    let credentials = origin.filter(|origin| *origin != "*").map(|_| "true");
    assert_eq!(answer.header("access-control-allow-credentials"), credentials);
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
    assert_eq!(
        exposed.contains("x-ratelimit-remaining") && exposed.contains("www-authenticate"),
        credentials.is_some()
    );
    let varies = answer.headers.get_all(header::VARY).iter().any(|value| value == "Origin");
    assert_eq!(varies, origin != Some("*"), "{answer:?}");
}

#[tokio::test]
async fn pages_of_others_read_what_they_are_listed_for() {
    let lists = [("", false), (LISTED, true), ("https://a.example.org,https://app.example.org", true)];
    for (list, is_listed) in lists {
        let world = World::with(&[("ALLOWED_ORIGINS", list)]);
        // Proxies, who ask at `auth/verify`, take 204 for a yes: there OPTIONS is refused.
        let asked = endpoints().filter(|(_, path)| path != "/dev/outbox" && !path.ends_with("/auth/verify"));
        for (method, path) in asked {
            let is_public = path == KEY_SET;
            for origin in [
                LISTED,
                OTHER,
                "null",
                "https://app.example.org:8443",
                "http://app.example.org",
                "https://app.example.org.evil.example",
                "HTTPS://APP.EXAMPLE.ORG",
                "https://app.example.org/",
                "*",
            ] {
                let may = is_listed && origin == LISTED;
                let reader = if is_public { Some("*") } else { may.then_some(origin) };
                let answer = ask(&world.isolate, &method, &path, &[("origin", origin)]).await;
                assert_reader(&answer, reader);
                let headers = [("origin", origin), PREFLIGHT, ("access-control-request-headers", "x-api-key")];
                let preflight = ask(&world.isolate, "OPTIONS", &path, &headers).await;
                assert_reader(&preflight, reader);
                assert_sealed(&preflight, true);
                assert_eq!(preflight.status, if reader.is_some() { 204 } else { 403 }, "{origin} {path}");
                let granted = [
                    ("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE"),
                    (
                        "access-control-allow-headers",
                        "authorization, content-type, x-api-key, x-request-id, x-organization-id",
                    ),
                    ("access-control-max-age", "600"),
                ];
                for (name, value) in granted {
                    assert_eq!(preflight.header(name), reader.map(|_| value), "{name}: {origin} {path}");
                }
            }
            let unasked = ask(&world.isolate, &method, &path, &[]).await;
            assert_reader(&unasked, is_public.then_some("*"));
            // OPTIONS with half of what makes a preflight is none.
            let half = ask(&world.isolate, "OPTIONS", &path, &[PREFLIGHT]).await.expect(204);
            assert!(half.header("access-control-allow-methods").is_none());
        }
        // What is not there is not promised.
        let nothing = ask(&world.isolate, "OPTIONS", "/api/v1/nothing", &[("origin", LISTED), PREFLIGHT]).await;
        assert_eq!((nothing.status, nothing.header("access-control-allow-methods")), (404, None));
    }
}

#[tokio::test]
async fn a_listed_page_acts_for_its_user_on_our_endpoints_and_nowhere_else() {
    let world = World::with(&[("ALLOWED_ORIGINS", LISTED)]);
    world.register("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    let body = json!({ "full_name": "Ada" });
    for (origin, status) in
        [(Some(URL), 200), (Some(LISTED), 200), (Some(OTHER), 403), (Some("null"), 403), (None, 403)]
    {
        let answer = world.isolate.browse_from(origin, &browser, "PUT", "/api/v1/users/me", &body).await.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), origin.filter(|_| status == 200));
        // A refusal that its page may read says so as well.
        let body = json!({ "username": "ada", "password": "Wrong-Horse-7" });
        let refused = if status == 200 { 401 } else { 403 };
        world.isolate.try_log_in(origin, "192.0.2.9", &body).await.expect(refused);
        let proxied = world.isolate.browse_through(&browser, "POST", "/demo/private/x", origin).await;
        assert_eq!(proxied.status, if origin == Some(URL) { 200 } else { 403 }, "{origin:?}");
    }
}

#[tokio::test]
async fn bodies_are_of_the_kind_and_size_that_is_read() {
    let world = World::with(&[("ALLOWED_ORIGINS", LISTED)]);
    let ada = world.user("ada", Some("super_admin")).await;
    let (name, token) = bearer(&ada);
    let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(70_000));
    for (method, path) in endpoints().filter(|(method, _)| method != "GET") {
        let reads_none = method == "DELETE" && !path.ends_with("/users/me")
            || ["/reset-mfa", "/unlock", "/verify-email"]
                .iter()
                .any(|end| path.contains("/admin/") && path.ends_with(end));
        if reads_none {
            continue;
        }
        let post = async |kind: Option<&str>, body: &str| {
            let mut headers = vec![(name, token.as_str()), ("origin", URL)];
            headers.extend(kind.map(|kind| ("content-type", kind)));
            send(&world.isolate, &method, &format!("{URL}{path}"), &headers, body.to_owned()).await
        };
        let label = format!("{method} {path}");
        for kind in [
            None,
            Some("text/plain"),
            Some("application/jsonp"),
            Some("application/x-json"),
            Some("multipart/form-data"),
        ] {
            let answer = post(kind, "{}").await;
            assert_eq!(answer.status, 415, "{label} as {kind:?}: {answer:?}");
            assert_sealed(&answer, true);
        }
        // What takes a policy takes more.
        let takes_policies = ["PUT /api/v1/admin/policy", "POST /api/v1/admin/policy/explain"].contains(&&*label);
        let too_large = huge.repeat(if takes_policies { 32 } else { 1 });
        assert_eq!(post(Some("application/json"), &too_large).await.status, 413, "{label}");
        for body in ["", "[]", "1", "{", "{\"a\":1,\"a\":2}", "\u{feff}{}"] {
            assert_eq!(post(Some("application/json; charset=utf-8"), body).await.status, 400, "{label}: {body:?}");
        }
    }
}

#[tokio::test]
async fn credentials_in_a_query_never_count() {
    let world = World::new();
    let ada = world.user("ada", Some("super_admin")).await;
    let query = format!(
        "?access_token={0}&token={0}&authorization=Bearer%20{0}&refresh_token={1}&api_key={0}&username=ada&password=Correct-Horse-7&grant_type=refresh_token",
        ada.access, ada.refresh
    );
    for (method, path) in endpoints().filter(|(_, path)| path.starts_with("/api")) {
        for (kind, body) in [("application/json", "{}"), ("application/x-www-form-urlencoded", "")] {
            let headers = [("content-type", kind), ("origin", URL)];
            let answer = send(&world.isolate, &method, &format!("{URL}{path}{query}"), &headers, body).await;
            assert!((400..=422).contains(&answer.status), "{method} {path}: {answer:?}");
        }
    }
    let answer = ask(&world.isolate, "GET", &format!("/health?deep=1&access_token={}", ada.access), &[]).await;
    assert_eq!(answer.status, 401);
    let proxied = world.isolate.proxy_get(&format!("/demo/private/x?access_token={}", ada.access), None).await;
    assert_eq!(proxied.status, 401);
}

#[tokio::test]
async fn production_opens_nothing_that_development_does() {
    // Forward auth is there where it is set up.
    let forward_auth = ("FORWARD_AUTH_SECRET", SECRET);
    let production = World::with(&[forward_auth]);
    let development = World::with(&[DEVELOPMENT, &[forward_auth]].concat());
    // (1) Every endpoint is there in both; those of development in that alone.
    for (method, path) in endpoints() {
        let is_extra = DEVELOPMENT_ENDPOINTS.iter().any(|(_, extra)| *extra == path);
        let there = async |world: &World| ask(&world.isolate, &method, &path, &[]).await.status != 404;
        assert!(there(&development).await || path.contains("019b76da"), "{path}");
        assert_eq!(there(&production).await, !is_extra, "{path}");
        let own = |world: &World, url: &str| world.isolate.is_own(&format!("{method}\n{url}{path}"));
        assert_eq!(own(&production, URL), !is_extra, "{path}");
        // (2) Loopback names, at any port and over http.
        for url in ["http://localhost:1", "http://127.0.0.1:8787", "http://[::1]:99", "https://localhost"] {
            assert!(own(&development, url), "{url}{path}");
            assert!(!own(&production, url), "{url}{path}");
        }
    }
    // (3) What health tells of everything.
    ask(&production.isolate, "GET", "/health?deep=1", &[]).await.expect(401);
    ask(&development.isolate, "GET", "/health?deep=1", &[]).await.expect(200);
    // (4) Cookies that go over http, and the origin of whatever loopback name is asked.
    let ada = json!({ "username": "ada", "password": crate::harness::PASSWORD });
    for (world, url, status, secure) in [
        (&production, URL, 200, true),
        (&production, "https://127.0.0.1", 403, true),
        (&development, "http://localhost:5", 200, false),
    ] {
        if world.count("SELECT COUNT(*) FROM users") == 0 {
            world.register("ada", None).await;
        }
        let headers = [("content-type", "application/json"), ("origin", url)];
        let answer = send(&world.isolate, "POST", &format!("{url}/api/v1/auth/login"), &headers, ada.to_string()).await;
        assert_eq!(answer.status, status, "{url}: {answer:?}");
        for line in answer.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert_eq!(line.contains("Secure") && line.starts_with("__Host-"), secure, "{line}");
        }
    }
}

#[tokio::test]
async fn proxied_answers_say_https_in_production_only() {
    let strict = async |world: &World, url: &str| {
        let head = format!("GET\n{url}/demo/public/x");
        world.isolate.proxy(&head).await.expect(200);
        let crossed = world.isolate.cross(&head);
        crossed["strict"].as_bool().unwrap()
    };
    assert!(strict(&World::new(), URL).await);
    assert!(!strict(&World::with(DEVELOPMENT), "http://127.0.0.1:8787").await);
    assert!(!strict(&World::with(DEVELOPMENT), "https://127.0.0.1").await);
}
