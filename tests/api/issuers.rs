//! Tokens of an issuer that the policy trusts: who they make their bearers, how its keys are kept, and what it costs.

use std::time::Duration;

use edgewarden::{
    domain::{secret::SecretList, token::algorithm::Algorithm},
    native::switchboard::Plan,
    ports::Clock,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    common::forge::{Forge, claims_of, with},
    forward_auth,
    harness::{Isolate, JWKS, Proxied, SECRET, URL, World},
    issuer::{self, ISSUER, claims, header, key_set},
};

/// A key of an issuer.
async fn key() -> Forge {
    Forge::new(SecretList::parse(SECRET).unwrap()).await
}

fn now(world: &World) -> i64 {
    world.host.clock.now().secs()
}

/// A token of who is in these groups; its key is the only one of the issuer.
pub async fn token(world: &World, groups: &[&str]) -> String {
    let forge = key().await;
    let other = key_set(&[&forge]);
    // Whoever asks twice has both keys served.
    let served = world.host.outbound.served(JWKS).map(|set| serde_json::from_str::<Value>(&set).unwrap());
    let mut set: Value = serde_json::from_str(&other).unwrap();
    if let Some(before) = served {
        set["keys"].as_array_mut().unwrap().extend(before["keys"].as_array().unwrap().clone());
    }
    world.host.outbound.serve(JWKS, &set.to_string());
    issuer::token(&forge, now(world), groups).await
}

/// An installation that knows what every request rests on, and an issuer with one key.
async fn trusting() -> (World, Forge) {
    let (world, forge) = (World::new(), key().await);
    world.host.outbound.serve(JWKS, &key_set(&[&forge]));
    world.isolate.warm_up().await;
    (world, forge)
}

async fn get(isolate: &Isolate, token: &str) -> Proxied {
    isolate.proxy_get("/demo/private/x", Some(token)).await
}

/// What is in KV of its keys.
async fn kept(world: &World) -> Option<String> {
    let kv = world.host.ports(SecretList::parse(SECRET).unwrap()).blacklist;
    kv.get_bulk(&["issuer-keys:v1:demo".to_owned()]).await.unwrap().pop().flatten()
}

/// How often the issuer was asked since the last time.
fn asked(world: &World) -> usize {
    let count = world.host.switchboard.count("outbound");
    world.host.switchboard.set(Plan::Healthy);
    count
}

#[tokio::test]
async fn its_callers_come_in_with_the_roles_that_are_mapped_and_are_nobody_of_ours() {
    let (world, forge) = trusting().await;
    let token = issuer::token(&forge, now(&world), &["leads", "admin", "super_admin"]).await;
    let proxied = get(&world.isolate, &token).await.expect(200);
    for (name, value) in [
        ("x-auth-subject", Some("demo|ada")),
        ("x-auth-issuer", Some(ISSUER)),
        ("x-auth-roles", Some("moderator")),
        ("x-auth-method", Some("bearer")),
        ("x-auth-username", None),
        ("x-auth-email", None),
        ("x-auth-session", None),
    ] {
        assert_eq!(proxied.sets(name), value, "{name}");
    }
    assert!(proxied.sets("x-auth-scopes").unwrap().contains("content:delete"), "as a moderator of ours has it");
    let asserted = claims_of(proxied.sets("x-auth-assertion").unwrap());
    assert_eq!(
        (&asserted["iss"], &asserted["sub"], &asserted["sub_iss"]),
        (&json!(URL), &json!("demo|ada"), &json!(ISSUER))
    );
    assert_eq!((&asserted["roles"], asserted.get("sid")), (&json!(["moderator"]), None));
    assert!(proxied.rewrite.unwrap().remove.contains(&"authorization".to_owned()));
    // Nor at our own endpoints, and nobody is an owner by a name that looks like theirs.
    world.isolate.get("/api/v1/users/me", Some(&token)).await.expect(401);
    world.isolate.proxy_get("/demo/admin/x", Some(&token)).await.expect(403);
    world.isolate.proxy_get("/demo/owner/ada/x", Some(&token)).await.expect(403);
    world.isolate.proxy_get("/demo/owner/demo%7Cada/x", Some(&token)).await.expect(200);
    world.isolate.proxy_get("/demo/session/x", Some(&token)).await.expect(401);
    world.isolate.proxy_get("/demo/factor/x", Some(&token)).await.expect(401);
    world.isolate.proxy_get("/demo/public/x", Some(&token)).await.expect(200);
    world.isolate.proxy_get("/demo/strict/x", Some(&token)).await.expect(200);
}

