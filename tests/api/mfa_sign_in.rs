//! Signing in with a second factor: `auth/mfa/verify`.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use http::Request;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, session_cookie},
    harness::{Answer, BOTH_SECRETS, OTHER_SECRET, PASSWORD, SignedIn, URL, World},
    mail::deliver,
    mfa::{VERIFY, claims, enrolled, half, half_from, sign_in, verify, verify_from},
};

const PRIVATE: &str = "/demo/private/x";

#[tokio::test]
async fn password_and_code_give_what_a_password_gives() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let asked = world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(200);
    assert_eq!(asked.body["methods"], json!(["totp", "recovery_code"]));
    assert_eq!((asked.body["expires_in"].as_u64(), asked.body.as_object().unwrap().len()), (Some(300), 4));
    assert!(asked.header("set-cookie").is_none(), "nobody is known by half");
    let answer = verify(&world.isolate, asked.text("/mfa_token"), &factor.next(&world)).await.expect(200);
    assert!(answer.header("set-cookie").unwrap().starts_with("__Host-edgewarden-device="));
    let ada = SignedIn::from(&answer);
    let said = claims(&ada.access);
    assert_eq!(said["amr"], json!(["pwd", "otp"]));
    assert_eq!(said["auth_time"], said["iat"]);
    world.isolate.proxy_get(PRIVATE, Some(&ada.access)).await.expect(200);
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    assert_eq!(claims(renewed.text("/access_token"))["amr"], json!(["pwd", "otp"]));
    assert_eq!((world.audited("mfa_challenged"), world.audited("login_success")), (1, 2));
}

#[tokio::test]
async fn a_recovery_code_signs_in_once_however_it_is_written() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let typed = factor.recovery[3].replace('-', " ").to_uppercase();
    let answer = verify(&world.isolate, &half(&world, "ada").await, &typed).await.expect(200);
    assert_eq!(claims(answer.text("/access_token"))["amr"], json!(["pwd", "rec"]));
    verify(&world.isolate, &half(&world, "ada").await, &factor.recovery[3]).await.expect(401);
    assert_eq!((world.audited("mfa_recovery_used"), world.audited("mfa_failure")), (1, 1));
    let whose = "SELECT COUNT(*) FROM audit_events WHERE event IN ('mfa_failure', 'mfa_recovery_used')
                 AND subject = (SELECT id FROM users)";
    assert_eq!(world.count(whose), 2);
}

#[tokio::test]
async fn a_browser_gets_its_cookie_then_and_on_our_own_page_only() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let body = json!({ "username": "ada", "password": PASSWORD, "remember_me": true });
    let asked = world.isolate.try_log_in(Some(URL), "192.0.2.1", &body).await.expect(200);
    assert!(session_cookie(&asked).is_none());
    let code = factor.next(&world);
    let send = async |origin: Option<&str>| {
        let mut request = Request::post(VERIFY).header("content-type", "application/json");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let body = json!({ "mfa_token": asked.text("/mfa_token"), "code": code }).to_string();
        world.isolate.send(request.body(body.into()).unwrap()).await
    };
    for origin in [None, Some("https://evil.example"), Some("null"), Some("https://app.example.com")] {
        send(origin).await.expect(403);
    }
    let answer = send(Some(URL)).await.expect(200);
    assert!(session_line_of(&answer).contains("Max-Age="), "it was to be remembered");
    let browser = Browser::of(&answer);
    world.isolate.browse_through(&browser, "GET", "/demo/factor/x", None).await.expect(200);
    world.another_isolate().browse_through(&browser, "GET", "/demo/factor/x", None).await.expect(200);
    assert!(answer.body.get("access_token").is_none());
}

fn session_line_of(answer: &Answer) -> &str {
    crate::browser::session_line(answer).unwrap()
}

#[tokio::test]
async fn a_form_is_led_to_the_page_that_asks_for_a_code_and_then_on() {
    let world = World::with(&[("PAGES_PREFIX", "/account")]);
    let (_, factor) = enrolled(&world, "ada", None).await;
    let form = async |path: &str, fields: &[(&str, &str)]| {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded").header("origin", URL);
        world.isolate.send(request.body(body.into()).unwrap()).await
    };
    let credentials = [("username", "ada"), ("password", PASSWORD), ("return_to", "/orders?a=b&c=d")];
    let led = form("/api/v1/auth/login", &credentials).await.expect(303);
    let (page, fragment) = led.header("location").unwrap().split_once('#').unwrap();
    assert_eq!(page, "/account/mfa");
    let told: Vec<(String, String)> = form_urlencoded::parse(fragment.as_bytes()).into_owned().collect();
    assert_eq!(told[1], ("return_to".to_owned(), "/orders?a=b&c=d".to_owned()));
    let code = factor.next(&world);
    let fields = [("mfa_token", told[0].1.as_str()), ("code", &code), ("return_to", &told[1].1)];
    form(VERIFY, &[fields[0], fields[1], ("return_to", "//evil.example")]).await.expect(400);
    let on = form(VERIFY, &fields).await.expect(303);
    assert_eq!(on.header("location"), Some("/orders?a=b&c=d"));
    assert!(session_cookie(&on).is_some());
    form(VERIFY, &[("code", "123456")]).await.expect(400);
    form(VERIFY, &[("mfa_token", "x"), ("code", "1")]).await.expect(422);
}

