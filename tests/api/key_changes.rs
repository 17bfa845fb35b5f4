//! Another algorithm, another secret, another version: keys go on, or take over without a gap.

use std::time::Duration;

use edgewarden::domain::token::{algorithm::Algorithm, jwk::PublicKey};

use crate::{
    harness::{OTHER_SECRET, SECRET, World},
    keys::{ALMOST_LEAD, cron, header_of, kid_of, published, rotate, sign_in_again},
};

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
    // And a Worker of the version before finds it where it looks.
    let seen: String = database.query_row("SELECT x FROM signing_keys", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let same = "SELECT COUNT(*) FROM token_keys WHERE kid = ?1 AND sealed = 'v1.k1.x.x' AND sign_from = 5";
    let count: i64 = database.query_row(same, [key.key_id().as_str()], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn going_back_to_an_algorithm_that_is_ending_leaves_no_gap() {
    let world = World::with(&[("ACCESS_TTL", "1h")]);
    let ada = world.user("ada", None).await;
    let es256 = World::isolate_over(&world.host, &[("SIGNING_ALG", "ES256"), ("ACCESS_TTL", "1h")]);
    cron(&es256).await;
    world.host.clock.advance(Duration::from_mins(30));
    cron(&world.isolate).await;
    // Both algorithms come and go; whoever signs, every token is believed to its end.
    for _ in 0..20 {
        world.host.clock.advance(Duration::from_mins(7));
        let token = world.isolate.refresh(&world.isolate.sign_in("ada").await.refresh).await.expect(200);
        let shown = token.text("/access_token");
        for isolate in [&world.isolate, &es256, &world.another_isolate()] {
            isolate.proxy_get("/demo/private/x", Some(shown)).await.expect(200);
        }
        assert!(published(&world.another_isolate()).await.contains(&kid_of(shown)));
        cron(&world.isolate).await;
    }
    let last = world.isolate.sign_in("ada").await;
    assert_eq!(header_of(&last.access)["alg"], "EdDSA");
    assert_ne!(kid_of(&last.access), kid_of(&ada.access));
}