#[tokio::test]
async fn who_has_no_role_is_told_which_ones_there_are() {
    let (world, forge) = trusting().await;
    for groups in [&[][..], &["guests"], &["Leads"], &["user"]] {
        let refused = get(&world.isolate, &issuer::token(&forge, now(&world), groups).await).await.expect(403);
        assert_eq!(refused.body["detail"], "missing role: one of moderator user", "{groups:?}");
    }
}

#[tokio::test]
async fn what_a_role_gives_now_is_what_they_may() {
    let (world, forge) = trusting().await;
    let token = issuer::token(&forge, now(&world), &["leads"]).await;
    let may = |proxied: &Proxied| proxied.sets("x-auth-scopes").unwrap().contains("content:delete");
    assert!(may(&get(&world.isolate, &token).await.expect(200)));
    let root = world.user("root", Some("super_admin")).await;
    let role = world.isolate.get("/api/v1/admin/roles", Some(&root.access)).await.expect(200);
    let role = role.body["items"].as_array().unwrap().iter().find(|role| role["name"] == "moderator").unwrap().clone();
    let left: Vec<_> =
        role["permissions"].as_array().unwrap().iter().filter(|name| *name != "content:delete").collect();
    let body = json!({ "permissions": left });
    world.isolate.send_as(&root.access, "PATCH", "/api/v1/admin/roles/moderator", &body).await.expect(200);
    assert!(!may(&get(&world.isolate, &token).await.expect(200)));
}

#[tokio::test]
async fn a_proxy_that_asks_is_told_of_their_callers_and_of_no_certificate() {
    let world = World::with(forward_auth::SET_UP);
    let token = token(&world, &["staff"]).await;
    let ask =
        async |path: &str, name: &str, value: &str| forward_auth::ask(&world.isolate, path, &[(name, value)]).await;
    let told = ask("/demo/private/x", "authorization", &format!("Bearer {token}")).await.expect(200);
    assert_eq!(told.header("x-auth-subject"), Some("demo|ada"));
    assert_eq!(told.header("x-auth-issuer"), Some(ISSUER));
    for name in ["client-cert", "x-client-cert", "cf-client-cert-sha256"] {
        ask("/demo/service/x", name, crate::harness::CERTIFICATE).await.expect(401);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_refused() {
    let (world, forge) = trusting().await;
    let (now, header) = (now(&world), header(&forge));
    let good = claims(now, &["staff"]);
    let day = 86_400;
    for (name, value) in [
        ("iss", json!("https://issuer.example/")),
        ("iss", json!("https://other.example")),
        ("iss", json!(URL)),
        ("iss", json!(["https://issuer.example"])),
        ("aud", json!("other")),
        ("aud", json!(["other", "edgewarden2"])),
        ("aud", json!([])),
        ("aud", json!({ "edgewarden": true })),
        ("aud", Value::Null),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("x".repeat(256))),
        ("sub", Value::Null),
        ("exp", json!(now - 5)),
        ("exp", json!(now + day + 6)),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", Value::Null),
        ("nbf", json!(now + 6)),
        ("nbf", json!("later")),
        ("iat", json!(now + 6)),
        ("cnf", json!({ "jkt": "x" })),
        ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })),
    ] {
        let refused = get(&world.isolate, &forge.sign(&header, &with(&good, name, value.clone())).await).await;
        assert_eq!((refused.status, &refused.body["error"]), (401, &json!("invalid_token")), "{name}: {value}");
    }
    for (name, value) in [
        ("iss", json!(ISSUER)),
        ("aud", json!(["other", "edgewarden"])),
        ("sub", json!("x".repeat(255))),
        ("sub", json!("é\u{1F600}\r\nx-auth-roles: admin")),
        ("sub", json!("ada ")),
        ("exp", json!(now + day)),
        ("exp", json!(f64::from(i32::try_from(now).unwrap()) + 60.5)),
        ("nbf", json!(now + 5)),
    ] {
        let proxied = get(&world.isolate, &forge.sign(&header, &with(&good, name, value.clone())).await).await;
        assert_eq!(proxied.status, 200, "{name}: {value}");
        let subject = proxied.sets("x-auth-subject").unwrap();
        assert!(subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && subject.trim() == subject, "{subject}");
        assert!(value != "ada " || subject == "demo|ada%20", "{subject}");
    }
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("alg", json!("RS256")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("edgewarden+jwt")),
        ("kid", json!("unknown")),
        ("jwk", json!({})),
        ("jku", json!("http://127.0.0.1:1/")),
        ("x5u", json!("http://127.0.0.1:1/")),
        ("x5c", json!([])),
        ("crit", json!(["exp"])),
    ] {
        let refused = get(&world.isolate, &forge.sign(&with(&header, name, value.clone()), &good).await).await;
        assert_eq!(refused.status, 401, "{name}: {value}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let token = forge.sign(&with(&header, "typ", json!(typ)), &good).await;
        assert_eq!(get(&world.isolate, &token).await.status, 200, "{typ}");
    }
    let unnamed = forge.sign(&json!({ "alg": "EdDSA" }), &good).await;
    get(&world.isolate, &unnamed).await.expect(200);
    // Another's key, under the name of this one.
    let other = key().await;
    get(&world.isolate, &other.sign(&header, &good).await).await.expect(401);
    // Half of a token, and one that is over after it was remembered.
    let token = forge.sign(&header, &good).await;
    get(&world.isolate, &token[..token.len() - 4]).await.expect(401);
    get(&world.isolate, &token).await.expect(200);
    world.host.clock.advance(Duration::from_secs(606));
    get(&world.isolate, &token).await.expect(401);
}