#[tokio::test]
async fn a_token_is_for_one_sign_in_and_for_five_minutes() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let (_, bobs) = enrolled(&world, "bob", None).await;
    let token = half(&world, "ada").await;
    // Another's code; then its own, twice.
    verify(&world.isolate, &token, &bobs.next(&world)).await.expect(401);
    let good = verify(&world.isolate, &token, &factor.next(&world)).await.expect(200);
    let again = verify(&world.isolate, &token, &factor.next(&world)).await.expect(401);
    assert!(again.text("/detail").contains("over"), "{again:?}");
    assert_eq!(again.text("/error"), "invalid_grant");
    // As a bearer it is nothing, and neither is an access token here.
    for path in ["/api/v1/users/me", "/api/v1/mfa"] {
        world.isolate.get(path, Some(&token)).await.expect(401);
    }
    verify(&world.isolate, good.text("/access_token"), &factor.next(&world)).await.expect(401);
    // In time, and too late.
    let [in_time, late] =
        [half_from(&world.isolate, "192.0.2.1", "ada").await, half_from(&world.isolate, "192.0.2.2", "ada").await];
    world.host.clock.advance(Duration::from_secs(299));
    verify(&world.isolate, &in_time, &factor.code(&world)).await.expect(200);
    world.host.clock.advance(Duration::from_secs(1));
    let over = verify(&world.isolate, &late, &factor.next(&world)).await.expect(401);
    assert!(over.text("/detail").contains("over"));
    assert_eq!(world.audited("mfa_failure"), 1, "what is over is no failure");
}

#[tokio::test]
async fn a_code_is_good_once_and_so_is_every_code_before_it() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    let enrolling = factor.code(&world);
    let [first, second] = [half(&world, "ada").await, half_from(&world.isolate, "192.0.2.1", "ada").await];
    verify(&world.isolate, &first, &enrolling).await.expect(401);
    let code = factor.next(&world);
    verify(&world.isolate, &first, &code).await.expect(200);
    verify(&world.isolate, &second, &code).await.expect(401);
    let body = json!({ "code": code });
    world.isolate.post_as(&ada.access, crate::mfa::STEP_UP, &body).await.expect(400);
    // One that is shown early uses up those before it, though their time is not over.
    let (early, late) =
        (factor.code_at(world.isolate.app.ports.clock.now().plus(Duration::from_mins(1))), factor.next(&world));
    verify(&world.isolate, &second, &early).await.expect(200);
    let third = half_from(&world.isolate, "192.0.2.2", "ada").await;
    verify(&world.isolate, &third, &late).await.expect(401);
    assert_eq!(world.audited("mfa_failure"), 4);
}

#[tokio::test]
async fn it_is_over_when_the_account_changes_in_between() {
    for change in [
        "UPDATE users SET password_hash = 'x', password_version = password_version + 1",
        "UPDATE users SET is_active = 0",
        "UPDATE users SET token_version = token_version + 1",
        "UPDATE totp_factors SET id = '019b76da-a800-7f55-b0f5-a1810b7af78c'",
        "DELETE FROM totp_factors",
    ] {
        let world = World::new();
        let (_, factor) = enrolled(&world, "ada", None).await;
        let token = half(&world, "ada").await;
        world.host.database.look(change, &[]).unwrap();
        let over = verify(&world.isolate, &token, &factor.next(&world)).await.expect(401);
        assert!(over.text("/detail").contains("over"), "{change}");
        assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 1, "{change}");
    }
}

