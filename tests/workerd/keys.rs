//! Signing keys in the real Worker. Time is moved by moving the keys' rows.

use std::collections::{BTreeSet, HashMap};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, SignedIn},
    races::{at_once, statuses},
    server::{Server, master_text},
};

/// The cron of the local platform.
pub const CRON: &str = "/cdn-cgi/local/scheduled";
const LIVE: &str = "SELECT COUNT(*) FROM token_keys WHERE retire_at IS NULL";

fn kid_of(token: &str) -> String {
    let header = Base64UrlUnpadded::decode_vec(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

fn published(server: &Server) -> BTreeSet<String> {
    let set = server.get("/.well-known/jwks.json", None).expect(200);
    set.body["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn rotate(server: &Server, token: &str, mode: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    server.send("POST", "/api/v1/admin/keys/rotate", &headers, json!({ "mode": mode }).to_string())
}

pub fn root(server: &Server, name: &str) -> SignedIn {
    let id = server.try_register(name).expect(201).str("/id").to_owned();
    let (granted, said) = server.grant(name, "super_admin");
    assert!(granted, "{said}");
    server.sign_in(name, id)
}

fn renewed(server: &Server, user: &SignedIn) -> SignedIn {
    let answer = server.refresh(&user.refresh).expect(200);
    SignedIn {
        access: answer.str("/access_token").into(),
        refresh: answer.str("/refresh_token").into(),
        ..user.clone()
    }
}

/// Lets this many milliseconds pass for the keys.
fn pass(server: &Server, millis: u64) {
    server.execute(&format!(
        "UPDATE token_keys SET publish_at = publish_at - {millis}, sign_from = sign_from - {millis}, retire_at = retire_at - {millis}"
    ));
}

/// Two whole rounds: a key that waits, signs, only verifies, and is gone.
pub fn keys_follow_one_another(server: &Server) {
    const HOUR: u64 = 3_600_000;
    let mut user = root(server, "rotator");
    for _ in 0..2 {
        let old = kid_of(&user.access);
        let answer = rotate(server, &user.access, "graceful").expect(200);
        let waiting: Vec<_> =
            answer.body["items"].as_array().unwrap().iter().filter(|key| key["status"] == "next").collect();
        assert_eq!(waiting.len(), 1, "{answer:?}");
        let next = waiting[0]["kid"].as_str().unwrap().to_owned();
        assert!(published(server).is_superset(&BTreeSet::from([old.clone(), next.clone()])));
        user = renewed(server, &user);
        assert_eq!(kid_of(&user.access), old, "it waits");

        pass(server, HOUR / 3);
        let new = renewed(server, &user);
        assert_eq!(kid_of(&new.access), next);
        for token in [&user.access, &new.access] {
            for path in ["/demo/private/x", "/demo/strict/x", "/api/v1/users/me"] {
                server.get(path, Some(token)).expect(200);
            }
        }
        pass(server, 2 * HOUR);
        let newest = renewed(server, &new);
        assert_eq!(published(server), BTreeSet::from([next]));
        server.get("/demo/private/x", Some(&user.access)).expect(401);
        server.get("/demo/private/x", Some(&newest.access)).expect(200);
        user = newest;
    }
}

pub fn who_races_for_the_next_key_finds_one(server: &Server) {
    let user = server.sign_in("racer", server.granted("racer").to_owned());
    let answers = at_once(20, || rotate(server, &user.access, "graceful"));
    assert_eq!(statuses(&answers), HashMap::from([(200, 20)]));
    let kids: BTreeSet<String> = answers.iter().map(|answer| answer.body["items"].to_string()).collect();
    assert_eq!(kids.len(), 1, "{kids:?}");
    assert_eq!(server.count(LIVE), 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM token_keys WHERE sign_from > unixepoch() * 1000"), 1);
}

pub fn an_emergency_is_in_force_at_once_and_races_leave_one_key(server: &Server) {
    let user = root(server, "alarmed");
    let bystander = server.user("bystander");
    server.get("/demo/private/x", Some(&bystander.access)).expect(200);
    // There were many before, more than the blacklist is read for at once.
    let before = server.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
         INSERT INTO revocations (kind, value, created_at, until)
         SELECT 'key', 'an-earlier-key-' || i, 0, unixepoch() * 1000 + 3600000 FROM n",
    );
    assert_eq!(before, 120);
    rotate(server, &user.access, "emergency").expect(200);
    for path in ["/demo/private/x", "/demo/optional/x", "/demo/strict/x", "/api/v1/users/me"] {
        for token in [&user.access, &bystander.access] {
            let refused = server.get(path, Some(token)).expect(401);
            assert_eq!(refused.body["error"], "invalid_token");
        }
    }
    let bystander = renewed(server, &bystander);
    server.get("/demo/strict/x", Some(&bystander.access)).expect(200);
    assert_eq!(published(server), BTreeSet::from([kid_of(&bystander.access)]));

    // Whoever is later ends the token that the others come with, too.
    let user = renewed(server, &user);
    let answers = at_once(10, || rotate(server, &user.access, "emergency"));
    assert!(statuses(&answers).keys().all(|status| [200, 401].contains(status)), "{answers:?}");
    assert_eq!(server.count(LIVE), 1);
    let user = renewed(server, &user);
    server.get("/demo/private/x", Some(&user.access)).expect(200);
    assert_eq!(published(server), BTreeSet::from([kid_of(&user.access)]));
}

/// The cron, many times at once: one next key when it is time, none before; what is over is forgotten.
pub fn the_cron_adds_the_next_key_once(server: &Server) {
    const DAY: u64 = 86_400_000;
    let user = root(server, "sleeper");
    let before = server.count("SELECT COUNT(*) FROM token_keys");
    server.get(CRON, None).expect(200);
    assert_eq!(server.count(LIVE), 1);
    let told = "SELECT COUNT(*) FROM audit_events WHERE event = 'key_rotated' AND subject IS NULL";
    let already = server.count(told);
    pass(server, 29 * DAY + DAY / 2);
    let answers = at_once(12, || server.get(CRON, None));
    assert_eq!(statuses(&answers), HashMap::from([(200, 12)]));
    assert_eq!((server.count(LIVE), server.count(told) - already), (1, 1), "of {before}");
    assert_eq!(server.count("SELECT COUNT(*) FROM token_keys"), 2, "one that signs, one that waits");
    let old = kid_of(&user.access);
    assert_eq!(published(server).len(), 2);
    pass(server, 2 * DAY);
    let user = renewed(server, &user);
    assert_ne!(kid_of(&user.access), old);
    server.get(CRON, None).expect(200);
    assert_eq!(server.count("SELECT COUNT(*) FROM token_keys"), 1, "the old one's private half is gone");
    server.get("/demo/strict/x", Some(&user.access)).expect(200);
}

/// To another secret and back, each step as the docs say; tokens and sign-ins go on throughout.
pub fn keys_are_sealed_anew_without_downtime(server: &Server) {
    const OTHER: &str = "other:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
    let own = master_text();
    let mut user = server.user("resealed");
    let mut stage = |vars: &str, sealed_under: &str| {
        server.restart_with(&[("KEY_ENCRYPTION_KEY", vars)]);
        server.get("/demo/private/x", Some(&user.access)).expect(200);
        user = renewed(server, &user);
        server.get(CRON, None).expect(200);
        let elsewhere = format!("SELECT COUNT(*) FROM token_keys WHERE sealed NOT LIKE 'v1.{sealed_under}.%'");
        assert_eq!(server.count(&elsewhere), 0, "{vars}");
    };
    let id = own.split(':').next().unwrap();
    stage(&format!("{own},{OTHER}"), id);
    stage(&format!("{OTHER},{own}"), "other");
    stage(OTHER, "other");
    stage(&format!("{OTHER},{own}"), "other");
    stage(&format!("{own},{OTHER}"), id);
    server.restart();
    server.get("/demo/private/x", Some(&user.access)).expect(200);
    renewed(server, &user);
}
