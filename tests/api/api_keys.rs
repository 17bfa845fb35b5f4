//! API keys: made, used and narrowed.

use std::time::Duration;

use edgewarden::{native::switchboard::Plan, ports::Value as Sql};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Isolate, PASSWORD, Proxied, SignedIn, URL, World},
    mfa::{enrol, half, verify},
};

pub const KEYS: &str = "/api/v1/api-keys";
const BOUND: Duration = Duration::from_secs(10);

/// A key that was made.
pub struct Made {
    pub id: String,
    pub key: String,
}

pub async fn make(isolate: &Isolate, user: &SignedIn, body: &Value) -> Made {
    let made = isolate.post_as(&user.access, KEYS, body).await.expect(201);
    Made { id: made.text("/id").to_owned(), key: made.text("/key").to_owned() }
}

/// A GET through the gateway with an API key, from an address.
pub async fn use_from(isolate: &Isolate, ip: &str, path: &str, key: &str) -> Proxied {
    isolate.proxy(&format!("GET\n{URL}{path}\ncf-connecting-ip\n{ip}\nx-api-key\n{key}")).await
}

pub async fn use_key(isolate: &Isolate, path: &str, key: &str) -> Proxied {
    use_from(isolate, "192.0.2.1", path, key).await
}

pub async fn remove(isolate: &Isolate, user: &SignedIn, id: &str) -> Answer {
    isolate.send_as(&user.access, "DELETE", &format!("{KEYS}/{id}"), &Value::Null).await
}

pub async fn rotate(isolate: &Isolate, user: &SignedIn, id: &str, body: &Value) -> Answer {
    isolate.send_as(&user.access, "POST", &format!("{KEYS}/{id}/rotate"), body).await
}

#[tokio::test]
async fn a_key_is_shown_once_and_opens_what_its_owner_may() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let answer = world.isolate.post_as(&ada.access, KEYS, &json!({ "name": " deploy " })).await.expect(201);
    let (id, key) = (answer.text("/id").to_owned(), answer.text("/key").to_owned());
    assert!(key.starts_with(answer.text("/prefix")) && key.len() > answer.text("/prefix").len() + 60, "{answer:?}");
    assert_eq!((answer.text("/name"), answer.text("/expires_at")), ("deploy", "2027-01-01T00:00:00.000Z"));
    let all = ["content:create", "content:read", "profile:delete", "profile:read", "profile:write"];
    assert_eq!(answer.body["scopes"], json!(all));

    let through = use_key(&world.isolate, "/demo/private/x", &key).await.expect(200);
    assert_eq!(
        (through.sets("x-auth-subject"), through.sets("x-auth-method")),
        (Some(ada.id.as_str()), Some("api_key"))
    );
    assert_eq!((through.sets("x-auth-username"), through.sets("x-auth-session")), (Some("ada"), None));
    assert_eq!(through.sets("x-auth-scopes"), Some(all.join(" ").as_str()));
    assert!(through.rewrite.as_ref().unwrap().remove.iter().any(|name| name == "x-api-key"), "no origin sees it");
    // As a bearer token as well.
    world.isolate.proxy_get("/demo/private/x", Some(&key)).await.expect(200);
    world.isolate.get("/api/v1/users/me", Some(&key)).await.expect(200);

    let listed = world.isolate.get(KEYS, Some(&ada.access)).await.expect(200);
    assert_eq!(listed.text("/items/0/id"), id);
    assert!(!listed.body.to_string().contains(&key[answer.text("/prefix").len()..]), "never again");
    assert!(listed.text("/items/0/last_used_at").starts_with("2026-01-01"));
    let kept = world.host.database.look("SELECT * FROM api_keys", &[]).unwrap();
    let row = serde_json::to_string(&kept.0[0]).unwrap();
    assert!(!row.contains(&key[key.len() - 40..]) && row.contains(&ada.id));
    assert_eq!(world.audited("api_key_created"), 1);
    assert!(world.host.log.lines().iter().all(|line| !line.contains(&key[20..])));
}

