//! What an origin is handed of a caller, signed.

use std::{collections::BTreeSet, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::domain::token::{algorithm::Algorithm, jwk::PublicKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    api_keys::{make, use_key},
    common::forge::claims_of,
    harness::{Isolate, Proxied, SignedIn, URL, World},
    keys::rotate,
};

const ORIGIN: &str = "http://origin.internal:9";

/// What an origin finds that checks: the header and what is claimed, under a key of the key set.
async fn checked(isolate: &Isolate, assertion: &str) -> (Value, Value) {
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let header = message.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(header).unwrap()).unwrap();
    let keys = isolate.get("/.well-known/jwks.json", None).await.expect(200).body["keys"].clone();
    let mut key = keys.as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap().clone();
    for beside in ["kid", "alg", "use"] {
        key.as_object_mut().unwrap().remove(beside).unwrap();
    }
    let algorithm = Algorithm::parse(header["alg"].as_str().unwrap()).unwrap();
    let key = PublicKey::from_members(algorithm, &key.to_string()).unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    assert!(isolate.app.ports.crypto.verify(&key, message.as_bytes(), &signature).await.unwrap());
    (header, claims_of(assertion))
}

fn assertion(proxied: &Proxied) -> &str {
    proxied.sets("x-auth-assertion").unwrap()
}

async fn get(isolate: &Isolate, path: &str, user: &SignedIn) -> Proxied {
    isolate.proxy_get(path, Some(&user.access)).await.expect(200)
}

#[tokio::test]
async fn it_says_what_the_headers_say_to_this_origin_alone_for_a_minute() {
    let world = World::new();
    let ada = world.user("ada", Some("moderator")).await;
    let proxied = get(&world.isolate, "/demo/private/x", &ada).await;
    let (header, claims) = checked(&world.isolate, assertion(&proxied)).await;
    assert_eq!((&header["typ"], &header["alg"]), (&json!("assertion+jwt"), &json!("EdDSA")));
    let now = claims["iat"].as_i64().unwrap();
    assert_eq!(claims["exp"].as_i64(), Some(now + 60));
    let told = |name: &str| json!(proxied.sets(name).unwrap());
    let expected = json!({
        "iss": URL, "aud": ORIGIN, "sub": ada.id, "sub_iss": URL, "iat": now, "exp": now + 60, "jti": claims["jti"],
        "username": "ada", "roles": ["moderator", "user"], "scope": told("x-auth-scopes"), "sid": ada.session,
        "auth_method": "bearer",
    });
    assert_eq!(claims, expected);
    // Nobody takes it for an access token, and whoever calls cannot bring one.
    let refused = world.isolate.proxy_get("/demo/private/x", Some(assertion(&proxied))).await.expect(401);
    assert_eq!(refused.body["error"], "invalid_token");
    world.isolate.get("/api/v1/users/me", Some(assertion(&proxied))).await.expect(401);
    let head = format!("GET\n{URL}/demo/optional/x\nx-auth-assertion\n{0}\nx_auth_assertion\n{0}", assertion(&proxied));
    let anonymous = world.isolate.proxy(&head).await.expect(200);
    assert_eq!(anonymous.sets("x-auth-assertion"), None);
    assert_eq!(anonymous.rewrite.unwrap().remove, ["x-auth-assertion", "x_auth_assertion"]);
}

#[tokio::test]
async fn whoever_calls_by_whatever_is_asserted() {
    let world = World::new();
    world.register("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    let by_cookie = world.isolate.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    let (_, claims) = checked(&world.isolate, assertion(&by_cookie)).await;
    assert_eq!((&claims["auth_method"], claims["sid"].is_string()), (&json!("session"), true));
    let ada = world.isolate.sign_in("ada").await;
    let key = make(&world.isolate, &ada, &json!({ "name": "k", "scopes": ["content:read"] })).await;
    let by_key = use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(200);
    let (_, claims) = checked(&world.isolate, assertion(&by_key)).await;
    assert_eq!(
        (&claims["auth_method"], &claims["scope"], &claims["roles"]),
        (&json!("api_key"), &json!("content:read"), &json!([]))
    );
    assert!(claims.get("sid").is_none());
    assert_ne!(assertion(&by_cookie), assertion(&by_key));
}

#[tokio::test]
async fn it_is_remembered_for_most_of_its_life_and_forgotten_with_what_it_says() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let first = get(&world.isolate, "/demo/private/x", &ada).await;
    world.host.clock.advance(Duration::from_secs(44));
    let again = get(&world.isolate, "/demo/strict/y", &ada).await;
    assert_eq!(assertion(&again), assertion(&first), "of the same origin");
    world.host.clock.advance(Duration::from_secs(1));
    let later = get(&world.isolate, "/demo/private/x", &ada).await;
    assert_ne!(assertion(&later), assertion(&first));
    let (_, claims) = checked(&world.isolate, assertion(&later)).await;
    assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|at| at + 60));
    // Somebody else's is another, and so is that of the same person by another token.
    let bob = world.user("bob", None).await;
    assert_eq!(claims_of(assertion(&get(&world.isolate, "/demo/private/x", &bob).await))["sub"], bob.id.as_str());
    let other = world.isolate.sign_in("ada").await;
    assert_eq!(
        claims_of(assertion(&get(&world.isolate, "/demo/private/x", &other).await))["sid"],
        other.session.as_str()
    );
    // A browser's session that is told of anew, with another role, is asserted anew.
    let browser = world.isolate.log_in("ada").await;
    let roles = async || {
        let proxied = world.isolate.browse_through(&browser, "GET", "/demo/strict/x", None).await.expect(200);
        claims_of(assertion(&proxied))["roles"].clone()
    };
    assert_eq!(roles().await, json!(["user"]));
    let root = world.user("root", Some("super_admin")).await;
    let path = format!("/api/v1/admin/users/{}/roles", ada.id);
    world.isolate.send_as(&root.access, "PUT", &path, &json!({ "roles": ["moderator"] })).await.expect(200);
    assert_eq!(roles().await, json!(["moderator"]));
}

