//! The policy, put live without a deploy: what can be put, when it is in force, and how it goes back.

use std::time::Duration;

use edgewarden::{domain::revocation::Versions, native::switchboard::Plan, ports::Value as Sql};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Isolate, SignedIn, World},
    mfa::{enrolled, sign_in},
};

pub const POLICY: &str = "/api/v1/admin/policy";

/// A policy of one public route.
pub fn only(id: &str, path: &str) -> String {
    with_access(id, path, "public")
}

pub fn with_access(id: &str, path: &str, access: &str) -> String {
    format!("version = 1\n[[route]]\nid = \"{id}\"\npath = \"{path}\"\norigin = \"demo\"\naccess = \"{access}\"\n")
}

pub async fn put(world: &World, who: &SignedIn, body: &Value) -> Answer {
    world.isolate.send_as(&who.access, "PUT", POLICY, body).await
}

async fn roll_back(world: &World, who: &SignedIn, body: &Value) -> Answer {
    world.isolate.post_as(&who.access, &format!("{POLICY}/rollback"), body).await
}

async fn status(isolate: &Isolate, path: &str) -> u16 {
    isolate.proxy_get(path, None).await.status
}

#[tokio::test]
async fn what_is_put_live_decides_here_at_once_elsewhere_within_the_bound_and_goes_back() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let (other, idle) = (world.warm_isolate(&[]).await, world.another_isolate());
    for isolate in [&other, &idle] {
        isolate.warm_up().await;
    }
    let before = world.isolate.get(POLICY, Some(&root.access)).await.expect(200);
    assert_eq!(
        (before.text("/source"), &before.body["version"], &before.body["latest"]),
        ("file", &Value::Null, &json!(0))
    );
    assert_eq!(before.text("/policy"), edgewarden::app::POLICY);

    let text = only("new", "/new/{*rest}");
    let answer = put(&world, &root, &json!({ "policy": text, "note": "a new one", "based_on": 0 })).await.expect(200);
    assert_eq!((answer.text("/source"), &answer.body["version"], answer.text("/policy")), ("live", &json!(1), &*text));
    assert_eq!(answer.body["problems"], json!([]));
    // Where it was put: by the next request, and nobody is asked.
    assert!(world.isolate.proxy_get("/new/x", None).await.expect(200).warm);
    assert_eq!(status(&world.isolate, "/demo/public/x").await, 404, "what it does not name is not there any more");
    // Elsewhere by what was known, until that is as old as the bound; where nobody is looked at, too.
    assert_eq!((status(&other, "/new/x").await, status(&other, "/demo/public/x").await), (404, 200));
    world.host.clock.advance(Duration::from_secs(10));
    for isolate in [&other, &idle, &world.another_isolate()] {
        assert_eq!((status(isolate, "/new/x").await, status(isolate, "/demo/public/x").await), (200, 404));
    }

    // And back: to the file, and from there to what was put.
    world.host.clock.advance(Duration::from_secs(1));
    let back = roll_back(&world, &root, &json!({ "version": 0, "based_on": 1 })).await.expect(200);
    assert_eq!((back.text("/source"), &back.body["version"], &back.body["latest"]), ("file", &Value::Null, &json!(2)));
    assert_eq!((status(&world.isolate, "/new/x").await, status(&world.isolate, "/demo/public/x").await), (404, 200));
    world.host.clock.advance(Duration::from_secs(10));
    assert_eq!((status(&other, "/new/x").await, status(&other, "/demo/public/x").await), (404, 200));
    let again = roll_back(&world, &root, &json!({ "version": 1 })).await.expect(200);
    assert_eq!((again.text("/policy"), &again.body["version"]), (&*text, &json!(3)));
    assert_eq!(status(&world.isolate, "/new/x").await, 200);

    let versions = world.isolate.get(&format!("{POLICY}/versions?limit=2"), Some(&root.access)).await.expect(200);
    assert_eq!((versions.body["items"].as_array().unwrap().len(), versions.text("/next_cursor")), (2, "2"));
    assert_eq!((&versions.body["items"][0]["version"], &versions.body["items"][0]["copy_of"]), (&json!(3), &json!(1)));
    let rest = format!("{POLICY}/versions?cursor=2");
    let rest = world.isolate.get(&rest, Some(&root.access)).await.expect(200);
    assert_eq!((rest.text("/items/0/note"), rest.text("/items/0/created_by")), ("a new one", &*root.id));
    assert!(rest.body.get("next_cursor").is_none());
    let one = world.isolate.get(&format!("{POLICY}/versions/1"), Some(&root.access)).await.expect(200);
    assert_eq!((one.text("/policy"), &one.body["is_current"]), (&*text, &json!(true)));
    assert_eq!((world.audited("policy_changed"), world.audited("policy_rolled_back")), (1, 2));
    let detail = "SELECT COUNT(*) FROM audit_events WHERE detail LIKE 'live sha256:%' AND actor IS NOT NULL";
    assert_eq!(world.count(detail), 3);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_and_nothing_is_put() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let text = "version = 1
