//! Round trips are the cost that users feel: each flow's are counted, exactly.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    admin_users::admin,
    api_keys::{make, use_key},
    attempts::{attempt, fail},
    harness::{PASSWORD, URL, World},
    issuers,
    live_policy::{POLICY, only, put},
    mail::last_token,
    mfa::{enrolled, half, verify},
};

/// Counts (database, kv, limiter, feed) since the last reset.
fn trips(world: &World) -> (usize, usize, usize, usize) {
    let board = &world.host.switchboard;
    let counted = (board.count("database"), board.count("kv"), board.count("limiter"), board.count("feed"));
    board.set(Plan::Healthy);
    counted
}

#[tokio::test]
async fn an_issuers_token_asks_for_its_keys_once_in_an_isolate() {
    let world = World::new();
    let (first, second) = (issuers::token(&world, &["staff"]).await, issuers::token(&world, &["leads"]).await);
    world.isolate.warm_up().await;
    trips(&world);
    world.isolate.proxy_get("/demo/private/x", Some(&first)).await.expect(200);
    assert_eq!(world.host.switchboard.count("outbound"), 1);
    assert_eq!(trips(&world), (0, 2, 0, 0), "a copy is looked for, and made");
    world.isolate.proxy_get("/demo/private/x", Some(&second)).await.expect(200);
    assert_eq!(world.host.switchboard.calls(), ["crypto", "crypto"], "the token, the assertion");
    let other = world.another_isolate();
    other.warm_up().await;
    trips(&world);
    other.proxy_get("/demo/private/x", Some(&first)).await.expect(200);
    assert_eq!(world.host.switchboard.count("outbound"), 0);
    assert_eq!(trips(&world), (0, 1, 0, 0), "another isolate takes the copy");
    assert!(other.proxy_get("/demo/private/x", Some(&first)).await.expect(200).warm);
    assert_eq!(trips(&world), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_warm_request_makes_no_trip() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    trips(&world);
    for _ in 0..5 {
        let proxied = world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
        assert!(proxied.warm, "decided in one synchronous call");
    }
    assert!(world.isolate.proxy_get("/demo/public/x", None).await.expect(200).warm);
    assert!(world.isolate.proxy_get("/demo/private/x", None).await.expect(401).warm);
    assert_eq!(trips(&world), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_fresh_isolate_reads_the_edge_bundle_once_beside_one_question_to_the_feed() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let fresh = world.another_isolate();
    trips(&world);
    fresh.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    assert_eq!(trips(&world), (0, 1, 0, 1));
    let bob = world.user("bob", None).await;
    trips(&world);
    fresh.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
    assert_eq!(trips(&world), (0, 0, 0, 0), "another token: nobody is asked about it");
    let strict = world.another_isolate();
    strict.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(200);
    assert_eq!(trips(&world), (0, 1, 0, 1), "that question is also a strict route's own");
}

#[tokio::test]
async fn a_strict_route_asks_the_feed_once_per_request_and_a_limited_one_the_limiter() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    trips(&world);
    for _ in 0..3 {
        world.isolate.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(200);
        assert_eq!(trips(&world), (0, 0, 0, 1));
        world.isolate.proxy_get("/demo/limited/x", Some(&ada.access)).await.expect(200);
        assert_eq!(trips(&world), (0, 0, 1, 0));
    }
}

#[tokio::test]
async fn a_cookie_session_costs_one_trip_at_first_sight() {
    let world = World::new();
    world.register("ada", None).await;
    world.isolate.proxy_get("/demo/private/x", None).await.expect(401);
    let fresh = world.another_isolate();
    fresh.proxy_get("/demo/private/x", Some(&world.user("bob", None).await.access)).await.expect(200);
    trips(&world);
    let browser = world.isolate.log_in("ada").await;
    assert_eq!(trips(&world), (2, 1, 1, 0), "sign-in: the copy is written beside the second batch");
    for (path, first, then) in [
        ("/demo/private/x", (0, 1, 0, 0), (0, 0, 0, 0)),
        ("/demo/strict/x", (0, 0, 0, 1), (0, 0, 0, 1)),
        ("/demo/limited/x", (0, 0, 1, 0), (0, 0, 1, 0)),
    ] {
        fresh.browse_through(&browser, "GET", path, None).await.expect(200);
        assert_eq!(trips(&world), first, "{path}");
        fresh.browse_through(&browser, "GET", path, None).await.expect(200);
        assert_eq!(trips(&world), then, "{path} again");
    }
    world.isolate.browse(&browser, "GET", "/api/v1/users/me", &Value::Null).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 1, 0), "our own endpoints count, ask the record, and then do their work");
    // An hour later its use is written down, beside the answer; and the copy is believed no more.
    world.host.clock.advance(Duration::from_hours(1));
    for isolate in [&fresh, &world.isolate] {
        isolate.app.ask_view().await;
        isolate.app.refresh().await;
    }
    trips(&world);
    fresh.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 0, 0), "one for the request, one after the answer");
    fresh.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    assert_eq!(trips(&world), (0, 0, 0, 0));
    world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
    assert_eq!(trips(&world), (1, 2, 0, 1), "logout: the blacklist beside the feed, then the copy");
}

