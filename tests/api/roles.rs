//! `admin/roles` and `admin/permissions`: the role graph, and who may change it.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    admin_users::set_roles,
    harness::{Answer, SignedIn, World},
};

pub const ROLES: &str = "/api/v1/admin/roles";
pub const PERMISSIONS: &str = "/api/v1/admin/permissions";

pub async fn role(world: &World, who: &SignedIn, body: &Value) -> Answer {
    world.isolate.post_as(&who.access, ROLES, body).await
}

pub async fn patch(world: &World, who: &SignedIn, name: &str, body: &Value) -> Answer {
    world.isolate.send_as(&who.access, "PATCH", &format!("{ROLES}/{name}"), body).await
}

pub async fn delete(world: &World, who: &SignedIn, path: &str) -> Answer {
    world.isolate.send_as(&who.access, "DELETE", path, &Value::Null).await
}

pub async fn permission(world: &World, who: &SignedIn, name: &str) -> Answer {
    world.isolate.post_as(&who.access, PERMISSIONS, &json!({ "name": name })).await
}

fn items(answer: &Answer, field: &str) -> Vec<String> {
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_role_is_made_seen_changed_and_removed() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    permission(&world, &root, "orders:read").await.expect(201);
    permission(&world, &root, "orders:write").await.expect(201);
    let body = json!({
        "name": "clerk", "description": " Takes orders ", "inherits": ["user"], "permissions": ["orders:write", "orders:read", "orders:read"],
    });
    let made = role(&world, &root, &body).await.expect(201);
    assert_eq!((made.text("/description"), &made.body["built_in"]), ("Takes orders", &json!(false)));
    assert_eq!(made.body["permissions"], json!(["orders:read", "orders:write"]));
    assert_eq!(made.body["effective_roles"], json!(["clerk", "guest", "user"]));
    let seen = world.isolate.get(&format!("{ROLES}/clerk"), Some(&root.access)).await.expect(200);
    assert_eq!(seen.body, made.body);
    let effective = seen.body["effective_permissions"].as_array().unwrap();
    assert!(effective.contains(&json!("orders:read")) && effective.contains(&json!("profile:read")));
    // What is left out stays; what is said replaces.
    let changed = patch(&world, &root, "clerk", &json!({ "permissions": ["orders:read"], "require_mfa": true })).await;
    let changed = changed.expect(200);
    assert_eq!((&changed.body["permissions"], &changed.body["inherits"]), (&json!(["orders:read"]), &json!(["user"])));
    assert_eq!(changed.body["require_mfa"], json!(true));
    patch(&world, &root, "clerk", &json!({ "require_mfa": true })).await.expect(200);
    assert_eq!(
        (world.audited("role_created"), world.audited("role_updated")),
        (1, 1),
        "what changes nothing is no change"
    );
    let said = "SELECT COUNT(*) FROM audit_events WHERE event = 'role_updated' AND severity = 'info'
                AND detail = 'clerk: -orders:write +require_mfa' AND actor = (SELECT id FROM users WHERE username = 'root')";
    assert_eq!(world.count(said), 1);
    delete(&world, &root, &format!("{ROLES}/clerk")).await.expect(204);
    world.isolate.get(&format!("{ROLES}/clerk"), Some(&root.access)).await.expect(404);
    delete(&world, &root, &format!("{ROLES}/clerk")).await.expect(404);
    patch(&world, &root, "clerk", &json!({ "inherits": [] })).await.expect(404);
    assert_eq!(world.audited("role_deleted"), 1);
}