#[tokio::test]
async fn a_key_is_narrowed_to_what_is_asked_for_and_held_when_it_is_made_and_when_it_is_used() {
    let world = World::new();
    let (mo, ada) = (world.user("mod", Some("moderator")).await, world.user("ada", None).await);
    let ask = async |user: &SignedIn, scopes: Value| {
        world.isolate.post_as(&user.access, KEYS, &json!({ "name": "k", "scopes": scopes })).await
    };
    // What is asked for and not held is left out; what nobody has is named.
    let made = ask(&ada, json!(["users:read", "content:read"])).await.expect(201);
    assert_eq!(made.body["scopes"], json!(["content:read"]));
    let refused = ask(&ada, json!(["users:read"])).await.expect(422);
    assert_eq!(refused.text("/errors/0/message"), "names nothing that is yours");
    assert!(ask(&ada, json!(["none:such"])).await.expect(422).text("/errors/0/message").ends_with("none:such"));
    for bad in [json!("content:read"), json!([7]), json!(["Content:Read"])] {
        ask(&ada, bad).await.expect(422);
    }
    let nothing = ask(&ada, json!([])).await.expect(201);
    let through = use_key(&world.isolate, "/demo/private/x", nothing.text("/key")).await.expect(200);
    assert_eq!(through.sets("x-auth-scopes"), Some(""));

    // What its owner has no more it gives no more; what they have beside, it gives not.
    let made = ask(&mo, json!(["users:read", "content:read"])).await.expect(201);
    let key = made.text("/key");
    world.isolate.get("/api/v1/admin/users", Some(key)).await.expect(200);
    let scopes = use_key(&world.isolate, "/demo/strict/x", key).await.expect(200);
    assert_eq!(scopes.sets("x-auth-scopes"), Some("content:read users:read"));
    let boss = world.user("boss", Some("admin")).await;
    let path = format!("/api/v1/admin/users/{}/roles", mo.id);
    world.isolate.send_as(&boss.access, "PUT", &path, &json!({ "roles": ["user"] })).await.expect(200);
    world.isolate.get("/api/v1/admin/users", Some(key)).await.expect(403);
    let scopes = use_key(&world.isolate, "/demo/strict/x", key).await.expect(200);
    assert_eq!(scopes.sets("x-auth-scopes"), Some("content:read"));
    world.isolate.send_as(&boss.access, "PUT", &path, &json!({ "roles": ["admin"] })).await.expect(200);
    let scopes = use_key(&world.isolate, "/demo/strict/x", key).await.expect(200);
    assert_eq!(scopes.sets("x-auth-scopes"), Some("content:read users:read"), "no more than it was made for");
    use_key(&world.isolate, "/demo/admin/x", key).await.expect(403);
}

#[tokio::test]
async fn a_narrowed_token_makes_no_key_that_has_more() {
    let world = World::new();
    world.register("ada", Some("moderator")).await;
    let fields = [("username", "ada"), ("password", PASSWORD), ("scope", "profile:write content:read")];
    let narrow = SignedIn::from(&world.isolate.form("192.0.2.9", &fields).await.expect(200));
    let made = world.isolate.post_as(&narrow.access, KEYS, &json!({ "name": "k" })).await.expect(201);
    assert_eq!(made.body["scopes"], json!(["content:read", "profile:write"]));
    let body = json!({ "name": "k", "scopes": ["users:read", "content:read"] });
    let made = world.isolate.post_as(&narrow.access, KEYS, &body).await.expect(201);
    assert_eq!(made.body["scopes"], json!(["content:read"]));
    // Nor does it come by one that is there.
    let whole = world.isolate.sign_in("ada").await;
    let wide = make(&world.isolate, &whole, &json!({ "name": "wide" })).await;
    let refused = rotate(&world.isolate, &narrow, &wide.id, &Value::Null).await.expect(403);
    assert!(refused.text("/detail").contains("users:read"), "{refused:?}");
    rotate(&world.isolate, &narrow, made.text("/id"), &Value::Null).await.expect(200);
    let fields = [("username", "ada"), ("password", PASSWORD), ("scope", "content:read")];
    let reading = SignedIn::from(&world.isolate.form("192.0.2.9", &fields).await.expect(200));
    world.isolate.post_as(&reading.access, KEYS, &json!({ "name": "k" })).await.expect(403);
    remove(&world.isolate, &reading, &wide.id).await.expect(403);
    world.isolate.get(KEYS, Some(&reading.access)).await.expect(403);
}

