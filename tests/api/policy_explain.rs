//! What would become of a request, and why: the same as becomes of it.

use serde_json::{Value, json};

use crate::{
    common::{callers::Caller, table::rows},
    harness::{Answer, SignedIn, URL, World},
    live_policy::{POLICY, only, put},
};

async fn explain(world: &World, who: &SignedIn, body: &Value) -> Answer {
    world.isolate.post_as(&who.access, &format!("{POLICY}/explain"), body).await
}

fn asked(method: &str, path: &str, mut more: Value) -> Value {
    more["method"] = method.into();
    more["url"] = format!("{URL}{path}").into();
    more
}

/// The checks by their names, with whether they pass.
fn checks(answer: &Answer) -> Vec<(String, bool)> {
    let checks = answer.body["checks"].as_array().unwrap().iter();
    checks.map(|check| (check["check"].as_str().unwrap().to_owned(), check["passes"].as_bool().unwrap())).collect()
}

#[tokio::test]
async fn each_step_is_told_and_what_the_origin_would_receive() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let ask = async |path: &str, more: Value| explain(&world, &root, &asked("GET", path, more)).await.expect(200);

    let admin = ask("/demo/admin/x?q=1", json!({ "roles": ["admin"], "subject": "ada" })).await;
    assert_eq!((admin.text("/outcome"), admin.text("/route")), ("forward", "demo.admin"));
    let names = ["perimeter", "route", "credential", "permissions", "min_role"];
    assert!(checks(&admin).iter().all(|(name, passes)| *passes && names.contains(&&**name)), "{admin:?}");
    assert!(admin.text("/forwarded/url").ends_with("/demo/admin/x?q=1"));
    assert_eq!(admin.text("/forwarded/set/x-auth-subject"), "ada");
    assert_eq!(admin.text("/forwarded/set/x-auth-roles"), "admin");
    assert!(admin.text("/forwarded/set/x-auth-assertion").starts_with("<signed for "));

    let user = ask("/demo/admin/x", json!({ "roles": ["user"] })).await;
    assert_eq!(
        (user.text("/outcome"), &user.body["status"], &user.body["forwarded"]),
        ("refuse", &json!(403), &Value::Null)
    );
    assert!(checks(&user).iter().any(|(_, passes)| !passes));
    let nobody = ask("/demo/admin/x", json!({})).await;
    assert_eq!((&nobody.body["status"], checks(&nobody).last().unwrap().0.as_str()), (&json!(401), "credential"));
    let owner = |subject: &str| json!({ "roles": ["user"], "subject": subject });
    assert_eq!(ask("/demo/owner/ada/x", owner("ada")).await.text("/outcome"), "forward");
    assert_eq!(ask("/demo/owner/ada/x", owner("bob")).await.body["status"], json!(403));
    assert_eq!(ask("/demo/owner/ada/x", json!({ "roles": ["admin"] })).await.text("/outcome"), "forward");
    // A key where keys are taken, and a factor that was shown lately.
    assert_eq!(ask("/demo/key/x", json!({ "roles": ["user"] })).await.body["status"], json!(401));
    let by_key = json!({ "roles": ["user"], "credential": "api_key" });
    assert_eq!(ask("/demo/key/x", by_key).await.text("/forwarded/set/x-auth-method"), "api_key");
    let factor = |mfa: &str| json!({ "roles": ["user"], "mfa": mfa });
    assert_eq!(ask("/demo/factor/x", factor("1m")).await.text("/outcome"), "forward");
    assert_eq!(ask("/demo/factor/x", factor("23h")).await.body["status"], json!(401), "it is to be shown again");
    // What never comes to a route, with headers that do not arrive.
    assert_eq!(ask("/api/v1/users/me", json!({})).await.text("/outcome"), "own");
    let bad = ask("/demo/public/%2e%2e/admin/x", json!({})).await;
    assert_eq!((&bad.body["status"], &bad.body["path"]), (&json!(400), &Value::Null));
    assert_eq!(ask("/nothing", json!({})).await.body["status"], json!(404));
    let elsewhere = json!({ "method": "GET", "url": "https://evil.example/demo/public/x" });
    assert_eq!(explain(&world, &root, &elsewhere).await.expect(200).body["status"], json!(421));
    let forged = ask("/demo/public/x", json!({ "headers": { "X-Auth-Subject": "root", "Accept": "text/html" } })).await;
    assert_eq!(forged.body["forwarded"]["removed"], json!(["x-auth-subject"]));
    assert!(forged.body["forwarded"]["set"].get("x-auth-subject").is_none());
    let browser = ask("/demo/session/x", json!({ "headers": { "accept": "text/html" } })).await;
    assert_eq!(browser.body["status"], json!(302));
}