#[tokio::test]
async fn one_that_is_bound_is_for_one_request() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let mut seen = BTreeSet::new();
    let long = format!("/demo/bound/x?pad={}", "y".repeat(6000));
    for (method, asked, target) in [
        ("GET", "/demo/bound/a%20b?x=1&y=%2F", "/demo/bound/a%20b?x=1&y=%2F"),
        ("GET", "/demo/bound/a%20b?x=1&y=%2F", "/demo/bound/a%20b?x=1&y=%2F"),
        ("DELETE", "/demo/bound/%61", "/demo/bound/a"),
        ("GET", &long, &long),
    ] {
        let proxied = world
            .isolate
            .proxy(&format!("{method}\n{URL}{asked}\nauthorization\nBearer {}", ada.access))
            .await
            .expect(200);
        let (_, claims) = checked(&world.isolate, assertion(&proxied)).await;
        let host = URL.strip_prefix("https://").unwrap();
        let digest = Base64UrlUnpadded::encode_string(&Sha256::digest(target));
        assert_eq!(claims["request"], json!({ "method": method, "host": host, "target_sha256": digest }));
        assert!(claims["scope"].is_string(), "no request is so long that it takes that away");
        let rewrite = proxied.rewrite.as_ref().unwrap();
        assert_eq!((rewrite.url.as_str(), rewrite.once), (format!("{ORIGIN}{target}").as_str(), true), "as it is sent");
        assert!(seen.insert(claims["jti"].as_str().unwrap().to_owned()), "none is made twice");
    }
}

#[tokio::test]
async fn a_fresh_isolate_signs_with_what_the_edge_bundle_holds() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    get(&world.isolate, "/demo/private/x", &ada).await;
    let board = &world.host.switchboard;
    let fresh = world.another_isolate();
    let before = board.count("database");
    let proxied = get(&fresh, "/demo/private/x", &ada).await;
    assert_eq!(board.count("database"), before, "the record is not asked");
    checked(&world.isolate, assertion(&proxied)).await;
}

#[tokio::test]
async fn a_key_that_was_ended_signs_none_any_more() {
    let world = World::new();
    let (ada, root) = (world.user("ada", None).await, world.user("root", Some("super_admin")).await);
    let other = world.warm_isolate(&[&ada, &root]).await;
    let before = get(&other, "/demo/private/x", &ada).await;
    let (header, _) = checked(&world.isolate, assertion(&before)).await;
    world.host.clock.advance(Duration::from_secs(2));
    rotate(&world.isolate, &root, "emergency").await.expect(200);
    let ada = world.isolate.sign_in("ada").await;
    let after = get(&other, "/demo/strict/x", &ada).await;
    assert_ne!(checked(&world.isolate, assertion(&after)).await.0["kid"], header["kid"]);
}

#[tokio::test]
async fn what_a_role_gives_now_is_what_is_asserted() {
    let world = World::new();
    let (ada, root) = (world.user("ada", None).await, world.user("root", Some("super_admin")).await);
    let scope = |proxied: &Proxied| claims_of(assertion(proxied))["scope"].as_str().unwrap().to_owned();
    assert!(!scope(&get(&world.isolate, "/demo/private/x", &ada).await).contains("content:update"));
    let given = json!({ "permissions": ["content:update", "profile:read"] });
    world.isolate.send_as(&root.access, "PATCH", "/api/v1/admin/roles/user", &given).await.expect(200);
    let after = get(&world.isolate, "/demo/private/x", &ada).await;
    assert_eq!(scope(&after), after.sets("x-auth-scopes").unwrap());
    assert!(scope(&after).contains("content:update"));
    // A clock that went back has one made anew.
    world.host.clock.set_back(Duration::from_secs(1));
    assert_ne!(assertion(&get(&world.isolate, "/demo/private/x", &ada).await), assertion(&after));
}

#[tokio::test]
async fn where_access_tokens_are_signed_with_a_shared_key_assertions_are_not() {
    let world = World::with(&[("SIGNING_ALG", "HS256")]);
    let ada = world.user("ada", None).await;
    let proxied = get(&world.isolate, "/demo/private/x", &ada).await;
    assert_eq!(checked(&world.isolate, assertion(&proxied)).await.0["alg"], "EdDSA");
}

#[tokio::test]
async fn what_somebody_may_do_is_left_out_where_it_would_be_too_much() {
    let world = World::new();
    let permissions =
        (0..400).map(|number| format!("INSERT INTO permissions (name) VALUES ('x:permission-{number:03}')"));
    let given = (0..400).map(|number| {
        format!("INSERT INTO role_permissions (role, permission) VALUES ('user', 'x:permission-{number:03}')")
    });
    world.host.database.script(&permissions.chain(given).collect::<Vec<_>>()).unwrap();
    let ada = world.user("ada", None).await;
    let proxied = get(&world.isolate, "/demo/private/x", &ada).await;
    let (_, claims) = checked(&world.isolate, assertion(&proxied)).await;
    assert!(claims.get("scope").is_none() && claims["sub"] == ada.id.as_str());
    assert_eq!(claims["scope_left_out"], true);
    assert!(proxied.sets("x-auth-scopes").unwrap().contains("x:permission-399"), "the header has it");
}
