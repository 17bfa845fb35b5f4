//! `/openapi.json` and `/docs`: that the description is the code's, and where it is told.

use edgewarden::{
    api::{DEVELOPMENT_ENDPOINTS, DOCS_ENDPOINTS, ENDPOINTS, docs, openapi},
    domain::{
        mfa::Code,
        rbac::{PermissionName, RoleName},
        user::{Email, FullName, Username},
    },
};
use http::{Request, header};
use serde_json::Value;

use crate::harness::{Answer, URL, World};

/// An answer and its text.
async fn get(world: &World, path: &str, tag: Option<&str>) -> (Answer, String) {
    let mut request = Request::get(format!("{URL}{path}"));
    if let Some(tag) = tag {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    let response = world.isolate.respond(request.body(axum::body::Body::empty()).unwrap()).await;
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    (Answer { status: parts.status.as_u16(), headers: parts.headers, body }, text)
}

#[test]
fn the_file_is_what_the_code_says() {
    let text = openapi::text().unwrap();
    assert!(text == docs::DOCUMENT, "src/api/docs/openapi.json is not what the code says; run: make openapi");
}

#[test]
fn every_endpoint_is_described_once_and_nothing_else() {
    let document = openapi::document().unwrap();
    let described: usize =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(described, ENDPOINTS.len() + DOCS_ENDPOINTS.len() + DEVELOPMENT_ENDPOINTS.len());
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let mut ids: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), described, "each has a name of its own");
}

#[test]
fn fields_are_described_as_they_are_parsed() {
    let document: Value = serde_json::from_str(docs::DOCUMENT).unwrap();
    let field = |path: &str, method: &str, name: &str| {
        let mut schema =
            document["paths"][format!("/api/v1{path}")][method]["requestBody"]["content"]["application/json"]["schema"]
                ["properties"][name]
                .clone();
        assert!(schema.is_object(), "{path} {name}");
        if let Some(kinds) = schema["type"].as_array().cloned() {
            schema["type"] = kinds[0].clone();
        }
        jsonschema::validator_for(&schema).unwrap()
    };
    let words = [
        "", "a", "ab", "abc", "Abc", "0ab", "-ab", "a b", "a_b-c0", "é", "abé", "a:b", "ab:cd", "ab:cd:ef", "ab:",
        "a\n", "ab\u{7f}", "ab\u{85}",
    ];
    let long: Vec<_> = [49, 50, 51, 100, 101, 200, 201, 254, 255].map(|length| "a".repeat(length)).into();
    let pairs = [(50, 50), (50, 51), (51, 50)].map(|(one, other)| format!("{}:{}", "a".repeat(one), "b".repeat(other)));
    let all = || words.into_iter().chain(long.iter().map(String::as_str)).chain(pairs.iter().map(String::as_str));
    let (username, name) =
        (field("/users/register", "post", "username"), field("/users/register", "post", "full_name"));
    let (role, permission) = (field("/admin/roles", "post", "name"), field("/admin/permissions", "post", "name"));
    for word in all() {
        let value = Value::from(word);
        assert_eq!(username.is_valid(&value), Username::parse(word).is_ok(), "{word:?}");
        assert_eq!(role.is_valid(&value), RoleName::parse(word).is_ok(), "{word:?}");
        assert_eq!(permission.is_valid(&value), PermissionName::parse(word).is_ok(), "{word:?}");
        assert!(FullName::parse(word).is_err() || name.is_valid(&value), "{word:?}");
    }
    assert!(!name.is_valid(&"a".repeat(101).into()));
    // Of these the description says less than the parser: what is taken must be described as taken.
    let (email, code) = (field("/users/register", "post", "email"), field("/mfa/confirm", "post", "code"));
    let addresses = ["a@b.org", "a@b.c", "a.b+c@d.example", "\"a b\"@c.org", "a", "a@b", "ä@b.org", ""];
    for word in addresses.into_iter().chain(["123456", " 123-456 ", "7K2MQ9-XD4HNA-0P3TV8-WEC5RJ", "12345"]) {
        assert!(Email::parse(word).is_err() || email.is_valid(&word.into()), "{word:?}");
        assert!(Code::parse(word).is_err() || code.is_valid(&word.into()), "{word:?}");
    }
}

#[tokio::test]
async fn it_is_told_where_docs_says_so_and_elsewhere_there_is_nothing() {
    const LOCAL: (&str, &str) = ("ENVIRONMENT", "development");
    for (overrides, there) in [
        (&[][..], false),
        (&[("DOCS", "always")], true),
        (&[("DOCS", "never")], false),
        (&[LOCAL], true),
        (&[LOCAL, ("DOCS", "never")], false),
    ] {
        let world = World::with(overrides);
        for (_, path) in DOCS_ENDPOINTS {
            let is_own = world.isolate.is_own(&format!("GET\n{URL}{path}"));
            assert_eq!(is_own, there, "{path}");
            let status = if there { 200 } else { world.isolate.proxy_get(path, None).await.expect(404).status };
            let (answer, _) = get(&world, path, None).await;
            assert_eq!(answer.status, status, "{path}");
            // Of another host it never is.
            assert!(!world.isolate.is_own(&format!("GET\nhttps://other.example.com{path}")));
        }
        assert!(!world.isolate.is_own(&format!("GET\n{URL}/docs/other")), "nothing more is taken from the gateway");
    }
}

#[tokio::test]
async fn the_page_runs_what_is_its_own_and_nothing_inline() {
    let world = World::with(&[("DOCS", "always")]);
    let (page, text) = get(&world, "/docs", None).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    assert!(!text.contains("style=") && !text.contains("<style") && !text.contains("onload=") && !text.contains("://"));
    assert_eq!(text.matches("<script").count(), 1);
    for (path, kind) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/page.css", "text/css; charset=utf-8"),
        ("/docs/page.js", "text/javascript; charset=utf-8"),
        ("/openapi.json", "application/vnd.oai.openapi+json;version=3.1"),
    ] {
        let (answer, body) = get(&world, path, None).await;
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("content-security-policy").unwrap().contains("'self'"), path == "/docs");
        assert!(
            path == "/openapi.json" || path == "/docs" || text.contains(&format!("\"{path}\"")),
            "{path} is on the page"
        );
        assert!(!body.is_empty() && !body.contains("innerHTML"), "{path}");
        let (same, nothing) = get(&world, path, answer.header("etag")).await;
        assert_eq!((same.status, nothing.as_str()), (304, ""), "{path}");
    }
}

#[tokio::test]
async fn it_is_for_the_place_where_it_is_told() {
    let changes = &[("DOCS", "always"), ("API_PREFIX", "/v9/own"), ("PUBLIC_URL", "https://sign-in.example.org")];
    let (production, _) = get(&World::with(changes), "/openapi.json", None).await;
    assert_eq!(production.text("/servers/0/url"), "https://sign-in.example.org");
    assert_eq!(production.text("/components/securitySchemes/session/name"), "__Host-edgewarden");
    let paths = production.body["paths"].as_object().unwrap();
    assert!(paths.contains_key("/v9/own/users/me") && paths.contains_key("/health"));
    assert!(paths.keys().all(|path| !path.starts_with("/api/v1") && !path.starts_with("/dev")));
    let local = &[("ENVIRONMENT", "development"), ("PUBLIC_URL", "http://127.0.0.1:8787")];
    let (development, _) = get(&World::with(local), "/openapi.json", None).await;
    assert!(development.body["paths"].as_object().unwrap().contains_key("/dev/outbox"));
    assert_eq!(development.text("/components/securitySchemes/session/name"), "edgewarden");
}
