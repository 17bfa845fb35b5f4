//! Issuers that take their time, or never answer: nobody waits for long, nobody is turned away without need, and one at a time asks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use edgewarden::{
    app::App,
    domain::secret::SecretList,
    native::{Host, YieldingTimer},
    ports::{Clock, Outbound, Timer, Unavailable},
};
use futures_util::{FutureExt, future::join_all};

use crate::{
    common::forge::Forge,
    harness::{CERTIFICATE, JWKS, SECRET, World, demo_origin},
    interrupted::{Waiting, ask},
    issuer::{self, key_set},
};

/// An issuer that answers after so many milliseconds, or after five seconds not.
struct Slow {
    host: Host,
    ms: AtomicU64,
    asked: AtomicUsize,
}

#[async_trait]
impl Outbound for Slow {
    async fn get(&self, url: &str, most: usize) -> Result<String, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (began, ms) = (self.host.clock.now(), Duration::from_millis(self.ms.load(Ordering::SeqCst)));
        let limit = Duration::from_secs(5);
        while self.host.clock.now().since(began) < ms.min(limit) {
            self.host.clock.advance(Duration::from_millis(1));
            YieldingTimer.pause(Duration::ZERO).await;
        }
        match ms {
            ms if ms < limit => self.host.outbound.get(url, most).await,
            _ => Err(Unavailable { port: "outbound", message: "timed out".to_owned() }),
        }
    }
}

/// An isolate whose issuer takes its time.
async fn isolate(world: &World, ms: u64) -> (Arc<App>, Arc<Slow>) {
    let known = &world.isolate.app;
    let (config, mut ports) = (known.config.clone(), known.ports.clone());
    let slow = Arc::new(Slow { host: world.host.clone(), ms: AtomicU64::new(ms), asked: AtomicUsize::new(0) });
    ports.outbound = slow.clone();
    ports.timer = Arc::new(Waiting(world.host.clone()));
    let vars = |name: &str| match name {
        "DEMO_JWKS" => Some(JWKS.to_owned()),
        "DEMO_CERTIFICATE" => Some(CERTIFICATE.to_owned()),
        name => demo_origin(name),
    };
    let app = Arc::new(App::new(config, &vars, ports).unwrap());
    assert_eq!(ask(&app, "/demo/optional/x", "").await, 401);
    (app, slow)
}

async fn key() -> Forge {
    Forge::new(SecretList::parse(SECRET).unwrap()).await
}

async fn token(world: &World, forge: &Forge) -> String {
    issuer::token(forge, world.host.clock.now().secs(), &["staff"]).await
}

/// A world whose issuer has a key.
async fn world() -> (World, Forge) {
    let (world, forge) = (World::new(), key().await);
    world.host.outbound.serve(JWKS, &key_set(&[&forge]));
    world.isolate.warm_up().await;
    (world, forge)
}

async fn get(app: &App, token: &str) -> u16 {
    ask(app, "/demo/private/x", token).await
}

#[tokio::test]
async fn of_many_who_cannot_go_on_one_asks_and_all_get_in() {
    let (world, forge) = world().await;
    let (app, slow) = isolate(&world, 3000).await;
    let token = token(&world, &forge).await;
    let all = join_all((0..20).map(|_| get(&app, &token))).await;
    assert_eq!((all, slow.asked.load(Ordering::SeqCst)), (vec![200; 20], 1));
}

#[tokio::test]
async fn one_that_never_answers_is_told_to_all_and_asked_once() {
    let (world, forge) = world().await;
    let (app, slow) = isolate(&world, 60_000).await;
    let token = token(&world, &forge).await;
    let before = world.host.clock.now();
    let all = join_all((0..20).map(|_| get(&app, &token))).await;
    assert_eq!((all, slow.asked.load(Ordering::SeqCst)), (vec![503; 20], 1));
    assert!(world.host.clock.now().since(before) < Duration::from_secs(15));
}

