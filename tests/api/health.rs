//! `GET /health`, and the probe that measures how long a revocation takes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use edgewarden::{
    app::App,
    domain::audit::Origin,
    native::{ManualClock, switchboard::Plan},
    ports::Timer,
};
use serde_json::{Value, json};

use crate::harness::{World, demo_origin};

const DEEP: &str = "/health?deep=1";

#[tokio::test]
async fn that_it_runs_is_told_to_anyone_and_how_only_to_who_looks_after_it() {
    let world = World::new();
    let plain = world.isolate.get("/health", None).await.expect(200);
    assert_eq!(plain.body, json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    for query in ["?deep=0", "?deep=", "?x=1", "?deep"] {
        let answer = world.isolate.get(&format!("/health{query}"), None).await.expect(200);
        assert_eq!(answer.body, plain.body, "{query}");
    }
    let (ada, admin) = (world.user("ada", None).await, world.user("boss", Some("admin")).await);
    let root = world.user("root", Some("super_admin")).await;
    world.isolate.get(DEEP, None).await.expect(401);
    world.isolate.get(DEEP, Some("x")).await.expect(401);
    for user in [&ada, &admin] {
        let refused = world.isolate.get(DEEP, Some(&user.access)).await.expect(403);
        assert!(refused.header("www-authenticate").unwrap().contains("system:manage"));
    }
    world.isolate.get(DEEP, Some(&root.access)).await.expect(200);
    let development = World::isolate_over(&world.host, &[("ENVIRONMENT", "development")]);
    development.get(DEEP, None).await.expect(200);
}

#[tokio::test]
async fn each_store_that_is_down_is_named() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    world.isolate.get(DEEP, Some(&root.access)).await.expect(200);
    for (port, name) in [("database", "database"), ("kv", "kv"), ("feed", "feed"), ("limiter", "limiter")] {
        world.host.switchboard.set(Plan::Without(port));
        let answer = world.isolate.get(DEEP, Some(&root.access)).await.expect(503);
        assert_eq!(answer.text("/status"), "degraded");
        for store in ["database", "kv", "feed", "limiter"] {
            assert_eq!(answer.body["stores"][store]["ok"], Value::Bool(store != name), "{port} {store}");
        }
        assert!(!answer.body.to_string().contains("switched off"), "the cause is for the log");
    }
    world.host.switchboard.set(Plan::Healthy);
    let healthy = world.isolate.get(DEEP, Some(&root.access)).await.expect(200);
    assert_eq!(healthy.text("/status"), "ok");
    assert_eq!(world.host.switchboard.calls(), ["database", "kv", "feed", "limiter"], "side by side, once each");
}

#[tokio::test]
async fn lag_and_age_and_refusals_are_told() {
    let world = World::new();
    let (ada, root) = (world.user("ada", None).await, world.user("root", Some("super_admin")).await);
    world.isolate.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
    world.isolate.logout(&ada.access).await.expect(200);
    world.host.clock.advance(Duration::from_secs(3));
    let health = world.isolate.get(DEEP, Some(&root.access)).await.expect(200).body;
    // Two rows were pushed, and are not pulled yet.
    assert_eq!(health["feed"], json!({ "pulled_ago_ms": 3000, "behind": 2 }));
    assert_eq!(health["isolate"], json!({ "view_age_ms": 3000, "revocations": 2, "limiter_refusals": 0 }));
    let ip = "192.0.2.44";
    for _ in 0..6 {
        world.isolate.try_sign_in(ip, "nobody", "x").await;
    }
    world.host.clock.advance(Duration::from_secs(9));
    world.isolate.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
    let health = world.isolate.get(DEEP, Some(&root.access)).await.expect(200).body;
    assert_eq!((&health["feed"]["behind"], &health["isolate"]["limiter_refusals"]), (&json!(0), &json!(1)));
    let refused = world.host.log.lines().into_iter().find(|line| line.contains("\"rate_limited\"")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&refused).unwrap()["view_age_ms"], 3000);
}

/// A timer that takes its time.
struct Waiting(Arc<ManualClock>);

#[async_trait]
impl Timer for Waiting {
    async fn pause(&self, duration: Duration) {
        self.0.advance(duration);
    }
}

fn app(world: &World) -> App {
    let known = &world.isolate.app;
    let (config, mut ports) = (known.config.clone(), known.ports.clone());
    ports.timer = Arc::new(Waiting(world.host.clock.clone()));
    App::new(config, &demo_origin, ports).unwrap()
}

async fn probe(world: &World) -> Result<Value, String> {
    let app = app(world);
    let origin = Origin { request: app.ports.new_request_id(), ip: None, user_agent: None };
    app.probe_revocation(&origin).await.map_err(|error| format!("{error:?}"))?;
    let line = world.host.log.lines().into_iter().rfind(|line| line.contains("\"probe\"")).unwrap();
    Ok(serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn the_probe_measures_how_long_a_revocation_takes_elsewhere() {
    let world = World::with(&[("REVOCATION_BOUND", "10s")]);
    for _ in 0..3 {
        let measured = probe(&world).await.unwrap();
        let after = measured["refused_after_ms"].as_i64().unwrap();
        assert!((5000..10_000).contains(&after), "an ageing view is asked for again: {measured}");
        assert_eq!(measured["bound_ms"], 10_000);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM revocations WHERE kind = 'token'"), 3);
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 0, "nobody is behind it");
    world.isolate.app.forget_revocations().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM revocations"), 3, "it can still matter");
    world.host.clock.advance(Duration::from_hours(2));
    world.isolate.app.forget_revocations().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM revocations"), 1, "the newest stays: by it a restored record is told");
}

#[tokio::test]
async fn a_probe_that_cannot_be_done_is_an_error_and_no_measurement() {
    for port in ["database", "feed", "kv"] {
        let world = World::new();
        world.isolate.app.bundle().await.unwrap();
        world.host.switchboard.set(Plan::Without(port));
        assert!(probe(&world).await.is_err(), "{port}");
    }
}

#[tokio::test]
async fn what_is_over_is_deleted_in_bounded_batches() {
    let world = World::new();
    let now = edgewarden::ports::Clock::now(world.host.clock.as_ref()).millis();
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
        INSERT INTO revocations (kind, value, created_at, until) SELECT 'session', i, 0, ?1 - (i % 10) FROM n";
    world.host.database.look(rows, &[(now + 5).into()]).unwrap();
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.app.forget_revocations().await.unwrap();
    assert_eq!(world.host.switchboard.count("database"), 12, "6000 rows, 500 at once");
    assert_eq!(world.count("SELECT COUNT(*) FROM revocations"), 6000);
}