[[origin]]
id = \"evil\"
url = \"https://evil.example\"
[[issuer]]
id = \"evil\"
[[route]]
id = \"a\"
path = \"/a\"
origin = \"evil\"
access = \"sometimes\"
[[route]]
id = \"b\"
path = \"/b/{x}\"
origin = \"demo\"
access = \"authenticated\"
require = { min_role = \"boss\", permissions = [\"no:such\"] }
[[route]]
id = \"c\"
path = \"/b/{y}\"
origin = \"demo\"
access = \"public\"
[[route]]
id = \"d\"
path = \"/api/v1/users/me\"
origin = \"demo\"
access = \"public\"
";
    let refused = put(&world, &root, &json!({ "policy": text })).await.expect(422);
    let errors = refused.body["errors"].as_array().unwrap();
    let lines: Vec<_> = errors.iter().map(|error| error["message"].as_str().unwrap()).collect();
    for (line, what) in [
        (3, "origin \"evil\": must stand in the file that is deployed"),
        (6, "issuer \"evil\": must stand in the file that is deployed"),
        (11, "access"),
        (17, "there is no role \"boss\""),
        (17, "there is no permission \"no:such\""),
        (19, "has this path, host and method"),
        (24, "this path is our own endpoints'"),
    ] {
        let told = lines.iter().any(|told| told.starts_with(&format!("line {line},")) && told.contains(what));
        assert!(told, "line {line}, {what}: {lines:#?}");
    }
    for bad in [
        json!({ "policy": "" }),
        json!({ "policy": "version = 1" }),
        json!({ "policy": 3 }),
        json!({}),
        json!({ "policy": only("a", "/a"), "mode": "soon" }),
        json!({ "policy": only("a", "/a"), "based_on": -1 }),
        json!({ "policy": only("a", "/a"), "note": "x".repeat(201) }),
        json!({ "policy": only("a", "/a"), "force": true }),
        json!({ "policy": "#".repeat(1024 * 1024 + 1) }),
    ] {
        put(&world, &root, &bad).await.expect(422);
    }
    put(&world, &root, &json!({ "policy": "#".repeat(2 * 1024 * 1024) })).await.expect(413);
    let comment = only("a", "/a") + "#" + &"x".repeat(1024 * 1024 - 200);
    put(&world, &root, &json!({ "policy": comment })).await.expect(200);
    roll_back(&world, &root, &json!({})).await.expect(422);
    roll_back(&world, &root, &json!({ "version": 77 })).await.expect(404);
    // That nothing is tried any more is no policy to go back to.
    put(&world, &root, &json!({ "policy": only("b", "/b"), "mode": "shadow" })).await.expect(200);
    world.isolate.send_as(&root.access, "DELETE", &format!("{POLICY}/candidate"), &Value::Null).await.expect(204);
    roll_back(&world, &root, &json!({ "version": 3 })).await.expect(404);
    world.host.database.look("DELETE FROM policies WHERE version > 1", &[]).unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM policies"), 1);
    assert_eq!((world.audited("policy_changed"), status(&world.isolate, "/a").await), (3, 200));
}

#[tokio::test]
async fn of_two_who_change_it_at_once_one_is_told_that_it_has_moved() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    put(&world, &root, &json!({ "policy": only("one", "/one"), "based_on": 0 })).await.expect(200);
    let refused = put(&world, &root, &json!({ "policy": only("two", "/two"), "based_on": 0 })).await.expect(409);
    assert!(refused.body.to_string().contains("that is 1"), "{refused:?}");
    roll_back(&world, &root, &json!({ "version": 0, "based_on": 7 })).await.expect(409);
    // Whoever does not say what it is based on comes last.
    put(&world, &root, &json!({ "policy": only("two", "/two") })).await.expect(200);
    assert_eq!((status(&world.isolate, "/one").await, status(&world.isolate, "/two").await), (404, 200));
    assert_eq!(world.count("SELECT COUNT(*) FROM policies"), 2);
}