#[tokio::test]
async fn nobody_gets_around_it() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    // The password is looked at; then the account enrols; then the session would be opened.
    world.host.database.meddle(1, "UPDATE users SET mfa_enabled = 1");
    world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(401);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 1);
    // A factor that is said to be there and is not lets nobody in.
    world.isolate.try_sign_in("192.0.2.2", "ada", PASSWORD).await.expect(500);
    world.host.database.look("UPDATE users SET mfa_enabled = 0", &[]).unwrap();
    let factor = crate::mfa::enrol(&world, &ada).await;
    // By no way into the account: not by the address, not as a browser, not by a password from a mail.
    world.isolate.try_sign_in("192.0.2.3", "ada@example.org", PASSWORD).await.expect(200).text("/mfa_token");
    let body = json!({ "email": "ada@example.org" });
    world.isolate.post("/api/v1/auth/password-reset", &body).await.expect(202);
    let token = crate::mail::last_token(&world).await;
    let body = json!({ "token": token, "new_password": "Another-Horse-8" });
    world.isolate.post("/api/v1/auth/password-reset/confirm", &body).await.expect(200);
    let asked = world.isolate.try_sign_in("192.0.2.4", "ada", "Another-Horse-8").await.expect(200);
    assert!(asked.body.get("access_token").is_none());
    verify(&world.isolate, asked.text("/mfa_token"), &factor.next(&world)).await.expect(200);
    // A Worker of the version before knows of no factor: the database does.
    let open = "INSERT INTO sessions (id, user_id, amr, created_at, expires_at) SELECT 'x', id, 'pwd', 0, 1 FROM users";
    world.host.database.look(open, &[]).unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE id = 'x'"), 0);
}

#[tokio::test]
async fn what_was_asked_for_at_first_is_what_it_is_for() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let sign_in = async |scope: &str| {
        let fields = [("username", "ada"), ("password", PASSWORD), ("scope", scope)];
        world.isolate.form("192.0.2.9", &fields).await
    };
    sign_in("users:write").await.expect(400);
    sign_in("no:such").await.expect(400);
    let asked = sign_in("content:read users:write").await.expect(200);
    let answer = verify(&world.isolate, asked.text("/mfa_token"), &factor.next(&world)).await.expect(200);
    assert_eq!(answer.text("/scope"), "content:read");
    assert_eq!(claims(answer.text("/access_token"))["scope"], "content:read");
    let renewed = world.isolate.refresh(answer.text("/refresh_token")).await.expect(200);
    assert_eq!(renewed.text("/scope"), "content:read");
}

#[tokio::test]
async fn mac_keys_rotate_under_way() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let token = half(&world, "ada").await;
    let isolate = |keys| World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", keys)]);
    verify(&isolate(OTHER_SECRET), &token, &factor.next(&world)).await.expect(401);
    assert_eq!(world.count("SELECT SUM(tries) FROM mfa_challenges"), 0, "what we did not give out costs nothing");
    verify(&isolate(BOTH_SECRETS), &token, &factor.next(&world)).await.expect(200);
}

#[tokio::test]
async fn a_new_browser_is_told_of_and_a_known_one_is_not() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    deliver(&world).await;
    let told = async || {
        let sent = deliver(&world).await;
        sent.iter().filter(|mail| mail.subject.as_str().starts_with("New sign-in")).count()
    };
    let mut device = None;
    for (agent, expected) in [("Agent/2", 1), ("Agent/3", 1), ("Agent/4", 2)] {
        world.host.clock.advance(Duration::from_mins(1));
        let send = async |path: &str, body: Value| {
            let mut request = Request::post(path)
                .header("content-type", "application/json")
                .header("user-agent", agent)
                .header("cf-connecting-ip", "192.0.2.40");
            if let Some(device) = device.as_ref().filter(|_| agent == "Agent/3") {
                request = request.header("cookie", device);
            }
            world.isolate.send(request.body(body.to_string().into()).unwrap()).await.expect(200)
        };
        let asked = send("/api/v1/auth/token", json!({ "username": "ada", "password": PASSWORD })).await;
        assert_eq!(told().await, if agent == "Agent/4" { 1 } else { expected - usize::from(agent == "Agent/2") });
        let answer = send(VERIFY, json!({ "mfa_token": asked.text("/mfa_token"), "code": factor.code(&world) })).await;
        assert_eq!(told().await, expected, "{agent}");
        device = Some(answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned());
    }
}

#[tokio::test]
async fn of_too_many_sessions_the_oldest_ends_as_ever() {
    let world = World::with(&[("SESSION_LIMIT", "2")]);
    let (first, factor) = enrolled(&world, "ada", None).await;
    world.host.clock.advance(Duration::from_secs(30));
    let second = sign_in(&world, "ada", &factor).await;
    world.host.clock.advance(Duration::from_mins(1));
    let third = sign_in(&world, "ada", &factor).await;
    for (session, status) in [(&first, 401), (&second, 200), (&third, 200)] {
        world.isolate.proxy_get(PRIVATE, Some(&session.access)).await.expect(status);
    }
}

#[tokio::test]
async fn a_fault_of_ours_uses_no_code_up() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "ada", None).await;
    let token = half(&world, "ada").await;
    let code = factor.next(&world);
    for port in ["crypto", "limiter"] {
        let fresh = world.another_isolate();
        world.host.switchboard.set(Plan::Without(port));
        verify_from(&fresh, "192.0.2.50", &token, &code).await.expect(503);
        world.host.switchboard.set(Plan::Healthy);
    }
    verify(&world.isolate, &token, &code).await.expect(200);
}
