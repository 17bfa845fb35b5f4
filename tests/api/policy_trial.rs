//! A policy on trial decides beside the one that does: the log is told where it would decide otherwise, and nobody else is.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    common::forge::{claims_of, with},
    harness::{SignedIn, URL, World},
    live_policy::{POLICY, only, put, with_access},
    tokens::forge,
};

/// The lines about it, the last first.
fn told(world: &World) -> Vec<Value> {
    let lines = world.host.log.lines();
    let read = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    read.filter(|line| line["kind"] == "shadow").collect::<Vec<_>>().into_iter().rev().collect()
}

/// A token of somebody that was not seen here before.
async fn unknown(world: &World, user: &SignedIn, number: u16) -> String {
    let own = forge(world);
    let claims = with(&claims_of(&user.access), "jti", json!(format!("019b76da-a800-7000-8000-{number:012}")));
    own.sign(&own.header(), &claims).await
}

/// Asks for a public path with a token, and sees to nothing beside.
fn ask_warm(world: &World, token: &str) {
    world.isolate.cross(&format!("GET\n{URL}/demo/public/x\nauthorization\nBearer {token}"));
}

async fn candidate(world: &World, root: &SignedIn) -> Value {
    world.isolate.get(POLICY, Some(&root.access)).await.expect(200).body["candidate"].clone()
}

#[tokio::test]
async fn where_it_differs_the_log_is_told_and_nothing_else_changes() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let ada = world.user("ada", None).await;
    let text = with_access("closed", "/demo/public/{*rest}", "authenticated") + &only("opened", "/new")[12..];
    let answer = put(&world, &root, &json!({ "policy": text, "mode": "shadow" })).await.expect(200);
    assert_eq!((answer.text("/source"), &answer.body["candidate"]["version"]), ("file", &json!(1)));
    assert_eq!(candidate(&world, &root).await["decided"], json!(0));

    assert!(world.isolate.proxy_get("/demo/public/x", None).await.expect(200).warm, "it is decided as it was");
    let line = &told(&world)[0];
    assert_eq!((&line["live"]["route"], &line["live"]["origin"]), (&json!("demo.public"), &json!("demo")));
    assert_eq!((&line["candidate"]["status"], &line["candidate"]["route"]), (&json!(401), &json!("closed")));
    assert!(!line.to_string().contains("/demo/public/x"), "no path: {line}");
    world.isolate.proxy_get("/new", None).await.expect(404);
    assert_eq!(told(&world)[0]["candidate"]["origin"], json!("demo"));
    world.isolate.proxy_get("/nothing", None).await.expect(404);
    assert_eq!(told(&world).len(), 2, "of what is alike nothing is told");
    let counted = candidate(&world, &root).await;
    assert_eq!((&counted["decided"], &counted["differed"], &counted["undecided"]), (&json!(3), &json!(2), &json!(0)));

    // Where somebody must be asked for it, that is done beside the answer: of a token that the live policy does not look at.
    ask_warm(&world, &unknown(&world, &ada, 1).await);
    assert_eq!(told(&world).len(), 2);
    assert!(world.isolate.app.chores_are_due());
    world.isolate.app.do_chores().await;
    let line = &told(&world)[0];
    assert_eq!(
        (told(&world).len(), &line["candidate"]["origin"]),
        (3, &json!("demo")),
        "as ada, and so with her identity"
    );
    assert_eq!(candidate(&world, &root).await["decided"], json!(4));

    // Whatever is put live ends it; and it can be put live itself.
    let promoted = world.isolate.post_as(&root.access, &format!("{POLICY}/rollback"), &json!({ "version": 1 })).await;
    assert_eq!((promoted.text("/policy"), &promoted.body["candidate"]), (&*text, &Value::Null));
    world.isolate.proxy_get("/demo/public/x", None).await.expect(401);
    world.isolate.proxy_get("/new", None).await.expect(200);
    assert_eq!(told(&world).len(), 3);
}

#[tokio::test]
async fn it_counts_for_no_limit_and_signs_nothing() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let limited = "rate_limit = [{ limit = 1, window = \"1m\", by = \"ip\" }]\n";
    let text = only("limited", "/demo/public/{*rest}") + limited;
    put(&world, &root, &json!({ "policy": text, "mode": "shadow" })).await.expect(200);
    world.host.switchboard.set(Plan::Healthy);
    for _ in 0..3 {
        world.isolate.proxy_get("/demo/public/x", None).await.expect(200);
    }
    world.isolate.app.do_chores().await;
    assert_eq!(told(&world), [Value::Null; 0], "a limit is not tried");
    assert_eq!(world.host.switchboard.count("limiter"), 0);
    let counted = candidate(&world, &root).await;
    assert_eq!((&counted["decided"], &counted["differed"]), (&json!(3), &json!(0)));
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let path = format!("{POLICY}/candidate");
    world.isolate.send_as(&root.access, "DELETE", &path, &Value::Null).await.expect(204);
    assert_eq!(world.count("SELECT COUNT(*) FROM policies"), 0, "there was none");
    put(&world, &root, &json!({ "policy": only("a", "/a"), "mode": "shadow" })).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    world.isolate.send_as(&root.access, "DELETE", &path, &Value::Null).await.expect(204);
    assert_eq!(candidate(&world, &root).await, Value::Null);
    world.isolate.proxy_get("/a", None).await.expect(404);
    assert_eq!(told(&world), [Value::Null; 0]);
    assert_eq!(world.audited("policy_changed"), 2);
    let refused = put(&world, &root, &json!({ "policy": "version = 1", "mode": "shadow" })).await.expect(422);
    assert!(refused.body.to_string().contains("at least one route"));
}

#[tokio::test]
async fn too_many_at_once_are_not_all_asked_about() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let text = with_access("closed", "/demo/public/{*rest}", "authenticated");
    put(&world, &root, &json!({ "policy": text, "mode": "shadow" })).await.expect(200);
    let ada = world.user("ada", None).await;
    for number in 0..70 {
        ask_warm(&world, &unknown(&world, &ada, number).await);
    }
    world.isolate.app.do_chores().await;
    let counted = candidate(&world, &root).await;
    assert_eq!((&counted["decided"], &counted["undecided"]), (&json!(64), &json!(6)));
}
