//! Many at once.

use std::{collections::HashMap, thread, time::Duration};

use serde_json::Value;

use crate::{
    client::{Answer, Client, PASSWORD},
    server::Server,
};

/// Sends the same request from many threads and gives all answers.
pub fn at_once(count: usize, send: impl Fn() -> Answer + Sync) -> Vec<Answer> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&send)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

pub fn statuses(answers: &[Answer]) -> HashMap<u16, usize> {
    let mut counts = HashMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

pub fn one_of_fifty_registrations_wins(server: &Server) {
    let answers = at_once(50, || server.try_register("contested"));
    assert_eq!(statuses(&answers), HashMap::from([(201, 1), (409, 49)]));
    assert_eq!(server.count("SELECT COUNT(*) FROM users WHERE username = 'contested'"), 1);
}

pub fn five_of_forty_sign_ins_are_admitted(server: &Server) {
    server.try_register("stormed").expect(201);
    let address = server.address();
    let answers = at_once(40, || server.try_sign_in(&address, "stormed", PASSWORD));
    assert_eq!(statuses(&answers), HashMap::from([(200, 5), (429, 35)]));
}

pub fn twenty_refreshes_have_one_successor(server: &Server) {
    let user = server.user("two-tabs");
    let answers = at_once(20, || server.refresh(&user.refresh));
    assert_eq!(statuses(&answers), HashMap::from([(200, 20)]));
    let mut successors: Vec<_> = answers.iter().map(|answer| answer.str("/refresh_token")).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    let last = server.refresh(successors[0]).expect(200);
    let theft = server.refresh(&user.refresh).expect(401);
    assert!(theft.str("/detail").contains("reuse"));
    // With it everything of the session is over, what was issued last as well.
    server.refresh(last.str("/refresh_token")).expect(401);
    for access in answers.iter().map(|answer| answer.str("/access_token")).chain([last.str("/access_token")]) {
        server.get("/demo/private/x", Some(access)).expect(401);
        server.get("/demo/strict/x", Some(access)).expect(401);
    }
}

pub fn without_a_grace_the_first_replay_is_theft_and_use_is_noted_where_it_happens(server: &Server) {
    let vars = [("REFRESH_GRACE", "0s"), ("SESSION_IDLE", "300s")];
    let beside = server.try_beside(&vars).unwrap_or_else(|log| panic!("no start:\n{log}"));
    beside.try_register("browsing").expect(201);
    let browser = beside.log_in("browsing");
    let user = beside.user("hasty");
    let next = beside.refresh(&user.refresh).expect(200);
    assert!(beside.refresh(&user.refresh).expect(401).str("/detail").contains("reuse"));
    beside.refresh(next.str("/refresh_token")).expect(401);
    beside.get("/demo/private/x", Some(next.str("/access_token"))).expect(401);
    // A 24th of five minutes later, requests that only go through are noted as use.
    thread::sleep(Duration::from_millis(12_600));
    let seen = || {
        for _ in 0..20 {
            beside.browse(&browser, "GET", "/demo/private/x", &Value::Null).expect(200);
            thread::sleep(Duration::from_millis(50));
        }
        beside.count("SELECT COUNT(*) FROM sessions WHERE last_seen_at > created_at")
    };
    assert!((0..20).any(|_| seen() == 1), "never noted");
}

/// Nothing is shared between requests that verify one token for the first time.
pub fn forty_first_requests_all_verify(server: &Server) {
    let users: Vec<_> = (0..4).map(|number| server.user(&format!("eager-{number}"))).collect();
    for user in &users {
        let answers = at_once(40, || server.get("/demo/private/x", Some(&user.access)));
        assert_eq!(statuses(&answers), HashMap::from([(200, 40)]));
    }
}
