//! Mails: what is shown to developers, what is handed to a mail API, and what the tokens in them open.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    client::{Client, PASSWORD},
    server::Server,
};

const NEW: &str = "Other-Horse-8";

/// The newest mail to an address whose subject begins so.
pub fn mail(client: &impl Client, to: &str, subject: &str) -> Value {
    let outbox = client.get("/dev/outbox", None).expect(200).body;
    let is_it = |mail: &&Value| mail["to"] == to && mail["subject"].as_str().unwrap().starts_with(subject);
    outbox["items"].as_array().unwrap().iter().find(is_it).cloned().unwrap_or_else(|| panic!("none to {to}: {outbox}"))
}

/// The token in a mail.
pub fn token(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    text.split_once("#token=").unwrap().1.split_whitespace().next().unwrap().to_owned()
}

fn post(server: &Server, path: &str, body: &Value) -> u16 {
    let address = server.address();
    let headers = [("content-type", "application/json"), ("cf-connecting-ip", address.as_str())];
    server.send("POST", &format!("/api/v1/auth/{path}"), &headers, body.to_string()).status
}

/// Waits until something holds, but not for ever.
fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("{what} never came");
}

pub fn addresses_are_proven_and_passwords_chosen_by_mail(server: &Server) {
    let user = server.user("correspondent");
    let to = "correspondent@example.org";
    let proof = mail(server, to, "Confirm your email address");
    assert!(proof["text"].as_str().unwrap().contains(&format!("{}/verify-email#token=", server.url)));
    assert!(proof["html"].as_str().unwrap().starts_with("<!doctype html>"));
    // Beside the answer it was shown in the log, and counts as sent.
    let pending = "SELECT COUNT(*) FROM mail_outbox WHERE recipient = 'correspondent@example.org' AND state <> 'sent'";
    until("the mail", || server.count(pending) == 0);
    for _ in 0..2 {
        assert_eq!(post(server, "verify-email", &json!({ "token": token(&proof) })), 200);
    }
    let me = server.get("/api/v1/users/me", Some(&user.access)).expect(200);
    assert_eq!(me.body["email_verified"], true);
    assert_eq!(post(server, "verify-email/resend", &json!({ "email": to })), 202);
    assert_eq!(post(server, "password-reset", &json!({ "email": to })), 202);
    let reset = token(&mail(server, to, "Choose a new password"));
    assert_eq!(post(server, "verify-email", &json!({ "token": reset })), 400);
    server.get("/demo/private/x", Some(&user.access)).expect(200);
    for (password, status) in [("short", 422), (NEW, 200), (NEW, 200), ("Third-Horse-9", 400)] {
        assert_eq!(
            post(server, "password-reset/confirm", &json!({ "token": reset, "new_password": password })),
            status
        );
    }
    server.get("/demo/private/x", Some(&user.access)).expect(401);
    server.refresh(&user.refresh).expect(401);
    server.try_sign_in(&server.address(), "correspondent", PASSWORD).expect(401);
    server.try_sign_in(&server.address(), "correspondent", NEW).expect(200);
    mail(server, to, "Your password at");
}

/// A mail API that keeps what it is sent, and answers with the status that a recipient's name begins with.
fn mail_api() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/emails", listener.local_addr().unwrap());
    let (kept, moved) = (Arc::<Mutex<Vec<String>>>::default(), format!("{url}/elsewhere"));
    let keeping = kept.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut text, mut buffer) = (String::new(), [0; 8192]);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                let length = text
                    .to_lowercase()
                    .split("content-length: ")
                    .nth(1)
                    .map(|rest| rest.split('\r').next().unwrap().to_owned());
                let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                if length.is_some_and(|length| body.len() >= length.parse().unwrap()) {
                    break;
                }
            }
            let status = text.split("\"to\":\"s").nth(1).map_or("200", |rest| &rest[..3]);
            let answer = format!(
                "HTTP/1.1 {status} X\r\nlocation: {moved}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
            );
            let _ = stream.write_all(answer.as_bytes());
            keeping.lock().unwrap().push(text);
        }
    });
    (url, kept)
}

pub fn a_mail_api_is_handed_each_mail_with_its_id(server: &Server) {
    let (url, kept) = mail_api();
    let vars = [
        ("MAIL_API_URL", url.as_str()),
        ("MAIL_API_KEY", "k1:re_0123456789abcdefghijklmnopqrstuvwxyz"),
        ("MAIL_FROM", "Example <hello@example.com>"),
        ("REGISTER_LIMIT", "100"),
    ];
    let beside = server.try_beside(&vars).unwrap();
    let mails = || {
        let health = beside.get("/health?deep=1", None).expect(200).body;
        (health["mails"]["pending"].as_i64().unwrap(), health["mails"]["dead"].as_i64().unwrap())
    };
    // What was taken, what never will be, and what may be later: a redirect is not followed.
    for (number, (name, counts)) in
        [("s200", (0, 0)), ("s422", (0, 1)), ("s503", (1, 1)), ("s307", (2, 1)), ("s409", (2, 1))]
            .into_iter()
            .enumerate()
    {
        beside.try_register(name).expect(201);
        until(name, || kept.lock().unwrap().len() > number && mails() == counts);
    }
    let kept = kept.lock().unwrap();
    assert_eq!(kept.len(), 5);
    assert!(!kept.iter().any(|request| request.contains("elsewhere")));
    let (head, body) = kept[0].split_once("\r\n\r\n").unwrap();
    let (head, body) = (head.to_lowercase(), serde_json::from_str::<Value>(body).unwrap());
    assert!(head.starts_with("post /emails http/1.1"));
    assert!(head.contains("authorization: bearer re_0123456789abcdefghijklmnopqrstuvwxyz"), "{head}");
    assert!(head.contains("idempotency-key: ") && head.contains("content-type: application/json"), "{head}");
    assert_eq!((&body["from"], &body["to"]), (&json!("Example <hello@example.com>"), &json!("s200@example.org")));
    let names: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["from", "html", "subject", "text", "to"]);
}
