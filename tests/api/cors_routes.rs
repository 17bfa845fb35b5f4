//! Whose pages may make a route's requests from a browser, and read its answers.

use serde_json::{Value, json};

use crate::{
    harness::{URL, World},
    live_policy::put,
};

const APP: &str = "https://app.example.com";
const OTHER: &str = "https://evil.example";

/// Routes that say whose pages may read, and one that does not.
const ROUTES: &str = r#"version = 1
[[route]]
id = "shared"
path = "/shared/{*rest}"
methods = ["GET", "POST", "DELETE"]
origin = "demo"
access = "authenticated"
[route.cors]
origins = ["https://app.example.com", "http://localhost:3000"]
credentials = true
methods = ["GET", "POST"]
headers = ["Authorization", "content-type"]
expose = ["X-Total"]
max_age = "1h"

[[route]]
id = "anyone"
path = "/anyone"
methods = ["GET"]
origin = "demo"
access = "public"
cors = { origins = ["*"] }

[[route]]
id = "plain"
path = "/plain/{*rest}"
origin = "demo"
access = "public"

[[route]]
id = "session"
path = "/session/{*rest}"
origin = "demo"
access = "authenticated"
credentials = ["session"]
cors = { origins = ["https://app.example.com"], credentials = true }

[[route]]
id = "narrow"
path = "/narrow/{*rest}"
origin = "demo"
access = "authenticated"
credentials = ["session"]
cors = { origins = ["https://app.example.com"], credentials = true, methods = ["GET"] }

[[route]]
id = "shy"
path = "/shy/{*rest}"
origin = "demo"
access = "authenticated"
credentials = ["session"]
cors = { origins = ["https://app.example.com"] }
"#;

async fn world() -> World {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    put(&world, &root, &json!({ "policy": ROUTES })).await.expect(200);
    world
}

/// What crosses to JavaScript of a request of a page.
fn of_page(world: &World, method: &str, path: &str, origin: &str, more: &[(&str, &str)]) -> Value {
    let lines: Vec<_> = more.iter().map(|(name, value)| format!("\n{name}\n{value}")).collect();
    world.isolate.cross(&format!("{method}\n{URL}{path}\norigin\n{origin}{}", lines.concat()))
}

fn header<'a>(said: &'a Value, name: &str) -> Option<&'a str> {
    let pair = said.as_array()?.iter().find(|pair| pair[0] == name)?;
    pair[1].as_str()
}

fn preflight(world: &World, path: &str, origin: &str, method: &str, headers: &str) -> Value {
    let more = [("access-control-request-method", method), ("access-control-request-headers", headers)];
    of_page(world, "OPTIONS", path, origin, &more)
}

#[tokio::test]
async fn a_preflight_is_answered_for_the_method_that_it_asks_about() {
    let world = world().await;
    for origin in [APP, "http://localhost:3000"] {
        let answer = preflight(&world, "/shared/x", origin, "POST", "content-type,authorization");
        let headers = &answer["headers"];
        assert_eq!((&answer["status"], &answer["body"]), (&json!(204), &json!("")), "{answer}");
        assert_eq!(header(headers, "access-control-allow-origin"), Some(origin));
        assert_eq!(header(headers, "access-control-allow-credentials"), Some("true"));
        assert_eq!(header(headers, "access-control-allow-methods"), Some("GET, POST"));
        assert_eq!(header(headers, "access-control-allow-headers"), Some("authorization, content-type"));
        assert_eq!(header(headers, "access-control-max-age"), Some("3600"));
        assert!(header(headers, "vary").unwrap().starts_with("Origin, "));
        assert!(header(headers, "x-request-id").is_some() && header(headers, "x-content-type-options").is_some());
    }
    for (origin, method, headers) in [
        (OTHER, "GET", ""),
        ("null", "GET", ""),
        ("https://APP.example.com", "GET", ""),
        ("https://app.example.com:8443", "GET", ""),
        (APP, "DELETE", ""),
        (APP, "POST", "x-api-key"),
        (APP, "POST", "content-type, x-other"),
    ] {
        let refused = preflight(&world, "/shared/x", origin, method, headers);
        assert_eq!(refused["status"], json!(403), "{origin} {method} {headers}");
        assert!(header(&refused["headers"], "access-control-allow-origin").is_none());
        assert!(header(&refused["headers"], "vary").is_some());
    }
    // A method that the route does not take is nobody's; where nothing is said of pages, it is the origin's to say.
    assert_eq!(preflight(&world, "/shared/x", APP, "PATCH", "")["status"], json!(404));
    let forwarded = preflight(&world, "/plain/x", APP, "GET", "");
    assert!(forwarded["url"].as_str().unwrap().ends_with("/plain/x") && forwarded.get("cors").is_none(), "{forwarded}");
    // No preflight: what asks about nothing, or is no page's.
    assert_eq!(of_page(&world, "OPTIONS", "/shared/x", APP, &[])["status"], json!(404));
}

