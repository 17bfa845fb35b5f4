//! Signing keys: published before they sign, kept until nothing of theirs is left, replaced at once
//! in an emergency; whoever races, there is one next key.

use std::{collections::BTreeSet, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    domain::{
        audit::{Entry, Event, Origin},
        token::{algorithm::Algorithm, jwk::PublicKey, rotation::Occasion},
    },
    native::switchboard::Plan,
    stores::bundle::Keeper,
};
use serde_json::{Value, json};

use crate::harness::{Answer, Isolate, OTHER_SECRET, SECRET, SignedIn, World};

/// A key is published for a second more before it signs: `JWKS_MAX_AGE`, five minutes, one.
const ALMOST_LEAD: Duration = Duration::from_secs(16 * 60 - 1);

/// The `kid` of a token.
pub fn kid_of(token: &str) -> String {
    header_of(token)["kid"].as_str().unwrap().to_owned()
}

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(token.split('.').next().unwrap()).unwrap()).unwrap()
}

/// The ids in the key set.
async fn published(isolate: &Isolate) -> BTreeSet<String> {
    let set = isolate.get("/.well-known/jwks.json", None).await.expect(200);
    set.body["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

pub async fn rotate(isolate: &Isolate, root: &SignedIn, mode: &str) -> Answer {
    isolate.post_as(&root.access, "/api/v1/admin/keys/rotate", &json!({ "mode": mode })).await
}

/// What the cron does.
async fn cron(isolate: &Isolate) {
    let origin = Origin { request: isolate.app.ports.new_request_id(), ip: None, user_agent: None };
    isolate.app.keep_keys(&origin).await.unwrap();
}

async fn sign_in_again(isolate: &Isolate, user: &SignedIn) -> SignedIn {
    let answer = isolate.refresh(&user.refresh).await.expect(200);
    let text = |name: &str| answer.text(name).to_owned();
    SignedIn { access: text("/access_token"), refresh: text("/refresh_token"), ..user.clone() }
}

fn statuses(answer: &Answer) -> Vec<(String, String)> {
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
    let wanted = isolate.app.config.wanted_algorithms();
    let keeper = Keeper {
        database: ports.database.as_ref(),
        crypto: ports.crypto.as_ref(),
        wanted: &wanted,
        schedule: &isolate.app.config.key_schedule,
        now: ports.clock.now(),
    };
    let entry = || Entry {
        id: ports.new_row_id(),
        at: ports.clock.now(),
        event: Event::KeyRotated,
        subject: None,
        session: None,
        origin: Origin { request: ports.new_request_id(), ip: None, user_agent: None },
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
async fn an_emergency_ends_what_the_old_key_signed_at_once() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let ada = world.user("ada", None).await;
    let (warm, cold) = (world.another_isolate(), world.another_isolate());
    for isolate in [&world.isolate, &warm] {
        isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    }
    rotate(&world.isolate, &root, "graceful").await.expect(200);
    let answer = rotate(&world.isolate, &root, "emergency").await.expect(200);
    assert_eq!(answer.body["items"].as_array().unwrap().len(), 1, "a key that only waited is gone too");
    let new = statuses(&answer)[0].0.clone();
    assert_eq!(published(&world.isolate).await, BTreeSet::from([new.clone()]));
    // Here at once, remembered or not; on strict routes and our own endpoints everywhere; in an isolate
    // that knows nothing; and in a warm one when it asks next.
    for path in ["/demo/private/x", "/demo/strict/x"] {
        world.isolate.proxy_get(path, Some(&ada.access)).await.expect(401);
        cold.proxy_get(path, Some(&ada.access)).await.expect(401);
    }
    warm.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(401);
    warm.get("/api/v1/users/me", Some(&root.access)).await.expect(401);
    let other = world.another_isolate();
    other.get("/.well-known/jwks.json", None).await.expect(200);
    world.host.clock.advance(Duration::from_secs(10));
    warm.proxy_get("/demo/private/x", Some(&root.access)).await.expect(401);
    // The session goes on: its refresh token was not signed with that key. An isolate that has the old
    // keys in hand signs nothing with them.
    let renewed = sign_in_again(&warm, &ada).await;
    assert_eq!(kid_of(&renewed.access), new);
    // And isolates that have not heard of the new key ask once.
    other.proxy_get("/demo/private/x", Some(&renewed.access)).await.expect(200);
}

#[tokio::test]
async fn an_emergency_that_not_everyone_was_told_of_says_so_and_heals() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let ada = world.user("ada", None).await;
    let warm = world.another_isolate();
    warm.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    let calls = {
        let probe = World::new();
        let root = probe.user("root", Some("super_admin")).await;
        probe.host.switchboard.set(Plan::Healthy);
        rotate(&probe.isolate, &root, "emergency").await.expect(200);
        probe.host.switchboard.calls()
    };
    let told = calls.iter().rposition(|port| *port == "kv").unwrap();
    world.host.switchboard.set(Plan::DownFrom(told));
    let pending = rotate(&world.isolate, &root, "emergency").await.expect(503);
    assert!(pending.text("/detail").contains("recorded"));
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    cron(&world.another_isolate()).await;
    world.host.clock.advance(Duration::from_secs(10));
    warm.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
}

#[tokio::test]
async fn every_algorithm_signs_is_verified_and_shows_nothing_secret() {
    for (algorithm, shown) in
        [("EdDSA", vec!["EdDSA"]), ("ES256", vec!["ES256"]), ("RS256", vec!["RS256"]), ("HS256", vec!["EdDSA"])]
    {
        let world = World::with(&[("SIGNING_ALG", algorithm)]);
        let root = world.user("root", Some("super_admin")).await;
        assert_eq!(header_of(&root.access)["alg"], algorithm);
        assert_eq!(header_of(&root.access)["typ"], "at+jwt");
        for isolate in [&world.isolate, &world.another_isolate()] {
            isolate.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
            isolate.get("/api/v1/users/me", Some(&root.access)).await.expect(200);
        }
        let mut broken = root.access.clone();
        let last = broken.pop().unwrap();
        broken.push(if last == 'A' { 'Q' } else { 'A' });
        world.isolate.proxy_get("/demo/private/x", Some(&broken)).await.expect(401);
        let set = world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
        let keys = set.body["keys"].as_array().unwrap();
        assert_eq!(keys.iter().map(|key| key["alg"].as_str().unwrap()).collect::<Vec<_>>(), shown);
        for key in keys {
            for name in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
                assert!(key.get(name).is_none(), "{algorithm} publishes {name}");
            }
        }
        let answer = rotate(&world.isolate, &root, "emergency").await.expect(200);
        assert_eq!(answer.body["items"].as_array().unwrap().len(), if algorithm == "HS256" { 2 } else { 1 });
        let renewed = sign_in_again(&world.isolate, &root).await;
        assert_eq!(header_of(&renewed.access)["alg"], algorithm);
        world.isolate.proxy_get("/demo/strict/x", Some(&renewed.access)).await.expect(200);
        world.isolate.proxy_get("/demo/private/x", Some(&root.access)).await.expect(401);
    }
}

#[tokio::test]
async fn another_algorithm_takes_over_without_a_gap() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    for algorithm in ["ES256", "HS256", "EdDSA"] {
        let before = world.isolate.sign_in("ada").await;
        let deployed = World::isolate_over(&world.host, &[("SIGNING_ALG", algorithm)]);
        cron(&deployed).await;
        world.host.clock.advance(ALMOST_LEAD);
        let last = deployed.sign_in("ada").await;
        assert_eq!(header_of(&last.access)["alg"], header_of(&before.access)["alg"], "not yet");
        world.host.clock.advance(Duration::from_secs(1));
        let first = deployed.sign_in("ada").await;
        assert_eq!(header_of(&first.access)["alg"], algorithm);
        for isolate in [&deployed, &world.another_isolate(), &world.isolate] {
            isolate.proxy_get("/demo/private/x", Some(&last.access)).await.expect(200);
            isolate.proxy_get("/demo/private/x", Some(&first.access)).await.expect(200);
        }
        world.host.clock.advance(Duration::from_hours(2));
        cron(&deployed).await;
    }
    // What nothing wants any more is gone; what assertions want stayed throughout.
    assert_eq!(world.count("SELECT COUNT(*) FROM token_keys WHERE algorithm <> 'EdDSA'"), 0);
    let first = kid_of(&ada.access);
    assert!(!published(&world.another_isolate()).await.contains(&first));
}

