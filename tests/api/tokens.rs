//! Which tokens are believed: everything that is almost right is refused, at the gateway and at
//! our own endpoints alike.

use std::time::Duration;

use edgewarden::{
    domain::{secret::SecretList, token::algorithm::Algorithm},
    ports::Crypto,
};
use serde_json::{Value, json};

use crate::{
    common::forge::{Forge, READ_KEY, claims_of, with},
    harness::{OTHER_SECRET, SECRET, World},
};

/// A forge with the installation's own key.
pub fn forge(world: &World) -> Forge {
    let rows = world.host.database.look(READ_KEY, &[]).unwrap();
    let text = |name: &str| rows.0[0][name].as_str();
    let master = SecretList::parse(SECRET).unwrap();
    let (kid, algorithm, sealed) = (text("kid").unwrap(), text("algorithm").unwrap(), text("sealed").unwrap());
    Forge::with_row(master, kid, algorithm, text("public_key"), sealed)
}

async fn refused(world: &World, token: &str) {
    let proxied = world.isolate.proxy_get("/demo/private/x", Some(token)).await;
    assert_eq!((proxied.status, proxied.body["error"].as_str()), (401, Some("invalid_token")), "{token}");
    world.isolate.get("/api/v1/users/me", Some(token)).await.expect(401);
    world.isolate.logout(token).await.expect(401);
}

#[tokio::test]
async fn what_is_wrong_in_any_claim_is_refused() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (forge, claims) = (forge(&world), claims_of(&ada.access));
    // The forge's own copy of a good token passes: what follows fails for its change alone.
    let same = forge.sign(&forge.header(), &claims).await;
    world.isolate.proxy_get("/demo/private/x", Some(&same)).await.expect(200);
    let now = claims["iat"].as_i64().unwrap();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!("https://auth.example.com/")),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!(["other", "another"])),
        ("aud", json!([])),
        ("aud", json!({ "edgewarden": true })),
        ("exp", json!(now - 6)),
        ("exp", json!((now + 900).to_string())),
        ("exp", serde_json::from_str(&format!("{now}.5")).unwrap()),
        ("exp", json!(-1)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(1e300)),
        ("exp", Value::Null),
        ("nbf", json!(now + 6)),
        ("nbf", json!("0")),
        ("nbf", json!(-5)),
        ("iat", json!(now + 600)),
        ("iat", json!(now - 2 * 86_400)),
        ("sub", json!(["x"])),
        ("sid", json!("not-a-session")),
        ("jti", json!(7)),
        ("roles", json!("admin")),
        ("ver", json!("1")),
    ] {
        refused(&world, &forge.sign(&forge.header(), &with(&claims, name, value)).await).await;
    }
    let many = forge.sign(&forge.header(), &with(&claims, "aud", json!(["other", "edgewarden"]))).await;
    world.isolate.proxy_get("/demo/private/x", Some(&many)).await.expect(200);
}

#[tokio::test]
async fn what_is_wrong_in_the_header_is_refused() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (forge, claims) = (forge(&world), claims_of(&ada.access));
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("NONE")),
        ("alg", json!("HS256")),
        ("alg", json!("Ed25519")),
        ("alg", json!("eddsa")),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("assertion+jwt")),
        ("typ", json!("at+JWT")),
        ("typ", Value::Null),
        ("kid", json!("unknown")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!([forge.kid().as_str()])),
        ("kid", json!("k".repeat(4096))),
        ("jwk", json!({ "kty": "OKP", "crv": "Ed25519", "x": claims["sub"] })),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        refused(&world, &forge.sign(&with(&forge.header(), name, value), &claims).await).await;
    }
    let twice = forge.header().to_string().replacen('{', "{\"typ\":\"at+jwt\",", 1);
    refused(&world, &forge.sign_text(&twice, &claims.to_string()).await).await;
    let twice = claims.to_string().replacen('{', "{\"sub\":\"root\",", 1);
    refused(&world, &forge.sign_text(&forge.header().to_string(), &twice).await).await;
}

#[tokio::test]
async fn another_key_and_any_changed_part_are_refused() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (own, claims) = (forge(&world), claims_of(&ada.access));
    let other = Forge::new(SecretList::parse(SECRET).unwrap()).await;
    refused(&world, &other.sign(&other.header(), &claims).await).await;
    refused(&world, &other.sign(&own.header(), &claims).await).await;
    let parts: Vec<&str> = ada.access.split('.').collect();
    let admin = own.sign(&own.header(), &with(&claims, "roles", json!(["super_admin"]))).await;
    let admin: Vec<&str> = admin.split('.').collect();
    for token in [
        format!("{}.{}.{}", parts[0], admin[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}.{}", parts[0], parts[1], parts[2], parts[2]),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        ada.access.to_uppercase(),
        ada.refresh.clone(),
        String::new(),
        "x".repeat(1_000_000),
    ] {
        refused(&world, &token).await;
    }
}