#[tokio::test]
async fn lists_come_a_page_at_a_time_in_the_order_of_names() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let all = world.isolate.get(ROLES, Some(&root.access)).await.expect(200);
    assert_eq!(items(&all, "name"), ["admin", "guest", "moderator", "super_admin", "user"]);
    assert!(all.body.get("next_cursor").is_none() && all.body["items"][0].get("effective_roles").is_none());
    let first = world.isolate.get(&format!("{ROLES}?limit=2"), Some(&root.access)).await.expect(200);
    assert_eq!((items(&first, "name").join(" ").as_str(), first.text("/next_cursor")), ("admin guest", "guest"));
    // What comes and goes meanwhile moves nothing.
    role(&world, &root, &json!({ "name": "before" })).await.expect(201);
    role(&world, &root, &json!({ "name": "later" })).await.expect(201);
    let rest = world.isolate.get(&format!("{ROLES}?limit=5&cursor=guest"), Some(&root.access)).await.expect(200);
    assert_eq!(items(&rest, "name"), ["later", "moderator", "super_admin", "user"]);
    let permissions = world.isolate.get(&format!("{PERMISSIONS}?limit=100"), Some(&root.access)).await.expect(200);
    assert_eq!(permissions.body["items"].as_array().unwrap().len(), 19);
    assert_eq!(
        permissions.body["items"][0],
        json!({
            "name": "admin:access", "description": "See the pages for administrators", "built_in": true,
        })
    );
    for query in ["limit=0", "limit=101", "limit=x", "cursor=A", "limit=1&limit=2", "offset=3"] {
        world.isolate.get(&format!("{ROLES}?{query}"), Some(&root.access)).await.expect(422);
        world.isolate.get(&format!("{PERMISSIONS}?{query}"), Some(&root.access)).await.expect(422);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_told() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    for (name, inherits) in [("lower", json!([])), ("middle", json!(["lower"])), ("upper", json!(["middle", "lower"]))]
    {
        role(&world, &root, &json!({ "name": name, "inherits": inherits })).await.expect(201);
    }
    let cycle = patch(&world, &root, "lower", &json!({ "inherits": ["upper"] })).await.expect(409);
    assert_eq!(cycle.text("/errors/0/field"), "inherits");
    assert_eq!(cycle.text("/errors/0/message"), "would make a cycle: lower → upper → lower");
    role(&world, &root, &json!({ "name": "me", "inherits": ["me"] })).await.expect(409);
    let unknown = role(&world, &root, &json!({ "name": "new", "inherits": ["gone"] })).await.expect(422);
    assert_eq!(unknown.text("/errors/0/message"), "names what there is not: gone");
    let unknown = role(&world, &root, &json!({ "name": "new", "permissions": ["gone:gone"] })).await.expect(422);
    assert_eq!(unknown.text("/errors/0/field"), "permissions");
    role(&world, &root, &json!({ "name": "lower" })).await.expect(409);
    permission(&world, &root, "users:read").await.expect(409);
    let bad =
        role(&world, &root, &json!({ "name": "A", "inherits": "user", "permissions": [7], "x": 1 })).await.expect(422);
    let fields: Vec<_> = bad.body["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["body", "name", "inherits", "permissions"], "all at once");
    for name in ["user", "admin", "guest", "moderator"] {
        delete(&world, &root, &format!("{ROLES}/{name}?force=true")).await.expect(409);
    }
    delete(&world, &root, &format!("{PERMISSIONS}/users:read?force=true")).await.expect(409);
    delete(&world, &root, &format!("{ROLES}/lower?force=maybe")).await.expect(422);
    delete(&world, &root, &format!("{ROLES}/Lower")).await.expect(404);
    let version = world.count("SELECT version FROM versions WHERE name = 'roles'");
    patch(&world, &root, "lower", &json!({})).await.expect(200);
    assert_eq!(world.count("SELECT version FROM versions WHERE name = 'roles'"), version);
    assert_eq!(world.count("SELECT COUNT(*) FROM roles"), 8);
}

#[tokio::test]
async fn what_is_used_goes_only_by_force_and_from_everywhere() {
    let world = World::new();
    let (root, ada) = (world.user("root", Some("super_admin")).await, world.user("ada", None).await);
    permission(&world, &root, "orders:read").await.expect(201);
    role(&world, &root, &json!({ "name": "clerk", "permissions": ["orders:read"] })).await.expect(201);
    role(&world, &root, &json!({ "name": "chief", "inherits": ["clerk"] })).await.expect(201);
    world.give(&ada.id, "clerk");
    let used = delete(&world, &root, &format!("{ROLES}/clerk")).await.expect(409);
    assert!(used.text("/detail").starts_with("It is used by 1 account and the role chief."), "{used:?}");
    let used = delete(&world, &root, &format!("{PERMISSIONS}/orders:read")).await.expect(409);
    assert!(used.text("/detail").starts_with("It is used by the role clerk."), "{used:?}");
    delete(&world, &root, &format!("{ROLES}/clerk?force=false")).await.expect(409);
    delete(&world, &root, &format!("{ROLES}/clerk?force=true")).await.expect(204);
    let left = "SELECT (SELECT COUNT(*) FROM user_roles WHERE role = 'clerk')
      + (SELECT COUNT(*) FROM role_inherits WHERE 'clerk' IN (role, inherits))
      + (SELECT COUNT(*) FROM role_permissions WHERE role = 'clerk')";
    assert_eq!(world.count(left), 0);
    // Nobody else has it any more, so it goes.
    delete(&world, &root, &format!("{PERMISSIONS}/orders:read")).await.expect(204);
    assert_eq!(world.count("SELECT COUNT(*) FROM permissions WHERE name = 'orders:read'"), 0);
}

#[tokio::test]
async fn a_removed_role_is_worth_nothing_and_no_other_is_called_so_while_a_token_could_name_it() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    role(&world, &root, &json!({ "name": "clerk", "inherits": ["admin"] })).await.expect(201);
    let ada = world.user("ada", Some("clerk")).await;
    let other = world.warm_isolate(&[&ada]).await;
    let through = other.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(200);
    assert_eq!(through.sets("x-auth-roles"), Some("clerk user"));
    delete(&world, &root, &format!("{ROLES}/clerk?force=true")).await.expect(204);
    other.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(200);
    other.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(403);
    let through = other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    assert_eq!(through.sets("x-auth-roles"), Some("user"), "the origin hears nothing of it");
    let retired = role(&world, &root, &json!({ "name": "clerk", "inherits": ["admin"] })).await.expect(409);
    assert!(retired.text("/errors/0/message").contains("it is free again at 2026-01-01T"), "{retired:?}");
    world.host.clock.advance(Duration::from_hours(2));
    let root = world.isolate.sign_in("root").await;
    role(&world, &root, &json!({ "name": "clerk" })).await.expect(201);
}

