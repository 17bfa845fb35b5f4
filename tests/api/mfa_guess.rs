//! Guessing a second factor.

use std::time::Duration;

use edgewarden::{
    domain::{
        audit::{Entry, Event, Origin},
        id::RowId,
        mail::Kind,
    },
    stores::sign_in::{Failed, record_failure},
};
use serde_json::json;

use crate::{
    harness::{Isolate, PASSWORD, World},
    mail::deliver,
    mfa::{DISABLE, Factor, STEP_UP, enrolled, half_from, verify, verify_from},
};

/// Gives so many wrong codes, one sign-in each five, from many addresses; what the last was answered.
async fn guess(world: &World, factor: &Factor, round: u8, count: u8) -> u16 {
    let token = half_from(&world.isolate, &format!("192.0.2.{round}"), "ada").await;
    let mut last = 0;
    for number in 0..count {
        let ip = format!("198.51.100.{}", round.wrapping_mul(16).wrapping_add(number));
        last = verify_from(&world.isolate, &ip, &token, &factor.wrong(world)).await.status;
    }
    last
}

async fn password_alone(isolate: &Isolate, ip: &str) -> u16 {
    isolate.try_sign_in(ip, "ada", PASSWORD).await.status
}

#[tokio::test]
async fn five_codes_may_be_tried_and_each_closing_is_for_twice_as_long() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    let minutes = [30, 60, 120, 240, 480, 960, 1440, 1440];
    // What docs/SECURITY.md says of the first day.
    let closings = minutes.iter().scan(0, |begun, minutes| Some(std::mem::replace(begun, *begun + minutes)));
    assert_eq!(5 * closings.take_while(|begun| *begun < 24 * 60).count(), 30);
    for (round, closed) in (1_u8..).zip(minutes) {
        assert_eq!(guess(&world, &factor, round, 5).await, 401, "the fifth is looked at");
        // The sixth is not, nor is the password, be it right.
        let answer = world.isolate.try_sign_in("203.0.113.9", "ada", PASSWORD).await.expect(429);
        assert_eq!(answer.header("retry-after").unwrap().parse::<u64>().unwrap(), closed * 60, "round {round}");
        world.host.clock.advance(Duration::from_secs(closed * 60 - 1));
        assert_eq!(password_alone(&world.isolate, &format!("203.0.113.{round}")).await, 429);
        world.host.clock.advance(Duration::from_secs(1));
    }
    assert_eq!((world.audited("mfa_failure"), world.audited("account_locked")), (40, 8));
    assert_eq!(
        world.count(
            "SELECT COUNT(*) FROM audit_events WHERE event IN ('mfa_failure', 'account_locked') AND subject IS NULL"
        ),
        0
    );
    assert!(deliver(&world).await.iter().any(|mail| mail.subject.as_str().contains("paused")));
    // Who comes in has a clean slate.
    let token = half_from(&world.isolate, "203.0.113.77", "ada").await;
    verify(&world.isolate, &token, &factor.code(&world)).await.expect(200);
    assert_eq!(guess(&world, &factor, 9, 5).await, 401);
    let answer = world.isolate.try_sign_in("203.0.113.9", "ada", PASSWORD).await.expect(429);
    assert_eq!(answer.header("retry-after"), Some("1800"));
}

#[tokio::test]
async fn who_guesses_slowly_gets_no_further() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    for round in 1..=2 {
        assert_eq!(guess(&world, &factor, round, 2).await, 401);
        // Out of every window, and the password was right in between.
        world.host.clock.advance(Duration::from_hours(5));
    }
    assert_eq!(password_alone(&world.isolate, "203.0.113.1").await, 200);
    assert_eq!(guess(&world, &factor, 3, 1).await, 401);
    assert_eq!(password_alone(&world.isolate, "203.0.113.2").await, 429, "five wrong codes in a row");
}

