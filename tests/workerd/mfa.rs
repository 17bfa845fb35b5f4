//! The second factor, over HTTP. Nobody turns this clock: an app shows one code for half a minute, and each is good once.

use std::{
    collections::HashMap,
    sync::Mutex,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use totp_rs::Totp;

use crate::{
    client::{Answer, Client, PASSWORD, SignedIn},
    mail::mail,
    races::{at_once, statuses},
    server::Server,
};

const STEP_SECS: u64 = 30;

/// What somebody keeps who has enrolled: an app, which remembers the last step that was used, and recovery codes.
pub struct Factor {
    app: Totp,
    last: Mutex<u64>,
    pub recovery: Vec<String>,
}

#[expect(clippy::disallowed_methods, reason = "the clock of the phone that the app runs on")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Factor {
    fn of(setup: &Answer) -> Self {
        let app = Totp::from_url(setup.str("/otpauth_uri")).unwrap();
        Self { app, last: Mutex::new(0), recovery: Vec::new() }
    }

    /// A code that was not used yet: the one that is shown now or, since it is taken already, the next; or it is waited for
    /// one.
    pub fn next(&self) -> String {
        let mut last = self.last.lock().unwrap();
        let step = (*last + 1).max(now() / STEP_SECS);
        while now() / STEP_SECS + 1 < step {
            thread::sleep(Duration::from_millis(100));
        }
        *last = step;
        self.app.generate(step * STEP_SECS).to_string()
    }

    /// A code that is not right, nor will be for minutes.
    fn wrong(&self) -> String {
        let near: Vec<_> = (0..20).map(|step| self.app.generate(now() + STEP_SECS * step - 150).to_string()).collect();
        (0..100).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).unwrap()
    }
}

fn post(server: &Server, token: &str, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {token}"))];
    server.send("POST", path, &headers, body.to_string())
}

/// Registers somebody who signs in and enrols.
pub fn enrolled(server: &Server, username: &str) -> (SignedIn, Factor) {
    let user = server.user(username);
    let factor = enrol(server, &user);
    (user, factor)
}

pub fn enrol(server: &Server, user: &SignedIn) -> Factor {
    let factor = Factor::of(&post(server, &user.access, "/api/v1/mfa/setup", &json!({})).expect(200));
    let body = json!({ "code": factor.next() });
    let confirmed = post(server, &user.access, "/api/v1/mfa/confirm", &body).expect(200);
    let codes = confirmed.body["recovery_codes"].as_array().unwrap();
    Factor { recovery: codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect(), ..factor }
}

/// Gives the password, and gets the token of half a sign-in.
pub fn half(server: &Server, username: &str) -> String {
    let answer = server.try_sign_in(&server.address(), username, PASSWORD).expect(200);
    assert_eq!(answer.body["mfa_required"], true, "{answer:?}");
    answer.str("/mfa_token").to_owned()
}

fn verify(server: &Server, token: &str, code: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("cf-connecting-ip", &server.address())];
    let body = json!({ "mfa_token": token, "code": code });
    server.send("POST", "/api/v1/auth/mfa/verify", &headers, body.to_string())
}