#[tokio::test]
async fn who_may_read_is_said_on_every_answer_that_is_refused_as_well() {
    let world = world().await;
    let ada = world.user("ada", None).await;
    let bearer = format!("Bearer {}", ada.access);
    world.isolate.proxy_get("/shared/x", Some(&ada.access)).await.expect(200);
    let of = |origin: &str, authorization: &str| {
        of_page(&world, "GET", "/shared/x", origin, &[("authorization", authorization)])
    };
    let read = of(APP, &bearer);
    let said = &read["cors"];
    assert_eq!(header(said, "access-control-allow-origin"), Some(APP));
    assert_eq!(header(said, "access-control-allow-credentials"), Some("true"));
    assert!(header(said, "access-control-expose-headers").unwrap().starts_with("x-total, x-ratelimit-limit"));
    assert_eq!(header(said, "vary"), Some("Origin"));
    let unread = of(OTHER, &bearer);
    assert!(unread["url"].is_string(), "it is no access control: {unread}");
    assert_eq!(unread["cors"], json!([["vary", "Origin"]]));
    for (origin, told) in [(APP, Some(APP)), (OTHER, None)] {
        let refused = of(origin, "Bearer x");
        assert_eq!(
            (&refused["status"], header(&refused["headers"], "access-control-allow-origin")),
            (&json!(401), told)
        );
        assert!(header(&refused["headers"], "vary").is_some());
    }
    let anyone = of_page(&world, "GET", "/anyone", OTHER, &[]);
    assert_eq!(header(&anyone["cors"], "access-control-allow-origin"), Some("*"));
    assert!(header(&anyone["cors"], "access-control-allow-credentials").is_none());
    assert!(of_page(&world, "GET", "/plain/x", APP, &[]).get("cors").is_none());
    let kept = world.isolate.cross(&format!("GET\n{URL}/anyone"));
    assert_eq!(header(&kept["cors"], "access-control-allow-origin"), Some("*"), "it may be read by a page later");
    let deleted = of_page(&world, "DELETE", "/shared/x", APP, &[("authorization", &bearer)]);
    assert_eq!(deleted["cors"], json!([["vary", "Origin"]]), "not by this method");
    // A page that is not named at all is no page: what it depends on is said all the same.
    let none = world.isolate.cross(&format!("GET\n{URL}/shared/x\nauthorization\n{bearer}"));
    assert_eq!(none["cors"], json!([["vary", "Origin"]]));
}

#[tokio::test]
async fn a_page_that_is_let_in_with_credentials_may_act_for_its_user_and_no_other() {
    let world = world().await;
    world.register("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    let act = async |path: &str, origin: &str| {
        let head = format!("POST\n{URL}{path}\ncookie\n{}\norigin\n{origin}", browser.cookie);
        world.isolate.proxy(&head).await.status
    };
    assert_eq!(act("/session/x", APP).await, 200);
    assert_eq!(act("/session/x", URL).await, 200);
    assert_eq!(act("/session/x", OTHER).await, 403);
    assert_eq!(act("/shy/x", APP).await, 403, "it may read, but not as its user");
    assert_eq!(act("/shy/x", URL).await, 200);
    assert_eq!(act("/narrow/x", APP).await, 403, "not by a method that it may not use");
    assert_eq!(act("/narrow/x", URL).await, 200);
}

#[tokio::test]
async fn what_makes_no_sense_is_a_fault_with_its_line() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    for (cors, why) in [
        ("{}", "cors must name origins"),
        ("{ origins = [] }", "cors must name origins"),
        ("{ origins = [\"*\"], credentials = true }", "stands alone and without credentials"),
        ("{ origins = [\"*\", \"https://a.example\"] }", "stands alone"),
        ("{ origins = [\"https://a.example/\"] }", "must be an origin"),
        ("{ origins = [\"https://A.example\"] }", "must be an origin"),
        ("{ origins = [\"https://*.example\"] }", "must be an origin"),
        ("{ origins = [\"http://a.example\"] }", "must be an origin"),
        ("{ origins = [\"null\"] }", "must be an origin"),
        ("{ origins = [\"https://a.example\"], methods = [\"PUT\"] }", "the route does not take \\\"PUT\\\""),
        ("{ origins = [\"https://a.example\"], methods = [\"TRACE\"] }", "is not a method that can be routed"),
        ("{ origins = [\"https://a.example\"], headers = [\"a b\"] }", "is no name of a header"),
        ("{ origins = [\"https://a.example\"], expose = [\"*\"] }", "is no name of a header"),
        ("{ origins = [\"https://a.example\"], max_age = \"2d\" }", "max_age must be at most 24h"),
        ("{ origins = [\"https://a.example\"], max_ago = \"2d\" }", "unknown key"),
        ("3", "cors must be a table"),
    ] {
        let text = format!(
            "version = 1\n[[route]]\nid = \"r\"\npath = \"/r\"\nmethods = [\"GET\"]\norigin = \"demo\"\naccess = \"public\"\ncors = {cors}\n"
        );
        let refused = put(&world, &root, &json!({ "policy": text })).await.expect(422).body.to_string();
        assert!(refused.contains(why) && refused.contains("line 8, route"), "{cors}: {refused}");
    }
}
