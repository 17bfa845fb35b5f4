//! `POST admin/users`: accounts that somebody makes for others, with a password or an invitation to choose one.

use std::{thread, time::Duration};

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{
    admin_users::{USERS, admin},
    harness::{Answer, PASSWORD, SignedIn, URL, World},
    hashes::HASH_BYTES,
    mail::{deliver, last_token},
    mfa::{STEP_UP, enrolled, sign_in},
    roles::{ROLES, permission, role},
};

const CONFIRM: &str = "/api/v1/auth/password-reset/confirm";
const DAY: Duration = Duration::from_hours(24);
const NEW: &str = "Other-Horse-8";

async fn make(world: &World, who: &SignedIn, body: &Value) -> Answer {
    world.isolate.post_as(&who.access, USERS, body).await
}

/// What invites somebody.
fn invitation(username: &str) -> Value {
    json!({ "username": username, "email": format!("{username}@example.org"), "invite": true })
}

/// Takes a link up, from an address that nobody else has.
async fn confirm(world: &World, token: &str, password: &str) -> Answer {
    let ip = format!("2001:db8:ffff:{:x}::1", world.isolate.app.ports.new_row_id().bytes()[15]);
    world.isolate.post_from(&ip, CONFIRM, &json!({ "token": token, "new_password": password })).await
}

/// A world in which the chief has invited ada: her id, and the token in the mail.
async fn begin() -> (World, SignedIn, String, String) {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    deliver(&world).await;
    let id = make(&world, &chief, &invitation("ada")).await.expect(201).text("/id").to_owned();
    let token = last_token(&world).await;
    (world, chief, id, token)
}

fn named(answer: &Answer) -> Vec<&str> {
    answer.body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_account_is_made_with_a_password() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    deliver(&world).await;
    let body =
        json!({ "username": "Ada", "email": "Ada@Example.org", "full_name": " Ada Lovelace ", "password": PASSWORD });
    let made = make(&world, &chief, &body).await.expect(201);
    assert_eq!((made.text("/username"), made.text("/email")), ("ada", "Ada@example.org"));
    assert_eq!((made.text("/full_name"), &made.body["email_verified"]), ("Ada Lovelace", &json!(false)));
    assert_eq!((&made.body["roles"], &made.body["is_active"]), (&json!(["user"]), &json!(true)));
    assert_eq!(made.text("/role_grants/0/granted_by"), chief.id);
    let seen = admin(&world, &chief, "GET", &format!("/{}", made.text("/id")), &Value::Null).await.expect(200);
    assert_eq!(seen.body, made.body, "it is the whole account");
    assert!(!made.body.to_string().contains("hash"));
    let sent = deliver(&world).await;
    assert!(sent.last().unwrap().text.contains("/verify-email#token="), "the address is to be proven");
    world.isolate.sign_in("ada").await;
    // Who made it is in the log, and what they are of it.
    let rows = "SELECT COUNT(*) FROM audit_events a WHERE event = 'register' AND detail IS NULL
                AND subject = (SELECT id FROM users WHERE username = 'ada')
                AND actor = (SELECT id FROM users WHERE username = 'chief') AND session_id IS NOT NULL";
    assert_eq!((world.count(rows), world.audited("role_changed")), (1, 0));
    let told = |line: &String| line.contains("\"event\":\"register\"") && line.contains(&chief.id);
    assert_eq!(world.host.log.lines().iter().filter(|line| told(line)).count(), 2, "her own, and that of ada");
}

#[tokio::test]
async fn an_address_is_believed_and_roles_are_given_with_it() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    let before = deliver(&world).await.len();
    let body = json!({
        "username": "mia", "email": "mia@example.org", "password": PASSWORD, "email_verified": true,
        "roles": ["user", { "role": "moderator", "expires_at": "2026-01-01T03:00:00Z" }],
    });
    let made = make(&world, &chief, &body).await.expect(201);
    assert_eq!((&made.body["email_verified"], &made.body["roles"]), (&json!(true), &json!(["moderator", "user"])));
    assert_eq!(made.text("/role_grants/0/expires_at"), "2026-01-01T03:00:00.000Z");
    assert_eq!(deliver(&world).await.len(), before, "there is nothing to tell them");
    let believed = "SELECT COUNT(*) FROM audit_events WHERE event = 'email_verified' AND actor <> subject";
    let given = "SELECT COUNT(*) FROM audit_events WHERE event = 'role_changed' AND actor <> subject
                 AND detail = '+moderator until 2026-01-01T03:00:00.000Z +user'";
    assert_eq!((world.count(believed), world.count(given)), (1, 1));
    let mia = world.isolate.sign_in("mia").await;
    admin(&world, &mia, "GET", "", &Value::Null).await.expect(200);
    // Of no role at all there is nothing to tell.
    let body = json!({ "username": "nil", "email": "nil@example.org", "password": PASSWORD, "roles": [] });
    let made = make(&world, &chief, &body).await.expect(201);
    assert_eq!((&made.body["roles"], world.audited("role_changed")), (&json!([]), 1));
}

