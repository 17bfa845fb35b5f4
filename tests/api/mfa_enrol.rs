//! `mfa/setup`, `mfa/confirm`, `GET mfa`, `mfa/disable` and `mfa/recovery-codes`.

use std::{collections::BTreeSet, time::Duration};

use edgewarden::domain::mfa::svg_data_uri;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, session_cookie},
    harness::{BOTH_SECRETS, OTHER_SECRET, PASSWORD, SignedIn, World},
    mail::deliver,
    mfa::{CONFIRM, DISABLE, Factor, RENEW, SETUP, STATUS, claims, codes_of, enrol, enrolled, half, sign_in, verify},
};

const PRIVATE: &str = "/demo/private/x";
/// What is kept of second factors.
const NOTHING_LEFT: &str = "SELECT (SELECT COUNT(*) FROM totp_factors) + (SELECT COUNT(*) FROM recovery_codes)
  + (SELECT COUNT(*) FROM mfa_setups) + (SELECT COUNT(*) FROM mfa_challenges) + (SELECT COUNT(*) FROM mfa_failures)";

#[tokio::test]
async fn set_up_gives_an_app_what_it_needs_and_confirm_gives_ten_codes_once() {
    let world = World::with(&[("APP_NAME", "Example & Co")]);
    let ada = world.user("ada", None).await;
    let setup = world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(200);
    assert_eq!((setup.body["expires_in"].as_u64(), setup.text("/secret").len()), (Some(300), 32));
    let uri = setup.text("/otpauth_uri");
    assert!(uri.starts_with("otpauth://totp/Example%20%26%20Co:ada%40example.org?secret="), "{uri}");
    assert!(uri.ends_with("&issuer=Example%20%26%20Co"), "{uri}");
    // Which a camera reads as what it is drawn of: `domain::mfa::qr`.
    assert_eq!(setup.text("/qr_code"), svg_data_uri(uri).unwrap());
    let status = world.isolate.get(STATUS, Some(&ada.access)).await.expect(200);
    assert_eq!(
        status.body,
        json!({ "enabled": false, "enabled_at": null, "required": false, "recovery_codes_left": 0 })
    );
    // Nothing is asked for before it is confirmed.
    world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(200).text("/access_token");
    let factor = Factor::of(&setup);
    let confirmed =
        world.isolate.post_as(&ada.access, CONFIRM, &json!({ "code": factor.code(&world) })).await.expect(200);
    let codes: BTreeSet<_> = codes_of(&confirmed).into_iter().collect();
    assert_eq!(codes.len(), 10);
    let status = world.isolate.get(STATUS, Some(&ada.access)).await.expect(200);
    assert_eq!(
        (&status.body["enabled"], &status.body["recovery_codes_left"], &status.body["enabled_at"]),
        (&json!(true), &json!(10), &json!("2026-01-01T00:00:00.000Z"))
    );
    let me = world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    assert_eq!(me.body["mfa_enabled"], true);
    assert_eq!(world.audited("mfa_enabled"), 1);
    half(&world, "ada").await;
    world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(409);
}

#[tokio::test]
async fn every_other_session_ends_and_this_one_counts_as_having_shown_it() {
    let world = World::new();
    let (ada, other) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
    let browser = world.isolate.log_in("ada").await;
    enrol(&world, &ada).await;
    for isolate in [&world.isolate, &world.another_isolate()] {
        isolate.proxy_get(PRIVATE, Some(&ada.access)).await.expect(200);
        isolate.proxy_get(PRIVATE, Some(&other.access)).await.expect(401);
        isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
        isolate.proxy_get("/demo/factor/x", Some(&ada.access)).await.expect(401);
    }
    world.isolate.refresh(&other.refresh).await.expect(401);
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    let access = renewed.text("/access_token");
    assert_eq!(claims(access)["amr"], json!(["pwd", "otp"]));
    world.isolate.proxy_get("/demo/factor/x", Some(access)).await.expect(200);
}

