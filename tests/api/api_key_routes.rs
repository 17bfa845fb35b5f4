//! API keys on routes: beside other credentials, within their limits, from where they may be used.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::json;

use crate::{
    api_keys::{KEYS, make, use_from, use_key},
    harness::{URL, World},
};

#[tokio::test]
async fn a_key_has_a_limit_of_its_own() {
    let world = World::with(&[("APIKEY_LIMIT", "5")]);
    let ada = world.user("ada", None).await;
    let (all, few) = (
        make(&world.isolate, &ada, &json!({ "name": "all" })).await,
        make(&world.isolate, &ada, &json!({ "name": "few", "per_minute": 2 })).await,
    );
    world.isolate.post_as(&ada.access, KEYS, &json!({ "name": "x", "per_minute": 6 })).await.expect(422);
    for (key, limit) in [(&all, 5), (&few, 2)] {
        for left in (0..limit).rev() {
            let through = use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(200);
            let answered = &through.rewrite.as_ref().unwrap().answer;
            let remaining = answered.iter().find(|(name, _)| name == "x-ratelimit-remaining").unwrap();
            assert_eq!(remaining.1, left.to_string());
        }
        let refused = use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(429);
        assert!(refused.headers.iter().any(|(name, _)| name == "retry-after"));
        world.isolate.get("/api/v1/users/me", Some(&key.key)).await.expect(429);
    }
    // It is not its owner's.
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    // Where the limiter does not answer, nothing is let through.
    world.host.clock.advance(Duration::from_mins(1));
    use_key(&world.isolate, "/demo/private/x", &all.key).await.expect(200);
    world.host.switchboard.set(Plan::Without("limiter"));
    use_key(&world.isolate, "/demo/private/x", &all.key).await.expect(503);
}

#[tokio::test]
async fn a_key_is_used_from_where_it_may_be_and_a_stranger_does_not_use_up_its_limit() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let body = json!({ "name": "k", "allowed_ips": ["192.0.2.7", "2001:db8::/32"], "per_minute": 1 });
    let key = make(&world.isolate, &ada, &body).await;
    for _ in 0..3 {
        let refused = use_from(&world.isolate, "203.0.113.1", "/demo/private/x", &key.key).await.expect(403);
        assert!(refused.body["detail"].as_str().unwrap().contains("from this address"));
    }
    use_from(&world.isolate, "2001:db8:7::1", "/demo/private/x", &key.key).await.expect(200);
    // Of who says nothing of where they are, nothing is known.
    world.isolate.proxy_get("/demo/private/x", Some(&key.key)).await.expect(403);
    world.isolate.get("/api/v1/users/me", Some(&key.key)).await.expect(403);
    let many: Vec<_> = (0..21).map(|n| format!("192.0.2.{n}")).collect();
    for bad in [json!(["192.0.2.1/24"]), json!("192.0.2.1"), json!([7]), json!(many)] {
        world.isolate.post_as(&ada.access, KEYS, &json!({ "name": "k", "allowed_ips": bad })).await.expect(422);
    }
}

#[tokio::test]
async fn a_key_goes_before_a_cookie_and_a_token_before_a_key() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    let cookie = world.isolate.log_in("bob").await.cookie;
    let subject = async |headers: &str| {
        let through = world.isolate.proxy(&format!("POST\n{URL}/demo/private/x{headers}")).await;
        (through.status, through.sets("x-auth-subject").map(ToOwned::to_owned))
    };
    // From no page of ours: by a cookie alone that would be refused.
    let both = format!("\ncookie\n{cookie}\nx-api-key\n{}", key.key);
    assert_eq!(subject(&both).await, (200, Some(ada.id.clone())));
    let token = format!("\nauthorization\nBearer {}\nx-api-key\n{}", bob.access, key.key);
    assert_eq!(subject(&token).await, (200, Some(bob.id.clone())));
    // A bad one ends it.
    assert_eq!(subject(&format!("\ncookie\n{cookie}\norigin\n{URL}\nx-api-key\new_x")).await, (401, None));
    assert_eq!(subject(&format!("\nauthorization\nBearer x\nx-api-key\n{}", key.key)).await, (401, None));
}

