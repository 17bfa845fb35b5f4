//! Looking after roles and accounts, on the running Worker.

use std::{collections::HashMap, sync::Mutex};

use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, SignedIn},
    races::{at_once, statuses},
    server::Server,
};

fn send(server: &Server, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let (path, bearer) = (format!("/api/v1/admin/{path}"), format!("Bearer {token}"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    match body {
        Value::Null => server.send(method, &path, &headers[..1], ""),
        body => server.send(method, &path, &headers, body.to_string()),
    }
}

/// Somebody whose role was granted at the start.
fn granted(server: &Server, username: &str) -> SignedIn {
    server.sign_in(username, server.granted(username).to_owned())
}

pub fn a_role_is_made_granted_used_and_removed(server: &Server) {
    let (root, ada) = (granted(server, "root-of-roles"), server.user("clerk-to-be"));
    send(server, &root.access, "POST", "permissions", &json!({ "name": "orders:read" })).expect(201);
    let body = json!({ "name": "clerk", "inherits": ["user"], "permissions": ["orders:read", "admin:access"] });
    send(server, &root.access, "POST", "roles", &body).expect(201);
    let path = format!("users/{}/roles", ada.id);
    let granted = send(server, &root.access, "PUT", &path, &json!({ "roles": ["user", "clerk"] })).expect(200);
    assert_eq!(granted.body["roles"], json!(["clerk", "user"]));
    server.get("/demo/strict/x", Some(&ada.access)).expect(401);
    let renewed = server.refresh(&ada.refresh).expect(200);
    assert!(renewed.str("/scope").contains("orders:read"), "{renewed:?}");
    let access = renewed.str("/access_token");
    let through = server.get("/demo/private/x", Some(access)).expect(200);
    assert_eq!(through.str("/headers/x-auth-roles"), "clerk user");
    // What a role gives less is given less at once, and what it is removed from has it no more.
    send(server, &root.access, "PATCH", "roles/clerk", &json!({ "permissions": [] })).expect(200);
    let through = server.get("/demo/strict/x", Some(access)).expect(200);
    assert!(!through.str("/headers/x-auth-scopes").contains("orders:read"), "{through:?}");
    send(server, &root.access, "DELETE", "roles/clerk", &Value::Null).expect(409);
    send(server, &root.access, "DELETE", "roles/clerk?force=true", &Value::Null).expect(204);
    let through = server.get("/demo/strict/x", Some(access)).expect(200);
    assert_eq!(through.str("/headers/x-auth-roles"), "user");
    let seen = send(server, &root.access, "GET", &format!("users/{}", ada.id), &Value::Null).expect(200);
    assert_eq!(seen.body["roles"], json!(["user"]));
    let log = send(server, &root.access, "GET", "audit?event=role_changed,role_deleted", &Value::Null).expect(200);
    let told: Vec<_> =
        log.body["items"].as_array().unwrap().iter().filter_map(|item| item["detail"].as_str()).collect();
    assert!(told.contains(&"clerk") && told.contains(&"+clerk"), "{told:?}");
}

pub fn two_roles_that_would_inherit_each_other_do_not(server: &Server) {
    let root = granted(server, "root-of-races");
    for name in ["chicken", "egg"] {
        send(server, &root.access, "POST", "roles", &json!({ "name": name })).expect(201);
    }
    let turns = Mutex::new([("chicken", "egg"), ("egg", "chicken")].into_iter().cycle());
    let answers = at_once(10, || {
        let (name, inherits) = turns.lock().unwrap().next().unwrap();
        send(server, &root.access, "PATCH", &format!("roles/{name}"), &json!({ "inherits": [inherits] }))
    });
    let counted = statuses(&answers);
    assert!(counted.keys().all(|status| [200, 409, 503].contains(status)) && counted[&200] >= 1, "{counted:?}");
    let edges = "SELECT COUNT(*) FROM role_inherits WHERE role IN ('chicken', 'egg')";
    assert_eq!(server.count(edges), 1, "{counted:?}");
    // Eight that make one each do, one after the other.
    let names = Mutex::new(0..8);
    let made = at_once(8, || {
        let name = format!("of-many-{}", names.lock().unwrap().next().unwrap());
        send(server, &root.access, "POST", "roles", &json!({ "name": name }))
    });
    assert_eq!(statuses(&made), HashMap::from([(201, 8)]));
    // Of ten that make the same, one does.
    let made = at_once(10, || send(server, &root.access, "POST", "roles", &json!({ "name": "contested" })));
    assert_eq!(statuses(&made), HashMap::from([(201, 1), (409, 9)]));
}

pub fn whoever_is_looked_after_is_found_changed_and_ended(server: &Server) {
    let (chief, bob) = (granted(server, "chief-of-people"), server.user("looked-after"));
    let found = send(server, &chief.access, "GET", "users?query=Looked-A&active=true", &Value::Null).expect(200);
    assert_eq!(found.str("/items/0/id"), bob.id);
    let path = format!("users/{}", bob.id);
    let changed = send(server, &chief.access, "PATCH", &path, &json!({ "full_name": "Bob" })).expect(200);
    assert_eq!((changed.str("/full_name"), &changed.body["live_sessions"]), ("Bob", &json!(1)));
    send(server, &chief.access, "POST", &format!("{path}/verify-email"), &Value::Null).expect(204);
    send(server, &chief.access, "POST", &format!("{path}/unlock"), &Value::Null).expect(204);
    send(server, &chief.access, "DELETE", &format!("{path}/sessions"), &Value::Null).expect(204);
    server.get("/demo/strict/x", Some(&bob.access)).expect(401);
    server.refresh(&bob.refresh).expect(401);
    send(server, &chief.access, "PATCH", &path, &json!({ "is_active": false })).expect(200);
    send(server, &chief.access, "PUT", &format!("{path}/roles"), &json!({ "roles": ["super_admin"] })).expect(403);
    let exported = server.get("/api/v1/admin/audit/export?format=csv&limit=1", Some(&chief.access));
    exported.expect(422);
    let exported =
        server.get(&format!("/api/v1/admin/audit/export?format=csv&subject={}", bob.id), Some(&chief.access));
    let exported = exported.expect(200);
    assert!(exported.text.starts_with("id,at,event,") && exported.text.contains("account_deactivated"), "{exported:?}");
}
