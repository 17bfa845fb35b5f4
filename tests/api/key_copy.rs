//! An isolate's copy of the keys: how old it may be, who may have it read again, and what is done where it
//! cannot be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    app::App,
    error::ApiError,
    gateway::{Verdict, head::Head},
    native::switchboard::Plan,
    ports::{Database, DatabaseError, Rows, Statement},
};
use serde_json::{Value, json};

use crate::{
    harness::{PASSWORD, SignedIn, World},
    keys::rotate,
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
    let unknown = of_kid(&ada, &"k".repeat(43));
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
        assert!(isolate.try_sign_in("192.0.2.7", "ada", PASSWORD).await.status >= 500);
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

/// A database in which every question takes eleven seconds and comes to nothing, once it is told so.
struct Slow {
    world: World,
    calls: AtomicUsize,
    stalls: AtomicBool,
}

#[async_trait::async_trait]
impl Database for Slow {
    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DatabaseError> {
        if !self.stalls.load(Ordering::SeqCst) {
            return self.world.host.database.batch(statements).await;
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.world.host.clock.advance(Duration::from_secs(11));
        Err(DatabaseError::Lost("slow".to_owned()))
    }
}

#[tokio::test]
async fn one_request_asks_for_newer_keys_once_however_long_that_takes() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let known = &world.isolate.app;
    let (config, mut ports) = (known.config.clone(), known.ports.clone());
    let slow = Arc::new(Slow { world, calls: AtomicUsize::new(0), stalls: AtomicBool::new(false) });
    ports.database = slow.clone();
    let app = App::new(config, &|_| Some("http://origin.internal:9".to_owned()), ports).unwrap();
    app.bundle().await.unwrap();
    slow.stalls.store(true, Ordering::SeqCst);
    slow.world.host.clock.advance(Duration::from_mins(5));
    let text = format!(
        "GET\nhttps://auth.example.com/demo/private/x\nauthorization\nBearer {}",
        of_kid(&ada, &"k".repeat(43))
    );
    let verdict = app.resolve(&Head::parse(&text).unwrap(), app.ports.new_request_id()).await;
    assert!(matches!(verdict, Verdict::Refuse(ApiError::Unavailable(_), _)), "{verdict:?}");
    assert_eq!(slow.calls.load(Ordering::SeqCst), 2, "one question, put twice");
}
