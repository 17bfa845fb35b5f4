//! `admin/users`: finding, seeing and changing accounts, by who may.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    attempts::fail,
    harness::{Answer, PASSWORD, SignedIn, World},
    mail::{deliver, last_token},
    roles::{PERMISSIONS, ROLES, permission, role},
};

pub const USERS: &str = "/api/v1/admin/users";

pub async fn admin(world: &World, who: &SignedIn, method: &str, path: &str, body: &Value) -> Answer {
    world.isolate.send_as(&who.access, method, &format!("{USERS}{path}"), body).await
}

pub async fn set_roles(world: &World, who: &SignedIn, id: &str, roles: &Value) -> Answer {
    admin(world, who, "PUT", &format!("/{id}/roles"), &json!({ "roles": roles })).await
}

pub async fn found(world: &World, who: &SignedIn, query: &str) -> Vec<String> {
    let answer = admin(world, who, "GET", query, &Value::Null).await.expect(200);
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|user| user["username"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_account_is_seen_whole() {
    let world = World::new();
    let (chief, root) = (world.user("chief", Some("admin")).await, world.user("root", Some("super_admin")).await);
    let ada = world.user("ada", None).await;
    set_roles(&world, &root, &ada.id, &json!(["user", { "role": "moderator", "expires_at": "2026-01-01T03:00:00Z" }]))
        .await
        .expect(200);
    world.isolate.sign_in("ada").await;
    let seen = admin(&world, &chief, "GET", &format!("/{}", ada.id), &Value::Null).await.expect(200);
    assert_eq!(seen.body["roles"], json!(["moderator", "user"]));
    assert_eq!(
        seen.body["role_grants"][0],
        json!({
            "role": "moderator", "granted_at": "2026-01-01T00:00:00.000Z", "granted_by": root.id,
            "expires_at": "2026-01-01T03:00:00.000Z",
        })
    );
    assert_eq!((&seen.body["live_sessions"], &seen.body["locked_until"]), (&json!(2), &Value::Null));
    fail(&world, "ada", 0..5).await;
    let seen = admin(&world, &chief, "GET", &format!("/{}", ada.id), &Value::Null).await.expect(200);
    assert_eq!(seen.text("/locked_until"), "2026-01-01T00:30:00.000Z");
    for id in ["x", "0190163d-8694-739b-aea5-966c26f8ad91"] {
        admin(&world, &chief, "GET", &format!("/{id}"), &Value::Null).await.expect(404);
    }
    admin(&world, &ada, "GET", &format!("/{}", chief.id), &Value::Null).await.expect(401);
    let ada = world.isolate.sign_in("chief").await;
    admin(&world, &ada, "GET", "", &Value::Null).await.expect(200);
}

#[tokio::test]
async fn roles_are_granted_and_taken_and_tokens_of_before_end() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    let (other, browser) = (world.warm_isolate(&[&ada]).await, world.isolate.log_in("ada").await);
    other.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    let set = set_roles(&world, &chief, &ada.id, &json!(["moderator", "user", "user"])).await.expect(200);
    assert_eq!(set.body["roles"], json!(["moderator", "user"]));
    set_roles(&world, &chief, &ada.id, &json!(["user", "moderator"])).await.expect(200);
    let told = "SELECT COUNT(*) FROM audit_events WHERE event = 'role_changed' AND detail = '+moderator'";
    assert_eq!((world.audited("role_changed"), world.count(told)), (1, 1), "what changes nothing is no change");
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    other.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(401);
    // Who is signed in stays so, and is more.
    world.hear(&other).await;
    let through = other.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    assert_eq!(through.sets("x-auth-roles"), Some("moderator user"));
    world.isolate.refresh(&ada.refresh).await.expect(200);
    set_roles(&world, &chief, &ada.id, &json!([])).await.expect(200);
    let refreshed = world.isolate.sign_in("ada").await;
    let through = world.isolate.proxy_get("/demo/private/x", Some(&refreshed.access)).await.expect(200);
    assert_eq!(through.sets("x-auth-roles"), Some(""));
    for bad in [
        json!(["gone"]),
        json!("user"),
        Value::Null,
        json!([7]),
        json!(["User"]),
        json!([{ "role": "user", "until": "x" }]),
        json!([{ "role": "user", "expires_at": "2025-12-31T00:00:00Z" }]),
        json!([{ "role": "user", "expires_at": "tomorrow" }]),
        json!(["user", { "role": "user", "expires_at": "2027-12-31T00:00:00Z" }]),
    ] {
        set_roles(&world, &chief, &ada.id, &bad).await.expect(422);
    }
}

#[tokio::test]
async fn a_role_that_is_over_gives_nothing_any_more() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    world.host.clock.advance(Duration::from_secs(1));
    let ada = world.user("ada", None).await;
    let until = json!(["user", { "role": "admin", "expires_at": "2026-01-01T00:10:01Z" }]);
    set_roles(&world, &chief, &ada.id, &until).await.expect(200);
    let (ada, browser) = (world.isolate.sign_in("ada").await, world.isolate.log_in("ada").await);
    let claims = crate::mfa::claims(&ada.access);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        595,
        "with leeway, no longer than the role"
    );
    world.isolate.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(200);
    world.isolate.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(200);
    world.host.clock.advance(Duration::from_millis(599_999));
    world.isolate.app.refresh().await;
    world.isolate.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(200);
    world.isolate.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(200);
    world.host.clock.advance(Duration::from_millis(1));
    world.isolate.proxy_get("/demo/admin/x", Some(&ada.access)).await.expect(401);
    world.isolate.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(403);
    let ada = SignedIn::from(&world.isolate.refresh(&ada.refresh).await.expect(200));
    assert_eq!(crate::mfa::claims(&ada.access)["roles"], json!(["user"]));
    let seen = world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    assert_eq!(seen.body["roles"], json!(["user"]));
    // It says so for those who look after accounts, and can be granted again.
    let chief = SignedIn::from(&world.isolate.refresh(&chief.refresh).await.expect(200));
    let seen = admin(&world, &chief, "GET", &format!("/{}", ada.id), &Value::Null).await.expect(200);
    assert_eq!((&seen.body["roles"], seen.body["role_grants"].as_array().unwrap().len()), (&json!(["user"]), 2));
    assert_eq!(found(&world, &chief, "?role=admin").await, ["chief"]);
    set_roles(&world, &chief, &ada.id, &json!(["user", "admin"])).await.expect(200);
    assert_eq!(found(&world, &chief, "?role=admin").await, ["ada", "chief"]);
}

