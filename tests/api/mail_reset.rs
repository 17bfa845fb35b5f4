//! `POST auth/password-reset` and `auth/password-reset/confirm`.

use std::{thread, time::Duration};

use edgewarden::native::switchboard::Plan;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::{
    attempts::fail,
    harness::{Answer, BOTH_SECRETS, OTHER_SECRET, PASSWORD, World},
    hashes::HASH_BYTES,
    mail::{asked, change, deliver, last_token, token_in},
};

const REQUEST: &str = "/api/v1/auth/password-reset";
const CONFIRM: &str = "/api/v1/auth/password-reset/confirm";
pub const NEW: &str = "Other-Horse-8";

async fn request(world: &World, name: &str) -> Answer {
    let body = json!({ "email": format!("{name}@example.org") });
    let ip = format!("203.0.113.{}", world.count("SELECT COUNT(*) FROM mail_outbox"));
    world.isolate.post_from(&ip, REQUEST, &body).await
}

/// Each from an address of its own, so that the limit by address does not matter.
async fn confirm(world: &World, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "new_password": password });
    let ip = format!("2001:db8:ffff:{:x}::1", world.isolate.app.ports.new_row_id().bytes()[15]);
    world.isolate.post_from(&ip, CONFIRM, &body).await
}

/// A world in which ada has asked for a reset.
async fn begin() -> (World, String) {
    let world = World::new();
    world.register("ada", None).await;
    deliver(&world).await;
    request(&world, "ada").await.expect(202);
    let token = last_token(&world).await;
    (world, token)
}

async fn signs_in(world: &World, password: &str) -> bool {
    world.isolate.try_sign_in(&format!("2001:db8:fffe:{}::1", password.len()), "ada", password).await.status == 200
}

#[tokio::test]
async fn a_new_password_ends_everything_that_went_by_the_old_one() {
    let (world, token) = begin().await;
    let (ada, phone) = (world.isolate.sign_in("ada").await, world.isolate.sign_in("ada").await);
    let bob = world.user("bob", None).await;
    let other = world.warm_isolate(&[&ada, &phone, &bob]).await;
    confirm(&world, &token, NEW).await.expect(200);
    for user in [&ada, &phone] {
        world.isolate.proxy_get("/demo/private/x", Some(&user.access)).await.expect(401);
        for isolate in [&world.isolate, &other] {
            isolate.proxy_get("/demo/strict/x", Some(&user.access)).await.expect(401);
            isolate.get("/api/v1/users/me", Some(&user.access)).await.expect(401);
            isolate.refresh(&user.refresh).await.expect(401);
        }
    }
    other.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
    world.isolate.get("/api/v1/users/me", Some(&bob.access)).await.expect(200);
    assert!(!signs_in(&world, PASSWORD).await && signs_in(&world, NEW).await);
    for (event, times) in [("password_reset_requested", 1), ("password_reset", 1), ("email_verified", 1)] {
        assert_eq!(world.audited(event), times, "{event}");
    }
    let about = "SELECT COUNT(*) FROM audit_events WHERE event LIKE 'password_reset%'
                 AND subject = (SELECT id FROM users WHERE username = 'ada')";
    assert_eq!(world.count(about), 2);
    let of_ada =
        "SELECT email_verified * 100 + password_version * 10 + token_version FROM users WHERE username = 'ada'";
    assert_eq!(world.count(of_ada), 122, "who reads the mail has the address");
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE end_reason = 'password_reset'"), 2);
    let sent = deliver(&world).await;
    let told: Vec<_> = sent.iter().filter(|mail| mail.subject.as_str().contains("password at")).collect();
    assert_eq!(told.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["ada@example.org"]);
}

#[tokio::test]
async fn who_lost_the_answer_asks_again_and_learns_nothing_else() {
    let (world, token) = begin().await;
    confirm(&world, &token, NEW).await.expect(200);
    let hash = world.host.database.look("SELECT password_hash FROM users", &[]).unwrap().0;
    confirm(&world, &token, NEW).await.expect(200);
    confirm(&world, &token, "Third-Horse-9").await.expect(400);
    confirm(&world, &token, NEW).await.expect(200);
    assert_eq!(world.host.database.look("SELECT password_hash FROM users", &[]).unwrap().0, hash);
    // Five times in all.
    for password in ["Fourth-Horse-9", NEW] {
        confirm(&world, &token, password).await.expect(if password == NEW { 200 } else { 400 });
    }
    confirm(&world, &token, NEW).await.expect(400);
    assert_eq!((world.audited("password_reset"), world.count("SELECT password_version FROM users")), (1, 2));
    let told = "SELECT COUNT(*) FROM mail_outbox WHERE kind = 'password_changed'";
    assert_eq!(world.count(told), 1);
    assert!(signs_in(&world, NEW).await);
}