/// A policy cannot take away what it is put back by, whatever it says: our own endpoints are no routes.
#[tokio::test]
async fn no_policy_locks_out_who_looks_after_it() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let nobody = "version = 1\n[[route]]\nid = \"all\"\npath = \"/{*rest}\"\norigin = \"demo\"\naccess = \"authenticated\"\n\
                  require = { min_role = \"super_admin\", mfa = \"1s\" }\n";
    put(&world, &root, &json!({ "policy": nobody })).await.expect(200);
    world.isolate.proxy_get("/demo/public/x", Some(&root.access)).await.expect(401);
    for isolate in [&world.isolate, &world.another_isolate()] {
        isolate.get(POLICY, Some(&root.access)).await.expect(200);
        isolate.get("/health", None).await.expect(200);
    }
    let elsewhere = only("all", "/{*rest}") + "host = \"app.example.com\"\n";
    put(&world, &root, &json!({ "policy": elsewhere })).await.expect(200);
    let at = |host: &str| format!("GET\nhttps://{host}/x");
    world.isolate.proxy(&at("app.example.com")).await.expect(200);
    world.isolate.proxy(&at("auth.example.com")).await.expect(404);
    world.isolate.proxy(&at("other.example.com")).await.expect(421);
    world.host.clock.advance(Duration::from_secs(1));
    world.isolate.sign_in("root").await;
    roll_back(&world, &root, &json!({ "version": 0 })).await.expect(200);
    world.isolate.proxy(&at("app.example.com")).await.expect(421);
    assert_eq!(status(&world.isolate, "/demo/public/x").await, 200);
}

/// Puts a row as no request of ours would.
fn tamper(world: &World, text: &str, base: Option<&str>) {
    let own = edgewarden::domain::versions::digest(edgewarden::app::POLICY);
    let params: [Sql; 2] = [text.into(), base.unwrap_or(&own).into()];
    let insert = "INSERT INTO policies (kind, base, text, created_at, created_by, made_by)
                  SELECT 'live', ?2, ?1, 0, id, 'x' || (SELECT COUNT(*) FROM policies) FROM users LIMIT 1";
    world.host.database.look(insert, &params).unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_leaves_its_place_to_the_one_before_and_everyone_is_told() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    put(&world, &root, &json!({ "policy": only("good", "/good") })).await.expect(200);
    for bad in [
        "{",
        "version = 1",
        "version = 1\n[[route]]\nid = \"x\"\npath = \"/x\"\norigin = \"gone\"\naccess = \"public\"\n",
    ] {
        world.host.database.look("DELETE FROM policies WHERE version > 1", &[]).unwrap();
        tamper(&world, bad, None);
        world.host.clock.advance(Duration::from_secs(10));
        for isolate in [&world.isolate, &world.another_isolate()] {
            assert_eq!((status(isolate, "/good").await, status(isolate, "/x").await), (200, 404), "{bad}");
            let shown = isolate.get(POLICY, Some(&root.access)).await.expect(200);
            assert_eq!(shown.body["version"], json!(1));
            assert!(shown.text("/problems/0").contains("cannot be read: line "), "{shown:?}");
        }
        let told = world.host.log.lines().into_iter().filter(|line| line.contains("the one before it decides")).count();
        assert!(told >= 2, "by each isolate");
    }
}

#[tokio::test]
async fn another_file_takes_the_place_of_what_was_put_beside_the_one_before() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    tamper(&world, &only("old", "/old"), Some("another file's"));
    for isolate in [&world.isolate, &world.another_isolate()] {
        world.host.clock.advance(Duration::from_secs(10));
        assert_eq!((status(isolate, "/old").await, status(isolate, "/demo/public/x").await), (404, 200));
    }
    let shown = world.isolate.get(POLICY, Some(&root.access)).await.expect(200);
    assert_eq!((shown.text("/source"), &shown.body["latest"]), ("file", &json!(1)));
    assert!(shown.text("/problems/0").contains("another policy file"), "{shown:?}");
    assert!(world.host.log.lines().iter().any(|line| line.contains("superseded")));
    // It can be put beside this one, if it fits.
    roll_back(&world, &root, &json!({ "version": 1 })).await.expect(200);
    assert_eq!(status(&world.isolate, "/old").await, 200);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_policy_that_is_known_decides_and_none_is_guessed() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    // The edge bundle is not written twice in a second.
    world.host.clock.advance(Duration::from_secs(1));
    put(&world, &root, &json!({ "policy": only("new", "/new/{*rest}") })).await.expect(200);
    let (warm, fresh) = (world.another_isolate(), world.another_isolate());
    assert_eq!(status(&warm, "/new/x").await, 200);
    world.host.clock.advance(Duration::from_mins(2));
    world.host.switchboard.set(Plan::WithoutAll(&["database", "kv", "feed"]));
    // One that was put live may have closed what the file opens.
    for path in ["/new/x", "/demo/public/x", "/nothing"] {
        assert_eq!(status(&fresh, path).await, 503, "{path}");
    }
    assert_eq!((status(&warm, "/new/x").await, status(&warm, "/demo/public/x").await), (200, 404));
    fresh.get("/health", None).await.expect(200);
    // The edge bundle and the feed are enough, and so is the record alone.
    for gone in [&["database"][..], &["kv", "feed"]] {
        world.host.switchboard.set(Plan::WithoutAll(gone));
        assert_eq!(status(&world.another_isolate(), "/new/x").await, 200, "{gone:?}");
    }
    // Whoever has heard that another decides does not go by the one that they know.
    world.host.switchboard.set(Plan::Healthy);
    put(&world, &root, &json!({ "policy": only("newer", "/newer") })).await.expect(200);
    world.host.clock.advance(Duration::from_secs(10));
    world.host.switchboard.set(Plan::WithoutAll(&["database", "kv"]));
    assert_eq!(status(&warm, "/new/x").await, 503);
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(2));
    assert_eq!((status(&warm, "/new/x").await, status(&warm, "/newer").await), (404, 200));
}