#[tokio::test]
async fn a_browser_goes_on_under_another_id() {
    let world = World::new();
    world.register("ada", None).await;
    let before = world.isolate.log_in("ada").await;
    world.isolate.browse_through(&before, "GET", PRIVATE, None).await.expect(200);
    let setup = world.isolate.browse(&before, "POST", SETUP, &json!({})).await.expect(200);
    let body = json!({ "code": Factor::of(&setup).code(&world) });
    let answer = world.isolate.browse(&before, "POST", CONFIRM, &body).await.expect(200);
    let after = Browser { cookie: session_cookie(&answer).unwrap(), ..before.clone() };
    let again = world.isolate.browse(&after, "POST", CONFIRM, &body).await.expect(200);
    assert_eq!(again.body, answer.body, "the cookie may have come through without the codes");
    for isolate in [&world.isolate, &world.another_isolate()] {
        isolate.browse_through(&before, "GET", PRIVATE, None).await.expect(401);
        isolate.browse_through(&after, "GET", "/demo/factor/x", None).await.expect(200);
    }
    // Another page cannot have it enrol, nor can one that is not ours be told apart by a code.
    world.isolate.browse_from(Some("https://evil.example"), &after, "POST", SETUP, &json!({})).await.expect(403);
}

#[tokio::test]
async fn some_time_after_signing_in_the_password_is_wanted() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.host.clock.advance(Duration::from_mins(5));
    world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    let refused = world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(422);
    assert_eq!(refused.body["errors"][0]["field"], "password");
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.post_as(renewed.text("/access_token"), SETUP, &json!({})).await.expect(422);
    world.isolate.post_as(&ada.access, SETUP, &json!({ "password": "Wrong-Horse-7" })).await.expect(400);
    assert_eq!(world.audited("login_failure"), 1);
    world.isolate.post_as(&ada.access, SETUP, &json!({ "password": PASSWORD })).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'pending'"), 0);
}

#[tokio::test]
async fn only_the_newest_enrolment_of_this_session_is_confirmed_and_not_for_long() {
    let world = World::new();
    let (ada, other) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
    let bob = world.user("bob", None).await;
    let confirm = async |user: &SignedIn, code: String| {
        world.isolate.post_as(&user.access, CONFIRM, &json!({ "code": code })).await
    };
    confirm(&ada, "123456".to_owned()).await.expect(400);
    let first = Factor::of(&world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(200));
    // Another user, another session, a second tab, a wrong code, a recovery code's form.
    let bobs = Factor::of(&world.isolate.post_as(&bob.access, SETUP, &json!({})).await.expect(200));
    confirm(&ada, bobs.code(&world)).await.expect(400);
    confirm(&other, first.code(&world)).await.expect(400);
    let second = Factor::of(&world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(200));
    confirm(&ada, first.code(&world)).await.expect(400);
    confirm(&ada, second.wrong(&world)).await.expect(400);
    confirm(&ada, "0".repeat(24)).await.expect(400);
    confirm(&ada, "12345".to_owned()).await.expect(422);
    // Too late.
    world.host.clock.advance(Duration::from_mins(5));
    confirm(&ada, second.code(&world)).await.expect(400);
    assert_eq!((world.audited("mfa_enabled"), world.count("SELECT SUM(mfa_enabled) FROM users")), (0, 0));
    world.isolate.post_as(&ada.access, SETUP, &json!({ "password": PASSWORD })).await.expect(200);
}

#[tokio::test]
async fn a_confirmation_that_is_sent_again_is_told_the_same_codes_and_one_by_another_code_is_not() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let factor = Factor::of(&world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(200));
    let code = factor.code(&world);
    let confirm = async |code: &str| world.isolate.post_as(&ada.access, CONFIRM, &json!({ "code": code })).await;
    let first = codes_of(&confirm(&code).await.expect(200));
    assert_eq!(codes_of(&confirm(&code).await.expect(200)), first);
    assert_eq!((world.audited("mfa_enabled"), world.count("SELECT COUNT(*) FROM recovery_codes")), (1, 10));
    // It tells of no other code whether it is right.
    confirm(&factor.next(&world)).await.expect(409);
    confirm(&factor.wrong(&world)).await.expect(409);
    confirm(&"0".repeat(24)).await.expect(409);
    // Over with the code's own time, and once there are other codes.
    let body = json!({ "password": PASSWORD, "code": factor.next(&world) });
    world.isolate.post_as(&ada.access, RENEW, &body).await.expect(200);
    confirm(body["code"].as_str().unwrap()).await.expect(409);
    world.host.clock.advance(Duration::from_mins(5));
    confirm(&code).await.expect(400);
}