#[tokio::test]
async fn keys_are_sealed_anew_under_a_new_secret_and_the_old_one_may_go() {
    const BOTH: &str = "k2:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT,k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    for algorithm in ["EdDSA", "HS256"] {
        let world = World::with(&[("SIGNING_ALG", algorithm)]);
        let root = world.user("root", Some("super_admin")).await;
        let deployed = World::isolate_over(&world.host, &[("SIGNING_ALG", algorithm), ("KEY_ENCRYPTION_KEY", BOTH)]);
        deployed.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
        cron(&deployed).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM token_keys WHERE sealed NOT LIKE 'v1.k2.%'"), 0);
        let after = World::isolate_over(
            &world.host,
            &[("SIGNING_ALG", algorithm), ("KEY_ENCRYPTION_KEY", OTHER_SECRET), ("TOKEN_MAC_KEY", SECRET)],
        );
        after.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
        let renewed = sign_in_again(&after, &root).await;
        assert_eq!(kid_of(&renewed.access), kid_of(&root.access), "the same key, in another envelope");
        let answer = after.get("/api/v1/admin/keys", Some(&renewed.access)).await.expect(200);
        assert_eq!(answer.text("/items/0/sealed_under"), "k2");
    }
}

#[tokio::test]
async fn unknown_keys_bad_signatures_and_expired_tokens_cost_one_question_a_window() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    let parts: Vec<&str> = ada.access.split('.').collect();
    let of_kid = |kid: &str| {
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid }).to_string();
        format!("{}.{}.{}", Base64UrlUnpadded::encode_string(header.as_bytes()), parts[1], parts[2])
    };
    world.host.switchboard.set(Plan::Healthy);
    for window in 1..=3 {
        for number in 0..200 {
            let unknown = of_kid(&format!("{number:043}"));
            world.isolate.proxy_get("/demo/private/x", Some(&unknown)).await.expect(401);
            let wrong = format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86));
            world.isolate.proxy_get("/demo/private/x", Some(&wrong)).await.expect(401);
        }
        let board = &world.host.switchboard;
        assert_eq!((board.count("database"), board.count("kv"), board.count("limiter")), (window, 0, 0));
        world.host.clock.advance(Duration::from_secs(10));
    }
    world.isolate.proxy_get("/demo/private/x", Some(&of_kid("nothing-like-a-thumbprint"))).await.expect(401);
    world.isolate.proxy_get("/demo/private/x", Some(&of_kid(&"a".repeat(44)))).await.expect(401);
    assert_eq!(world.host.switchboard.count("database"), 3, "what cannot be ours is not asked about");
    world.host.clock.advance(Duration::from_mins(15));
    world.host.switchboard.set(Plan::Healthy);
    for _ in 0..200 {
        world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    }
    assert_eq!(world.host.switchboard.calls(), ["database"], "an old copy of the keys was asked for again");
}