#[tokio::test]
async fn nobody_grants_or_changes_what_is_above_them() {
    let world = World::new();
    let (root, chief) = (world.user("root", Some("super_admin")).await, world.user("chief", Some("admin")).await);
    let (ada, mia) = (world.user("ada", None).await, world.user("mia", Some("moderator")).await);
    permission(&world, &root, "orders:write").await.expect(201);
    role(&world, &root, &json!({ "name": "buyer", "permissions": ["orders:write"] })).await.expect(201);
    let buyer = world.user("buyer", Some("buyer")).await;
    let before = world.count("SELECT SUM(token_version) + 1000 * (SELECT COUNT(*) FROM user_roles) FROM users");
    for (what, answer, status) in [
        ("their own", set_roles(&world, &chief, &chief.id, &json!(["user"])).await, 400),
        ("their own, as root", set_roles(&world, &root, &root.id, &json!(["user"])).await, 400),
        ("super_admin", set_roles(&world, &root, &ada.id, &json!(["super_admin"])).await, 403),
        ("of a super_admin", set_roles(&world, &root, &root.id, &json!([])).await, 400),
        ("more than one has", set_roles(&world, &chief, &ada.id, &json!(["buyer"])).await, 403),
        ("of who has more", set_roles(&world, &chief, &buyer.id, &json!(["user"])).await, 403),
        ("of a super_admin", set_roles(&world, &chief, &root.id, &json!(["user"])).await, 403),
        ("without the permission", set_roles(&world, &mia, &ada.id, &json!(["user"])).await, 403),
    ] {
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
    // Nor is anything else done to who has more: above all not to have their password sent elsewhere.
    let to_chief = json!({ "email": "chief@attacker.example" });
    for (method, path, body) in [
        ("PATCH", "", to_chief.clone()),
        ("PATCH", "", json!({ "is_active": false })),
        ("POST", "/unlock", Value::Null),
        ("POST", "/verify-email", Value::Null),
        ("POST", "/reset-mfa", Value::Null),
        ("DELETE", "/sessions", Value::Null),
        ("DELETE", "", Value::Null),
    ] {
        for id in [&buyer.id, &root.id] {
            let answer = admin(&world, &chief, method, &format!("/{id}{path}"), &body).await;
            assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
        }
        let oneself = admin(&world, &chief, method, &format!("/{}{path}", chief.id), &body).await;
        assert_eq!(oneself.status, 400, "{method} {path}: {oneself:?}");
        let without = admin(&world, &mia, method, &format!("/{}{path}", ada.id), &body).await;
        assert_eq!(without.status, 403, "{method} {path}: {without:?}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE email LIKE '%attacker%'"), 0);
    assert_eq!(world.count("SELECT SUM(token_version) + 1000 * (SELECT COUNT(*) FROM user_roles) FROM users"), before);
    // What is missing is named.
    let refused = set_roles(&world, &chief, &ada.id, &json!(["buyer"])).await.expect(403);
    assert!(refused.header("www-authenticate").unwrap().contains("scope=\"orders:write\""), "{refused:?}");
    // Closing takes more than changing.
    role(
        &world,
        &root,
        &json!({ "name": "clerk", "inherits": ["user"], "permissions": ["users:read", "users:write"] }),
    )
    .await
    .expect(201);
    world.give(&mia.id, "clerk");
    world.host.database.look("DELETE FROM user_roles WHERE role = 'moderator'", &[]).unwrap();
    let clerk = world.isolate.sign_in("mia").await;
    let path = format!("/{}", ada.id);
    admin(&world, &clerk, "PATCH", &path, &json!({ "full_name": "Ada" })).await.expect(200);
    admin(&world, &clerk, "PATCH", &path, &json!({ "is_active": false })).await.expect(403);
}

#[tokio::test]
async fn an_address_is_changed_and_the_one_before_is_told() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    world.register("bob", None).await;
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    world.isolate.post("/api/v1/auth/password-reset", &json!({ "email": "ada@example.org" })).await.expect(202);
    let reset = last_token(&world).await;
    let before = deliver(&world).await.len();
    let path = format!("/{}", ada.id);
    let taken = admin(&world, &chief, "PATCH", &path, &json!({ "email": "BOB@example.org" })).await.expect(409);
    assert_eq!(taken.text("/errors/0/field"), "email");
    let body = json!({ "email": "new@example.net", "full_name": "Ada L." });
    let changed = admin(&world, &chief, "PATCH", &path, &body).await.expect(200);
    assert_eq!((changed.text("/email"), &changed.body["email_verified"]), ("new@example.net", &json!(false)));
    assert_eq!((changed.text("/full_name"), &changed.body["live_sessions"]), ("Ada L.", &json!(0)));
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    let sent = deliver(&world).await;
    let sent: BTreeSet<_> = sent.iter().skip(before).map(|mail| mail.to.as_str()).collect();
    assert_eq!(sent, BTreeSet::from(["ada@example.org", "new@example.net"]));
    // A link that went to the address before opens nothing.
    let body = json!({ "token": reset, "new_password": "Other-Horse-8" });
    world.isolate.post("/api/v1/auth/password-reset/confirm", &body).await.expect(400);
    assert_eq!((world.audited("email_changed"), world.audited("admin_action")), (1, 1));
    // To do it twice is to do it once.
    admin(&world, &chief, "PATCH", &path, &json!({ "email": "new@example.net" })).await.expect(200);
    assert_eq!(world.audited("email_changed"), 1);
    for body in [
        json!({ "roles": ["admin"] }),
        json!({ "id": "x" }),
        json!({ "email_verified": true }),
        json!({ "email": "x" }),
    ] {
        admin(&world, &chief, "PATCH", &path, &body).await.expect(422);
    }
}

