//! API keys, on the running Worker.

use serde_json::Value;

use crate::{
    client::{Answer, Client, SignedIn},
    races::{at_once, statuses},
    server::Server,
};

fn use_key(server: &Server, path: &str, key: &str) -> Answer {
    server.send("GET", path, &[("x-api-key", key)], "")
}

fn send(server: &Server, user: &SignedIn, method: &str, path: &str) -> Answer {
    let bearer = format!("Bearer {}", user.access);
    server.send(method, &format!("/api/v1/api-keys/{path}"), &[("authorization", &bearer)], "")
}

pub fn a_key_is_made_used_rotated_and_ended(server: &Server) {
    let ada = server.user("key-keeper");
    let made = server.make_key(&ada.access, r#"{"name":"ci","scopes":["content:read","users:read"]}"#);
    let (id, key) = (made.str("/id").to_owned(), made.str("/key").to_owned());
    let through = use_key(server, "/demo/private/x", &key).expect(200);
    assert_eq!(through.str("/headers/x-auth-subject"), ada.id);
    assert_eq!(through.str("/headers/x-auth-scopes"), "content:read", "what is held of what was asked for");
    assert_eq!(through.str("/headers/x-auth-method"), "api_key");
    assert!(
        through.body["headers"].get("x-api-key").is_none() && through.body["headers"].get("x-auth-session").is_none()
    );
    assert!(through.header("x-ratelimit-remaining").is_some());
    server.get("/demo/strict/x", Some(&key)).expect(200);
    // It looks after nothing, and reads what it was made for.
    for (method, path) in [("POST", "/api/v1/api-keys"), ("GET", "/api/v1/auth/sessions"), ("GET", "/api/v1/api-keys")]
    {
        let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
        server.send(method, path, &headers, if method == "POST" { "{}" } else { "" }).expect(403);
    }
    use_key(server, "/api/v1/users/me", &key).expect(403);
    let last = if key.ends_with('A') { 'B' } else { 'A' };
    use_key(server, "/demo/private/x", &format!("{}{last}", &key[..key.len() - 1])).expect(401);

    let rotated = send(server, &ada, "POST", &format!("{id}/rotate")).expect(200);
    use_key(server, "/demo/strict/x", &key).expect(401);
    use_key(server, "/demo/private/x", &key).expect(401);
    use_key(server, "/demo/private/x", rotated.str("/key")).expect(200);
    send(server, &ada, "DELETE", rotated.str("/id")).expect(204);
    use_key(server, "/demo/strict/x", rotated.str("/key")).expect(401);
    let listed = server.get("/api/v1/api-keys", Some(&ada.access)).expect(200);
    assert_eq!(listed.body["items"], Value::Array(Vec::new()));
    let told = server.logged("api_key_revoked").unwrap();
    assert!(told.contains(rotated.str("/id")) && !told.contains(rotated.str("/key")), "{told}");
}

pub fn of_ten_that_rotate_a_key_at_once_one_does(server: &Server) {
    let ada = server.user("key-racer");
    let id = server.make_key(&ada.access, r#"{"name":"k"}"#).str("/id").to_owned();
    let answers = at_once(10, || send(server, &ada, "POST", &format!("{id}/rotate")));
    let mut seen = statuses(&answers);
    assert_eq!(seen.remove(&200), Some(1), "{answers:?}");
    assert!(seen.keys().all(|status| [404, 409].contains(status)), "{seen:?}");
    let listed = server.get("/api/v1/api-keys", Some(&ada.access)).expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
}