#[tokio::test]
async fn a_role_that_a_live_policy_names_is_above_who_has_not_got_it() {
    let world = World::new();
    let (root, chief) = (world.user("root", Some("super_admin")).await, world.user("chief", Some("admin")).await);
    let role = |name: &str| json!({ "name": name, "inherits": ["user"] });
    world.isolate.post_as(&root.access, "/api/v1/admin/roles", &role("plain")).await.expect(201);
    world.host.clock.advance(Duration::from_secs(1));
    let bob = world.user("bob", None).await;
    let give = json!({ "roles": ["plain"] });
    let path = format!("/api/v1/admin/users/{}/roles", bob.id);
    world.isolate.send_as(&chief.access, "PUT", &path, &give).await.expect(200);
    let text = with_access("vip", "/vip", "authenticated") + "require = { any_role = [\"plain\"] }\n";
    put(&world, &root, &json!({ "policy": text })).await.expect(200);
    let eve = world.user("eve", None).await;
    let path = format!("/api/v1/admin/users/{}/roles", eve.id);
    world.isolate.send_as(&chief.access, "PUT", &path, &give).await.expect(403);
    // Nor is one of the file's worth less while it does not decide: it may again.
    let admin = json!({ "roles": ["admin"] });
    let clerk = json!({ "name": "clerk", "permissions": ["users:read", "users:write"] });
    world.isolate.post_as(&root.access, "/api/v1/admin/roles", &clerk).await.expect(201);
    let clerk = world.user("clerk", Some("clerk")).await;
    world.isolate.send_as(&clerk.access, "PUT", &path, &admin).await.expect(403);
}

#[tokio::test]
async fn only_so_many_versions_are_kept_and_never_fewer_than_are_in_force() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    put(&world, &root, &json!({ "policy": only("first", "/first") })).await.expect(200);
    world
        .host
        .database
        .look(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
             INSERT INTO policies (kind, base, created_at, created_by, made_by)
             SELECT 'candidate', '', 0, '', 'x' || i FROM n",
            &[],
        )
        .unwrap();
    world.host.clock.advance(Duration::from_secs(1));
    put(&world, &root, &json!({ "policy": only("last", "/last") })).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM policies"), 101, "and the one before it that was live");
    roll_back(&world, &root, &json!({ "version": 1 })).await.expect(200);
    roll_back(&world, &root, &json!({ "version": 2 })).await.expect(404);
    assert_eq!(status(&world.isolate, "/first").await, 200);
}

#[tokio::test]
async fn a_change_is_told_by_its_version() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let version = |world: &World| world.count("SELECT version FROM versions WHERE name = 'policy'");
    assert_eq!(version(&world), Versions { policy: 1, ..Versions::default() }.policy);
    put(&world, &root, &json!({ "policy": only("a", "/a") })).await.expect(200);
    assert_eq!(version(&world), 2);
    put(&world, &root, &json!({ "policy": "version = 3" })).await.expect(422);
    assert_eq!(version(&world), 2);
}

#[tokio::test]
async fn who_has_a_second_factor_must_have_shown_it_lately_to_change_the_policy() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "root", Some("super_admin")).await;
    let root = sign_in(&world, "root", &factor).await;
    world.host.clock.advance(Duration::from_mins(31));
    let root = SignedIn::from(&world.isolate.refresh(&root.refresh).await.expect(200));
    put(&world, &root, &json!({ "policy": only("a", "/a") })).await.expect(401);
    put(&world, &root, &json!({ "policy": "version = 1", "mode": "shadow" })).await.expect(401);
    roll_back(&world, &root, &json!({ "version": 0 })).await.expect(401);
    let path = format!("{POLICY}/candidate");
    let refused = world.isolate.send_as(&root.access, "DELETE", &path, &Value::Null).await.expect(401);
    assert_eq!(refused.text("/error"), "insufficient_user_authentication");
    world.isolate.get(POLICY, Some(&root.access)).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM policies"), 0);
}