#[tokio::test]
async fn a_token_ends_at_its_time_though_it_is_remembered() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    world.host.clock.advance(Duration::from_secs(904));
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    let over = world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    assert!(over.warm, "a remembered token that is over costs nothing");
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(401);
}

#[tokio::test]
async fn a_narrowed_token_carries_no_more_than_its_scope() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    let (forge, claims) = (forge(&world), claims_of(&root.access));
    let narrow = forge.sign(&forge.header(), &with(&claims, "scope", json!("content:read keys:steal"))).await;
    let proxied = world.isolate.proxy_get("/demo/private/x", Some(&narrow)).await.expect(200);
    assert_eq!(proxied.sets("x-auth-scopes"), Some("content:read"));
    let answer = world.isolate.get("/api/v1/users/me", Some(&narrow)).await.expect(403);
    assert!(answer.header("www-authenticate").unwrap().contains("scope=\"profile:read\""));
}

#[tokio::test]
async fn a_retired_key_verifies_nothing_remembered_or_not() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    let sql = "UPDATE token_keys SET retire_at = publish_at + 60000";
    world.host.database.look(sql, &[]).unwrap();
    let other = world.another_isolate();
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    world.hear(&other).await;
    world.host.clock.advance(Duration::from_mins(1));
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
}

#[tokio::test]
async fn two_isolates_that_start_at_once_make_one_key() {
    let world = World::new();
    let isolates = [world.another_isolate(), world.another_isolate(), world.another_isolate()];
    for isolate in &isolates {
        isolate.get("/.well-known/jwks.json", None).await.expect(200);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM token_keys"), 1);
    let set = isolates[0].get("/.well-known/jwks.json", None).await;
    assert_eq!(set.header("cache-control"), Some("public, max-age=600"));
    assert_eq!(set.body["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_sealed_key_opens_under_its_own_id_only() {
    let master = SecretList::parse(SECRET).unwrap();
    let crypto = edgewarden::native::crypto::NativeCrypto::new(master.clone());
    let other_master = edgewarden::native::crypto::NativeCrypto::new(SecretList::parse(OTHER_SECRET).unwrap());
    for algorithm in Algorithm::ISSUED.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
        let (a, b) = (Forge::of(master.clone(), algorithm).await, Forge::of(master.clone(), algorithm).await);
        let public = a.key.public.as_ref().unwrap();
        assert!(crypto.sign(public, &a.key.sealed, b"x").await.is_ok());
        assert!(crypto.sign(public, &b.key.sealed, b"x").await.is_err());
        assert!(other_master.sign(public, &a.key.sealed, b"x").await.is_err());
    }
    let (a, b) = (Forge::of(master.clone(), Algorithm::Hs256).await, Forge::of(master, Algorithm::Hs256).await);
    assert!(crypto.shared_key(a.kid(), Algorithm::Hs256, &a.key.sealed).await.is_ok());
    assert!(crypto.shared_key(a.kid(), Algorithm::Hs256, &b.key.sealed).await.is_err());
    assert!(other_master.shared_key(a.kid(), Algorithm::Hs256, &a.key.sealed).await.is_err());
}

#[tokio::test]
async fn an_operator_chooses_which_claims_a_token_carries() {
    const OPTIONAL: [&str; 4] = ["username", "email", "email_verified", "full_name"];
    for (chosen, carried) in [
        (None, vec!["username", "email", "email_verified"]),
        (Some("roles"), vec![]),
        (Some("roles, full_name"), vec!["full_name"]),
        (Some("email username roles full_name email_verified"), OPTIONAL.to_vec()),
    ] {
        let world = World::with(&chosen.map(|claims| ("TOKEN_CLAIMS", claims)).into_iter().collect::<Vec<_>>());
        let ada = world.user("ada", None).await;
        let claims = claims_of(&ada.access);
        for name in OPTIONAL {
            assert_eq!(claims.get(name).is_some(), carried.contains(&name), "{chosen:?}: {name}");
        }
        // RFC 9068, section 2.2, and what is always ours; no scope unless narrowed.
        for name in
            ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "nbf", "auth_time", "amr", "sid", "ver", "roles"]
        {
            assert!(claims.get(name).is_some(), "{name}");
        }
        assert!(claims.get("scope").is_none());
        let proxied = world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
        assert_eq!(proxied.sets("x-auth-username").is_some(), carried.contains(&"username"));
        assert!(ada.access.len() < 4096);
    }
}

#[tokio::test]
async fn several_audiences_are_a_list_and_each_is_enough() {
    let world = World::with(&[("AUDIENCE", "orders, billing")]);
    let ada = world.user("ada", None).await;
    assert_eq!(claims_of(&ada.access)["aud"], json!(["orders", "billing"]));
    let billing = World::isolate_over(&world.host, &[("AUDIENCE", "billing")]);
    billing.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    let other = World::isolate_over(&world.host, &[("AUDIENCE", "shipping")]);
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
}

#[tokio::test]
async fn a_token_that_would_be_too_long_is_not_made_and_nothing_is_lost() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let sessions = world.count("SELECT COUNT(*) FROM sessions");
    let look = |sql| world.host.database.look(sql, &[]).unwrap();
    look(
        "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
          INSERT INTO roles (name) SELECT 'a-role-with-a-very-long-name-' || i FROM n",
    );
    look(
        "INSERT INTO user_roles (user_id, role, granted_at) SELECT u.id, r.name, 0 FROM users u, roles r WHERE r.name LIKE 'a-role-%'",
    );
    let refused = world.isolate.try_sign_in("192.0.2.9", "ada", crate::harness::PASSWORD).await.expect(500);
    assert!(refused.text("/detail").contains("fewer roles"), "{refused:?}");
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), sessions);
    let log = world.host.log.lines().join("\n");
    assert!(log.contains("token_too_long") && log.contains("of at most 4096"), "the log says how long");
    // The refresh token is used up by nothing: once there are fewer roles, it gives its successor.
    world.isolate.refresh(&ada.refresh).await.expect(500);
    look("DELETE FROM user_roles WHERE role LIKE 'a-role-%'");
    world.isolate.refresh(&ada.refresh).await.expect(200);
}