#[tokio::test]
async fn passwords_that_are_tried_beside_it_open_nothing_sooner() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    for round in 1..=3 {
        guess(&world, &factor, round, 5).await;
        world.host.clock.advance(Duration::from_hours(2));
    }
    let token = half_from(&world.isolate, "192.0.2.100", "ada").await;
    // Five wrong passwords are under way, and fail after the codes have closed the account for four hours.
    let pending = "INSERT INTO sign_in_attempts (id, account, slot, number, at, outcome)
        SELECT 'under-way-' || value, users.id, '', 1000 + value, 1767225600000 + 6 * 3600000, 'failed'
        FROM users, json_each('[1,2,3,4]')";
    for number in 0..5 {
        verify_from(&world.isolate, &format!("198.51.100.{number}"), &token, &factor.wrong(&world)).await.expect(401);
    }
    world.host.database.look(pending, &[]).unwrap();
    // The fifth of them, as the record has it.
    world.host.database.look("DELETE FROM mfa_challenges", &[]).unwrap();
    let closed = world.count("SELECT until FROM sign_in_locks");
    let attempt = world.isolate.app.ports.new_row_id();
    let reserve = "INSERT INTO sign_in_attempts (id, account, slot, number, at, outcome)
        SELECT ?1, id, '', 2000, 1767225600000 + 6 * 3600000, 'pending' FROM users";
    world.host.database.look(reserve, &[attempt.to_string().into()]).unwrap();
    record_wrong_password(&world, attempt).await;
    assert_eq!(world.count("SELECT until FROM sign_in_locks"), closed);
}

/// What a request does whose password turned out to be wrong.
async fn record_wrong_password(world: &World, attempt: RowId) {
    let app = &world.isolate.app;
    let origin = Origin { request: app.ports.new_request_id(), ip: None, user_agent: None };
    let entry = |event| Entry {
        id: app.ports.new_row_id(),
        at: app.ports.clock.now(),
        event,
        subject: None,
        session: None,
        origin: origin.clone(),
    };
    let (failed, locked) = (entry(Event::LoginFailure), entry(Event::AccountLocked));
    let closed = app.letter(Kind::SignInClosed, &origin, failed.at);
    let what = Failed { attempt, rules: &app.config.attempts, failed: &failed, locked: &locked, closed: &closed };
    let written = record_failure(app.ports.database.as_ref(), what, false).await.unwrap();
    assert_eq!(written.len(), 2, "it closed the account as well");
}

#[tokio::test]
async fn a_new_password_by_mail_opens_nothing_that_wrong_codes_have_closed() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    assert_eq!(guess(&world, &factor, 1, 5).await, 401);
    let body = json!({ "email": "ada@example.org" });
    world.isolate.post("/api/v1/auth/password-reset", &body).await.expect(202);
    let body = json!({ "token": crate::mail::last_token(&world).await, "new_password": "Another-Horse-8" });
    world.isolate.post("/api/v1/auth/password-reset/confirm", &body).await.expect(200);
    let answer = world.isolate.try_sign_in("203.0.113.1", "ada", "Another-Horse-8").await.expect(429);
    assert_eq!(answer.header("retry-after"), Some("1800"));
}

#[tokio::test]
async fn a_token_takes_five_codes_though_the_account_would_stay_open() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "100"), ("LOCKOUT", "1m")]);
    let (_, factor) = enrolled(&world, "ada", None).await;
    let token = half_from(&world.isolate, "192.0.2.1", "ada").await;
    for number in 0..5 {
        verify_from(&world.isolate, &format!("198.51.100.{number}"), &token, &factor.wrong(&world)).await.expect(401);
    }
    let blocked = verify_from(&world.isolate, "198.51.100.7", &token, &factor.code(&world)).await.expect(401);
    assert!(blocked.text("/detail").contains("over"));
    world.host.clock.advance(Duration::from_mins(1));
    let over = verify_from(&world.isolate, "198.51.100.8", &token, &factor.code(&world)).await.expect(401);
    assert!(over.text("/detail").contains("over"));
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 1);
}