/// What is explained is what happens: the status table says the same of both.
#[tokio::test]
async fn it_says_what_the_status_table_says() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let mut asked_of = 0;
    for row in rows().filter(|row| !row.path.starts_with("/api/") && !row.name.starts_with("GET ")) {
        for caller in [Caller::Anonymous, Caller::User, Caller::Moderator, Caller::Admin, Caller::SuperAdmin] {
            let path = row.path.replace("{me}", "me").replace("{other}", "other");
            let whom = match caller {
                Caller::Anonymous => json!({}),
                caller => json!({ "roles": ["user", caller.role().unwrap_or("user")], "subject": "me" }),
            };
            let answer = explain(&world, &root, &asked(row.method, &path, whom)).await.expect(200);
            let status = answer.body["status"].as_u64().unwrap_or(200);
            assert_eq!(status, u64::from((row.expect)(caller)), "{} {path} as {caller:?}: {answer:?}", row.method);
            asked_of += 1;
        }
        // Our own endpoints have a limit.
        world.host.clock.advance(std::time::Duration::from_secs(10));
    }
    assert!(asked_of > 100, "{asked_of}");
}

#[tokio::test]
async fn under_a_policy_that_decides_is_tried_or_was_put_nowhere_yet() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let outcome = async |more: Value| {
        let answer = explain(&world, &root, &asked("GET", "/new", more)).await.expect(200);
        (answer.text("/outcome").to_owned(), answer.body["route"].as_str().unwrap_or_default().to_owned())
    };
    let forward = |route: &str| ("forward".to_owned(), route.to_owned());
    let refuse = ("refuse".to_owned(), String::new());
    assert_eq!(outcome(json!({})).await, refuse);
    assert_eq!(outcome(json!({ "policy": only("mine", "/new") })).await, forward("mine"));
    let none = asked("GET", "/new", json!({ "under": "candidate" }));
    explain(&world, &root, &none).await.expect(422);
    put(&world, &root, &json!({ "policy": only("live", "/new") })).await.expect(200);
    world.host.clock.advance(std::time::Duration::from_secs(1));
    put(&world, &root, &json!({ "policy": only("tried", "/new"), "mode": "shadow" })).await.expect(200);
    assert_eq!(outcome(json!({})).await, forward("live"));
    assert_eq!(outcome(json!({ "under": "candidate" })).await, forward("tried"));
    assert_eq!(outcome(json!({ "under": "file" })).await, refuse);
    assert_eq!(world.isolate.proxy_get("/new", None).await.status, 200, "nothing of this changes anything");
}

#[tokio::test]
async fn what_is_no_question_is_told() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    for bad in [
        json!({}),
        json!({ "method": "GET" }),
        json!({ "method": "G T", "url": format!("{URL}/x") }),
        json!({ "method": "GET", "url": "/x" }),
        asked("GET", "/x\nx-auth-subject\nroot", json!({})),
        asked("GET", "/x", json!({ "headers": { "a": "b\nx-auth-subject\nroot" } })),
        asked("GET", "/x", json!({ "headers": { "a": 3 } })),
        asked("GET", "/x", json!({ "headers": [] })),
        asked("GET", "/x", json!({ "credential": "basic" })),
        asked("GET", "/x", json!({ "mfa": "soon" })),
        asked("GET", "/x", json!({ "under": "nothing" })),
        asked("GET", "/x", json!({ "under": "file", "policy": only("a", "/a") })),
        asked("GET", "/x", json!({ "policy": "version = 2" })),
        asked("GET", "/x", json!({ "colour": "red" })),
    ] {
        explain(&world, &root, &bad).await.expect(422);
    }
    let admin = world.user("chief", Some("admin")).await;
    explain(&world, &admin, &asked("GET", "/x", json!({}))).await.expect(200);
    let user = world.user("ada", None).await;
    explain(&world, &user, &asked("GET", "/x", json!({}))).await.expect(403);
}
