//! An isolate's copy of the keys: how old it may be, who may have it read again, and what is done where it
//! cannot be.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    app::App,
    gateway::{Verdict, head::Head},
    native::switchboard::Plan,
    ports::{Clock, Database, DatabaseError, Rows, Statement},
};
use serde_json::{Value, json};

use crate::{
    common::forge::claims_of,
    harness::{PASSWORD, SignedIn, World},
    keys::{kid_of, rotate},
    tokens::forge,
};

/// A user's token as if another key had signed it.
fn of_kid(user: &SignedIn, kid: &str) -> String {
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid }).to_string();
    let (_, rest) = user.access.split_once('.').unwrap();
    format!("{}.{rest}", Base64UrlUnpadded::encode_string(header.as_bytes()))
}

#[tokio::test]
async fn unknown_keys_bad_signatures_and_expired_tokens_cost_one_question_a_window() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    let parts: Vec<&str> = ada.access.split('.').collect();
    let of_kid = |kid: &str| of_kid(&ada, kid);
    world.host.clock.advance(Duration::from_secs(2));
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
        world.host.clock.advance(Duration::from_secs(2));
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
    // A copy that is too old is asked for first, by one request; a failure changes nothing for others.
    let good = world.isolate.refresh(&ada.refresh).await.expect(200);
    let good = good.text("/access_token");
    world.isolate.proxy_get("/demo/private/x", Some(good)).await.expect(200);
    world.host.clock.advance(Duration::from_mins(10));
    world.host.switchboard.set(Plan::DownFrom(0));
    world.isolate.proxy_get("/demo/private/x", Some("x")).await.expect(401);
    assert_eq!(world.host.switchboard.calls().len(), 0, "garbage is garbage, whatever the keys");
    assert!(!world.isolate.proxy_get("/demo/private/x", Some(good)).await.expect(200).warm);
    assert!(world.isolate.proxy_get("/demo/private/x", Some(good)).await.expect(200).warm);
    assert_eq!(world.host.switchboard.count("database"), 2, "one question, put twice");
    let set = world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    assert_eq!(set.header("cache-control"), Some("no-cache"), "good, but perhaps not all");
    // Whether a key is unknown cannot be told then.
    let unknown = of_kid(&ada, &"k".repeat(43));
    world.isolate.proxy_get("/demo/private/x", Some(&unknown)).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(1));
    world.isolate.proxy_get("/demo/private/x", Some(&unknown)).await.expect(401);
    let set = world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    assert_eq!(set.header("cache-control"), Some("public, max-age=600"));
}

/// The blacklist tells of an ended key for an hour. A copy of the keys that is older than that could
/// hold one that nobody tells of any more, and whoever holds such a key makes new tokens with it.
#[tokio::test]
async fn no_copy_is_used_for_longer_than_the_blacklist_remembers() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let leaked = forge(&world);
    let idle = world.another_isolate();
    idle.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
    rotate(&world.isolate, &root, "emergency").await.expect(200);
    let mut claims = claims_of(&root.access);
    for minutes in [9, 20, 30, 5, 600] {
        world.host.clock.advance(Duration::from_mins(minutes));
        let now = world.host.clock.now().secs();
        for (name, value) in [("iat", now), ("nbf", now), ("exp", now + 900)] {
            claims[name] = json!(value);
        }
        let forged = leaked.sign(&leaked.header(), &claims).await;
        // The record cannot be reached: the copy stays as old as it is.
        for port in ["database", "kv"] {
            world.host.switchboard.set(Plan::Without("database"));
            let refused = idle.proxy_get("/demo/private/x", Some(&forged)).await;
            assert!([401, 503].contains(&refused.status), "{minutes} {port}: {refused:?}");
        }
        // Another request is asking just now.
        idle.app.knowledge().claim_reload(world.host.clock.now());
        world.host.switchboard.set(Plan::Without("database"));
        let refused = idle.proxy_get("/demo/private/x", Some(&forged)).await;
        assert!([401, 503].contains(&refused.status), "{minutes}: {refused:?}");
    }
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(1));
    idle.proxy_get("/demo/private/x", Some(&root.access)).await.expect(401);
    assert!(idle.app.knowledge().bundle.as_ref().unwrap().keyring.keys().all(|key| key.kid() != leaked.kid()));
}

#[tokio::test]
async fn an_idle_isolate_never_publishes_an_old_key_set_for_keeping() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let idle = world.another_isolate();
    idle.get("/.well-known/jwks.json", None).await.expect(200);
    for (minutes, mode) in [(9, "graceful"), (20, "emergency"), (1, "graceful"), (120, "graceful")] {
        world.host.clock.advance(Duration::from_mins(minutes));
        let root = SignedIn { access: world.isolate.sign_in("root").await.access, ..root.clone() };
        let answer = rotate(&world.isolate, &root, mode).await.expect(200);
        world.host.clock.advance(Duration::from_secs(11));
        let set = idle.get("/.well-known/jwks.json", None).await.expect(200);
        assert_eq!(set.header("cache-control"), Some("public, max-age=600"));
        let kids =
            |value: &Value| value.as_array().unwrap().iter().map(|key| key["kid"].to_string()).collect::<BTreeSet<_>>();
        assert_eq!(kids(&set.body["keys"]), kids(&answer.body["items"]));
    }
}

#[tokio::test]
async fn many_that_come_with_a_new_key_to_an_old_copy_are_all_served() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let idle = world.another_isolate();
    idle.get("/.well-known/jwks.json", None).await.expect(200);
    rotate(&world.isolate, &root, "graceful").await.expect(200);
    world.host.clock.advance(Duration::from_mins(20));
    let new = world.isolate.sign_in("root").await;
    assert_ne!(kid_of(&new.access), kid_of(&root.access));
    // Somebody else is asking just now: these ask for themselves.
    idle.app.knowledge().claim_reload(world.host.clock.now());
    idle.proxy_get("/demo/private/x", Some(&new.access)).await.expect(200);
    idle.app.knowledge().claim_reload(world.host.clock.now());
    idle.get("/api/v1/users/me", Some(&new.access)).await.expect(200);
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
    let other = World::isolate_over(
        &world.host,
        &[("SIGNING_ALG", "HS256"), ("KEY_ENCRYPTION_KEY", crate::harness::OTHER_SECRET)],
    );
    other.proxy_get("/demo/private/x", Some(&root.access)).await.expect(503);
    let set = other.get("/.well-known/jwks.json", None).await.expect(200);
    assert_eq!(set.body["keys"].as_array().unwrap().len(), 1, "what can be read is published");
    world.isolate.proxy_get("/demo/private/x", Some(&root.access)).await.expect(200);
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
        let app = App::new(config, &|_| Some("http://origin.internal:9".to_owned()), ports).unwrap();
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
    assert_eq!(ask(&app, &of_kid(&ada, &"k".repeat(43))).await, 503);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 2, "one question, put twice");
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
    let mut asked = Vec::new();
    let local = tokio::task::LocalSet::new();
    for number in 0..40 {
        let (app, token) = (app.clone(), if number % 4 == 3 { bad.clone() } else { good.clone() });
        asked.push(local.spawn_local(async move { ask(&app, &token).await }));
    }
    local.await;
    let mut statuses = Vec::new();
    for each in asked {
        statuses.push(each.await.unwrap());
    }
    let expected: Vec<_> = (0..40).map(|number| if number % 4 == 3 { 401 } else { 200 }).collect();
    assert_eq!(statuses, expected);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1, "one question");
}