#[tokio::test]
async fn a_route_takes_what_it_names_and_nothing_else() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (key, other) = (
        make(&world.isolate, &ada, &json!({ "name": "k" })).await,
        make(&world.isolate, &ada, &json!({ "name": "other" })).await,
    );
    let browser = world.isolate.log_in("ada").await;
    use_key(&world.isolate, "/demo/session/x", &key.key).await.expect(401);
    world.isolate.proxy_get("/demo/session/x", Some(&ada.access)).await.expect(401);
    world.isolate.browse_through(&browser, "GET", "/demo/session/x", None).await.expect(200);
    world.isolate.browse_through(&browser, "GET", "/demo/key/x", None).await.expect(401);
    world.isolate.proxy_get("/demo/key/x", Some(&ada.access)).await.expect(401);
    world.isolate.proxy_get("/demo/key/x", Some(&key.key)).await.expect(200);
    // Its limit is one for each key.
    for _ in 1..20 {
        use_key(&world.isolate, "/demo/key/x", &key.key).await.expect(200);
    }
    use_key(&world.isolate, "/demo/key/x", &key.key).await.expect(429);
    use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(200);
    use_key(&world.isolate, "/demo/key/x", &other.key).await.expect(200);
}

/// A session that is over moves on, also in an isolate that does not know yet that it is.
#[tokio::test]
async fn a_session_that_is_over_does_not_spoil_what_comes_after_it() {
    let world = World::new();
    world.register("bob", None).await;
    let browser = world.isolate.log_in("bob").await;
    // By itself, so that nobody is told: the record alone knows.
    world.host.clock.advance(Duration::from_hours(25));
    let ada = world.user("ada", None).await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    for shown in [format!("authorization\nBearer {}", ada.access), format!("x-api-key\n{}", key.key)] {
        let fresh = world.another_isolate();
        let head = format!("GET\n{URL}/demo/session-first/x\ncookie\n{}\n{shown}", browser.cookie);
        for time in ["first", "then"] {
            let through = fresh.proxy(&head).await.expect(200);
            assert_eq!(through.sets("x-auth-subject"), Some(ada.id.as_str()), "{time}");
        }
    }
    // And one that stands goes first.
    let browser = world.isolate.log_in("bob").await;
    let head = format!("GET\n{URL}/demo/session-first/x\ncookie\n{}\nx-api-key\n{}", browser.cookie, key.key);
    let through = world.another_isolate().proxy(&head).await.expect(200);
    assert_eq!(through.sets("x-auth-method"), Some("session"));
}

#[tokio::test]
async fn an_origin_is_told_of_the_roles_that_a_key_leaves() {
    let world = World::new();
    let mo = world.user("mod", Some("moderator")).await;
    let told = async |scopes: &[&str]| {
        let key = make(&world.isolate, &mo, &json!({ "name": "k", "scopes": scopes })).await;
        let through = use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(200);
        through.sets("x-auth-roles").map(ToOwned::to_owned)
    };
    let user = ["profile:read", "profile:write", "profile:delete", "content:read", "content:create"];
    assert_eq!(told(&[]).await.as_deref(), Some(""));
    assert_eq!(told(&["users:read", "content:read"]).await.as_deref(), Some(""));
    assert_eq!(told(&user).await.as_deref(), Some("user"));
    let all = [&user[..], &["content:update", "content:delete", "users:read"]].concat();
    assert_eq!(told(&all).await.as_deref(), Some("moderator user"));
}

/// On our own endpoints all keys of one owner count for them together, beside each by itself.
#[tokio::test]
async fn many_keys_do_not_multiply_what_their_owner_may_ask_here() {
    let world = World::with(&[("API_LIMIT", "10"), ("APIKEY_LIMIT", "6")]);
    let ada = world.user("ada", None).await;
    let (one, two) = (
        make(&world.isolate, &ada, &json!({ "name": "one" })).await,
        make(&world.isolate, &ada, &json!({ "name": "two" })).await,
    );
    world.host.clock.advance(Duration::from_mins(1));
    let me = async |key: &str| world.isolate.get("/api/v1/users/me", Some(key)).await;
    for left in (0..6).rev() {
        assert_eq!(me(&one.key).await.expect(200).header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    me(&one.key).await.expect(429);
    let mut passed = 0;
    while me(&two.key).await.status == 200 {
        passed += 1;
    }
    assert!((3..=4).contains(&passed), "{passed}: what was refused by one may have counted for the other");
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(429);
    use_key(&world.isolate, "/demo/private/x", &two.key).await.expect(200);
}