pub fn one_code_signs_in_once_however_many_come_with_it(server: &Server) {
    let (_, factor) = enrolled(server, "factor-race");
    // The same step from several sign-ins at once.
    let tokens: Vec<_> = (0..4).map(|_| half(server, "factor-race")).collect();
    let (code, next) = (factor.next(), Mutex::new(tokens.iter()));
    let answers = at_once(4, || {
        let token = next.lock().unwrap().next().unwrap();
        verify(server, token, &code)
    });
    assert_eq!(statuses(&answers), HashMap::from([(200, 1), (401, 3)]));
    let signed_in = answers.iter().find(|answer| answer.status == 200).unwrap();
    server.get("/demo/private/x", Some(signed_in.str("/access_token"))).expect(200);
    server.refresh(signed_in.str("/refresh_token")).expect(200);
    // Later, it is no good either.
    verify(server, &half(server, "factor-race"), &code).expect(401);
    // One token, twenty times with one recovery code.
    let token = half(server, "factor-race");
    let answers = at_once(20, || verify(server, &token, &factor.recovery[0]));
    assert_eq!(statuses(&answers), HashMap::from([(200, 1), (401, 19)]));
    verify(server, &token, &factor.recovery[1]).expect(401);
    // Twenty tokens with one recovery code: the first is let in, five are looked at after it.
    let tokens: Vec<_> = (0..20).map(|_| half(server, "factor-race")).collect();
    let next = Mutex::new(tokens.iter());
    let answers = at_once(20, || {
        let token = next.lock().unwrap().next().unwrap();
        verify(server, token, &factor.recovery[1])
    });
    assert_eq!(statuses(&answers), HashMap::from([(200, 1), (401, 5), (429, 14)]));
    let subject = "(SELECT id FROM users WHERE username = 'factor-race')";
    let used = format!("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL AND user_id = {subject}");
    assert_eq!(server.count(&used), 2);
}

pub fn guessing_from_many_addresses_closes_the_account_for_longer_each_time(server: &Server) {
    let (_, factor) = enrolled(server, "factor-guessed");
    let subject = "(SELECT id FROM users WHERE username = 'factor-guessed')";
    for minutes in [30, 60] {
        let token = half(server, "factor-guessed");
        let answers = at_once(12, || verify(server, &token, &factor.wrong()));
        assert_eq!(statuses(&answers).get(&401), Some(&12), "five are looked at; with the others the token is over");
        let closed = server.try_sign_in(&server.address(), "factor-guessed", PASSWORD).expect(429);
        let wait: u64 = closed.header("retry-after").unwrap().parse().unwrap();
        assert!((minutes * 60 - 60..=minutes * 60).contains(&wait), "{wait}");
        // Time passes.
        server.execute(&format!("DELETE FROM sign_in_locks WHERE account = {subject}"));
    }
    let failures = format!("SELECT COUNT(*) FROM audit_events WHERE event = 'mfa_failure' AND subject = {subject}");
    assert_eq!(server.count(&failures), 10);
    verify(server, &half(server, "factor-guessed"), &factor.next()).expect(200);
}

pub fn half_a_sign_in_opens_nothing_else_and_is_over_soon(server: &Server) {
    let (_, factor) = enrolled(server, "factor-half");
    let (_, others) = enrolled(server, "factor-other");
    let token = half(server, "factor-half");
    for (method, path) in [("GET", "/api/v1/users/me"), ("GET", "/demo/private/x"), ("POST", "/api/v1/mfa/setup")] {
        server.send(method, path, &[("authorization", &format!("Bearer {token}"))], "").expect(401);
    }
    server.refresh(&token).expect(401);
    // For another user; after its time; after its use.
    verify(server, &token, &others.next()).expect(401);
    let expire = "UPDATE mfa_challenges SET expires_at = 1 WHERE user_id = (SELECT id FROM users WHERE username = 'factor-half')";
    server.execute(expire);
    let over = verify(server, &token, &factor.next()).expect(401);
    assert!(over.str("/detail").contains("over"));
    let token = half(server, "factor-half");
    verify(server, &token, &factor.recovery[0]).expect(200);
    let over = verify(server, &token, &factor.recovery[1]).expect(401);
    assert!(over.str("/detail").contains("over"));
}

