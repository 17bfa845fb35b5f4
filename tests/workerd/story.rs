//! One account from its first day to its last.

use serde_json::{Value, json};

use crate::{
    client::{Client, PASSWORD},
    mail::{mail, token},
    server::Server,
};

const SECOND: &str = "Another-Horse-8";
const THIRD: &str = "Third-Horse-9";
const ME: &str = "/api/v1/users/me";
const SESSIONS: &str = "/api/v1/auth/sessions";

pub fn from_registration_to_deactivation(server: &Server) {
    let post = |path: &str, body: &Value| {
        let headers = [("content-type", "application/json"), ("cf-connecting-ip", &server.address())];
        server.send("POST", &format!("/api/v1/auth/{path}"), &headers, body.to_string())
    };
    let authorized = |token: &str, method: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        server.send(
            method,
            path,
            if body.is_null() { &headers[..1] } else { &headers },
            match body {
                Value::Null => String::new(),
                body => body.to_string(),
            },
        )
    };
    // Register, and prove the address.
    let id = server.try_register("traveller").expect(201).str("/id").to_owned();
    let to = "traveller@example.org";
    let proof = token(&mail(server, to, "Confirm your email address"));
    post("verify-email", &json!({ "token": proof })).expect(200);
    // Sign in on two devices.
    let (laptop, phone) = (server.sign_in("traveller", id.clone()), server.sign_in("traveller", id));
    let proven = server.get("/demo/private/x", Some(&laptop.access)).expect(200);
    assert_eq!(proven.str("/headers/x-auth-email"), to);
    let list = server.get(SESSIONS, Some(&laptop.access)).expect(200);
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let other = items.iter().find(|item| item["current"] == false).unwrap()["id"].as_str().unwrap().to_owned();
    // Refresh both.
    let [laptop, phone] = [laptop, phone].map(|device| server.refresh(&device.refresh).expect(200));
    // End one of them.
    authorized(laptop.str("/access_token"), "DELETE", &format!("{SESSIONS}/{other}"), &Value::Null).expect(204);
    server.get("/demo/private/x", Some(phone.str("/access_token"))).expect(401);
    server.refresh(phone.str("/refresh_token")).expect(401);
    server.get("/demo/private/x", Some(laptop.str("/access_token"))).expect(200);
    // Change the password.
    let change = json!({ "current_password": PASSWORD, "new_password": SECOND });
    authorized(laptop.str("/access_token"), "POST", "/api/v1/auth/change-password", &change).expect(200);
    mail(server, to, "Your password at Edgewarden was changed");
    server.try_sign_in(&server.address(), "traveller", PASSWORD).expect(401);
    let again = server.try_sign_in(&server.address(), to, SECOND).expect(200);
    // Forget it, and choose another by mail.
    post("password-reset", &json!({ "email": to })).expect(202);
    let reset = token(&mail(server, to, "Choose a new password"));
    let choice = json!({ "token": reset, "new_password": THIRD });
    post("password-reset/confirm", &choice).expect(200);
    post("password-reset/confirm", &choice).expect(200);
    for session in [&laptop, &again] {
        server.get("/demo/private/x", Some(session.str("/access_token"))).expect(401);
        server.refresh(session.str("/refresh_token")).expect(401);
    }
    server.try_sign_in(&server.address(), "traveller", SECOND).expect(401);
    // Leave.
    let leaving = server.try_sign_in(&server.address(), "traveller", THIRD).expect(200);
    let access = leaving.str("/access_token");
    authorized(access, "DELETE", ME, &json!({ "password": SECOND })).expect(400);
    authorized(access, "DELETE", ME, &json!({ "password": THIRD })).expect(200);
    authorized(access, "GET", ME, &Value::Null).expect(401);
    server.get("/demo/private/x", Some(access)).expect(401);
    server.try_sign_in(&server.address(), "traveller", THIRD).expect(401);
    server.try_register("traveller").expect(409);
}