#[tokio::test]
async fn a_change_is_in_force_at_once_on_a_strict_route_and_elsewhere_within_the_bound() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    role(&world, &root, &json!({ "name": "clerk", "inherits": ["admin"] })).await.expect(201);
    let ada = world.user("ada", Some("clerk")).await;
    let (other, idle) = (world.warm_isolate(&[&ada]).await, world.warm_isolate(&[&ada]).await);
    patch(&world, &root, "clerk", &json!({ "inherits": [] })).await.expect(200);
    // Where it was made: at once, and nobody is asked.
    world.isolate.app.do_chores().await;
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(403);
    let stores = |world: &World| {
        let calls = world.host.switchboard.calls();
        world.host.switchboard.set(Plan::Healthy);
        calls.into_iter().filter(|call| *call != "crypto").collect::<Vec<_>>()
    };
    assert_eq!(stores(&world), Vec::<&str>::new());
    // A strict route asks the feed, which tells of another version: the record is read.
    other.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(200);
    assert_eq!(stores(&world), ["feed", "database"], "the bundle");
    other.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(403);
    // An idle one asks before it goes by what it knows.
    world.host.clock.advance(Duration::from_secs(10));
    assert!(!idle.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(403).warm);
}

#[tokio::test]
async fn nobody_makes_or_changes_what_is_above_them() {
    let world = World::new();
    let (root, admin) = (world.user("root", Some("super_admin")).await, world.user("chief", Some("admin")).await);
    permission(&world, &root, "orders:write").await.expect(201);
    role(&world, &root, &json!({ "name": "buyer", "permissions": ["orders:write"] })).await.expect(201);
    for (name, body) in [
        ("to give what one has not", json!({ "name": "new", "permissions": ["orders:write"] })),
        ("by a role", json!({ "name": "new", "inherits": ["buyer"] })),
        ("keys", json!({ "name": "new", "permissions": ["keys:manage"] })),
        ("out of reach", json!({ "name": "new", "inherits": ["super_admin"] })),
    ] {
        let refused = role(&world, &admin, &body).await.expect(403);
        assert!(!refused.text("/detail").is_empty(), "{name}");
    }
    let refused =
        patch(&world, &admin, "admin", &json!({ "permissions": ["users:write", "keys:manage"] })).await.expect(403);
    assert!(refused.text("/detail").contains("keys:manage"), "a role that one holds, to hold more: {refused:?}");
    assert!(refused.header("www-authenticate").unwrap().contains("scope=\"keys:manage\""));
    patch(&world, &admin, "user", &json!({ "inherits": ["buyer"] })).await.expect(403);
    patch(&world, &admin, "buyer", &json!({ "permissions": [] })).await.expect(403);
    delete(&world, &admin, &format!("{ROLES}/buyer?force=true")).await.expect(403);
    delete(&world, &admin, &format!("{PERMISSIONS}/orders:write?force=true")).await.expect(403);
    let path = format!("{PERMISSIONS}/orders:write");
    world.isolate.send_as(&admin.access, "PATCH", &path, &json!({ "description": "x" })).await.expect(403);
    for who in [&root, &admin] {
        patch(&world, who, "super_admin", &json!({ "permissions": [] })).await.expect(403);
        delete(&world, who, &format!("{ROLES}/super_admin?force=true")).await.expect(403);
    }
    // A permission that an admin makes is not theirs.
    permission(&world, &admin, "mine:all").await.expect(201);
    role(&world, &admin, &json!({ "name": "mine", "permissions": ["mine:all"] })).await.expect(403);
    role(&world, &root, &json!({ "name": "mine", "permissions": ["mine:all"] })).await.expect(201);
    // Nor does a token give what it was narrowed to have not.
    let narrow = [("username", "root"), ("password", crate::harness::PASSWORD), ("scope", "roles:manage content:read")];
    let narrow = SignedIn::from(&world.isolate.form("2001:db8::1", &narrow).await.expect(200));
    role(&world, &narrow, &json!({ "name": "reader", "permissions": ["content:read"] })).await.expect(201);
    role(&world, &narrow, &json!({ "name": "writer", "permissions": ["content:create"] })).await.expect(403);
    let made = "SELECT COUNT(*) FROM roles WHERE name IN ('new', 'writer')";
    assert_eq!((world.count(made), world.count("SELECT COUNT(*) FROM role_inherits WHERE inherits = 'buyer'")), (0, 0));
}