#[tokio::test]
async fn nobody_is_made_one_of_ours() {
    let (world, forge) = trusting().await;
    let ada = world.user("ada", Some("admin")).await;
    // A token of ours in everything but the key, and one of theirs that names a key of ours.
    let forged = forge.sign(&header(&forge), &claims_of(&ada.access)).await;
    get(&world.isolate, &forged).await.expect(401);
    let own = crate::tokens::forge(&world);
    let theirs = forge.sign(&own.header(), &claims(now(&world), &["staff"])).await;
    get(&world.isolate, &theirs).await.expect(401);
    // Nor where it publishes its own key under the name of ours.
    let mut set: Value = serde_json::from_str(&key_set(&[&forge])).unwrap();
    set["keys"][0]["kid"] = own.kid().as_str().into();
    world.host.outbound.serve(JWKS, &set.to_string());
    world.host.clock.advance(Duration::from_mins(11));
    let theirs = forge.sign(&own.header(), &claims(now(&world), &["staff"])).await;
    get(&world.isolate, &theirs).await.expect(401);
    get(&world.another_isolate(), &theirs).await.expect(401);
    // What we sign ourselves for someone else is no token of theirs either.
    let ours = own.sign(&own.header(), &claims(now(&world), &["staff"])).await;
    get(&world.isolate, &ours).await.expect(401);
    get(&world.isolate, &ada.access).await.expect(200);
}

#[tokio::test]
async fn a_remembered_token_is_decided_on_at_once() {
    let (world, forge) = trusting().await;
    let token = issuer::token(&forge, now(&world), &["staff"]).await;
    asked(&world);
    assert!(!get(&world.isolate, &token).await.expect(200).warm);
    assert_eq!(asked(&world), 1);
    for _ in 0..3 {
        assert!(get(&world.isolate, &token).await.expect(200).warm);
    }
    assert_eq!(world.host.switchboard.calls(), [""; 0]);
}