#[tokio::test]
async fn who_is_invited_chooses_the_password_and_has_proven_the_address() {
    let (world, _, id, token) = begin().await;
    let mail = deliver(&world).await.pop().unwrap();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("ada@example.org", "Your account at Edgewarden is ready"));
    for part in [&mail.text, &mail.html] {
        assert!(part.contains(&format!("{URL}/reset-password#token={token}")) && part.contains("7 days"), "{part}");
        assert!(!part.contains("chief"), "nothing of who made it: {part}");
    }
    let invited = "SELECT COUNT(*) FROM audit_events WHERE event = 'register' AND detail = 'invited'";
    assert_eq!(world.count(invited), 1);
    world.isolate.post("/api/v1/auth/verify-email", &json!({ "token": token })).await.expect(400);
    // The password is held against the policy as its owner's.
    confirm(&world, &token, "short").await.expect(422);
    confirm(&world, &token, "Ada-Is-My-Name-7").await.expect(422);
    confirm(&world, &token, NEW).await.expect(200);
    let signed_in = world.isolate.try_sign_in("192.0.2.1", "ada", NEW).await.expect(200);
    let me = world.isolate.get("/api/v1/users/me", Some(signed_in.text("/access_token"))).await.expect(200);
    assert_eq!((me.text("/id"), &me.body["email_verified"]), (id.as_str(), &json!(true)));
    // Once: who lost the answer asks again with the same, and learns nothing with another.
    confirm(&world, &token, NEW).await.expect(200);
    confirm(&world, &token, "Third-Horse-9").await.expect(400);
    for (event, times) in [("password_reset", 1), ("email_verified", 1), ("password_reset_requested", 0)] {
        assert_eq!(world.audited(event), times, "{event}");
    }
}

#[test]
fn until_then_sign_in_looks_and_costs_as_with_a_wrong_password() {
    let runtime = runtime();
    let (world, ..) = runtime.block_on(begin());
    runtime.block_on(world.register("bob", None));
    let mut told = Vec::new();
    for (number, (username, password)) in
        [("bob", "Wrong-Horse-7"), ("ada", PASSWORD), ("ada@example.org", ""), ("nobody", PASSWORD)]
            .into_iter()
            .enumerate()
    {
        world.host.switchboard.set(Plan::Healthy);
        let mut answer = None;
        let ip = format!("198.51.100.{number}");
        let sign_in = || answer = Some(runtime.block_on(world.isolate.try_sign_in(&ip, username, password)));
        let hashes = allocation_counter::measure(sign_in).bytes_total / HASH_BYTES;
        let Answer { status, headers, mut body } = answer.unwrap();
        body.as_object_mut().unwrap().remove("request_id");
        let headers: Vec<_> = headers.keys().map(ToString::to_string).collect();
        told.push((hashes, status, headers, body, world.host.switchboard.calls()));
    }
    assert_eq!((told[0].0, told[0].1), (1, 401));
    // An empty password is asked for before anything else.
    let empty = told.remove(2);
    assert_ne!(empty.1, 200);
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:#?}");
}