#[tokio::test]
async fn a_role_that_opens_something_by_its_name_is_above_who_has_not_got_it() {
    // The demo's policy names `admin`; here it is no more than another, but for its name.
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let all = [
        "users:read",
        "users:write",
        "users:delete",
        "roles:manage",
        "audit:read",
        "reports:view",
        "policy:read",
        "orgs:manage",
        "admin:access",
        "content:update",
        "content:delete",
    ];
    role(&world, &root, &json!({ "name": "helpdesk", "inherits": ["user"], "permissions": all })).await.expect(201);
    let (helper, friend) = (world.user("helper", Some("helpdesk")).await, world.user("friend", None).await);
    world.isolate.proxy_get("/demo/admin/x", Some(&helper.access)).await.expect(403);
    let refused = patch(&world, &helper, "helpdesk", &json!({ "inherits": ["user", "admin"] })).await.expect(403);
    assert_eq!(refused.text("/detail"), "missing role: admin");
    patch(&world, &helper, "admin", &json!({ "permissions": [] })).await.expect(403);
    role(&world, &helper, &json!({ "name": "chief", "inherits": ["admin"] })).await.expect(403);
    set_roles(&world, &helper, &friend.id, &json!(["user", "admin"])).await.expect(403);
    set_roles(&world, &helper, &friend.id, &json!(["user", "helpdesk"])).await.expect(200);
    let chief = world.user("chief", Some("admin")).await;
    set_roles(&world, &helper, &chief.id, &json!(["user"])).await.expect(403);
    set_roles(&world, &chief, &helper.id, &json!(["user", "admin"])).await.expect(200);
    // A name that the policy has, and that is free, is not for everyone to take.
    world.host.clock.advance(Duration::from_hours(2));
    let root = world.isolate.sign_in("root").await;
    role(&world, &root, &json!({ "name": "other", "inherits": ["admin"] })).await.expect(201);
}