#[tokio::test]
async fn nobody_has_mails_sent_to_whom_they_like() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    let path = format!("/{}", ada.id);
    let mut statuses = Vec::new();
    for number in 0..4 {
        world.host.clock.advance(Duration::from_secs(1));
        let body = json!({ "email": format!("victim{number}@example.net") });
        statuses.push(admin(&world, &chief, "PATCH", &path, &body).await.status);
    }
    // One was sent when she registered.
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(
        world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'verify_email' AND recipient LIKE 'victim%'"),
        2
    );
    assert_eq!(world.audited("email_changed"), 2);
}

#[tokio::test]
async fn who_may_not_see_accounts_is_told_of_none() {
    let world = World::new();
    let (root, ada) = (world.user("root", Some("super_admin")).await, world.user("ada", None).await);
    role(
        &world,
        &root,
        &json!({ "name": "blind", "inherits": ["user"], "permissions": ["users:write", "users:delete"] }),
    )
    .await
    .expect(201);
    let blind = world.user("blind", Some("blind")).await;
    for (method, path, body) in [
        ("PATCH", "", json!({})),
        ("PUT", "/roles", json!({ "roles": ["user"] })),
        ("POST", "/unlock", Value::Null),
        ("POST", "/reset-mfa", Value::Null),
        ("DELETE", "/sessions", Value::Null),
        ("DELETE", "", Value::Null),
    ] {
        for id in [&ada.id, &root.id, "0190163d-8694-739b-aea5-966c26f8ad91"] {
            let refused = admin(&world, &blind, method, &format!("/{id}{path}"), &body).await.expect(403);
            assert_eq!(refused.text("/detail"), "missing permission: users:read", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn no_token_is_made_that_is_over_at_once() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    let until = json!(["user", { "role": "moderator", "expires_at": "2026-01-01T00:00:10Z" }]);
    set_roles(&world, &chief, &ada.id, &until).await.expect(200);
    let mut refresh = world.isolate.sign_in("ada").await.refresh;
    for _ in 0..24 {
        world.host.clock.advance(Duration::from_millis(500));
        let renewed = SignedIn::from(&world.isolate.refresh(&refresh).await.expect(200));
        let claims = crate::mfa::claims(&renewed.access);
        assert!(claims["exp"].as_i64() > claims["iat"].as_i64(), "{claims}");
        world.isolate.get("/api/v1/users/me", Some(&renewed.access)).await.expect(200);
        refresh = renewed.refresh;
    }
}

#[tokio::test]
async fn an_account_is_closed_and_opened_again() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    let path = format!("/{}", ada.id);
    let closed = admin(&world, &chief, "PATCH", &path, &json!({ "is_active": false })).await.expect(200);
    assert_eq!((&closed.body["is_active"], &closed.body["live_sessions"]), (&json!(false), &json!(0)));
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(401);
    admin(&world, &chief, "PATCH", &path, &json!({ "is_active": false })).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    admin(&world, &chief, "PATCH", &path, &json!({ "is_active": true })).await.expect(200);
    assert_eq!((world.audited("account_deactivated"), world.audited("account_reactivated")), (1, 1));
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    world.isolate.try_sign_in("192.0.2.2", "ada", PASSWORD).await.expect(200);
    // Of whom nobody is left, nothing is opened.
    admin(&world, &chief, "DELETE", &format!("{path}?erase=true"), &Value::Null).await.expect(204);
    admin(&world, &chief, "PATCH", &path, &json!({ "is_active": true })).await.expect(404);
    admin(&world, &chief, "GET", &path, &Value::Null).await.expect(404);
    set_roles(&world, &chief, &ada.id, &json!(["user"])).await.expect(404);
    assert_eq!(found(&world, &chief, "").await, ["chief"]);
    assert_eq!(found(&world, &chief, "?active=false").await, Vec::<String>::new());
}

#[tokio::test]
async fn who_is_locked_out_is_let_in_again() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    fail(&world, "ada", 0..5).await;
    world.isolate.try_sign_in("192.0.2.77", "ada", PASSWORD).await.expect(429);
    let path = format!("/{}/unlock", ada.id);
    admin(&world, &chief, "POST", &path, &Value::Null).await.expect(204);
    world.isolate.try_sign_in("192.0.2.78", "ada", "Wrong-Horse-7").await.expect(401);
    world.isolate.try_sign_in("192.0.2.79", "ada", PASSWORD).await.expect(200);
    admin(&world, &chief, "POST", &path, &Value::Null).await.expect(204);
    assert_eq!(world.audited("account_unlocked"), 1, "there was nothing more to unlock");
}

#[tokio::test]
async fn an_address_is_taken_as_proven_and_sessions_are_ended() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    for _ in 0..2 {
        admin(&world, &chief, "POST", &format!("/{}/verify-email", ada.id), &Value::Null).await.expect(204);
    }
    let row = "SELECT COUNT(*) FROM audit_events WHERE event = 'email_verified'
               AND actor = (SELECT id FROM users WHERE username = 'chief')";
    assert_eq!((world.count(row), world.count("SELECT SUM(email_verified) FROM users")), (1, 1));
    let browser = world.isolate.log_in("ada").await;
    let other = world.warm_isolate(&[&ada]).await;
    admin(&world, &chief, "DELETE", &format!("/{}/sessions", ada.id), &Value::Null).await.expect(204);
    other.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(401);
    other.browse_through(&browser, "GET", "/demo/strict/x", None).await.expect(401);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL"), 1, "the chief's own stays");
}