#[tokio::test]
async fn the_key_that_seals_can_be_replaced() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    world.register("bob", None).await;
    let isolate = |keys| World::isolate_over(&world.host, &[("KEY_ENCRYPTION_KEY", keys)]);
    let sign_in_over = async |isolate: &crate::harness::Isolate, code: String| {
        let token = crate::mfa::half_from(isolate, "192.0.2.77", "ada").await;
        verify(isolate, &token, &code).await
    };
    // Without the key nobody is let in, and nobody is told that a code is wrong.
    let without = isolate(OTHER_SECRET);
    without.try_sign_in("192.0.2.7", "ada", PASSWORD).await.expect(503);
    let both = isolate(BOTH_SECRETS);
    sign_in_over(&both, factor.next(&world)).await.expect(200);
    assert_eq!(world.count("SELECT sealed_under = 'k1' FROM totp_factors"), 1);
    // The cron seals anew; what cannot be opened is told, and stays.
    world.host.database.look("INSERT INTO totp_factors SELECT id, 'x', 'v1.k0.AAAAAAAAAAAAAAAA.AAAA', 'k0', 0, 0, 'x', 'x', 0, 'x', 0 FROM users WHERE username = 'bob'", &[]).unwrap();
    both.app.reseal_factors().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM totp_factors WHERE sealed_under = 'k2' AND secret LIKE 'v1.k2.%'"), 1);
    assert!(!both.app.clean_up().await.iter().any(Result::is_err));
    // The old secret may go now: what is expected is worked out from what is sealed under the new one. (Signing keys are
    // another matter.)
    let token = crate::mfa::half_from(&isolate(OTHER_SECRET), "192.0.2.78", "ada").await;
    verify(&both, &token, &factor.next(&world)).await.expect(200);
}

#[tokio::test]
async fn a_secret_opens_for_its_own_user_only() {
    let world = World::new();
    let (_, adas) = enrolled(&world, "ada", None).await;
    enrolled(&world, "bob", None).await;
    let copy = "UPDATE totp_factors SET secret = (SELECT f.secret FROM totp_factors f JOIN users u ON u.id = f.user_id WHERE u.username = 'ada')";
    world.host.database.look(copy, &[]).unwrap();
    world.isolate.try_sign_in("192.0.2.7", "bob", PASSWORD).await.expect(503);
    sign_in(&world, "ada", &adas).await;
}

#[tokio::test]
async fn it_is_taken_off_with_password_and_code_and_nothing_less() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    let other = sign_in(&world, "ada", &factor).await;
    let disable = async |body: Value| world.isolate.post_as(&ada.access, DISABLE, &body).await;
    let code = factor.next(&world);
    for (body, status) in [
        (json!({}), 422),
        (json!({ "password": PASSWORD }), 422),
        (json!({ "code": code }), 422),
        (json!({ "password": "Wrong-Horse-7", "code": code }), 400),
        (json!({ "password": PASSWORD, "code": factor.wrong(&world) }), 400),
        (json!({ "password": PASSWORD, "code": "0".repeat(24) }), 400),
    ] {
        let answer = disable(body.clone()).await;
        assert_eq!(answer.status, status, "{body}");
    }
    assert_eq!((world.audited("mfa_failure"), world.audited("login_failure")), (2, 1));
    disable(json!({ "password": PASSWORD, "code": code })).await.expect(200);
    // What said that there was one is over; the session goes on, by a password alone.
    world.isolate.proxy_get(PRIVATE, Some(&ada.access)).await.expect(401);
    world.isolate.refresh(&other.refresh).await.expect(401);
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    assert_eq!(claims(renewed.text("/access_token"))["amr"], json!(["pwd"]));
    world.isolate.sign_in("ada").await;
    assert_eq!(world.count(NOTHING_LEFT), 0);
    assert_eq!(world.audited("mfa_disabled"), 1);
    let again = json!({ "password": PASSWORD, "code": code });
    world.isolate.post_as(renewed.text("/access_token"), DISABLE, &again).await.expect(409);
}