/// Callers learn that a token is not valid; the log learns why, in one of ten words.
#[tokio::test]
async fn each_refusal_is_one_answer_and_a_reason_of_its_own_in_the_log() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (own, claims) = (forge(&world), claims_of(&ada.access));
    let other = Forge::new(SecretList::parse(SECRET).unwrap()).await;
    let revoked = world.user("bob", None).await;
    world.isolate.logout(&revoked.access).await.expect(200);
    let now = claims["iat"].as_i64().unwrap();
    let changed = async |name, value| own.sign(&own.header(), &with(&claims, name, value)).await;
    for (token, reason) in [
        ("not a token".to_owned(), "malformed"),
        (own.sign(&with(&own.header(), "crit", json!(["exp"])), &claims).await, "unsupported"),
        (own.sign(&with(&own.header(), "alg", json!("none")), &claims).await, "unsupported"),
        (other.sign(&other.header(), &claims).await, "unknown_key"),
        (other.sign(&own.header(), &claims).await, "bad_signature"),
        (own.sign(&with(&own.header(), "alg", json!("HS256")), &claims).await, "bad_signature"),
        (own.sign(&with(&own.header(), "typ", json!("JWT")), &claims).await, "wrong_type"),
        (changed("iss", json!("https://evil.example")).await, "wrong_issuer"),
        (changed("aud", json!("other")).await, "wrong_audience"),
        (
            own.sign(&own.header(), &with(&with(&claims, "exp", json!(now - 60)), "iat", json!(now - 600))).await,
            "expired",
        ),
        (changed("nbf", json!(now + 60)).await, "not_yet_valid"),
        (changed("exp", json!("soon")).await, "malformed"),
        (revoked.access.clone(), "revoked"),
    ] {
        for isolate in [world.isolate.clone(), world.another_isolate()] {
            let refused = isolate.proxy_get("/demo/private/x", Some(&token)).await.expect(401);
            let challenge =
                refused.headers.iter().find(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str());
            assert_eq!(challenge, Some("Bearer realm=\"edgewarden\", error=\"invalid_token\""));
            assert_eq!(refused.body["detail"], "The access token is not valid.");
            let lines = world.host.log.lines();
            let logged: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
            assert_eq!((&logged["reason"], &logged["what"]), (&json!("invalid_token"), &json!(reason)), "{token}");
            assert_eq!(logged["request_id"], refused.body["request_id"]);
            assert!(token.len() < 20 || !lines.last().unwrap().contains(&token), "no token in the log");
        }
    }
}
