//! Reading the keys: what cannot be read, what takes long, and who waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use edgewarden::{
    app::App,
    gateway::{Verdict, head::Head},
    native::switchboard::Plan,
    ports::{Clock, Database, DatabaseError, Rows, Statement},
};

use crate::{
    harness::{OTHER_SECRET, PASSWORD, World, demo_origin},
    key_copy::of_kid,
    keys::{kid_of, rotate},
};

#[tokio::test]
async fn a_key_that_cannot_be_read_is_used_for_nothing_and_stands_in_nobodys_way() {
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
        let kid = kid_of(&ada.access);
        world.host.database.look(change, &[]).unwrap();
        world.hear(&world.isolate).await;
        let isolate = world.another_isolate();
        let refused = isolate.proxy_get("/demo/private/x", Some(&ada.access)).await;
        let renamed = change.contains("kid");
        assert_eq!(refused.status, if renamed { 401 } else { 503 }, "{change}: {refused:?}");
        let set = isolate.get("/.well-known/jwks.json", None).await.expect(200);
        assert!(!set.body.to_string().contains(&kid), "{change}");
        assert_eq!(set.header("cache-control"), Some("no-cache"), "{change}: perhaps not all");
        assert!(world.host.log.lines().iter().any(|line| line.contains("cannot be read")), "{change}");
        // What an operator does about it: the key is given up, and there is a new one at once.
        world.host.database.look("DELETE FROM token_keys", &[]).unwrap();
        let bob = world.register("bob", None).await;
        let fresh = world.another_isolate();
        fresh.try_sign_in("192.0.2.7", "bob", PASSWORD).await.expect(200);
        assert!(!bob.is_empty());
    }
}

#[tokio::test]
async fn a_shared_key_under_an_unknown_secret_leaves_the_others_usable() {
    let world = World::with(&[("SIGNING_ALG", "HS256")]);
    let root = world.user("root", Some("super_admin")).await;
    let other = World::isolate_over(&world.host, &[("SIGNING_ALG", "HS256"), ("KEY_ENCRYPTION_KEY", OTHER_SECRET)]);
    other.proxy_get("/demo/private/x", Some(&root.access)).await.expect(503);
    let set = other.get("/.well-known/jwks.json", None).await.expect(200);
    assert_eq!(set.body["keys"].as_array().unwrap().len(), 1, "what can be read is published");
    world.isolate.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
}

/// A database that can be told to answer late, or after eleven seconds with nothing.
struct Slow {
    world: World,
    calls: AtomicUsize,
    stalls: AtomicBool,
}

impl Slow {
    /// An isolate over it.
    fn app(world: World) -> (Arc<Self>, Arc<App>) {
        let known = world.isolate.app.clone();
        let (config, mut ports) = (known.config.clone(), known.ports.clone());
        let slow = Arc::new(Self { world, calls: AtomicUsize::new(0), stalls: AtomicBool::new(false) });
        ports.database = slow.clone();
        let app = App::new(config, &demo_origin, ports).unwrap();
        (slow, Arc::new(app))
    }
}

#[async_trait::async_trait]
impl Database for Slow {
    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DatabaseError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.stalls.load(Ordering::SeqCst) {
            self.world.host.clock.advance(Duration::from_secs(11));
            return Err(DatabaseError::Lost("slow".to_owned()));
        }
        let answer = self.world.host.database.batch(statements).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        answer
    }
}

/// Asks for a path with a token, as a request that is not warm.
async fn ask(app: &App, token: &str) -> u16 {
    let text = format!("GET\nhttps://auth.example.com/demo/private/x\nauthorization\nBearer {token}");
    match app.resolve(&Head::parse(&text).unwrap(), app.ports.new_request_id()).await {
        Verdict::Refuse(error, _) => error.status_code().as_u16(),
        Verdict::Forward(_) => 200,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_request_asks_for_newer_keys_once_however_long_that_takes() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (slow, app) = Slow::app(world);
    app.bundle().await.unwrap();
    slow.stalls.store(true, Ordering::SeqCst);
    slow.calls.store(0, Ordering::SeqCst);
    slow.world.host.clock.advance(Duration::from_mins(5));
    slow.world.host.switchboard.set(Plan::WithoutAll(&["feed"]));
    assert_eq!(ask(&app, &of_kid(&ada, &"k".repeat(43))).await, 503);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 4, "two questions, about keys and revocations, each put twice");
}