pub fn it_is_enrolled_and_taken_off_by_who_holds_everything(server: &Server) {
    let user = server.user("factor-owner");
    let other = server.user("factor-foreign");
    let (setup, confirm, disable) = ("/api/v1/mfa/setup", "/api/v1/mfa/confirm", "/api/v1/mfa/disable");
    let first = Factor::of(&post(server, &user.access, setup, &json!({})).expect(200));
    let foreign = Factor::of(&post(server, &other.access, setup, &json!({})).expect(200));
    let second = Factor::of(&post(server, &user.access, setup, &json!({})).expect(200));
    // Another user's, and a first tab's after a second has begun anew.
    post(server, &user.access, confirm, &json!({ "code": foreign.next() })).expect(400);
    post(server, &user.access, confirm, &json!({ "code": first.next() })).expect(400);
    server.execute(
        "UPDATE mfa_setups SET expires_at = 1 WHERE user_id = (SELECT id FROM users WHERE username = 'factor-owner')",
    );
    post(server, &user.access, confirm, &json!({ "code": second.next() })).expect(400);
    let factor = enrol(server, &user);
    post(server, &user.access, setup, &json!({})).expect(409);
    // A session alone takes nothing off, nor a password alone, nor a code alone.
    for body in [json!({}), json!({ "password": PASSWORD }), json!({ "code": factor.recovery[0] })] {
        post(server, &user.access, disable, &body).expect(422);
    }
    let body = json!({ "password": "Wrong-Horse-7", "code": factor.recovery[0] });
    post(server, &user.access, disable, &body).expect(400);
    let body = json!({ "password": PASSWORD, "code": factor.wrong() });
    post(server, &user.access, disable, &body).expect(400);
    let body = json!({ "password": PASSWORD, "code": factor.recovery[0] });
    post(server, &user.access, disable, &body).expect(200);
    server.get("/demo/private/x", Some(&user.access)).expect(401);
    server.try_sign_in(&server.address(), "factor-owner", PASSWORD).expect(200).str("/access_token");
}

pub fn a_route_that_wants_it_just_now_is_stepped_up_to(server: &Server) {
    const ROUTE: &str = "/demo/just-now/x";
    let (user, factor) = enrolled(server, "factor-now");
    let refused = server.get(ROUTE, Some(&user.access)).expect(401);
    assert_eq!(refused.str("/error"), "insufficient_user_authentication");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.ends_with("max_age=\"10\""), "{challenge}");
    let body = json!({ "code": factor.next() });
    let stepped = post(server, &user.access, "/api/v1/auth/mfa/step-up", &body).expect(200);
    let access = stepped.str("/access_token");
    server.get(ROUTE, Some(access)).expect(200);
    let refused = (0..300).any(|_| {
        thread::sleep(Duration::from_millis(100));
        server.get(ROUTE, Some(access)).status == 401
    });
    assert!(refused, "never refused again");
    server.get("/demo/private/x", Some(access)).expect(200);
    server.get("/demo/factor/x", Some(access)).expect(200);
}

pub fn a_browser_signs_in_with_a_recovery_code_and_its_owner_is_told(server: &Server) {
    let (_, factor) = enrolled(server, "factor-browser");
    let to = "factor-browser@example.org";
    server.execute("UPDATE users SET email_verified = 1 WHERE username = 'factor-browser'");
    let headers =
        [("content-type", "application/json"), ("cf-connecting-ip", &server.address()), ("origin", server.url())];
    let body = json!({ "username": "factor-browser", "password": PASSWORD }).to_string();
    let asked = server.send("POST", "/api/v1/auth/login", &headers, body).expect(200);
    assert!(asked.headers.get("set-cookie").is_none());
    let body = json!({ "mfa_token": asked.str("/mfa_token"), "code": factor.recovery[4].to_uppercase() }).to_string();
    server.send("POST", "/api/v1/auth/mfa/verify", &headers[..2], body.clone()).expect(403);
    let answer = server.send("POST", "/api/v1/auth/mfa/verify", &headers, body).expect(200);
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let cookie = lines.into_iter().find(|line| line.starts_with("edgewarden=")).unwrap().split(';').next().unwrap();
    let proxied = server.send("GET", "/demo/factor/x", &[("cookie", cookie)], "").expect(200);
    assert_eq!(proxied.str("/headers/x-auth-username"), "factor-browser");
    let told = mail(server, to, "A recovery code of your Edgewarden account was used");
    assert!(told["text"].as_str().unwrap().contains("9 are left"), "{told}");
}