#[tokio::test]
async fn an_api_key_costs_one_trip_at_first_sight_and_its_limit() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    trips(&world);
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    assert_eq!(trips(&world), (3, 0, 1, 0), "who asks, their factor, and the batch");
    let fresh = world.another_isolate();
    fresh.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    trips(&world);
    for (path, first, then) in [
        // Its use is written down beside the first answer.
        ("/demo/private/x", (2, 0, 1, 0), (0, 0, 1, 0)),
        ("/demo/strict/x", (0, 0, 1, 1), (0, 0, 1, 1)),
        ("/demo/limited/x", (0, 0, 2, 0), (0, 0, 2, 0)),
        ("/demo/public/x", (0, 0, 0, 0), (0, 0, 0, 0)),
    ] {
        for (cost, time) in [(first, "first"), (then, "then")] {
            use_key(&fresh, path, &key.key).await.expect(200);
            assert_eq!(trips(&world), cost, "{path}, {time}");
        }
    }
    fresh.get("/api/v1/users/me", Some(&key.key)).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 2, 0), "its limit beside its owner's, whose it is, and the account");
    let path = format!("/api/v1/api-keys/{}", key.id);
    let rotated = world.isolate.send_as(&ada.access, "POST", &format!("{path}/rotate"), &Value::Null).await.expect(200);
    assert_eq!(trips(&world), (4, 1, 1, 1), "who asks, their factor, the key, the batch; the copy beside the feed");
    let path = format!("/api/v1/api-keys/{}", rotated.text("/id"));
    world.isolate.send_as(&ada.access, "DELETE", &path, &Value::Null).await.expect(204);
    assert_eq!(trips(&world), (2, 1, 1, 1), "who asks, and the batch");
}

#[tokio::test]
async fn changes_of_ones_own_account_are_counted_too() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (other, browser) = (world.isolate.sign_in("ada").await, world.isolate.log_in("ada").await);
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    trips(&world);
    world.isolate.get("/api/v1/auth/sessions", Some(&ada.access)).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 1, 0), "the list: the limit, who asks, and the list");
    let path = format!("/api/v1/auth/sessions/{}", other.session);
    world.isolate.browse(&browser, "DELETE", &path, &Value::Null).await.expect(204);
    assert_eq!(trips(&world), (2, 1, 1, 1), "one ended");
    world.isolate.sign_in("ada").await;
    trips(&world);
    world.isolate.browse(&browser, "DELETE", "/api/v1/auth/sessions", &Value::Null).await.expect(204);
    assert_eq!(trips(&world), (2, 2, 1, 1), "the two others ended: an entry each");
    let body = json!({ "current_password": PASSWORD, "new_password": "Another-Horse-8" });
    world.isolate.browse(&browser, "POST", "/api/v1/auth/change-password", &body).await.expect(200);
    assert_eq!(trips(&world), (4, 1, 1, 1), "the limit, who asks, the account, the attempt, the change");
}