/// The same for each token, at once.
async fn ask_at_once(app: &Arc<App>, tokens: &[String]) -> Vec<u16> {
    let local = tokio::task::LocalSet::new();
    let spawn = |token: &String| {
        let (app, token) = (app.clone(), token.clone());
        local.spawn_local(async move { ask(&app, &token).await })
    };
    let asked: Vec<_> = tokens.iter().map(spawn).collect();
    local.await;
    let mut statuses = Vec::new();
    for each in asked {
        statuses.push(each.await.unwrap());
    }
    statuses
}

#[tokio::test]
async fn who_comes_first_to_a_fresh_isolate_reads_the_keys_for_all() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (slow, app) = Slow::app(world);
    // The edge bundle is of an earlier version.
    slow.world.host.database.look("UPDATE token_keys SET sealed = sealed", &[]).unwrap();
    slow.world.hear(&slow.world.isolate).await;
    slow.world.host.switchboard.set(Plan::Healthy);
    let statuses = ask_at_once(&app, &vec![ada.access.clone(); 40]).await;
    assert_eq!(statuses, [200; 40]);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1, "one question");
    let board = &slow.world.host.switchboard;
    assert_eq!((board.count("kv"), board.count("feed")), (2, 1), "of each, and the edge bundle is written anew");
    // Where whoever asks breaks off and never comes back, the others ask for themselves.
    let (slow, app) = Slow::app(World::new());
    let bob = slow.world.user("bob", None).await;
    app.knowledge().reading(slow.world.host.clock.now());
    assert_eq!(ask(&app, &bob.access).await, 503, "it waited, and it is not yet another's turn");
    slow.world.host.clock.advance(Duration::from_secs(2));
    assert_eq!(ask(&app, &bob.access).await, 200);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 0, "the edge bundle was enough");
}

/// After an emergency, forty come at once to an isolate that has not heard of it: one asks, and nobody's
/// good token is called a bad one meanwhile.
#[tokio::test]
async fn who_comes_while_newer_keys_are_read_waits_for_them() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let (slow, app) = Slow::app(world);
    app.bundle().await.unwrap();
    slow.world.host.clock.advance(Duration::from_secs(2));
    rotate(&slow.world.isolate, &root, "emergency").await.expect(200);
    let new = slow.world.isolate.sign_in("root").await;
    slow.calls.store(0, Ordering::SeqCst);
    let (good, bad) = (new.access.clone(), of_kid(&new, &"k".repeat(43)));
    let tokens: Vec<_> = (0..40).map(|number| if number % 4 == 3 { bad.clone() } else { good.clone() }).collect();
    let statuses = ask_at_once(&app, &tokens).await;
    let expected: Vec<_> = (0..40).map(|number| if number % 4 == 3 { 401 } else { 200 }).collect();
    assert_eq!(statuses, expected);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1, "one question");
}

/// The secret that sealed everything is gone: the way out that the docs tell of.
#[tokio::test]
async fn keys_that_nobody_can_open_any_more_are_given_up() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let lost = [("KEY_ENCRYPTION_KEY", OTHER_SECRET)];
    let isolate = World::isolate_over(&world.host, &lost);
    // Tokens are still told from others; but nobody can be vouched for.
    isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(503);
    isolate.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(403);
    isolate.try_sign_in("192.0.2.7", "ada", PASSWORD).await.expect(503);
    isolate.refresh(&ada.refresh).await.expect(503);
    world.host.database.look("DELETE FROM token_keys", &[]).unwrap();
    let isolate = World::isolate_over(&world.host, &lost);
    let renewed = isolate.refresh(&ada.refresh).await.expect(200);
    isolate.proxy_get("/demo/strict/x", Some(renewed.text("/access_token"))).await.expect(200);
    isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
}

/// Whoever floods with tokens of unknown keys while the record hangs does not add to it; and while it
/// cannot be asked, nobody's token is called a bad one.
#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_add_to_a_slow_record() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (slow, app) = Slow::app(world);
    app.bundle().await.unwrap();
    slow.world.host.clock.advance(Duration::from_secs(2));
    slow.calls.store(0, Ordering::SeqCst);
    app.knowledge().reading(slow.world.host.clock.now());
    let unknown: Vec<_> = (0..40).map(|number| of_kid(&ada, &format!("{number:043}"))).collect();
    assert_eq!(ask_at_once(&app, &unknown).await, [503; 40]);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 0);
    // A copy that is fresh, and a question that failed: it cannot be told either.
    app.knowledge().read_failed(slow.world.host.clock.now());
    assert_eq!(ask_at_once(&app, &unknown).await, [503; 40]);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&app, &ada.access).await, 200, "what is known is used");
    slow.world.host.clock.advance(Duration::from_secs(2));
    assert_eq!(ask_at_once(&app, &unknown).await, [401; 40]);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1, "one question, and it is known that they are none of ours");
}
