//! An isolate's copy of the keys: how old it may be, who may have it read again, and what is done where it
//! cannot be.

use std::{collections::BTreeSet, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{native::switchboard::Plan, ports::Clock};
use serde_json::{Value, json};

use crate::{
    common::forge::claims_of,
    harness::{SignedIn, World},
    keys::{kid_of, rotate},
    tokens::forge,
};

/// A user's token as if another key had signed it.
pub fn of_kid(user: &SignedIn, kid: &str) -> String {
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
    let board = &world.host.switchboard;
    assert_eq!((board.count("database"), board.count("feed")), (1, 1), "what was old was asked for again");
}

#[tokio::test]
async fn a_copy_of_the_keys_is_asked_for_again_beside_the_answer_and_used_on_where_that_fails() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let calls = |seconds, plan| {
        let world = &world;
        async move {
            world.isolate.proxy_get("/demo/public/x", None).await.expect(200);
            world.host.switchboard.set(plan);
            world.host.clock.advance(Duration::from_secs(seconds));
            for _ in 0..20 {
                assert!(world.isolate.proxy_get("/demo/public/x", None).await.expect(200).warm);
            }
            world.host.switchboard.calls()
        }
    };
    assert_eq!(calls(4, Plan::Healthy).await.len(), 0);
    assert_eq!(calls(1, Plan::Healthy).await, ["feed", "feed's database"], "once, beside an answer that did not wait");
    // As long as the feed says that the keys are these, nobody reads them; nor does anyone hear of it without need.
    for _ in 0..100 {
        world.host.clock.advance(Duration::from_mins(1));
        world.isolate.proxy_get("/demo/private/x", Some("x.y.z")).await.expect(401);
    }
    // A copy that is too old is asked for first, by one request; a failure changes nothing for others.
    let good = world.isolate.refresh(&ada.refresh).await.expect(200);
    let good = good.text("/access_token");
    world.isolate.proxy_get("/demo/private/x", Some(good)).await.expect(200);
    world.host.clock.advance(Duration::from_mins(10));
    world.host.switchboard.set(Plan::WithoutAll(&["database", "feed"]));
    // Nor where nobody is looked at: which policy decides is asked first, and the one that is known is used on.
    assert!(!world.isolate.proxy("GET\nhttps://auth.example.com/").await.expect(404).warm);
    assert!(world.isolate.proxy_get("/demo/public/x", None).await.expect(200).warm);
    world.host.clock.advance(Duration::from_mins(1));
    world.host.switchboard.set(Plan::WithoutAll(&["database", "feed"]));
    assert!(!world.isolate.proxy_get("/demo/private/x", Some(good)).await.expect(200).warm);
    assert!(world.isolate.proxy_get("/demo/private/x", Some(good)).await.expect(200).warm);
    // About the keys and about revocations: each question is put twice, by one request.
    assert_eq!((world.host.switchboard.count("database"), world.host.switchboard.count("feed")), (4, 1));
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
    // Nor does it tell others of such keys.
    idle.get("/.well-known/jwks.json", None).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(1));
    idle.get("/.well-known/jwks.json", None).await.expect(200);
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
    assert!(scopes().await.contains("content:create"), "nobody has heard of it");
    world.hear(&world.isolate).await;
    assert!(!scopes().await.contains("content:create"));
}

/// Keys that follow one another on their day are nothing that anyone has to wait for, however long an isolate has run.
#[tokio::test]
async fn a_key_that_was_added_shuts_nobody_out_where_it_cannot_be_read() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let warm = world.another_isolate();
    let mut token = root.access.clone();
    let mut refresh = root.refresh.clone();
    for _ in 0..9 {
        world.host.clock.advance(Duration::from_mins(10));
        let renewed = world.isolate.refresh(&refresh).await.expect(200);
        (token, refresh) = (renewed.text("/access_token").to_owned(), renewed.text("/refresh_token").to_owned());
        warm.proxy_get("/demo/private/x", Some(&token)).await.expect(200);
    }
    let root = SignedIn { access: token.clone(), refresh, ..root };
    rotate(&world.isolate, &root, "graceful").await.expect(200);
    world.host.clock.advance(Duration::from_secs(11));
    world.host.switchboard.set(Plan::WithoutAll(&["database", "kv"]));
    for _ in 0..3 {
        warm.proxy_get("/demo/private/x", Some(&token)).await.expect(200);
    }
    warm.get("/.well-known/jwks.json", None).await.expect(200);
}

/// An isolate that serves nothing but our own endpoints hears of roles as well.
#[tokio::test]
async fn our_own_endpoints_go_by_what_roles_give_within_the_bound() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let own = world.another_isolate();
    own.get("/api/v1/admin/keys", Some(&root.access)).await.expect(200);
    world.host.database.look("DELETE FROM role_permissions WHERE permission = 'keys:manage'", &[]).unwrap();
    world.host.clock.advance(Duration::from_secs(11));
    own.get("/api/v1/admin/keys", Some(&root.access)).await.expect(403);
    // What is no token of ours asks nobody for it; its sender is counted.
    world.host.clock.advance(Duration::from_mins(1));
    world.host.switchboard.set(Plan::Healthy);
    for garbage in ["x", "a.b.c", root.refresh.as_str()] {
        own.get("/api/v1/users/me", Some(garbage)).await.expect(401);
    }
    assert_eq!(world.host.switchboard.calls(), ["limiter"; 3]);
}