#[tokio::test]
async fn what_is_done_to_another_is_counted_too() {
    let world = World::new();
    let (admin, bob) = (world.user("admin", Some("admin")).await, world.user("bob", None).await);
    world.isolate.get("/api/v1/users/me", Some(&admin.access)).await.expect(200);
    for (query, trips_made) in [("", (5, 1, 1, 1)), ("?erase=true", (5, 1, 1, 1))] {
        trips(&world);
        let path = format!("/api/v1/admin/users/{}{query}", bob.id);
        world.isolate.send_as(&admin.access, "DELETE", &path, &Value::Null).await.expect(204);
        assert_eq!(
            trips(&world),
            trips_made,
            "{query}: who asks, whether they have a second factor, the account, roles as they are, the change"
        );
    }
}

#[tokio::test]
async fn refusals_make_no_trip() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.app.do_chores().await;
    trips(&world);
    let mut broken = ada.access.clone();
    broken.pop();
    for token in ["x", &broken, &ada.refresh, "a.b.c"] {
        for _ in 0..10 {
            world.isolate.proxy_get("/demo/private/x", Some(token)).await.expect(401);
        }
    }
    let (input, _) = ada.access.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", "A".repeat(86));
    world.isolate.proxy_get("/demo/strict/x", Some(&forged)).await.expect(401);
    assert_eq!(trips(&world), (0, 0, 0, 0));
    // On our own endpoints each is counted, under its sender's address.
    for token in ["x", &broken, &ada.refresh, &forged] {
        world.isolate.get("/api/v1/users/me", Some(token)).await.expect(401);
        assert_eq!(trips(&world), (0, 0, 1, 0));
    }
    for path in ["/api/v1/nothing", "/health", "/.well-known/jwks.json"] {
        world.isolate.get(path, None).await;
    }
    assert_eq!(trips(&world), (0, 0, 0, 0), "nor does what is not there, or what costs nothing");
}

#[tokio::test]
async fn sign_in_is_two_batches_refresh_and_logout_one() {
    let world = World::new();
    world.register("ada", None).await;
    world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    trips(&world);
    let ada = world.isolate.sign_in("ada").await;
    assert_eq!(trips(&world), (2, 0, 1, 0), "sign-in");
    world.isolate.try_sign_in("192.0.2.1", "nobody", PASSWORD).await.expect(401);
    assert_eq!(trips(&world), (2, 0, 1, 0), "the same for an unknown user");
    fail(&world, "nobody", 0..4).await;
    trips(&world);
    attempt(&world, 4, "nobody", PASSWORD).await.expect(429);
    assert_eq!(trips(&world), (1, 0, 1, 0), "too many failures");
    world.isolate.refresh(&ada.refresh).await.expect(200);
    assert_eq!(trips(&world), (1, 0, 0, 0), "refresh");
    world.isolate.logout(&ada.access).await.expect(200);
    assert_eq!(trips(&world), (1, 2, 0, 1), "logout: two entries and the feed, side by side");
    let ada = world.isolate.sign_in("ada").await;
    trips(&world);
    let answer = world.isolate.post_as(&ada.access, "/api/v1/auth/logout-all", &json!({})).await;
    assert_eq!((answer.status, trips(&world)), (200, (1, 1, 0, 1)), "everywhere: one entry");
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    trips(&world);
    let body = json!({ "username": "bob", "email": "bob@example.org", "password": PASSWORD });
    world.isolate.post("/api/v1/users/register", &body).await.expect(201);
    assert_eq!(trips(&world), (1, 0, 1, 0), "registration");
}

