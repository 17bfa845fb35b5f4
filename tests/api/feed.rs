//! The feed where the record or the roles were changed around the Worker, and where there is too much to tell.

use std::time::Duration;

use edgewarden::{native::switchboard::Plan, ports::Value as Sql};

use crate::harness::World;

#[tokio::test]
async fn a_record_that_was_put_back_is_heard_of_anew() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let other = world.warm_isolate(&[&ada, &bob]).await;
    world.isolate.logout(&ada.access).await.expect(200);
    world.hear(&other).await;
    // A restored backup knows nothing of it, gives the same numbers again, and is of earlier versions.
    for sql in [
        "DELETE FROM revocations",
        "DELETE FROM sqlite_sequence WHERE name = 'revocations'",
        "UPDATE versions SET version = version - 1 WHERE name = 'keys'",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    world.hear(&other).await;
    world.host.switchboard.set(Plan::Without("feed"));
    world.isolate.logout(&bob.access).await.expect(503);
    other.proxy_get("/demo/strict/x", Some(&bob.access)).await.expect(401);
    world.host.switchboard.set(Plan::Healthy);
    let fresh = world.another_isolate();
    world.hear(&fresh).await;
    fresh.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(401);
    // Nobody reads keys and roles again and again because of the version.
    world.host.switchboard.set(Plan::Healthy);
    let good = world.user("eve", None).await;
    fresh.proxy_get("/demo/private/x", Some(&good.access)).await.expect(200);
    world.host.switchboard.set(Plan::Healthy);
    for _ in 0..10 {
        world.host.clock.advance(Duration::from_secs(6));
        fresh.proxy_get("/demo/private/x", Some(&good.access)).await.expect(200);
    }
    assert_eq!(world.host.switchboard.count("database"), 0);
}

#[tokio::test]
async fn a_role_that_gives_less_gives_less_everywhere_within_the_bound() {
    let world = World::new();
    let ada = world.user("ada", Some("admin")).await;
    let other = world.another_isolate();
    other.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(200);
    world.host.database.look("DELETE FROM role_inherits WHERE role = 'super_admin'", &[]).unwrap();
    world.host.database.look("DELETE FROM role_permissions WHERE role = 'admin'", &[]).unwrap();
    world.hear(&other).await;
    let scopes = |proxied: crate::harness::Proxied| proxied.sets("x-auth-scopes").unwrap().to_owned();
    let now = scopes(other.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(200));
    assert!(!now.contains("users:write") && now.contains("users:read"), "{now}");
    // Where newer roles are known of and cannot be read, older ones are not used.
    world.host.database.look("DELETE FROM role_permissions WHERE role = 'user'", &[]).unwrap();
    world.host.switchboard.set(Plan::Without("database"));
    world.hear(&other).await;
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(2));
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
}

/// More revocations than an isolate holds: what it cannot tell apart it refuses or asks the record about.
#[tokio::test]
async fn a_flood_of_revocations_lets_nobody_in_and_shuts_nobody_out() {
    let world = World::new();
    let (ada, gone) = (world.user("ada", None).await, world.user("gone", None).await);
    world.isolate.logout(&gone.access).await.expect(200);
    let flood = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
        INSERT INTO revocations (kind, value, user_id, created_at, until)
        SELECT 'session', printf('019b76da-a800-7000-8000-%012x', i), printf('019b76da-a800-7001-8000-%012x', i),
               ?1, ?1 + 3600000 + i FROM n";
    let now: [Sql; 1] = [edgewarden::ports::Clock::now(world.host.clock.as_ref()).millis().into()];
    world.host.database.look(flood, &now).unwrap();
    world.host.feed.lose();
    for down in [&[] as &[&str], &["feed"]] {
        world.host.switchboard.set(Plan::WithoutAll(down));
        let fresh = world.another_isolate();
        for path in ["/demo/private/x", "/demo/strict/x"] {
            fresh.proxy_get(path, Some(&ada.access)).await.expect(200);
            fresh.proxy_get(path, Some(&gone.access)).await.expect(401);
        }
        assert!(fresh.app.knowledge().view.len() <= 32_768);
        // What was asked about one token is good for the bound.
        world.host.switchboard.set(Plan::WithoutAll(down));
        fresh.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
        assert_eq!(world.host.switchboard.count("database"), 0);
    }
    // Many of one user are one, which ends what they were given before, and nothing that comes after.
    let own = "UPDATE revocations SET user_id = ?1";
    world.host.database.look(own, &[ada.id.as_str().into()]).unwrap();
    world.host.feed.lose();
    world.host.switchboard.set(Plan::Healthy);
    let fresh = world.another_isolate();
    fresh.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    // A token may be signed a little after what it comes of: what is dated shortly after counts as before.
    world.host.clock.advance(Duration::from_secs(5));
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    fresh.proxy_get("/demo/private/x", Some(renewed.text("/access_token"))).await.expect(401);
    world.host.clock.advance(Duration::from_secs(16));
    let renewed = world.isolate.refresh(renewed.text("/refresh_token")).await.expect(200);
    fresh.proxy_get("/demo/private/x", Some(renewed.text("/access_token"))).await.expect(200);
    assert!(fresh.app.knowledge().view.len() < 10_000);
}