#[tokio::test]
async fn who_breaks_off_the_question_is_taken_over_from_by_one() {
    let (world, forge) = world().await;
    let (app, slow) = isolate(&world, 1000).await;
    let token = token(&world, &forge).await;
    let mut asking = Box::pin(get(&app, &token));
    for _ in 0..10 {
        assert!((&mut asking).now_or_never().is_none(), "it is asking");
    }
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    drop(asking);
    // They wait for what does not come, and are told so; after that one asks.
    let waited = join_all((0..5).map(|_| get(&app, &token))).await;
    assert!(waited.iter().all(|status| [200, 503].contains(status)), "{waited:?}");
    world.host.clock.advance(Duration::from_secs(15));
    let all = join_all((0..5).map(|_| get(&app, &token))).await;
    assert_eq!(all, [200; 5]);
    assert!(slow.asked.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn what_another_isolate_read_lets_everybody_in_at_once_though_the_issuer_hangs() {
    let (world, forge) = world().await;
    world.isolate.proxy_get("/demo/private/x", Some(&token(&world, &forge).await)).await.expect(200);
    world.host.clock.advance(Duration::from_mins(20));
    let (app, slow) = isolate(&world, 60_000).await;
    let good = token(&world, &forge).await;
    let before = world.host.clock.now();
    let all = join_all((0..20).map(|_| get(&app, &good))).await;
    assert_eq!((all, slow.asked.load(Ordering::SeqCst)), (vec![200; 20], 0));
    assert!(world.host.clock.now().since(before) < Duration::from_secs(1));
    // It is asked beside an answer, in vain.
    assert!(app.refresh_is_due());
    app.refresh().await;
    assert_eq!((get(&app, &good).await, slow.asked.load(Ordering::SeqCst)), (200, 1));
    // Where what is known is old, one asks first; the others go on, and so does that one.
    world.host.clock.advance(Duration::from_hours(2));
    let good = token(&world, &forge).await;
    let all = join_all((0..20).map(|_| get(&app, &good))).await;
    assert_eq!((all, slow.asked.load(Ordering::SeqCst)), (vec![200; 20], 2));
}

#[tokio::test]
async fn a_new_key_of_a_slow_issuer_is_waited_for() {
    let (world, forge) = world().await;
    let (app, slow) = isolate(&world, 0).await;
    assert_eq!(get(&app, &token(&world, &forge).await).await, 200);
    let new = key().await;
    world.host.outbound.serve(JWKS, &key_set(&[&forge, &new]));
    world.host.clock.advance(Duration::from_mins(2));
    slow.ms.store(3000, Ordering::SeqCst);
    let (good, fresh) = (token(&world, &forge).await, token(&world, &new).await);
    let all = join_all([&fresh, &good, &fresh, &good].map(|token| get(&app, token))).await;
    assert_eq!((all, slow.asked.load(Ordering::SeqCst)), (vec![200; 4], 2));
    // Where it does not come, nobody says that there is none.
    let newer = key().await;
    world.host.clock.advance(Duration::from_mins(2));
    slow.ms.store(60_000, Ordering::SeqCst);
    let unknown = token(&world, &newer).await;
    let all = join_all([&unknown, &good, &unknown].map(|token| get(&app, token))).await;
    assert_eq!((all, slow.asked.load(Ordering::SeqCst)), (vec![503, 200, 503], 3));
    assert_eq!(get(&app, &unknown).await, 503);
    assert_eq!(slow.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_comes_of_a_clock_that_is_ahead_is_not_taken() {
    let (world, old) = world().await;
    world.host.clock.advance(Duration::from_hours(1));
    world.isolate.proxy_get("/demo/private/x", Some(&token(&world, &old).await)).await.expect(200);
    // What was read an hour from now stands in KV, and the issuer has another key by now.
    world.host.clock.set_back(Duration::from_hours(1));
    let new = key().await;
    world.host.outbound.serve(JWKS, &key_set(&[&new]));
    let (app, slow) = isolate(&world, 0).await;
    assert_eq!(get(&app, &token(&world, &old).await).await, 401);
    assert_eq!(get(&app, &token(&world, &new).await).await, 200);
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    // Nor by who has read it: what the issuer says now takes its place.
    world.isolate.proxy_get("/demo/private/x", Some(&token(&world, &old).await)).await.expect(401);
}