#[tokio::test]
async fn a_second_factor_adds_one_batch_to_a_sign_in() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    trips(&world);
    let token = half(&world, "ada").await;
    assert_eq!(trips(&world), (2, 0, 1, 0), "the password: as a sign-in");
    verify(&world.isolate, &token, &factor.wrong(&world)).await.expect(401);
    assert_eq!(trips(&world), (1, 0, 1, 0), "a wrong code");
    let code = factor.next(&world);
    verify(&world.isolate, &token, &code).await.expect(200);
    assert_eq!(trips(&world), (1, 0, 1, 0), "the code");
    for (token, code) in [("ewmfa_x", "123456"), (token.as_str(), "1")] {
        verify(&world.isolate, token, code).await;
        assert_eq!(trips(&world), (0, 0, 0, 0), "what is not ours, or could not be right");
    }
    let body = json!({ "username": "ada", "password": PASSWORD });
    let asked = world.isolate.try_log_in(Some(URL), "192.0.2.1", &body).await.expect(200);
    trips(&world);
    let request =
        http::Request::post("/api/v1/auth/mfa/verify").header("content-type", "application/json").header("origin", URL);
    let body = json!({ "mfa_token": asked.text("/mfa_token"), "code": factor.recovery[0] }).to_string();
    world.isolate.send(request.body(body.into()).unwrap()).await.expect(200);
    assert_eq!(trips(&world), (1, 1, 1, 0), "a browser's: and the copy");
    world.isolate.app.ask_view().await;
    trips(&world);
    world.isolate.get("/api/v1/mfa", Some(&ada.access)).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 1, 0), "the status: who asks, and how it is");
    let body = json!({ "code": factor.next(&world) });
    world.isolate.app.ask_view().await;
    trips(&world);
    world.isolate.post_as(&ada.access, "/api/v1/auth/mfa/step-up", &body).await.expect(200);
    assert_eq!(trips(&world), (4, 0, 1, 0), "stepping up: who asks, the account, the attempt, the change");
}

#[tokio::test]
async fn a_page_of_the_log_is_one_batch_and_reading_it_out_one_more() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    world.isolate.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(200);
    trips(&world);
    for query in ["", "?outcome=failure&ip=192.0.2.1", "?event=logout,register"] {
        world.isolate.get(&format!("/api/v1/admin/audit{query}"), Some(&admin.access)).await.expect(200);
        assert_eq!(trips(&world), (2, 0, 1, 0), "who asks, and the page");
    }
    world.isolate.get("/api/v1/admin/audit?outcome=denied&event=logout", Some(&admin.access)).await.expect(200);
    assert_eq!(trips(&world), (1, 0, 1, 0), "nothing could be found");
    world.isolate.get("/api/v1/admin/audit/export", Some(&admin.access)).await;
    assert_eq!(trips(&world), (3, 0, 1, 0), "who asks, the row that tells of it, and each thousand rows");
    world.isolate.get("/api/v1/admin/audit?limit=0", Some(&admin.access)).await.expect(422);
    assert_eq!(trips(&world), (1, 0, 1, 0), "what is refused");
}

#[tokio::test]
async fn what_is_done_by_mail_is_a_batch_and_choosing_a_password_two() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let token = last_token(&world).await;
    trips(&world);
    let post = async |path: &str, body| world.isolate.post(&format!("/api/v1/auth/{path}"), &body).await.status;
    assert_eq!(post("verify-email", json!({ "token": token })).await, 200);
    assert_eq!(trips(&world), (1, 0, 0, 0), "proving an address");
    assert_eq!(post("verify-email", json!({ "token": "ewm_x" })).await, 400);
    assert_eq!(trips(&world), (0, 0, 0, 0), "a forged token");
    for path in ["verify-email/resend", "password-reset"] {
        assert_eq!(post(path, json!({ "email": "ada@example.org" })).await, 202);
        assert_eq!(trips(&world), (1, 0, 1, 0), "{path}");
    }
    let token = last_token(&world).await;
    trips(&world);
    let body = json!({ "token": token, "new_password": "Other-Horse-8" });
    assert_eq!(post("password-reset/confirm", body).await, 200);
    assert_eq!(trips(&world), (2, 1, 1, 1), "one entry of what is revoked, and the feed, side by side");
    world.isolate.app.do_chores().await;
    assert_eq!((world.host.switchboard.count("mailer"), trips(&world)), (1, (2, 0, 0, 0)), "a mail, beside an answer");
    world.isolate.refresh(&ada.refresh).await.expect(401);
}