#[tokio::test]
async fn only_a_super_admin_removes_what_is_others_as_well() {
    let world = World::new();
    let (root, admin) = (world.user("root", Some("super_admin")).await, world.user("chief", Some("admin")).await);
    role(&world, &admin, &json!({ "name": "helper", "permissions": ["users:read"] })).await.expect(201);
    role(&world, &root, &json!({ "name": "owner", "inherits": ["helper"], "permissions": ["keys:manage"] }))
        .await
        .expect(201);
    world.register("holder", Some("helper")).await;
    delete(&world, &admin, &format!("{ROLES}/helper")).await.expect(409);
    let refused = delete(&world, &admin, &format!("{ROLES}/helper?force=true")).await.expect(403);
    assert_eq!(refused.text("/detail"), "missing role: super_admin");
    delete(&world, &root, &format!("{ROLES}/helper?force=true")).await.expect(204);
    let seen = "SELECT COUNT(*) FROM audit_events e JOIN users u ON u.id = e.subject
                WHERE u.username = 'holder' AND event = 'role_changed' AND detail = '-helper' AND actor IS NOT NULL";
    assert_eq!(world.count(seen), 1, "whom it was taken from is told");
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_events WHERE detail = 'helper -owner'"), 1);
    // Nor does an admin take from those above them by what they inherit.
    role(&world, &admin, &json!({ "name": "base", "inherits": ["moderator"], "permissions": ["audit:read"] }))
        .await
        .expect(201);
    role(&world, &root, &json!({ "name": "boss", "inherits": ["base"], "permissions": ["keys:manage"] }))
        .await
        .expect(201);
    for less in [json!({ "permissions": [] }), json!({ "inherits": [] })] {
        patch(&world, &admin, "base", &less).await.expect(403);
    }
    patch(&world, &admin, "base", &json!({ "permissions": ["audit:read", "users:read"] })).await.expect(200);
    patch(&world, &admin, "admin", &json!({ "inherits": [] })).await.expect(403);
    // A token that was narrowed makes no super_admin.
    let narrow = [("username", "root"), ("password", crate::harness::PASSWORD), ("scope", "roles:manage users:read")];
    let narrow = SignedIn::from(&world.isolate.form("2001:db8::2", &narrow).await.expect(200));
    role(&world, &narrow, &json!({ "name": "small" })).await.expect(201);
    delete(&world, &narrow, &format!("{ROLES}/small?force=true")).await.expect(403);
    // Nor does an admin ask for a second factor of those above them, or excuse them from it.
    patch(&world, &admin, "guest", &json!({ "require_mfa": true })).await.expect(403);
    patch(&world, &root, "moderator", &json!({ "require_mfa": true })).await.expect(200);
    world.isolate.get(ROLES, Some(&admin.access)).await.expect(401);
}