#[tokio::test]
async fn an_invitation_is_over_in_many_ways() {
    let reset = "/api/v1/auth/password-reset";
    for way in ["time", "address", "closed", "closed and opened", "removed", "erased", "by another link"] {
        let (world, chief, id, token) = begin().await;
        let path = format!("/{id}");
        let send = async |method: &str, path: &str, body: Value, status: u16| {
            world.host.clock.advance(Duration::from_secs(1));
            admin(&world, &chief, method, path, &body).await.expect(status);
        };
        match way {
            "time" => world.host.clock.advance(7 * DAY),
            "address" => send("PATCH", &path, json!({ "email": "other@example.org" }), 200).await,
            "closed" => send("PATCH", &path, json!({ "is_active": false }), 200).await,
            "closed and opened" => {
                send("PATCH", &path, json!({ "is_active": false }), 200).await;
                send("PATCH", &path, json!({ "is_active": true }), 200).await;
            }
            "removed" => {
                send("DELETE", &path, Value::Null, 204).await;
                send("PATCH", &path, json!({ "is_active": true }), 200).await;
            }
            "erased" => send("DELETE", &format!("{path}?erase=true"), Value::Null, 204).await,
            _ => {
                // Whoever lost the invitation asks for a link as anyone does who has no password.
                world.isolate.post(reset, &json!({ "email": "ada@example.org" })).await.expect(202);
                let other = last_token(&world).await;
                confirm(&world, &other, NEW).await.expect(200);
            }
        }
        confirm(&world, &token, "Third-Horse-9").await.expect(400);
        let status = world.isolate.try_sign_in("192.0.2.9", "ada", "Third-Horse-9").await.status;
        assert_eq!(status, 401, "{way}");
    }
    // Up to its time it is good, and asking for another link does nothing to it.
    let (world, _, _, token) = begin().await;
    world.isolate.post(reset, &json!({ "email": "ada@example.org" })).await.expect(202);
    world.host.clock.advance((7 * DAY).saturating_sub(Duration::from_millis(1)));
    confirm(&world, &token, NEW).await.expect(200);
    let world = World::with(&[("INVITE_TTL", "1h")]);
    let chief = world.user("chief", Some("admin")).await;
    make(&world, &chief, &invitation("ada")).await.expect(201);
    let mail = deliver(&world).await.pop().unwrap();
    assert!(mail.text.contains("within 1 hour"), "{}", mail.text);
}

#[tokio::test]
async fn a_link_that_was_sent_before_opens_nothing_once_the_account_was_closed() {
    for (closes, status) in [(true, 400), (false, 200)] {
        let world = World::new();
        let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
        deliver(&world).await;
        world.isolate.post("/api/v1/auth/password-reset", &json!({ "email": "ada@example.org" })).await.expect(202);
        let token = last_token(&world).await;
        if closes {
            // By its owner, and opened again.
            let body = json!({ "password": PASSWORD });
            world.isolate.send_as(&ada.access, "DELETE", "/api/v1/users/me", &body).await.expect(200);
        }
        world.host.clock.advance(Duration::from_secs(1));
        admin(&world, &chief, "PATCH", &format!("/{}", ada.id), &json!({ "is_active": true })).await.expect(200);
        confirm(&world, &token, NEW).await.expect(status);
    }
}

