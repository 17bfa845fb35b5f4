//! Sessions over HTTP, in browsers and by tokens.

use serde_json::{Value, json};

use crate::{
    client::{Client, PASSWORD},
    server::Server,
};

const ME: &str = "/api/v1/users/me";
const SESSIONS: &str = "/api/v1/auth/sessions";

pub fn a_browser_signs_in_and_out(server: &Server) {
    server.try_register("browsing").expect(201);
    let browser = server.log_in("browsing");
    let origin = server.browse(&browser, "GET", "/demo/private/x", &Value::Null).expect(200);
    assert_eq!(origin.str("/headers/x-auth-username"), "browsing");
    assert_eq!(origin.str("/headers/x-auth-method"), "session");
    assert_eq!(origin.body.pointer("/headers/cookie"), None, "the origin never sees the cookie");
    server.browse(&browser, "POST", "/demo/private/x", &json!({})).expect(200);
    let foreign = [("cookie", browser.cookie.as_str()), ("origin", "http://evil.example")];
    server.send("POST", "/demo/private/x", &foreign, "{}").expect(403);
    server.send("PUT", ME, &foreign, "{}").expect(403);
    let form = format!("username=browsing&password={PASSWORD}&return_to=/app");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("cf-connecting-ip", &server.address()),
        ("origin", &server.url),
    ];
    let led = server.send("POST", "/api/v1/auth/login", &headers, form.as_str()).expect(303);
    assert_eq!(led.header("location"), Some("/app"));
    server.send("POST", "/api/v1/auth/login", &headers[..2], form.as_str()).expect(403);
    let left = server.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).expect(200);
    assert!(left.header("set-cookie").unwrap().starts_with("edgewarden=; Max-Age=0"));
    for path in ["/demo/private/x", "/demo/strict/x", ME] {
        server.browse(&browser, "GET", path, &Value::Null).expect(401);
    }
}

pub fn sessions_are_listed_and_ended_from_afar(server: &Server) {
    let user = server.user("elsewhere");
    let (one, other) = (server.log_in("elsewhere"), server.log_in("elsewhere"));
    let list = server.browse(&one, "GET", SESSIONS, &Value::Null).expect(200);
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    let current: Vec<_> = items.iter().filter(|item| item["current"] == true).map(|item| item["id"].clone()).collect();
    assert_eq!(current, [one.session.as_str()]);
    server.browse(&one, "DELETE", &format!("{SESSIONS}/{}", other.session), &Value::Null).expect(204);
    server.browse(&other, "GET", "/demo/private/x", &Value::Null).expect(401);
    server.browse(&one, "DELETE", SESSIONS, &Value::Null).expect(204);
    server.get("/demo/private/x", Some(&user.access)).expect(401);
    server.refresh(&user.refresh).expect(401);
    server.browse(&one, "GET", "/demo/private/x", &Value::Null).expect(200);
    let body = json!({ "current_password": PASSWORD, "new_password": "Another-Horse-8" });
    let changed = server.browse(&one, "POST", "/api/v1/auth/change-password", &body).expect(200);
    assert!(changed.header("set-cookie").is_some());
    server.browse(&one, "GET", "/demo/private/x", &Value::Null).expect(401);
    server.try_sign_in(&server.address(), "elsewhere", "Another-Horse-8").expect(200);
}