#[tokio::test]
async fn a_key_looks_after_no_credentials_and_changes_nothing_here() {
    let world = World::new();
    let (root, other) = (world.user("root", Some("super_admin")).await, world.user("other", None).await);
    let key = make(&world.isolate, &root, &json!({ "name": "all" })).await;
    let id = format!("{KEYS}/{}", key.id);
    let user = format!("/api/v1/admin/users/{}", other.id);
    for (method, path, body) in [
        ("POST", KEYS, json!({ "name": "another" })),
        ("GET", KEYS, Value::Null),
        ("DELETE", id.as_str(), Value::Null),
        ("POST", &format!("{id}/rotate"), Value::Null),
        ("GET", "/api/v1/auth/sessions", Value::Null),
        ("DELETE", "/api/v1/auth/sessions", Value::Null),
        ("GET", "/api/v1/mfa", Value::Null),
        ("POST", "/api/v1/mfa/setup", json!({})),
        (
            "POST",
            "/api/v1/auth/change-password",
            json!({ "current_password": PASSWORD, "new_password": "Other-Horse-9" }),
        ),
        ("PUT", "/api/v1/users/me", json!({ "full_name": "X" })),
        ("DELETE", "/api/v1/users/me", json!({ "password": PASSWORD })),
        ("PATCH", &user, json!({ "full_name": "X" })),
        ("DELETE", &user, Value::Null),
        ("POST", "/api/v1/admin/roles", json!({ "name": "clerk" })),
        ("POST", "/api/v1/admin/keys/rotate", json!({ "mode": "graceful" })),
    ] {
        let answer = world.isolate.send_as(&key.key, method, path, &body).await.expect(403);
        assert!(answer.text("/detail").contains("takes a person"), "{method} {path}: {answer:?}");
    }
    for path in ["/api/v1/auth/logout", "/api/v1/auth/logout-all"] {
        world.isolate.send_as(&key.key, "POST", path, &Value::Null).await.expect(401);
    }
    // But it reads.
    for path in ["/api/v1/users/me", "/api/v1/admin/users", &user, "/api/v1/admin/audit", "/api/v1/admin/roles"] {
        world.isolate.get(path, Some(&key.key)).await.expect(200);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM api_keys"), 1);
}

#[tokio::test]
async fn a_forged_key_costs_no_question_and_one_that_is_over_is_asked_about_now_and_then() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(200);
    let cold = world.another_isolate();
    cold.warm_up().await;
    world.host.switchboard.set(Plan::Healthy);
    let last = if key.key.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{last}{}", &key.key[..40], &key.key[41..]);
    for bad in [forged.as_str(), "ew_", "ew_k1_", "", "x", &"ew_".repeat(1000), &format!("{0}, {0}", key.key)] {
        let refused = use_key(&cold, "/demo/private/x", bad).await.expect(401);
        assert!(refused.body["detail"].as_str().unwrap().contains("API key"), "{bad}: {refused:?}");
        let bearer = format!("Bearer {bad}");
        let head = format!("GET\n{URL}/demo/optional/x\nauthorization\n{bearer}");
        assert_eq!(cold.proxy(&head).await.status, 401, "{bad}");
    }
    assert!(world.host.switchboard.calls().is_empty(), "{:?}", world.host.switchboard.calls());
    // On our own endpoints it counts for the sender's address, and nothing else is asked.
    cold.get("/api/v1/users/me", Some(&forged)).await.expect(401);
    assert_eq!(world.host.switchboard.calls(), ["limiter"]);

    remove(&world.isolate, &ada, &key.id).await.expect(204);
    world.host.clock.advance(BOUND);
    world.host.switchboard.set(Plan::Healthy);
    for _ in 0..20 {
        use_key(&cold, "/demo/private/x", &key.key).await.expect(401);
    }
    assert_eq!(world.host.switchboard.count("database"), 1, "{:?}", world.host.switchboard.calls());
    assert_eq!(world.host.switchboard.count("limiter"), 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_told_all_at_once() {
    let world = World::with(&[("APIKEY_TTL", "30d")]);
    let ada = world.user("ada", None).await;
    let body = json!({ "name": "", "scopes": ["x"], "expires_at": "2026-02-01T00:00:00Z", "allowed_ips": ["x"],
        "per_minute": 0, "user_id": "x" });
    let refused = world.isolate.post_as(&ada.access, KEYS, &body).await.expect(422);
    let fields: Vec<_> =
        refused.body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["body", "name", "scopes", "expires_at", "allowed_ips", "per_minute"]);
    for (name, bad) in [
        ("name", json!("x".repeat(101))),
        ("name", json!("a\u{202e}b")),
        ("expires_at", json!("2025-12-31T00:00:00Z")),
        ("expires_at", json!("tomorrow")),
        ("per_minute", json!(1.5)),
        ("per_minute", json!("7")),
    ] {
        let mut body = json!({ "name": "k" });
        body[name] = bad;
        world.isolate.post_as(&ada.access, KEYS, &body).await.expect(422);
    }
    let made = make(&world.isolate, &ada, &json!({ "name": "k", "expires_at": "2026-01-02T00:00:00+01:00" })).await;
    for bad in
        [json!({ "overlap_seconds": -1 }), json!({ "overlap_seconds": 604_801 }), json!({ "scopes": ["users:read"] })]
    {
        rotate(&world.isolate, &ada, &made.id, &bad).await.expect(422);
    }
    world.host.clock.advance(Duration::from_hours(23));
    use_key(&world.isolate, "/demo/private/x", &made.key).await.expect(401);
    world.isolate.get("/api/v1/users/me", Some(&made.key)).await.expect(401);
    let ada = world.isolate.sign_in("ada").await;
    rotate(&world.isolate, &ada, &made.id, &Value::Null).await.expect(409);
}

#[tokio::test]
async fn there_are_fifty_at_most() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let mut last = String::new();
    for _ in 0..50 {
        last = make(&world.isolate, &ada, &json!({ "name": "k" })).await.id;
    }
    let refused = world.isolate.post_as(&ada.access, KEYS, &json!({ "name": "k" })).await.expect(409);
    assert!(refused.text("/detail").contains("50"));
    // Nor by letting those go on that others take the place of.
    let refused = rotate(&world.isolate, &ada, &last, &json!({ "overlap_seconds": 60 })).await.expect(409);
    assert!(refused.text("/detail").contains("50"));
    let last = rotate(&world.isolate, &ada, &last, &Value::Null).await.expect(200).text("/id").to_owned();
    remove(&world.isolate, &ada, &last).await.expect(204);
    make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    assert_eq!(
        world.isolate.get(KEYS, Some(&ada.access)).await.expect(200).body["items"].as_array().unwrap().len(),
        50
    );
}

