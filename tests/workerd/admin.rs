//! Looking after roles and accounts, on the running Worker.

use std::{collections::HashMap, sync::Mutex};

use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, PASSWORD, SignedIn},
    mail::{mail, token},
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

pub fn an_account_is_made_by_invitation_and_counted(server: &Server) {
    let chief = granted(server, "chief-of-people");
    let counted = |what: &str| {
        let shown = send(server, &chief.access, "GET", "dashboard", &Value::Null).expect(200);
        assert_eq!(shown.body["daily"].as_array().unwrap().len(), 30, "{shown:?}");
        shown.body.pointer(what).and_then(Value::as_i64).unwrap()
    };
    let before = [counted("/total_users"), counted("/daily/29/registrations") + counted("/daily/28/registrations")];
    let to = "invited@example.org";
    let body = json!({ "username": "invited", "email": to, "invite": true, "roles": ["user", "moderator"] });
    let made = send(server, &chief.access, "POST", "users", &body).expect(201);
    assert_eq!((&made.body["roles"], &made.body["email_verified"]), (&json!(["moderator", "user"]), &json!(false)));
    send(server, &chief.access, "POST", "users", &body).expect(409);
    let above = json!({ "username": "above", "email": "above@example.org", "invite": true, "roles": ["super_admin"] });
    send(server, &chief.access, "POST", "users", &above).expect(403);
    server.try_sign_in(&server.address(), "invited", PASSWORD).expect(401);
    let link = token(&mail(server, to, "Your account at"));
    for (password, status) in [("short", 422), (PASSWORD, 200), ("Third-Horse-9", 400)] {
        let (address, body) = (server.address(), json!({ "token": link, "new_password": password }));
        let headers = [("content-type", "application/json"), ("cf-connecting-ip", address.as_str())];
        server.send("POST", "/api/v1/auth/password-reset/confirm", &headers, body.to_string()).expect(status);
    }
    let invited = server.sign_in("invited", made.str("/id").to_owned());
    let me = server.get("/api/v1/users/me", Some(&invited.access)).expect(200);
    assert_eq!((me.str("/id"), &me.body["email_verified"]), (invited.id.as_str(), &json!(true)));
    send(server, &invited.access, "GET", "dashboard", &Value::Null).expect(403);
    // Of ten who make the same at once, one does; and all are counted once.
    let body = json!({ "username": "twin", "email": "twin@example.org", "password": PASSWORD });
    let made = at_once(10, || send(server, &chief.access, "POST", "users", &body));
    assert_eq!(statuses(&made), HashMap::from([(201, 1), (409, 9)]));
    assert!(counted("/total_users") >= before[0] + 2);
    assert!(counted("/daily/29/registrations") + counted("/daily/28/registrations") >= before[1] + 2);
    assert!(counted("/live_sessions") >= 2 && counted("/users_by_role/moderator") >= 1);
    let wrong = "SELECT (SELECT COUNT(*) FROM users WHERE erased_at IS NULL) - (SELECT SUM(users) FROM user_totals)
      + (SELECT COUNT(*) FROM user_roles) - (SELECT SUM(holders) FROM role_totals)";
    assert_eq!(server.count(wrong), 0);
}