#[tokio::test]
async fn who_has_lost_the_permission_uses_it_nowhere_any_more() {
    let world = World::new();
    let (root, ada) = (world.user("root", Some("super_admin")).await, world.user("ada", None).await);
    let body =
        json!({ "name": "clerk", "inherits": ["user"], "permissions": ["users:read", "users:write", "roles:manage"] });
    role(&world, &root, &body).await.expect(201);
    let clerk = world.user("clerk", Some("clerk")).await;
    let other = world.warm_isolate(&[&clerk]).await;
    let path = format!("/api/v1/admin/users/{}/unlock", ada.id);
    other.send_as(&clerk.access, "POST", &path, &Value::Null).await.expect(204);
    patch(&world, &root, "clerk", &json!({ "permissions": ["users:read"] })).await.expect(200);
    // Elsewhere the copy of roles is still of before.
    let refused = other.send_as(&clerk.access, "POST", &path, &Value::Null).await.expect(403);
    assert!(refused.text("/detail").contains("users:write"), "{refused:?}");
    other.post_as(&clerk.access, ROLES, &json!({ "name": "mine" })).await.expect(403);
}

#[tokio::test]
async fn a_change_rests_on_what_it_was_judged_by() {
    // Each happens between reading and changing.
    for (what, meddling, status) in [
        ("what it gives is above the caller now", "INSERT INTO role_permissions VALUES ('lower', 'keys:manage')", 403),
        ("it would be a cycle now", "INSERT INTO role_inherits VALUES ('lower', 'upper')", 409),
        ("it is gone", "DELETE FROM roles WHERE name = 'upper'", 404),
        ("the caller is no admin any more", "UPDATE users SET token_version = 2 WHERE username = 'chief'", 401),
        ("the caller is signed out", "UPDATE sessions SET ended_at = 1", 401),
        ("something else changed", "INSERT INTO roles (name) VALUES ('other')", 200),
    ] {
        let world = World::new();
        let admin = world.user("chief", Some("admin")).await;
        role(&world, &admin, &json!({ "name": "lower" })).await.expect(201);
        role(&world, &admin, &json!({ "name": "upper" })).await.expect(201);
        world.isolate.get(ROLES, Some(&admin.access)).await.expect(200);
        // The question whether the caller's session stands, whether they have a factor, and what roles there are come first.
        world.host.database.meddle(3, meddling);
        let answer = patch(&world, &admin, "upper", &json!({ "inherits": ["lower"] })).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let inherits = world.count("SELECT COUNT(*) FROM role_inherits WHERE role = 'upper'");
        assert_eq!(inherits, i64::from(status == 200), "{what}");
        assert_eq!(world.audited("role_updated"), inherits, "{what}");
    }
}

#[tokio::test]
async fn there_are_no_more_than_a_thousand_and_all_of_them_count() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let fill = "WITH RECURSIVE n (i) AS (SELECT 6 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                INSERT INTO roles (name) SELECT 'r' || i FROM n";
    world.host.database.look(fill, &[]).unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM roles"), 1000);
    let refused = role(&world, &root, &json!({ "name": "more" })).await.expect(409);
    assert!(refused.text("/detail").contains("1000"), "{refused:?}");
    delete(&world, &root, &format!("{ROLES}/r77")).await.expect(204);
    role(&world, &root, &json!({ "name": "more", "inherits": ["r78", "r79"] })).await.expect(201);
    let fill = "WITH RECURSIVE n (i) AS (SELECT 20 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                INSERT INTO permissions (name) SELECT 'p' || i || ':use' FROM n";
    world.host.database.look(fill, &[]).unwrap();
    permission(&world, &root, "one:more").await.expect(409);
    let whole = world.isolate.get(&format!("{ROLES}/super_admin"), Some(&root.access)).await.expect(200);
    assert_eq!(whole.body["effective_permissions"].as_array().unwrap().len(), 2000, "one has all there are");
}