#[tokio::test]
async fn what_comes_after_it_was_taken_off_is_no_failure() {
    // After so many batches somebody else has taken it off: before the attempt, and after it.
    for batches in [2, 3] {
        let world = World::new();
        let (ada, factor) = enrolled(&world, "ada", None).await;
        world.isolate.get(STATUS, Some(&ada.access)).await.expect(200);
        world.host.database.meddle(batches, "DELETE FROM totp_factors; UPDATE users SET mfa_enabled = 0");
        let body = json!({ "password": PASSWORD, "code": factor.next(&world) });
        world.isolate.post_as(&ada.access, DISABLE, &body).await.expect(409);
        assert_eq!(
            (world.audited("mfa_failure"), world.count("SELECT COUNT(*) FROM mfa_failures")),
            (0, 0),
            "{batches}"
        );
        assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome <> 'succeeded'"), 0, "{batches}");
    }
}

#[tokio::test]
async fn new_recovery_codes_take_the_place_of_the_old_ones() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    let code = factor.next(&world);
    let renew = async |body: Value| world.isolate.post_as(&ada.access, RENEW, &body).await;
    renew(json!({ "code": code })).await.expect(422);
    renew(json!({ "password": "Wrong-Horse-7", "code": code })).await.expect(400);
    let body = json!({ "password": PASSWORD, "code": code });
    let new = codes_of(&renew(body.clone()).await.expect(200));
    assert!(new.iter().all(|code| !factor.recovery.contains(code)));
    assert_eq!(codes_of(&renew(body).await.expect(200)), new, "the answer may have been lost");
    assert_eq!((world.audited("mfa_recovery_renewed"), world.count("SELECT COUNT(*) FROM recovery_codes")), (1, 10));
    let token = half(&world, "ada").await;
    verify(&world.isolate, &token, &factor.recovery[0]).await.expect(401);
    verify(&world.isolate, &token, &new[0]).await.expect(200);
    // By a recovery code, too.
    let newer = codes_of(&renew(json!({ "password": PASSWORD, "code": new[1] })).await.expect(200));
    assert_eq!(world.count("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NULL"), 10);
    assert!(!newer.contains(&new[1]));
    renew(json!({ "password": PASSWORD, "code": new[2] })).await.expect(400);
}

#[tokio::test]
async fn its_owner_is_told() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    let factor = enrol(&world, &ada).await;
    let access = sign_in(&world, "ada", &factor).await.access;
    for (number, code) in factor.recovery.iter().enumerate() {
        let token = half(&world, "ada").await;
        verify(&world.isolate, &token, code).await.expect(200);
        world.host.clock.advance(Duration::from_mins(1));
        let told = match 9 - number {
            1 => "Of your recovery codes, 1 is left. Make new ones".to_owned(),
            left @ (0 | 2) => format!("Of your recovery codes, {left} are left. Make new ones"),
            left => format!("Of your recovery codes, {left} are left.\n"),
        };
        assert!(deliver(&world).await.iter().any(|mail| mail.text.contains(&told)), "{told}");
    }
    let body = json!({ "password": PASSWORD, "code": factor.next(&world) });
    world.isolate.post_as(&access, RENEW, &body).await.expect(200);
    let body = json!({ "password": PASSWORD, "code": factor.next(&world) });
    world.isolate.post_as(&access, DISABLE, &body).await.expect(200);
    let subjects: Vec<_> = deliver(&world).await.iter().map(|mail| mail.subject.as_str().to_owned()).collect();
    for subject in [
        "Two-step sign-in is on for your Edgewarden account",
        "A recovery code of your Edgewarden account was used",
        "Your Edgewarden account has new recovery codes",
        "Two-step sign-in is off for your Edgewarden account",
    ] {
        assert!(subjects.iter().any(|sent| sent == subject), "{subject}: {subjects:?}");
    }
}
