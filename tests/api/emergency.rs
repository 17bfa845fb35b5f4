//! Keys that are replaced at once: what they signed is refused, here and everywhere.

use std::{collections::BTreeSet, time::Duration};

use edgewarden::native::switchboard::Plan;

use crate::{
    harness::World,
    keys::{cron, kid_of, published, rotate, sign_in_again, statuses},
};

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
    let warm = world.warm_isolate(&[&ada]).await;
    let calls = {
        let probe = World::new();
        let root = probe.user("root", Some("super_admin")).await;
        probe.host.switchboard.set(Plan::Healthy);
        rotate(&probe.isolate, &root, "emergency").await.expect(200);
        probe.host.switchboard.calls()
    };
    let told = calls.iter().rposition(|port| *port == "feed").unwrap();
    world.host.switchboard.set(Plan::DownFrom(told));
    let pending = rotate(&world.isolate, &root, "emergency").await.expect(503);
    assert!(pending.text("/detail").contains("recorded") && pending.text("/detail").contains("once more"));
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    cron(&world.another_isolate()).await;
    world.host.clock.advance(Duration::from_secs(10));
    warm.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    assert!(world.blacklisted().iter().any(|key| key.starts_with("kid:")));
}

/// Its answer is lost, somebody else's emergency comes between, and it is put again: theirs stands.
#[tokio::test]
async fn an_emergency_that_is_put_twice_does_not_undo_what_came_between() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    // What a rotation calls, where the token is known: the limiter, the record, whether they have a
    // second factor, a new key, the batch.
    world.isolate.get("/api/v1/admin/keys", Some(&root.access)).await.expect(200);
    let between = "UPDATE token_keys SET retire_at = (SELECT MAX(publish_at) FROM token_keys);
        INSERT INTO token_keys SELECT 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', 'EdDSA',
          '{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}', '-', publish_at, publish_at, NULL
          FROM token_keys LIMIT 1";
    world.host.database.meddle(3, between);
    world.host.switchboard.set(Plan::LoseOnce(4));
    rotate(&world.isolate, &root, "emergency").await.expect(200);
    assert_eq!(
        world.host.switchboard.calls()[..6],
        ["limiter", "database", "database", "crypto", "database", "database"]
    );
    let live = world.host.database.look("SELECT kid FROM token_keys WHERE retire_at IS NULL", &[]).unwrap();
    assert_eq!(live.0.len(), 1);
    assert_eq!(live.0[0]["kid"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[tokio::test]
async fn more_keys_than_the_blacklist_reads_at_once_are_told_of() {
    let world = World::new();
    let mut root = world.user("root", Some("super_admin")).await;
    for _ in 0..105 {
        rotate(&world.isolate, &root, "emergency").await.expect(200);
        root = sign_in_again(&world.isolate, &root).await;
    }
    let told = world.host.blacklist.keys();
    assert_eq!(told.iter().filter(|key| key.starts_with("kid:")).count(), 105);
    cron(&world.isolate).await;
}

/// Whoever has the key makes a token that nobody has seen: an isolate that has heard of its end believes it nowhere, though
/// it still has the key.
#[tokio::test]
async fn a_key_whose_end_was_heard_of_signs_no_one_out() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let ada = world.user("ada", None).await;
    let leaked = crate::tokens::forge(&world);
    let other = world.warm_isolate(&[&ada]).await;
    rotate(&world.isolate, &root, "emergency").await.expect(200);
    let ada = sign_in_again(&world.isolate, &ada).await;
    other.app.ask_view().await;
    let forged = leaked.sign(&leaked.header(), &crate::common::forge::claims_of(&ada.access)).await;
    world.host.switchboard.set(Plan::Healthy);
    other.logout(&forged).await.expect(401);
    other.proxy_get("/demo/private/x", Some(&forged)).await.expect(401);
    world.isolate.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(200);
}