#[tokio::test]
async fn every_bad_field_is_named_and_nothing_else_is_taken() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    let body = json!({
        "username": "a", "email": "nowhere", "full_name": 7, "password": "short", "invite": "yes", "roles": "admin",
        "email_verified": 1,
    });
    let refused = make(&world, &chief, &body).await.expect(422);
    assert_eq!(named(&refused), ["username", "email", "full_name", "password", "invite", "roles", "email_verified"]);
    let with = |field: &str, value: Value| {
        let mut body = json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD });
        body[field] = value;
        body
    };
    for (field, value, told) in [
        ("id", json!("0190163d-8694-739b-aea5-966c26f8ad91"), "body"),
        ("is_active", json!(true), "body"),
        ("mfa_enabled", json!(true), "body"),
        ("token_version", json!(9), "body"),
        ("password_hash", json!("x"), "body"),
        ("granted_by", json!("x"), "body"),
        ("role", json!("admin"), "body"),
        ("invite", json!(true), "invite"),
        ("password", Value::Null, "password"),
        ("password", json!("Ada-Is-My-Name-7"), "password"),
        ("roles", json!(["gone"]), "roles"),
        ("roles", json!([7]), "roles"),
        ("roles", json!(["user", { "role": "user", "expires_at": "2027-12-31T00:00:00Z" }]), "roles"),
        ("roles", json!([{ "role": "user", "expires_at": "2025-12-31T00:00:00Z" }]), "roles"),
        ("roles", json!((0..21).map(|number| format!("role{number}")).collect::<Vec<_>>()), "roles"),
    ] {
        let refused = make(&world, &chief, &with(field, value.clone())).await.expect(422);
        assert_eq!(named(&refused), [told], "{field}: {value}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 1);
    make(&world, &chief, &with("invite", json!(false))).await.expect(201);
}

#[tokio::test]
async fn nobody_makes_an_account_that_is_above_them() {
    let world = World::new();
    let (root, chief) = (world.user("root", Some("super_admin")).await, world.user("chief", Some("admin")).await);
    permission(&world, &root, "orders:write").await.expect(201);
    role(&world, &root, &json!({ "name": "buyer", "permissions": ["orders:write"] })).await.expect(201);
    for (name, permissions) in [("blind", vec!["users:write"]), ("clerk", vec!["users:read", "users:write"])] {
        role(&world, &root, &json!({ "name": name, "permissions": permissions })).await.expect(201);
    }
    let mut others = Vec::new();
    for name in ["user", "moderator", "blind", "clerk"] {
        let id = world.register(&format!("a-{name}"), None).await;
        world.host.database.look("DELETE FROM user_roles WHERE user_id = ?1", &[id.as_str().into()]).unwrap();
        world.give(&id, name);
        others.push(world.isolate.sign_in(&format!("a-{name}")).await);
    }
    let [user, moderator, blind, clerk] = &others[..] else { panic!() };
    let before = world.count("SELECT COUNT(*) FROM users");
    for (what, who, roles, missing) in [
        ("no permission", user, json!([]), "users:read"),
        ("only to see", moderator, json!([]), "users:write"),
        ("not to see", blind, json!([]), "users:read"),
        ("super_admin, as root", &root, json!(["super_admin"]), ""),
        ("super_admin", &chief, json!(["user", "super_admin"]), ""),
        ("more than one has", &chief, json!(["buyer"]), "orders:write"),
        ("what one's role is not", clerk, json!(["moderator"]), "content:create"),
        ("what everyone has, and not oneself", clerk, Value::Null, "content:create"),
    ] {
        let mut body = invitation("eve");
        body["roles"] = roles;
        let refused = make(&world, who, &body).await.expect(403);
        assert!(refused.body.to_string().contains(missing), "{what}: {refused:?}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), before);
    assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE recipient = 'eve@example.org'"), 0);
    // What they have themselves they can give.
    let mut body = invitation("eve");
    body["roles"] = json!(["clerk"]);
    make(&world, clerk, &body).await.expect(201);
    body = invitation("pat");
    body["roles"] = json!(["buyer", "admin"]);
    make(&world, &root, &body).await.expect(201);
    // A token that was narrowed gives no more than that.
    let form = [("username", "chief"), ("password", PASSWORD), ("scope", "users:read users:write")];
    let narrowed = SignedIn::from(&world.isolate.form("192.0.2.50", &form).await.expect(200));
    make(&world, &narrowed, &invitation("zoe")).await.expect(403);
}

#[tokio::test]
async fn what_is_taken_is_told_and_a_repeated_request_makes_nothing() {
    let (world, chief, _, token) = begin().await;
    let sent = deliver(&world).await.len();
    for (body, taken) in [
        (invitation("ada"), vec!["username", "email"]),
        (json!({ "username": "ADA", "email": "b@example.org", "password": PASSWORD }), vec!["username"]),
        (json!({ "username": "bob", "email": "Ada@Example.ORG", "invite": true }), vec!["email"]),
        (json!({ "username": "chief", "email": "ADA@example.org", "invite": true }), vec!["username", "email"]),
    ] {
        let refused = make(&world, &chief, &body).await.expect(409);
        assert_eq!(named(&refused), taken);
    }
    assert_eq!((world.count("SELECT COUNT(*) FROM users"), deliver(&world).await.len()), (2, sent));
    assert_eq!(world.audited("register"), 2);
    confirm(&world, &token, NEW).await.expect(200);
}

#[tokio::test]
async fn who_makes_too_many_waits() {
    let world = World::with(&[("INVITE_LIMIT", "3")]);
    let (chief, other) = (world.user("chief", Some("admin")).await, world.user("other", Some("admin")).await);
    for number in 0..3 {
        let made = make(&world, &chief, &invitation(&format!("one{number}"))).await.expect(201);
        // That they go again gives nothing back.
        let path = format!("/{}?erase=true", made.text("/id"));
        admin(&world, &chief, "DELETE", &path, &Value::Null).await.expect(204);
    }
    let refused = make(&world, &chief, &invitation("one3")).await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE recipient = 'one3@example.org'"), 0);
    make(&world, &chief, &json!({ "username": "other", "email": "x@example.org", "invite": true })).await.expect(409);
    make(&world, &other, &invitation("two0")).await.expect(201);
    world.host.clock.advance(Duration::from_hours(1));
    let chief = SignedIn::from(&world.isolate.refresh(&chief.refresh).await.expect(200));
    make(&world, &chief, &invitation("one3")).await.expect(201);
}

#[tokio::test]
async fn who_has_a_second_factor_must_have_shown_it_lately() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "chief", Some("admin")).await;
    let chief = sign_in(&world, "chief", &factor).await;
    make(&world, &chief, &invitation("ada")).await.expect(201);
    world.host.clock.advance(Duration::from_mins(31));
    let chief = SignedIn::from(&world.isolate.refresh(&chief.refresh).await.expect(200));
    let refused = make(&world, &chief, &invitation("bob")).await.expect(401);
    assert!(refused.header("www-authenticate").unwrap().ends_with("max_age=\"1800\""), "{refused:?}");
    let body = json!({ "code": factor.code(&world) });
    let stepped = world.isolate.post_as(&chief.access, STEP_UP, &body).await.expect(200);
    let chief = SignedIn { access: stepped.text("/access_token").to_owned(), ..chief };
    make(&world, &chief, &invitation("bob")).await.expect(201);
}

#[tokio::test]
async fn what_is_made_rests_on_what_it_was_judged_by() {
    // Each happens between judging and making.
    for (what, meddling, status, made) in [
        ("the role gives more", "INSERT INTO role_permissions VALUES ('moderator', 'keys:manage')", 403, 0),
        (
            "the role is gone",
            "DELETE FROM role_permissions WHERE role = 'moderator'; DELETE FROM role_inherits
          WHERE 'moderator' IN (role, inherits); DELETE FROM roles WHERE name = 'moderator'",
            422,
            0,
        ),
        ("the chief may not any more", "DELETE FROM role_permissions WHERE permission = 'users:write'", 403, 0),
        ("the chief is less", "UPDATE users SET token_version = 2 WHERE username = 'chief'", 401, 0),
        ("the chief is signed out", "UPDATE sessions SET ended_at = 1", 401, 0),
        ("the chief is closed", "UPDATE users SET is_active = 0 WHERE username = 'chief'", 401, 0),
        ("something else changed", "INSERT INTO roles (name) VALUES ('another')", 201, 1),
        ("somebody has the name", "UPDATE users SET username = 'mia' WHERE username = 'bob'", 409, 0),
    ] {
        let world = World::new();
        let chief = world.user("chief", Some("admin")).await;
        world.register("bob", None).await;
        world.isolate.get(ROLES, Some(&chief.access)).await.expect(200);
        // Whether the chief's session stands, whether they have a factor, and what roles give come first.
        world.host.database.meddle(3, meddling);
        let mut body = invitation("mia");
        body["roles"] = json!(["moderator"]);
        let answer = make(&world, &chief, &body).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let there = "SELECT COUNT(*) FROM users WHERE email = 'mia@example.org'";
        let told = "SELECT COUNT(*) FROM audit_events WHERE event = 'register' AND actor IS NOT NULL";
        let sent = "SELECT COUNT(*) FROM mail_outbox WHERE kind = 'invitation'";
        assert_eq!((world.count(there), world.count(told), world.count(sent)), (made, made, made), "{what}");
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

#[test]
fn of_many_who_make_the_same_at_once_one_does() {
    let world = World::new();
    let chief = runtime().block_on(world.user("chief", Some("admin")));
    let statuses: Vec<u16> = thread::scope(|scope| {
        let one = |number: usize| {
            let (world, chief) = (&world, &chief);
            let name = if number.is_multiple_of(2) { "ada" } else { "bob" };
            let body = json!({ "username": name, "email": "ada@example.org", "invite": true });
            scope.spawn(move || runtime().block_on(make(world, chief, &body)).status)
        };
        let threads: Vec<_> = (0..12).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(201), count(409)), (1, 11), "{statuses:?}");
    let rows = "SELECT (SELECT COUNT(*) FROM users WHERE email = 'ada@example.org') * 100
      + (SELECT COUNT(*) FROM mail_outbox WHERE kind = 'invitation') * 10
      + (SELECT COUNT(*) FROM audit_events WHERE event = 'register' AND actor IS NOT NULL)";
    assert_eq!(world.count(rows), 111);
}
