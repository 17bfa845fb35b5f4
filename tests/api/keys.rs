//! Signing keys: published before they sign, kept until nothing of theirs is left, replaced at once
//! in an emergency; whoever races, there is one next key.

use std::{collections::BTreeSet, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    domain::{
        audit::{Entry, Event, Origin},
        token::rotation::Occasion,
    },
    stores::bundle::Keeper,
};
use serde_json::{Value, json};

use crate::harness::{Answer, Isolate, SignedIn, World};

/// A key is published for a second more before it signs: `JWKS_MAX_AGE`, five minutes, one.
pub const ALMOST_LEAD: Duration = Duration::from_secs(16 * 60 - 1);

/// The `kid` of a token.
pub fn kid_of(token: &str) -> String {
    header_of(token)["kid"].as_str().unwrap().to_owned()
}

pub fn header_of(token: &str) -> Value {
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(token.split('.').next().unwrap()).unwrap()).unwrap()
}

/// The ids in the key set.
pub async fn published(isolate: &Isolate) -> BTreeSet<String> {
    let set = isolate.get("/.well-known/jwks.json", None).await.expect(200);
    set.body["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

pub async fn rotate(isolate: &Isolate, root: &SignedIn, mode: &str) -> Answer {
    isolate.post_as(&root.access, "/api/v1/admin/keys/rotate", &json!({ "mode": mode })).await
}

/// What the cron does.
pub async fn cron(isolate: &Isolate) {
    let origin = Origin { request: isolate.app.ports.new_request_id(), ip: None, user_agent: None };
    isolate.app.keep_keys(&origin).await.unwrap();
}

pub async fn sign_in_again(isolate: &Isolate, user: &SignedIn) -> SignedIn {
    let answer = isolate.refresh(&user.refresh).await.expect(200);
    let text = |name: &str| answer.text(name).to_owned();
    SignedIn { access: text("/access_token"), refresh: text("/refresh_token"), ..user.clone() }
}

pub fn statuses(answer: &Answer) -> Vec<(String, String)> {
    let items = answer.body["items"].as_array().unwrap();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    items.iter().map(|item| (text(item, "kid"), text(item, "status"))).collect()
}

#[tokio::test]
async fn a_next_key_is_seen_before_it_signs_and_the_old_one_verifies_to_the_end() {
    let world = World::new();
    let mut root = world.user("root", Some("super_admin")).await;
    let old = kid_of(&root.access);
    let answer = rotate(&world.isolate, &root, "graceful").await.expect(200);
    let next = statuses(&answer)[1].0.clone();
    assert_eq!(statuses(&answer), [(old.clone(), "signing".into()), (next.clone(), "next".into())]);
    assert_eq!(answer.text("/items/0/algorithm"), "EdDSA");
    assert_eq!(answer.text("/items/1/sealed_under"), "k1");
    assert_eq!(published(&world.isolate).await, BTreeSet::from([old.clone(), next.clone()]));
    assert_eq!(world.audited("key_rotated"), 1);

    world.host.clock.advance(ALMOST_LEAD);
    let ada = world.user("ada", None).await;
    assert_eq!(kid_of(&ada.access), old, "not yet");
    world.host.clock.advance(Duration::from_secs(1));
    let bob = world.user("bob", None).await;
    assert_eq!(kid_of(&bob.access), next);
    root = sign_in_again(&world.isolate, &root).await;
    let now = world.isolate.get("/api/v1/admin/keys", Some(&root.access)).await.expect(200);
    assert_eq!(statuses(&now), [(old.clone(), "verifying".into()), (next.clone(), "signing".into())]);

    // What the old key signed is believed to its end, in an isolate that saw none of this too.
    world.host.clock.advance(Duration::from_secs(15 * 60 - 2));
    for isolate in [&world.isolate, &world.another_isolate()] {
        isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
        isolate.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(200);
    }
    // The longest life a token can be configured to have, and the isolates' ignorance, and it is gone.
    world.host.clock.advance(Duration::from_hours(1));
    assert_eq!(published(&world.isolate).await, BTreeSet::from([next]));
    cron(&world.isolate).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM token_keys"), 1, "its private half is forgotten");
}

#[tokio::test]
async fn whoever_asks_again_or_races_there_is_one_next_key() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let first = statuses(&rotate(&world.isolate, &root, "graceful").await.expect(200));
    let again = statuses(&rotate(&world.another_isolate(), &root, "graceful").await.expect(200));
    assert_eq!(first, again);

    // Two that have read the same keys before either writes.
    let world = World::new();
    let isolate = &world.isolate;
    let seen = isolate.app.bundle().await.unwrap();
    let ports = &isolate.app.ports;
    let keeper = Keeper {
        database: ports.database.as_ref(),
        crypto: ports.crypto.as_ref(),
        wanted: isolate.app.config.wanted_algorithms(),
        schedule: &isolate.app.config.key_schedule,
        now: ports.clock.now(),
        order: 0,
    };
    let request = ports.new_request_id();
    let entry = || Entry {
        id: ports.new_row_id(),
        at: ports.clock.now(),
        event: Event::KeyAdded,
        subject: None,
        session: None,
        origin: Origin { request, ip: None, user_agent: None },
    };
    let mut told = Vec::new();
    for _ in 0..5 {
        let (bundle, entries) = keeper.rotate(&seen, Occasion::Asked, entry).await.unwrap();
        assert_eq!(bundle.keyring.keys().count(), 2);
        told.push(entries.len());
    }
    assert_eq!(told, [1, 0, 0, 0, 0], "and one tells of it");
    assert_eq!(world.audited("key_rotated"), 1);
}

#[tokio::test]
async fn only_known_modes_are_taken_and_only_from_who_may() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let admin = world.user("boss", Some("admin")).await;
    for body in [json!({}), json!({ "mode": "now" }), json!({ "mode": 7 }), json!({ "mode": null })] {
        let answer = world.isolate.post_as(&root.access, "/api/v1/admin/keys/rotate", &body).await.expect(422);
        assert_eq!(answer.text("/errors/0/field"), "mode");
    }
    let refused = rotate(&world.isolate, &admin, "emergency").await.expect(403);
    assert!(refused.text("/detail").contains("keys:manage"));
    world.isolate.get("/api/v1/admin/keys", Some(&admin.access)).await.expect(403);
    assert_eq!(world.count("SELECT COUNT(*) FROM token_keys"), 1);
}