#[tokio::test]
async fn a_token_is_over_with_its_time_its_address_and_any_new_password() {
    for sql in [
        "UPDATE users SET is_active = 0 WHERE username = ?1",
        "UPDATE users SET email = 'x@y.org', email_key = 'x@y.org' WHERE username = ?1",
        "UPDATE users SET password_version = password_version + 1 WHERE username = ?1",
        "DELETE FROM mail_outbox WHERE ?1 = 'ada'",
        "UPDATE mail_outbox SET expires_at = 1767225600000 WHERE ?1 = 'ada'",
        "UPDATE mail_outbox SET state = 'nobody' WHERE ?1 = 'ada'",
    ] {
        let (world, token) = begin().await;
        change(&world, sql, "ada");
        world.host.switchboard.set(Plan::Healthy);
        confirm(&world, &token, NEW).await.expect(400);
        assert_eq!(world.host.switchboard.calls(), ["limiter", "database"], "{sql}");
        assert_eq!(world.audited("password_reset"), 0, "{sql}");
    }
    let (world, token) = begin().await;
    world.host.clock.advance(Duration::from_mins(30));
    confirm(&world, &token, NEW).await.expect(400);
    assert!(signs_in(&world, PASSWORD).await);
}

#[tokio::test]
async fn of_several_tokens_one_is_used() {
    let (world, first) = begin().await;
    request(&world, "ada").await.expect(202);
    let second = deliver(&world).await.last().map(token_in).unwrap();
    assert_ne!(first, second);
    confirm(&world, &second, NEW).await.expect(200);
    confirm(&world, &first, "Third-Horse-9").await.expect(400);
    assert!(signs_in(&world, NEW).await);
}

#[tokio::test]
async fn what_changes_while_it_hashes_counts() {
    for sql in [
        "UPDATE users SET password_version = 2, password_hash = 'x'",
        "UPDATE users SET email = 'x@y.org', email_key = 'x@y.org'",
        "UPDATE users SET is_active = 0",
        // Another used it first.
        "UPDATE mail_outbox SET used_at = 1, used_by = 'x' WHERE kind = 'reset_password';
         UPDATE users SET password_version = 2, password_hash = 'x'",
    ] {
        let (world, token) = begin().await;
        let ada = world.isolate.sign_in("ada").await;
        world.host.database.meddle(1, sql);
        confirm(&world, &token, NEW).await.expect(400);
        assert_eq!(world.audited("password_reset") + world.audited("email_verified"), 0, "{sql}");
        assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"), 0, "{sql}");
        assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'password_changed'"), 0);
        assert_eq!(world.count("SELECT token_version FROM users"), 1);
        drop(ada);
    }
}

#[tokio::test]
async fn a_password_that_is_not_allowed_uses_nothing_up() {
    let (world, token) = begin().await;
    for bad in ["short", "Xx-9-adaadaada", "Xx-9-edgewarden"] {
        let answer = confirm(&world, &token, bad).await.expect(422);
        assert_eq!(answer.text("/errors/0/field"), "new_password");
    }
    world.isolate.post(CONFIRM, &json!({})).await.expect(422);
    world.isolate.post(CONFIRM, &json!({ "token": token })).await.expect(422);
    confirm(&world, &token, NEW).await.expect(200);
}

#[tokio::test]
async fn who_is_locked_out_gets_in_by_it() {
    let (world, token) = begin().await;
    fail(&world, "ada", 0..5).await;
    assert!(!signs_in(&world, PASSWORD).await);
    confirm(&world, &token, NEW).await.expect(200);
    assert!(signs_in(&world, NEW).await);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 0);
}

#[tokio::test]
async fn what_is_not_everywhere_is_said_and_heals() {
    for port in ["feed", "kv"] {
        let (world, token) = begin().await;
        let ada = world.isolate.sign_in("ada").await;
        world.host.switchboard.set(Plan::Without(port));
        let answer = confirm(&world, &token, NEW).await.expect(503);
        assert!(answer.text("/detail").contains("recorded"), "{answer:?}");
        world.host.switchboard.set(Plan::Healthy);
        world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
        confirm(&world, &token, NEW).await.expect(200);
        world.another_isolate().proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
        assert_eq!(world.audited("password_reset"), 1);
    }
}