#[tokio::test]
async fn what_is_done_rests_on_what_it_was_judged_by() {
    // Each happens between judging and doing.
    for (what, meddling, status) in [
        (
            "they have become more",
            "INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'super_admin', 0 FROM users WHERE username = 'ada'",
            403,
        ),
        ("what they hold gives more", "INSERT INTO role_permissions VALUES ('user', 'keys:manage')", 403),
        ("the chief is none any more", "UPDATE users SET token_version = 2 WHERE username = 'chief'", 401),
        ("the chief is signed out", "UPDATE sessions SET ended_at = 1", 401),
        ("they are gone", "UPDATE users SET erased_at = 1 WHERE username = 'ada'", 404),
    ] {
        for (method, path, body) in [
            ("PATCH", "", json!({ "email": "new@example.net" })),
            ("PUT", "/roles", json!({ "roles": ["moderator", "user"] })),
            ("POST", "/verify-email", Value::Null),
            ("DELETE", "/sessions", Value::Null),
        ] {
            let world = World::new();
            let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
            world.isolate.get(ROLES, Some(&chief.access)).await.expect(200);
            // Whether the chief's session stands, whether they have a factor, who that is, and what roles give come first.
            world.host.database.meddle(4, meddling);
            let answer = admin(&world, &chief, method, &format!("/{}{path}", ada.id), &body).await;
            assert_eq!(answer.status, status, "{what}: {method} {path}: {answer:?}");
            let done = world.count("SELECT COUNT(*) FROM audit_events WHERE actor IS NOT NULL");
            assert_eq!(done, 0, "{what}: {method} {path}");
        }
    }
}