#[tokio::test]
async fn a_copy_of_the_keys_is_asked_for_again_beside_the_answer_and_used_on_where_that_fails() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let calls = |seconds| {
        let world = &world;
        async move {
            world.isolate.proxy_get("/demo/public/x", None).await.expect(200);
            world.host.switchboard.set(Plan::Healthy);
            world.host.clock.advance(Duration::from_secs(seconds));
            for _ in 0..20 {
                assert!(world.isolate.proxy_get("/demo/public/x", None).await.expect(200).warm);
            }
            world.host.switchboard.calls()
        }
    };
    assert_eq!(calls(59).await.len(), 0);
    assert_eq!(calls(1).await, ["database"], "once, beside an answer that did not wait");
    // A copy that is too old is asked for first, by one request; a failure changes nothing for anyone.
    world.host.clock.advance(Duration::from_mins(10));
    world.host.switchboard.set(Plan::DownFrom(0));
    let refused = world.isolate.proxy_get("/demo/private/x", Some("x")).await.expect(401);
    assert!(!refused.warm);
    assert!(world.isolate.proxy_get("/demo/private/x", Some("x")).await.expect(401).warm);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    assert_eq!(world.host.switchboard.count("database"), 2, "one question, put twice");
    let set = world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    assert_eq!(set.header("cache-control"), Some("no-cache"), "good, but perhaps not all");
    // Whether a key is unknown cannot be told then.
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k".repeat(43) }).to_string();
    let (_, rest) = ada.access.split_once('.').unwrap();
    let unknown = format!("{}.{rest}", Base64UrlUnpadded::encode_string(header.as_bytes()));
    world.isolate.proxy_get("/demo/private/x", Some(&unknown)).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(10));
    world.isolate.proxy_get("/demo/private/x", Some(&unknown)).await.expect(401);
    let set = world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    assert_eq!(set.header("cache-control"), Some("public, max-age=600"));
}