#[tokio::test]
async fn an_issuer_that_is_gone_ends_nobody_for_a_day() {
    let (world, forge) = trusting().await;
    let token = |world: &World| {
        let (at, forge) = (now(world), &forge);
        async move { issuer::token(forge, at, &["staff"]).await }
    };
    get(&world.isolate, &token(&world).await).await.expect(200);
    world.host.outbound.serve(JWKS, "<html>down</html>");
    for hours in [0, 1, 12, 10] {
        world.host.clock.advance(Duration::from_hours(hours));
        get(&world.isolate, &token(&world).await).await.expect(200);
        get(&world.another_isolate(), &token(&world).await).await.expect(200);
    }
    world.host.clock.advance(Duration::from_hours(1));
    world.host.switchboard.set(Plan::Without("outbound"));
    let refused = get(&world.isolate, &token(&world).await).await.expect(503);
    assert_eq!(refused.body["title"], "Service Unavailable");
    get(&world.another_isolate(), &token(&world).await).await.expect(503);
    // Others are not concerned, and it comes back by itself.
    let ada = world.user("ada", None).await;
    get(&world.isolate, &ada.access).await.expect(200);
    world.host.switchboard.set(Plan::Healthy);
    world.host.outbound.serve(JWKS, &key_set(&[&forge]));
    get(&world.isolate, &token(&world).await).await.expect(503);
    world.host.clock.advance(Duration::from_secs(10));
    get(&world.isolate, &token(&world).await).await.expect(200);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_question_a_minute() {
    let (world, forge) = trusting().await;
    let (at, good) = (now(&world), issuer::token(&forge, now(&world), &["staff"]).await);
    get(&world.isolate, &good).await.expect(200);
    let unknown = |number: usize| with(&header(&forge), "kid", json!(format!("k{number}")));
    for minute in 0..3 {
        world.host.clock.advance(Duration::from_mins(1));
        asked(&world);
        for number in 0..50 {
            let token = forge.sign(&unknown(number), &claims(at, &["staff"])).await;
            get(&world.isolate, &token).await.expect(401);
        }
        assert_eq!(asked(&world), 1, "{minute}");
    }
    get(&world.isolate, &good).await.expect(200);
    let before = kept(&world).await;
    // All at once, and from several isolates, each of which asks once. What is in KV is written once in ten minutes at most.
    world.host.clock.advance(Duration::from_mins(1));
    let tokens = join_all((0..50).map(|number| {
        let (header, forge) = (unknown(number), &forge);
        async move { forge.sign(&header, &claims(at, &["staff"])).await }
    }));
    let tokens = tokens.await;
    asked(&world);
    let all = join_all(tokens.iter().map(|token| get(&world.isolate, token))).await;
    assert!(all.iter().all(|refused| refused.status == 401));
    let others = [world.another_isolate(), world.another_isolate()];
    for isolate in &others {
        for token in &tokens {
            get(isolate, token).await.expect(401);
        }
    }
    assert_eq!((asked(&world), kept(&world).await), (3, before));
    // Where it cannot be asked, nobody says that it has not got such a key.
    world.host.clock.advance(Duration::from_mins(1));
    world.host.switchboard.set(Plan::Without("outbound"));
    for token in &tokens {
        get(&world.isolate, token).await.expect(503);
    }
    assert_eq!(asked(&world), 1);
}

#[tokio::test]
async fn a_new_key_is_found_and_a_withdrawn_one_is_not_believed_any_more() {
    let (world, old) = trusting().await;
    let by_old = issuer::token(&old, now(&world), &["staff"]).await;
    get(&world.isolate, &by_old).await.expect(200);
    let new = key().await;
    world.host.outbound.serve(JWKS, &key_set(&[&new]));
    let by_new = issuer::token(&new, now(&world), &["staff"]).await;
    get(&world.isolate, &by_new).await.expect(401);
    world.host.clock.advance(Duration::from_mins(1));
    get(&world.isolate, &by_new).await.expect(200);
    get(&world.isolate, &by_old).await.expect(401);
    // Whoever withdraws all of them is believed as well.
    world.host.outbound.serve(JWKS, r#"{"keys":[]}"#);
    world.host.clock.advance(Duration::from_mins(11));
    get(&world.isolate, &by_new).await.expect(401);
    get(&world.another_isolate(), &by_new).await.expect(401);
    world.host.outbound.serve(JWKS, &key_set(&[&new]));
    world.host.clock.advance(Duration::from_mins(1));
    let by_new = issuer::token(&new, now(&world), &["staff"]).await;
    get(&world.isolate, &by_new).await.expect(200);
    // Where nobody shows a new one, keys are read again beside an answer.
    let newest = key().await;
    world.host.outbound.serve(JWKS, &key_set(&[&newest]));
    world.host.clock.advance(Duration::from_mins(9));
    asked(&world);
    get(&world.isolate, &by_new).await.expect(200);
    assert_eq!(asked(&world), 0);
    world.host.clock.advance(Duration::from_secs(61));
    let answered = get(&world.isolate, &issuer::token(&new, now(&world), &["staff"]).await).await;
    assert_eq!((answered.status, asked(&world)), (200, 1), "it is answered first");
    get(&world.isolate, &by_new).await.expect(401);
    get(&world.isolate, &issuer::token(&newest, now(&world), &["staff"]).await).await.expect(200);
    assert_eq!(asked(&world), 0);
}

#[tokio::test]
async fn isolates_hand_each_other_what_they_read() {
    let (world, forge) = trusting().await;
    let token = issuer::token(&forge, now(&world), &["staff"]).await;
    get(&world.isolate, &token).await.expect(200);
    let other = world.another_isolate();
    other.warm_up().await;
    asked(&world);
    get(&other, &token).await.expect(200);
    assert_eq!(world.host.switchboard.calls(), ["kv", "crypto", "crypto"], "a copy, the token, the assertion");
    // A copy that means nothing is none.
    for nonsense in ["", "{", r#"{"jwks_uri":"https://other.example/","read_at":1,"set":"{}"}"#] {
        let kv = &world.host.ports(SecretList::parse(SECRET).unwrap()).blacklist;
        world.host.clock.advance(Duration::from_secs(1));
        kv.put("issuer-keys:v1:demo", nonsense, 60).await.unwrap();
        asked(&world);
        get(&world.another_isolate(), &token).await.expect(200);
        assert_eq!(asked(&world), 1, "{nonsense}");
    }
    // Without KV its issuer is asked, and with neither nobody can tell.
    world.host.switchboard.set(Plan::Without("kv"));
    get(&world.another_isolate(), &token).await.expect(200);
    world.host.switchboard.set(Plan::WithoutAll(&["kv", "outbound"]));
    let isolate = world.another_isolate();
    get(&isolate, &token).await.expect(503);
    let calls = world.host.switchboard.count("outbound");
    for _ in 0..20 {
        get(&isolate, &token).await.expect(503);
    }
    assert_eq!(world.host.switchboard.count("outbound"), calls, "it is not asked again at once");
}

/// Every call that a token of theirs makes fares badly in turn: its bearer is let in or told that nobody can tell, and is let in
/// as soon as that is over.
#[tokio::test]
async fn no_fault_lets_anybody_in_or_keeps_anybody_out_for_long() {
    let (world, forge) = trusting().await;
    let (good, bad) = (issuer::token(&forge, now(&world), &["staff"]).await, key().await);
    let bad = bad.sign(&header(&forge), &claims(now(&world), &["staff"])).await;
    world.host.switchboard.set(Plan::Healthy);
    get(&world.isolate, &good).await.expect(200);
    let calls = world.host.switchboard.calls();
    assert_eq!(
        calls,
        ["kv", "outbound", "kv", "crypto", "crypto"],
        "a copy, its keys, a copy, the token, the assertion"
    );
    let mut refused = 0;
    for (number, port) in calls.iter().enumerate() {
        for plan in [Plan::DownFrom(number), Plan::LoseOnce(number), Plan::LoseThenDown(number)] {
            let (world, _) = trusting().await;
            world.host.outbound.serve(JWKS, &key_set(&[&forge]));
            let label = format!("call {number} ({port}), {plan:?}");
            world.host.switchboard.set(plan);
            let first = get(&world.isolate, &good).await;
            // An assertion that could not be made is made by a key that is read anew.
            let again = number == calls.len() - 1 && plan == Plan::LoseOnce(number);
            let needs_it = matches!(*port, "outbound" | "crypto") && !again;
            assert_eq!(first.status, if needs_it { 503 } else { 200 }, "{label}: {first:?}");
            assert!(!first.body.to_string().contains("switched off"), "{label}: the cause is for the log");
            refused += usize::from(first.status == 503);
            let second = get(&world.isolate, &bad).await.status;
            assert!([401, 503].contains(&second), "{label}: {second}");
            world.host.switchboard.set(Plan::Healthy);
            world.host.clock.advance(Duration::from_secs(10));
            get(&world.isolate, &good).await.expect(200);
            get(&world.isolate, &bad).await.expect(401);
        }
    }
    assert_eq!(refused, 8);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let (world, forge) = trusting().await;
    let tokens = join_all((0..20).map(|number| {
        let claims = with(&claims(now(&world), &["staff"]), "sub", json!(format!("u{number}")));
        let forge = &forge;
        async move { forge.sign(&header(forge), &claims).await }
    }));
    let tokens = tokens.await;
    asked(&world);
    let all = join_all(tokens.iter().map(|token| get(&world.isolate, token))).await;
    assert!(all.iter().all(|proxied| proxied.status == 200));
    assert_eq!(asked(&world), 1);
}

#[tokio::test]
async fn every_algorithm_that_is_taken_is_and_no_other() {
    let world = World::new();
    let master = SecretList::parse(SECRET).unwrap();
    let mut forges = Vec::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
        forges.push(Forge::of(master.clone(), algorithm).await);
    }
    world.host.outbound.serve(JWKS, &key_set(&forges.iter().collect::<Vec<_>>()));
    for forge in &forges {
        let status = get(&world.isolate, &issuer::token(forge, now(&world), &["staff"]).await).await.status;
        // The shipped policy does not name RS256.
        assert_eq!(
            status,
            if forge.key.algorithm == Algorithm::Rs256 { 401 } else { 200 },
            "{:?}",
            forge.key.algorithm
        );
    }
}

#[tokio::test]
async fn what_is_only_of_the_form_of_a_key_is_none() {
    let (world, forge) = trusting().await;
    let mut set: Value = serde_json::from_str(&key_set(&[&forge])).unwrap();
    let (zero, other) = ("A".repeat(43), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let odd = [
        json!({ "kty": "EC", "crv": "P-256", "x": zero, "y": zero, "kid": "zero" }),
        json!({ "kty": "EC", "crv": "P-256", "x": other, "y": other, "kid": "off" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": zero, "kid": "small" }),
    ];
    set["keys"].as_array_mut().unwrap().extend(odd);
    world.host.outbound.serve(JWKS, &set.to_string());
    for (alg, kid) in [("ES256", "zero"), ("ES256", "off"), ("EdDSA", "small")] {
        let header = json!({ "alg": alg, "kid": kid });
        let unsigned = forge.sign(&header, &claims(now(&world), &["staff"])).await;
        let input = unsigned.rsplit_once('.').unwrap().0;
        let zeros = format!("{input}.{}", "A".repeat(86));
        get(&world.isolate, &zeros).await.expect(401);
        get(&world.another_isolate(), &zeros).await.expect(401);
    }
    // They are in nobody's way.
    let unnamed = forge.sign(&json!({ "alg": "EdDSA" }), &claims(now(&world), &["staff"])).await;
    get(&world.isolate, &unnamed).await.expect(200);
}

#[tokio::test]
async fn where_its_variable_is_not_set_nobody_is_trusted() {
    let (_, forge) = trusting().await;
    let world = World::with(&[("DEMO_JWKS", "")]);
    assert!(world.isolate.app.deployed().policy().issuers().is_empty());
    world.host.outbound.serve(JWKS, &key_set(&[&forge]));
    get(&world.isolate, &issuer::token(&forge, now(&world), &["staff"]).await).await.expect(401);
    assert_eq!(asked(&world), 0);
}

/// What the platform says of the certificate of the service that the policy knows.
fn certificate(verified: &str, revoked: &str, sha256: &str) -> String {
    format!("\n:certificate\n{}", json!([verified, revoked, sha256, "CN=x", "CN=y"]))
}

#[tokio::test]
async fn a_service_is_known_by_its_certificate() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let good = certificate("SUCCESS", "0", crate::harness::CERTIFICATE);
    let ask = |method: &str, path: &str, lines: &str| {
        let head = format!("{method}\n{URL}{path}{lines}");
        let isolate = &world.isolate;
        async move { isolate.proxy(&head).await }
    };
    let proxied = ask("POST", "/demo/service/x", &good).await.expect(200);
    for (name, value) in [
        ("x-auth-subject", Some("client|demo")),
        ("x-auth-issuer", Some(URL)),
        ("x-auth-roles", Some("user")),
        ("x-auth-method", Some("mtls")),
        ("x-auth-session", None),
    ] {
        assert_eq!(proxied.sets(name), value, "{name}");
    }
    assert_eq!(claims_of(proxied.sets("x-auth-assertion").unwrap())["auth_method"], "mtls");
    assert!(ask("GET", "/demo/service/x", &good).await.expect(200).warm, "and asserted once");
    // Where a route does not look at certificates, it is nothing.
    ask("GET", "/demo/private/x", &good).await.expect(401);
    assert_eq!(ask("GET", "/demo/optional/x", &good).await.expect(200).sets("x-auth-subject"), None);
    // Of nobody who is known: whatever else is shown counts.
    let others = certificate("SUCCESS", "0", &"cd".repeat(32));
    ask("GET", "/demo/service/x", &others).await.expect(401);
    let bearer = format!("\nauthorization\nBearer {}", ada.access);
    let by_token = ask("GET", "/demo/service/x", &format!("{others}{bearer}")).await.expect(200);
    assert_eq!(by_token.sets("x-auth-method"), Some("bearer"));
    let by_both = ask("GET", "/demo/service/x", &format!("{good}{bearer}")).await.expect(200);
    assert_eq!(by_both.sets("x-auth-method"), Some("mtls"), "in the route's order");
    // One that is not good ends it.
    for (verified, revoked) in [("FAILED:certificate has expired", "0"), ("NONE", "0"), ("SUCCESS", "1"), ("", "")] {
        let bad = certificate(verified, revoked, crate::harness::CERTIFICATE);
        let refused = ask("GET", "/demo/service/x", &format!("{bad}{bearer}")).await.expect(401);
        assert_eq!(refused.body["detail"], "The client certificate is not valid.", "{verified} {revoked}");
    }
}

#[tokio::test]
async fn nobodys_header_is_a_certificate_and_no_page_uses_somebody_elses() {
    let world = World::new();
    world.isolate.warm_up().await;
    let good = certificate("SUCCESS", "0", crate::harness::CERTIFICATE);
    let ask = |method: &str, lines: String| {
        let head = format!("{method}\n{URL}/demo/service/x{lines}");
        let isolate = &world.isolate;
        async move { isolate.proxy(&head).await.status }
    };
    assert_eq!(ask("GET", format!("\naccept\n*/*{good}")).await, 401, "it comes before all headers or not at all");
    for (name, value) in [("certificate", "x"), ("client-cert", "x"), ("cf-client-cert", "x")] {
        assert_eq!(ask("GET", format!("\n{name}\n{value}")).await, 401, "{name}");
    }
    // A browser shows a certificate by itself, whoever's page makes the request.
    for (lines, status) in [
        ("\norigin\nhttps://evil.example\nsec-fetch-site\ncross-site", 403),
        ("\norigin\nnull", 403),
        ("\nsec-fetch-site\nsame-site", 403),
        (&*format!("\norigin\n{URL}\nsec-fetch-site\nsame-origin"), 200),
        ("", 200),
    ] {
        assert_eq!(ask("POST", format!("{good}{lines}")).await, status, "{lines}");
    }
    assert_eq!(ask("GET", format!("{good}\nsec-fetch-site\ncross-site")).await, 200, "as with cookies");
}
