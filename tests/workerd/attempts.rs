//! How often a password may be tried on one account.

use std::collections::HashMap;

use crate::{
    client::{Answer, Client, PASSWORD},
    keys::CRON,
    races::{at_once, statuses},
    server::Server,
};

const WRONG: &str = "Wrong-Horse-7";

/// Tries a password from an address of its own.
fn attempt(server: &Server, username: &str, password: &str) -> Answer {
    server.try_sign_in(&server.address(), username, password)
}

/// What is told, without what differs by chance.
fn told(answer: Answer) -> (serde_json::Value, Vec<String>) {
    let mut body = answer.body;
    body.as_object_mut().unwrap().remove("request_id");
    (body, answer.headers.keys().map(ToString::to_string).collect())
}

pub fn of_fifty_at_once_five_are_looked_at_whoever_exists(server: &Server) {
    server.try_register("besieged").expect(201);
    for username in ["besieged", "besieged-nobody"] {
        let answers = at_once(50, || attempt(server, username, WRONG));
        assert_eq!(statuses(&answers), HashMap::from([(401, 5), (429, 45)]), "{username}");
    }
    let events = |event: &str| {
        let subject = "(SELECT id FROM users WHERE username = 'besieged')";
        server.count(&format!("SELECT COUNT(*) FROM audit_events WHERE event = '{event}' AND subject = {subject}"))
    };
    assert_eq!((events("login_failure"), events("login_blocked"), events("account_locked")), (5, 45, 1));
    let refused = attempt(server, "besieged", PASSWORD).expect(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1800).contains(&wait), "{wait}");
    // The address counts with the name.
    let refused = [refused, attempt(server, "besieged@example.org", PASSWORD).expect(429)].map(told);
    let nobody = told(attempt(server, "besieged-nobody", PASSWORD).expect(429));
    assert!(refused.iter().all(|one| *one == nobody), "{refused:?}\n{nobody:?}");
}

pub fn a_known_browser_signs_in_while_strangers_are_shut_out(server: &Server) {
    server.try_register("at-home").expect(201);
    let first = attempt(server, "at-home", PASSWORD).expect(200);
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap();
    assert!(cookie.starts_with("edgewarden-device="), "{cookie}");
    let from_home = |password: &str| {
        let address = server.address();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cf-connecting-ip", address.as_str()),
            ("cookie", cookie),
        ];
        server.send("POST", "/api/v1/auth/token", &headers, format!("username=at-home&password={password}"))
    };
    for _ in 0..5 {
        attempt(server, "at-home", WRONG).expect(401);
    }
    attempt(server, "at-home", PASSWORD).expect(429);
    from_home(PASSWORD).expect(200);
    for _ in 0..5 {
        from_home(WRONG).expect(401);
    }
    from_home(PASSWORD).expect(429);
    // No origin sees it.
    let echo = server.send("GET", "/demo/public/x", &[("cookie", &format!("a=1; {cookie}"))], "").expect(200);
    assert_eq!(echo.str("/headers/cookie"), "a=1");
}

pub fn the_cron_forgets_what_counts_no_more(server: &Server) {
    server.execute("INSERT INTO sign_in_attempts (id, account, at, outcome) VALUES ('ancient', 'x', 1, 'failed')");
    server.execute("INSERT INTO sign_in_locks (account, slot, until, closed_by) VALUES ('x', '', 1, 'ancient')");
    let before = server.count("SELECT COUNT(*) FROM sign_in_attempts");
    server.get(CRON, None).expect(200);
    assert_eq!(server.count("SELECT COUNT(*) FROM sign_in_attempts"), before - 1, "the others are of today");
    assert_eq!(server.count("SELECT COUNT(*) FROM sign_in_locks WHERE account = 'x'"), 0);
}