#[tokio::test]
async fn mac_keys_rotate_while_a_token_is_out() {
    let (world, token) = begin().await;
    let body = json!({ "token": token, "new_password": NEW });
    let without = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", OTHER_SECRET)]);
    without.post(CONFIRM, &body).await.expect(400);
    confirm(&world, &token, NEW).await.expect(200);
    // The salt is that of the token's own key: the answer can be asked for again under the next one.
    World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", BOTH_SECRETS)]).post(CONFIRM, &body).await.expect(200);
}

#[tokio::test]
async fn asking_is_answered_and_costs_alike_whoever_exists() {
    let world = World::new();
    for username in ["ada", "bob", "gone"] {
        world.register(username, None).await;
    }
    deliver(&world).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "bob");
    change(&world, "UPDATE users SET is_active = 0 WHERE username = ?1", "gone");
    let (mut answers, mut mails) = (Vec::new(), 3);
    for name in ["nobody", "bob", "gone", "ada"] {
        let rows = "SELECT (SELECT COUNT(*) FROM mail_outbox) * 1000 + (SELECT COUNT(*) FROM audit_events)";
        let before = world.count(rows);
        answers.push(asked(&world, REQUEST, &json!({ "email": format!("{name}@example.org") })).await);
        assert_eq!(world.count(rows), before + 1001, "{name}: a mail, and a row of the log");
        mails += usize::from(matches!(name, "bob" | "ada"));
        assert_eq!(deliver(&world).await.len(), mails, "{name}");
    }
    assert_eq!(answers[0].0, 202);
    assert_eq!(answers[0].3, ["limiter", "database"]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let of_nobody = "SELECT COUNT(*) FROM audit_events WHERE event = 'password_reset_requested' AND subject IS NULL";
    assert_eq!(world.count(of_nobody), 1);
}

#[tokio::test]
async fn three_an_hour_are_sent_to_an_account() {
    let world = World::new();
    world.register("ada", None).await;
    deliver(&world).await;
    for (name, mails) in [("nobody", 1), ("ada", 4)] {
        for number in 0..6 {
            let body = json!({ "email": format!("{name}@example.org") });
            world.isolate.post_from(&format!("192.0.2.{number}"), REQUEST, &body).await.expect(202);
        }
        assert_eq!(deliver(&world).await.len(), mails);
    }
    assert_eq!(world.audited("password_reset_requested"), 6);
    assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'reset_password'"), 6);
}

/// A runtime of its own for each of several at once.
fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// What several at once are answered.
fn at_once(count: usize, ask: impl Fn(usize) -> u16 + Sync) -> Vec<u16> {
    thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn of_many_who_choose_at_once_one_has_chosen() {
    let (world, token) = runtime().block_on(begin());
    let choose = |number| runtime().block_on(confirm(&world, &token, &format!("Horse-Number-{number}"))).status;
    let statuses = at_once(12, choose);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
    assert_eq!((world.count("SELECT password_version FROM users"), world.audited("password_reset")), (2, 1));
}

#[test]
fn of_many_who_ask_at_once_three_are_heard() {
    let (world, _) = runtime().block_on(begin());
    let ask = |number| {
        let body = json!({ "email": "ada@example.org" });
        runtime().block_on(world.isolate.post_from(&format!("192.0.2.{number}"), REQUEST, &body)).status
    };
    assert_eq!(at_once(20, ask), [202; 20]);
    assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'reset_password'"), 3);
}

#[tokio::test]
async fn an_address_may_not_try_on_and_on() {
    let world = World::new();
    for number in 0..6 {
        let body = json!({ "token": "ewm_x", "new_password": NEW });
        let answer = world.isolate.post_from("192.0.2.1", CONFIRM, &body).await;
        assert_eq!(answer.status, if number < 5 { 400 } else { 429 });
    }
    world.host.switchboard.set(Plan::Without("limiter"));
    confirm(&world, "ewm_x", NEW).await.expect(503);
    assert_eq!(world.host.switchboard.calls(), ["limiter"]);
}

#[test]
fn only_a_good_token_costs_a_hash() {
    let runtime = runtime();
    let (world, token) = runtime.block_on(begin());
    let hashes = |token: &str, password: &str, status: u16| {
        let work = || drop(runtime.block_on(confirm(&world, token, password)).expect(status));
        allocation_counter::measure(work).bytes_total / HASH_BYTES
    };
    assert_eq!(hashes("ewm_x", NEW, 400), 0);
    assert_eq!(hashes(&token, "short", 422), 0);
    assert_eq!(hashes(&token, NEW, 200), 1);
    for _ in 0..5 {
        assert_eq!(hashes(&token, "Third-Horse-9", 400), 1);
    }
    assert_eq!(hashes(&token, NEW, 400), 0, "it is no oracle");
}