#[tokio::test]
async fn an_administrators_work_is_counted() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    world.isolate.get("/api/v1/users/me", Some(&chief.access)).await.expect(200);
    trips(&world);
    let body = json!({ "roles": ["moderator"] });
    let invitation = json!({ "username": "bob", "email": "bob@example.org", "invite": true });
    for (method, path, body, cost, what) in [
        ("GET", String::new(), &Value::Null, (2, 0, 1, 0), "the limit, who asks, and the list"),
        ("GET", format!("/{}", ada.id), &Value::Null, (2, 0, 1, 0), "and the account"),
        ("POST", String::new(), &invitation, (5, 0, 1, 0), "and factor, roles, the account made, and how it is"),
        ("POST", String::new(), &invitation, (4, 0, 1, 0), "what is taken"),
        (
            "PUT",
            format!("/{}/roles", ada.id),
            &body,
            (6, 1, 1, 1),
            "and factor, account, roles, the change, and how it is",
        ),
        (
            "POST",
            format!("/{}/unlock", ada.id),
            &Value::Null,
            (5, 1, 1, 1),
            "and factor, account, roles, the change; that the one before was told",
        ),
    ] {
        admin(&world, &chief, method, &path, body).await;
        assert_eq!(trips(&world), cost, "{method} {path}: {what}");
    }
    world.isolate.get("/api/v1/admin/dashboard", Some(&chief.access)).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 1, 0), "who asks, and all the counts");
    let role = json!({ "name": "clerk" });
    world.isolate.post_as(&chief.access, "/api/v1/admin/roles", &role).await.expect(201);
    assert_eq!(trips(&world), (4, 1, 1, 1), "a role: who asks, factor, roles, the change; the bundle beside the feed");
}

#[tokio::test]
async fn whichever_policy_decides_a_warm_request_makes_no_trip_and_a_fresh_isolate_two() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    world.isolate.warm_up().await;
    world.host.clock.advance(Duration::from_secs(1));
    trips(&world);
    put(&world, &root, &json!({ "policy": only("a", "/a") })).await.expect(200);
    assert_eq!(
        trips(&world),
        (4, 1, 1, 1),
        "a policy: who asks, factor, roles, the change; the bundle beside the feed"
    );
    world.isolate.get(POLICY, Some(&root.access)).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 1, 0), "who asks, and what decides");
    world.isolate.get(&format!("{POLICY}/versions"), Some(&root.access)).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 1, 0), "who asks, and the list");
    let question = json!({ "method": "GET", "url": "https://auth.example.com/a" });
    world.isolate.post_as(&root.access, &format!("{POLICY}/explain"), &question).await.expect(200);
    assert_eq!(trips(&world), (2, 0, 1, 0), "who asks, and what decides");
    assert!(world.isolate.proxy_get("/a", None).await.expect(200).warm);
    assert_eq!(trips(&world), (0, 0, 0, 0));
    let fresh = world.another_isolate();
    fresh.proxy_get("/a", None).await.expect(200);
    assert_eq!(trips(&world), (0, 1, 0, 1), "the edge bundle, and beside it the feed");
    assert!(fresh.proxy_get("/a", None).await.expect(200).warm);
    assert_eq!(trips(&world), (0, 0, 0, 0));
}