#[tokio::test]
async fn while_it_is_closed_no_code_is_looked_at() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let waiting = half_from(&world.isolate, "192.0.2.200", "ada").await;
    assert_eq!(guess(&world, &factor, 1, 5).await, 401);
    let answer = verify(&world.isolate, &waiting, &factor.next(&world)).await.expect(429);
    assert!(answer.text("/detail").contains("too many"));
    assert!(answer.header("retry-after").is_some());
    let blocked =
        "SELECT COUNT(*) FROM audit_events WHERE event = 'login_blocked' AND subject = (SELECT id FROM users)";
    assert_eq!(world.count(blocked), 1);
    assert_eq!(world.count("SELECT tries FROM mfa_challenges WHERE used_at IS NULL ORDER BY expires_at LIMIT 1"), 0);
}

#[tokio::test]
async fn one_address_asks_five_times_a_minute() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let token = half_from(&world.isolate, "192.0.2.1", "ada").await;
    for _ in 0..4 {
        verify_from(&world.isolate, "198.51.100.1", &token, &factor.wrong(&world)).await.expect(401);
    }
    // What is not ours counts for nobody.
    for _ in 0..3 {
        verify_from(&world.isolate, "198.51.100.1", "ewmfa_k1_x", "123456").await.expect(401);
    }
    let answer = verify_from(&world.isolate, "198.51.100.1", &token, &factor.next(&world)).await.expect(200);
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    verify_from(&world.isolate, "198.51.100.1", &token, &factor.wrong(&world)).await.expect(429);
}

#[tokio::test]
async fn a_stolen_session_guesses_no_more_than_anyone_and_its_owner_gets_in() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    let token = half_from(&world.isolate, "192.0.2.1", "ada").await;
    let answer = verify(&world.isolate, &token, &factor.next(&world)).await.expect(200);
    let device = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for number in 0..5 {
        let (path, body) = if number % 2 == 0 {
            (STEP_UP, json!({ "code": factor.wrong(&world) }))
        } else {
            (DISABLE, json!({ "password": PASSWORD, "code": factor.wrong(&world) }))
        };
        world.isolate.post_as(&ada.access, path, &body).await.expect(400);
    }
    let body = json!({ "code": factor.next(&world) });
    world.isolate.post_as(&ada.access, STEP_UP, &body).await.expect(429);
    assert_eq!(world.count("SELECT failures FROM mfa_failures"), 5);
    // From the browser that her owner signed in from, there is a count of its own.
    let send = async |path: &str, body: serde_json::Value| {
        let request = http::Request::post(path).header("content-type", "application/json").header("cookie", &device);
        world.isolate.send(request.body(body.to_string().into()).unwrap()).await
    };
    let asked = send("/api/v1/auth/token", json!({ "username": "ada", "password": PASSWORD })).await.expect(200);
    let body = json!({ "mfa_token": asked.text("/mfa_token"), "code": factor.next(&world) });
    send("/api/v1/auth/mfa/verify", body).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM mfa_failures"), 1, "the others' stay");
}

#[tokio::test]
async fn what_is_over_is_forgotten() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    guess(&world, &factor, 1, 2).await;
    let bob = world.user("bob", None).await;
    world.isolate.post_as(&bob.access, crate::mfa::SETUP, &json!({})).await.expect(200);
    let left = "SELECT (SELECT COUNT(*) FROM mfa_challenges) + (SELECT COUNT(*) FROM mfa_setups) * 10 + (SELECT COUNT(*) FROM mfa_failures) * 100";
    assert_eq!(world.count(left), 121, "ada's own set-up is there until its time is over");
    world.host.clock.advance(Duration::from_mins(5));
    world.isolate.app.forget_factors().await.unwrap();
    assert_eq!(world.count(left), 100);
    world.host.clock.advance(Duration::from_hours(90 * 24));
    world.isolate.app.forget_factors().await.unwrap();
    assert_eq!(world.count(left), 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM totp_factors"), 1);
}