#[tokio::test]
async fn the_key_set_can_be_asked_for_only_if_it_changed() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let ask = async |tag: &str| {
        let request = http::Request::get("/.well-known/jwks.json").header("if-none-match", tag);
        world.isolate.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let set = world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    assert_eq!(set.header("content-type"), Some("application/jwk-set+json"));
    let tag = set.header("etag").unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let same = ask(&known).await.expect(304);
        assert_eq!(
            (same.header("etag"), same.header("cache-control")),
            (Some(tag.as_str()), set.header("cache-control"))
        );
        assert_eq!(same.body, Value::Null);
    }
    for other in ["\"x\"", "", tag.trim_matches('"')] {
        ask(other).await.expect(200);
    }
    rotate(&world.isolate, &root, "graceful").await.expect(200);
    let changed = ask(&tag).await.expect(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
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
    world.host.clock.advance(Duration::from_hours(1));
    let root = sign_in_again(&world.isolate, &root).await;
    let asked = rotate(&world.isolate, &root, "graceful").await.expect(200);
    assert_eq!(asked.body["items"].as_array().unwrap().len(), 3, "and then the one after it");
}

#[tokio::test]
async fn a_key_that_is_not_what_its_id_says_is_used_for_nothing() {
    for change in [
        "UPDATE token_keys SET kid = 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'",
        "UPDATE token_keys SET public_key = '{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}'",
        "UPDATE token_keys SET algorithm = 'ES256'",
        "UPDATE token_keys SET algorithm = 'none'",
        "UPDATE token_keys SET public_key = NULL",
        "UPDATE token_keys SET public_key = '{}'",
    ] {
        let world = World::new();
        let ada = world.user("ada", None).await;
        world.host.database.look(change, &[]).unwrap();
        let isolate = world.another_isolate();
        let refused = isolate.proxy_get("/demo/private/x", Some(&ada.access)).await;
        assert!(refused.status >= 500, "{change}: {refused:?}");
        let set = isolate.get("/.well-known/jwks.json", None).await;
        assert!(set.status >= 500, "{change}: {set:?}");
        assert!(isolate.try_sign_in("192.0.2.7", "ada", crate::harness::PASSWORD).await.status >= 500);
    }
}

#[tokio::test]
async fn what_a_role_gives_now_counts_for_tokens_that_were_seen_before() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let scopes = async || {
        let proxied = world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
        proxied.sets("x-auth-scopes").unwrap().to_owned()
    };
    assert!(scopes().await.contains("content:create"));
    let less = "DELETE FROM role_permissions WHERE role = 'user' AND permission = 'content:create'";
    world.host.database.look(less, &[]).unwrap();
    assert!(scopes().await.contains("content:create"), "a copy is good for a minute");
    world.host.clock.advance(Duration::from_mins(1));
    scopes().await; // the copy is read again beside this answer
    assert!(!scopes().await.contains("content:create"));
}

/// A key of the version before goes on as the same key.
#[test]
fn the_key_from_before_the_migration_stays() {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    for migration in [
        include_str!("../../migrations/0001_accounts.sql"),
        include_str!("../../migrations/0002_built_in_roles.sql"),
        "INSERT INTO signing_keys VALUES ('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', 'EdDSA',
           '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', 'v1.k1.x.x', 5, 5, NULL)",
        include_str!("../../migrations/0003_token_keys.sql"),
    ] {
        database.execute_batch(migration).unwrap();
    }
    let members: String = database.query_row("SELECT public_key FROM token_keys", [], |row| row.get(0)).unwrap();
    let key = PublicKey::from_members(Algorithm::EdDsa, &members).unwrap();
    let same = "SELECT COUNT(*) FROM token_keys WHERE kid = ?1 AND sealed = 'v1.k1.x.x' AND sign_from = 5";
    let count: i64 = database.query_row(same, [key.key_id().as_str()], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}