#[tokio::test]
async fn who_asks_for_a_key_that_waits_for_its_day_gets_it_as_soon_as_it_is_known() {
    let world = World::with(&[("KEY_ROTATION", "30d"), ("REFRESH_TTL", "90d"), ("SESSION_MAX", "366d")]);
    let root = world.user("root", Some("super_admin")).await;
    world.host.clock.advance(Duration::from_hours(30 * 24 - 20));
    cron(&world.isolate).await;
    let root = sign_in_again(&world.isolate, &root).await;
    let planned = world.isolate.get("/api/v1/admin/keys", Some(&root.access)).await.expect(200);
    assert_eq!(planned.text("/items/1/status"), "next");
    assert_eq!(
        planned.text("/items/1/sign_from"),
        "2026-01-31T00:00:00.000Z",
        "when the first has signed for its time"
    );
    world.host.clock.advance(Duration::from_mins(10));
    let asked = rotate(&world.isolate, &root, "graceful").await.expect(200);
    assert_eq!(asked.text("/items/1/kid"), planned.text("/items/1/kid"), "no other key");
    assert_eq!(asked.text("/items/1/sign_from"), "2026-01-30T04:16:00.000Z", "not before everyone can know it");
    assert_eq!(asked.text("/items/0/retire_at"), "2026-01-30T05:22:05.000Z", "and the one before goes as much earlier");
    assert_eq!(world.audited("key_rotated"), 2, "the cron's, and this");
    world.host.clock.advance(Duration::from_hours(1));
    let root = sign_in_again(&world.isolate, &root).await;
    let asked = rotate(&world.isolate, &root, "graceful").await.expect(200);
    assert_eq!(asked.body["items"].as_array().unwrap().len(), 3, "and then the one after it");
}

#[tokio::test]
async fn a_key_that_was_ended_before_it_signed_is_nobodys_successor() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    rotate(&world.isolate, &root, "graceful").await.expect(200);
    rotate(&world.isolate, &root, "emergency").await.expect(200);
    let root = sign_in_again(&world.isolate, &root).await;
    let answer = rotate(&world.isolate, &root, "graceful").await.expect(200);
    let ends: Vec<_> = answer.body["items"].as_array().unwrap().iter().map(|key| key["retire_at"].is_null()).collect();
    assert_eq!(ends, [false, true], "the one that signs ends, the one that waits stays");
    assert_eq!(answer.text("/items/0/retire_at"), "2026-01-01T01:22:05.000Z", "an hour and six minutes after 00:16");
}