#[tokio::test]
async fn the_owner_is_told_of_a_key_by_mail() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let params: [Sql; 1] = [ada.id.as_str().into()];
    world.host.database.look("UPDATE users SET email_verified = 1 WHERE id = ?1", &params).unwrap();
    for _ in 0..5 {
        make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'api_key_made'"), 3, "so many an hour");
}

#[tokio::test]
async fn roles_that_want_a_second_factor_want_it_of_who_makes_a_key() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let ada = world.user("ada", None).await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(200);
    world
        .isolate
        .send_as(&root.access, "PATCH", "/api/v1/admin/roles/user", &json!({ "require_mfa": true }))
        .await
        .expect(200);
    use_key(&world.isolate, "/demo/strict/x", &key.key).await.expect(401);
    world.isolate.get("/api/v1/users/me", Some(&key.key)).await.expect(401);
    // A key that is made by who has shown theirs goes by that, where roles ask for one; a route that asks how long ago that was
    // is not for keys.
    let factor = enrol(&world, &ada).await;
    world.host.clock.advance(Duration::from_secs(30));
    let token = half(&world, "ada").await;
    let ada = SignedIn::from(&verify(&world.isolate, &token, &factor.code(&world)).await.expect(200));
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    use_key(&world.isolate, "/demo/strict/x", &key.key).await.expect(200);
    use_key(&world.isolate, "/demo/factor/x", &key.key).await.expect(401);
    // Who has one and has not shown it lately makes none.
    world.host.clock.advance(Duration::from_mins(31));
    let ada = SignedIn::from(&world.isolate.refresh(&ada.refresh).await.expect(200));
    world.isolate.post_as(&ada.access, KEYS, &json!({ "name": "k" })).await.expect(401);
    rotate(&world.isolate, &ada, &key.id, &Value::Null).await.expect(401);
    remove(&world.isolate, &ada, &key.id).await.expect(204);
}
