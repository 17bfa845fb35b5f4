//! Second factors in tests: an authenticator app, and signing in with it.

use std::time::Duration;

use edgewarden::domain::time::Timestamp;
use serde_json::{Value, json};
use totp_rs::Totp;

use crate::harness::{Answer, Isolate, PASSWORD, SignedIn, World, address_of};

pub const SETUP: &str = "/api/v1/mfa/setup";
pub const CONFIRM: &str = "/api/v1/mfa/confirm";
pub const VERIFY: &str = "/api/v1/auth/mfa/verify";
pub const STEP_UP: &str = "/api/v1/auth/mfa/step-up";
pub const STATUS: &str = "/api/v1/mfa";
pub const DISABLE: &str = "/api/v1/mfa/disable";
pub const RENEW: &str = "/api/v1/mfa/recovery-codes";

/// What somebody keeps who has enrolled.
#[derive(Clone)]
pub struct Factor {
    app: Totp,
    pub recovery: Vec<String>,
}

impl Factor {
    /// What an app makes of what set-up answered.
    pub fn of(setup: &Answer) -> Self {
        Self { app: Totp::from_url(setup.text("/otpauth_uri")).unwrap(), recovery: Vec::new() }
    }

    /// The code that the app shows.
    pub fn code(&self, world: &World) -> String {
        self.code_at(now(world))
    }

    /// The code that it shows at a time.
    pub fn code_at(&self, at: Timestamp) -> String {
        self.app.generate(at.secs().try_into().unwrap()).to_string()
    }

    /// Waits for a code that was not used yet.
    pub fn next(&self, world: &World) -> String {
        world.host.clock.advance(Duration::from_secs(30));
        self.code(world)
    }

    /// A code that is not right now, nor just before or after.
    pub fn wrong(&self, world: &World) -> String {
        let near: Vec<_> =
            (-3..=3).map(|steps: i64| self.code_at(Timestamp::from_secs(now(world).secs() + 30 * steps))).collect();
        (0..100).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).unwrap()
    }
}

fn now(world: &World) -> Timestamp {
    world.isolate.app.ports.clock.now()
}

/// The words of recovery codes that an answer tells.
pub fn codes_of(answer: &Answer) -> Vec<String> {
    let codes = answer.body["recovery_codes"].as_array().unwrap_or_else(|| panic!("no codes in {answer:?}"));
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// Enrols somebody who has just signed in.
pub async fn enrol(world: &World, user: &SignedIn) -> Factor {
    let setup = world.isolate.post_as(&user.access, SETUP, &json!({})).await.expect(200);
    let factor = Factor::of(&setup);
    let body = json!({ "code": factor.code(world) });
    let confirmed = world.isolate.post_as(&user.access, CONFIRM, &body).await.expect(200);
    Factor { recovery: codes_of(&confirmed), ..factor }
}

/// Registers a user who signs in and enrols.
pub async fn enrolled(world: &World, username: &str, role: Option<&str>) -> (SignedIn, Factor) {
    let user = world.user(username, role).await;
    let factor = enrol(world, &user).await;
    (user, factor)
}

/// Gives the password, and gets the token of half a sign-in.
pub async fn half(world: &World, username: &str) -> String {
    half_from(&world.isolate, &address_of(username), username).await
}

/// The same, from an address.
pub async fn half_from(isolate: &Isolate, ip: &str, username: &str) -> String {
    let answer = isolate.try_sign_in(ip, username, PASSWORD).await.expect(200);
    assert_eq!(answer.body["mfa_required"], true, "{answer:?}");
    assert!(answer.body.get("access_token").is_none());
    answer.text("/mfa_token").to_owned()
}

/// The other half, from an address that nobody else has.
pub async fn verify(isolate: &Isolate, token: &str, code: &str) -> Answer {
    verify_from(isolate, &address_of(token), token, code).await
}

/// The same, from an address.
pub async fn verify_from(isolate: &Isolate, ip: &str, token: &str, code: &str) -> Answer {
    isolate.post_from(ip, VERIFY, &json!({ "mfa_token": token, "code": code })).await
}

/// Signs in with both.
pub async fn sign_in(world: &World, username: &str, factor: &Factor) -> SignedIn {
    let token = half(world, username).await;
    SignedIn::from(&verify(&world.isolate, &token, &factor.next(world)).await.expect(200))
}

/// What a token says.
pub fn claims(access: &str) -> Value {
    crate::common::forge::claims_of(access)
}