#[tokio::test]
async fn nobody_escapes_a_change_by_changing_something_themselves() {
    for (method, path, body) in [
        ("PATCH", "", json!({ "is_active": false })),
        ("PUT", "/roles", json!({ "roles": ["moderator"] })),
        ("DELETE", "/sessions", Value::Null),
    ] {
        let world = World::new();
        let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
        world.isolate.get(ROLES, Some(&chief.access)).await.expect(200);
        // She ends her sessions everywhere, between judging and doing: it is judged again, and done.
        world.host.database.meddle(4, "UPDATE users SET token_version = token_version + 1 WHERE username = 'ada'");
        let answer = admin(&world, &chief, method, &format!("/{}{path}", ada.id), &body).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
        assert_eq!(world.count("SELECT COUNT(*) FROM audit_events WHERE actor IS NOT NULL"), 1, "{method} {path}");
        assert_eq!(world.count("SELECT token_version FROM users WHERE username = 'ada'"), 3, "{method} {path}");
    }
    // An address that is another by now is not taken as proven.
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    world.isolate.get(ROLES, Some(&chief.access)).await.expect(200);
    world.host.database.meddle(4, "UPDATE users SET is_active = 0 WHERE username = 'chief'");
    admin(&world, &chief, "POST", &format!("/{}/verify-email", ada.id), &Value::Null).await.expect(401);
    assert_eq!(world.count("SELECT SUM(email_verified) FROM users"), 0);
}

#[tokio::test]
async fn a_role_that_was_over_long_ago_is_forgotten() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    let until = json!(["user", { "role": "moderator", "expires_at": "2026-01-01T00:10:00Z" }]);
    set_roles(&world, &chief, &ada.id, &until).await.expect(200);
    let held = "SELECT COUNT(*) FROM user_roles WHERE role = 'moderator'";
    for (days, left) in [(30, 1), (1, 0)] {
        world.host.clock.advance(Duration::from_hours(24 * days));
        world.isolate.app.forget_grants().await.unwrap();
        assert_eq!(world.count(held), left);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM user_roles"), 3, "what is for good stays");
}

#[tokio::test]
async fn nothing_in_a_body_makes_anyone_more() {
    let world = World::new();
    let more = json!({
        "username": "eve", "email": "eve@example.org", "password": PASSWORD, "full_name": "Eve",
        "id": "0190163d-8694-739b-aea5-966c26f8ad91", "roles": ["admin"], "role": "admin", "is_active": true,
        "email_verified": true, "mfa_enabled": true, "token_version": 9,
    });
    let made = world.isolate.post("/api/v1/users/register", &more).await.expect(201);
    assert_eq!((&made.body["roles"], &made.body["email_verified"]), (&json!(["user"]), &json!(false)));
    assert_ne!(made.text("/id"), "0190163d-8694-739b-aea5-966c26f8ad91");
    let eve = world.isolate.sign_in("eve").await;
    let mut more = more;
    more.as_object_mut().unwrap().remove("email");
    let same = world.isolate.send_as(&eve.access, "PUT", "/api/v1/users/me", &more).await.expect(200);
    assert_eq!((&same.body["roles"], &same.body["email_verified"]), (&json!(["user"]), &json!(false)));
    assert_eq!(
        world.count("SELECT COUNT(*) FROM users WHERE mfa_enabled = 0 AND token_version = 1 AND is_active = 1"),
        1
    );
    admin(&world, &eve, "GET", "", &Value::Null).await.expect(403);
    world.isolate.get(ROLES, Some(&eve.access)).await.expect(403);
    world.isolate.get(PERMISSIONS, Some(&eve.access)).await.expect(403);
}
