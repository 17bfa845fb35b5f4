//! The fault sweep: each flow runs once per store call that it makes, with that call failing, with
//! its answer lost once, and with its answer lost and the store down after it. In each case: the
//! right status, no half-state, and the client can simply try again.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    api_keys::make,
    attempts::fail,
    browser::Browser,
    harness::{Answer, PASSWORD, SignedIn, URL, World},
    keys::rotate,
    mail::{deliver, token_in},
    sweep::{Swept, whole},
};

/// A flow: what comes before, the request itself, and what must hold.
struct Flow {
    name: &'static str,
    /// The success of the request.
    success: u16,
    /// What must hold whatever happened, given whether the request succeeded.
    holds: fn(&World, bool),
}

impl Flow {
    /// Whether a browser's session is there as well.
    fn browses(&self) -> bool {
        self.name.contains("cookie") || self.name.starts_with("ending") || self.name == "sessions"
    }

    /// Whether it is about another's account.
    fn is_about_another(&self) -> bool {
        self.name.contains("another's")
    }

    /// So many failures to sign in come before.
    fn failures(&self) -> u16 {
        match self.name {
            "token, closing" => 4,
            "token, blocked" => 5,
            _ => 0,
        }
    }

    /// What a repeated request is told where the first was done, but its answer lost: the old password, or what was
    /// issued before, is worth nothing more.
    fn told_after(&self) -> Option<u16> {
        match self.name {
            // Of a key that has another in its place, which that is is told as well.
            "register" | "ending a key by another" => Some(409),
            "ending others by a new password"
            | "ending all by closing the account"
            | "ending tokens by another address" => Some(401),
            _ => None,
        }
    }
}

/// The state a flow begins from: in an isolate that knows its keys and roles, or in a fresh one.
async fn begin(warm: bool) -> (World, SignedIn) {
    let (world, ada, _) = begin_after(0, false, false, warm).await;
    (world, ada)
}

/// The state that this flow begins from.
async fn begin_flow(flow: &Flow, warm: bool) -> (World, SignedIn, Browser) {
    if !flow.name.contains(" key") {
        return begin_after(flow.failures(), flow.browses(), flow.is_about_another(), warm).await;
    }
    let (mut world, ada, browser) = begin_after(0, false, false, true).await;
    let made = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    if !warm {
        world.isolate = world.another_isolate();
    }
    // Who comes by the key, where that is what it is about.
    let access = if flow.name == "me by key" { made.key } else { ada.access.clone() };
    (world, SignedIn { access, ..ada }, browser)
}

/// The same, after so many failures to sign in; and with a browser's session beside, and with another user who is signed in,
/// if that is wanted.
async fn begin_after(failures: u16, with_browser: bool, with_another: bool, warm: bool) -> (World, SignedIn, Browser) {
    let mut world = World::new();
    if with_another {
        world.user("bob", None).await;
    }
    let ada = world.user("ada", Some("super_admin")).await;
    let browser = if with_browser {
        world.isolate.log_in("ada").await
    } else {
        Browser { cookie: String::new(), session: String::new(), agent: "Agent/1" }
    };
    fail(&world, "ada", 0..failures).await;
    world.isolate.post("/api/v1/auth/password-reset", &json!({ "email": "ada@example.org" })).await.expect(202);
    deliver(&world).await;
    if !warm {
        world.isolate = world.another_isolate();
    }
    (world, ada, browser)
}

/// The token of a mail that has arrived.
fn token(world: &World, number: usize) -> String {
    let mut sent = world.host.mailer.sent();
    sent.sort_by_key(|mail| mail.text.contains("choose a new password"));
    token_in(&sent[number])
}

async fn request(name: &str, world: &World, ada: &SignedIn, browser: &Browser) -> Answer {
    let isolate = &world.isolate;
    match name {
        "register" => {
            let body = json!({ "username": "new", "email": "new@example.org", "password": PASSWORD });
            isolate.post("/api/v1/users/register", &body).await
        }
        "token" | "token, blocked" => isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await,
        "token, wrong" | "token, closing" => isolate.try_sign_in("192.0.2.1", "ada", "Wrong-Horse-7").await,
        "refresh" => isolate.refresh(&ada.refresh).await,
        "logout" => isolate.logout(&ada.access).await,
        "logout by refresh token" => {
            isolate.post("/api/v1/auth/logout", &json!({ "refresh_token": ada.refresh })).await
        }
        "logout everywhere" => isolate.post_as(&ada.access, "/api/v1/auth/logout-all", &json!({})).await,
        "logout everywhere by refresh token" => {
            isolate.post("/api/v1/auth/logout-all", &json!({ "refresh_token": ada.refresh })).await
        }
        "login" => {
            let body = json!({ "username": "ada", "password": PASSWORD });
            isolate.try_log_in(Some(URL), "192.0.2.1", &body).await
        }
        "logout by cookie" => isolate.browse(browser, "POST", "/api/v1/auth/logout", &Value::Null).await,
        "me by cookie" => isolate.browse(browser, "GET", "/api/v1/users/me", &Value::Null).await,
        "sessions" => isolate.browse(browser, "GET", "/api/v1/auth/sessions", &Value::Null).await,
        "ending one" => {
            let path = format!("/api/v1/auth/sessions/{}", browser.session);
            isolate.send_as(&ada.access, "DELETE", &path, &Value::Null).await
        }
        "ending others" => isolate.send_as(&ada.access, "DELETE", "/api/v1/auth/sessions", &Value::Null).await,
        "ending others by a new password" => {
            let body = json!({ "current_password": PASSWORD, "new_password": "Another-Horse-8" });
            isolate.browse(browser, "POST", "/api/v1/auth/change-password", &body).await
        }
        "name" => isolate.send_as(&ada.access, "PUT", "/api/v1/users/me", &json!({ "full_name": "Ada" })).await,
        "ending tokens by another address" => {
            let body = json!({ "email": "new@example.org", "current_password": PASSWORD });
            isolate.send_as(&ada.access, "PUT", "/api/v1/users/me", &body).await
        }
        "ending all by closing the account" => {
            isolate.send_as(&ada.access, "DELETE", "/api/v1/users/me", &json!({ "password": PASSWORD })).await
        }
        "ending another's account" | "ending and erasing another's account" => {
            let rows = world.host.database.look("SELECT id FROM users WHERE id <> ?1", &[ada.id.as_str().into()]);
            let query = if name.contains("erasing") { "?erase=true" } else { "" };
            let path = format!("/api/v1/admin/users/{}{query}", rows.unwrap().0[0]["id"].as_str().unwrap());
            isolate.send_as(&ada.access, "DELETE", &path, &Value::Null).await
        }
        "key" => isolate.post_as(&ada.access, "/api/v1/api-keys", &json!({ "name": "k" })).await,
        "listing a key" => isolate.get("/api/v1/api-keys", Some(&ada.access)).await,
        "ending a key" | "ending a key by another" => {
            let rows = world.host.database.look("SELECT id FROM api_keys ORDER BY created_at, id", &[]).unwrap();
            let path = format!("/api/v1/api-keys/{}", rows.0[0]["id"].as_str().unwrap());
            match name {
                "ending a key" => isolate.send_as(&ada.access, "DELETE", &path, &Value::Null).await,
                _ => isolate.send_as(&ada.access, "POST", &format!("{path}/rotate"), &Value::Null).await,
            }
        }
        "me" | "me by key" => isolate.get("/api/v1/users/me", Some(&ada.access)).await,
        "keys" => isolate.get("/api/v1/admin/keys", Some(&ada.access)).await,
        "audit" => isolate.get("/api/v1/admin/audit?outcome=success", Some(&ada.access)).await,
        "audit export" => isolate.get("/api/v1/admin/audit/export", Some(&ada.access)).await,
        "rotate" => rotate(isolate, ada, "graceful").await,
        // An emergency ends the very token that declares it, so that trying again takes another one.
        "emergency" => {
            let renewed = isolate.refresh(&ada.refresh).await;
            if renewed.status != 200 {
                return renewed;
            }
            let root = SignedIn { access: renewed.text("/access_token").to_owned(), ..ada.clone() };
            rotate(isolate, &root, "emergency").await
        }
        "verify email" => isolate.post("/api/v1/auth/verify-email", &json!({ "token": token(world, 0) })).await,
        "verify email, resend" => {
            isolate.post("/api/v1/auth/verify-email/resend", &json!({ "email": "ada@example.org" })).await
        }
        "reset request" => isolate.post("/api/v1/auth/password-reset", &json!({ "email": "ada@example.org" })).await,
        "reset confirm" => {
            let body = json!({ "token": token(world, 1), "new_password": "Other-Horse-8" });
            isolate.post("/api/v1/auth/password-reset/confirm", &body).await
        }
        "key set" => isolate.get("/.well-known/jwks.json", None).await,
        other => panic!("no flow {other}"),
    }
}

/// All or nothing of a user is ended, once.
fn everywhere(world: &World, done: bool) {
    whole(world);
    let ended = world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL");
    let version = world.count("SELECT token_version FROM users");
    assert_eq!((version, world.audited("logout_all")), if ended == 0 { (1, 0) } else { (2, 1) });
    assert!(!done || (ended == 1 && world.blacklisted().len() == 1));
}

/// Of two sessions, the browser's is over, or none.
fn one_of_two(world: &World, done: bool) {
    whole(world);
    let ended = world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL AND kind = 'cookie'");
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL"), 2 - ended);
    assert!(!done || (ended == 1 && world.blacklisted().len() == 1));
}

const FLOWS: &[Flow] = &[
    Flow {
        name: "register",
        success: 201,
        holds: |world, done| {
            whole(world);
            let made = world.count("SELECT COUNT(*) FROM users WHERE username = 'new'");
            assert!(!done || made == 1);
        },
    },
    Flow {
        name: "token",
        success: 200,
        holds: |world, done| {
            whole(world);
            let sessions = world.count("SELECT COUNT(*) FROM sessions");
            assert!(if done { sessions >= 2 } else { sessions >= 1 });
        },
    },
    Flow {
        name: "token, wrong",
        success: 401,
        holds: |world, done| {
            whole(world);
            let failures = world.audited("login_failure");
            assert!(if done { (1..=3).contains(&failures) } else { failures <= 1 });
            assert!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome <> 'succeeded'") <= 3);
            assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 0);
        },
    },
    Flow {
        name: "token, closing",
        success: 401,
        holds: |world, done| {
            whole(world);
            assert_eq!(world.audited("account_locked"), world.count("SELECT COUNT(*) FROM sign_in_locks"));
            assert!(!done || world.audited("account_locked") == 1);
        },
    },
    Flow {
        name: "token, blocked",
        success: 429,
        holds: |world, _| {
            whole(world);
            assert_eq!((world.count("SELECT COUNT(*) FROM sessions"), world.audited("login_failure")), (1, 5));
        },
    },
    Flow { name: "refresh", success: 200, holds: |world, _| whole(world) },
    Flow {
        name: "logout",
        success: 200,
        holds: |world, done| {
            whole(world);
            assert!(!done || world.blacklisted().len() == 2);
            assert!(!done || world.audited("logout") == 1);
        },
    },
    Flow {
        name: "logout by refresh token",
        success: 200,
        holds: |world, done| {
            whole(world);
            assert!(!done || world.blacklisted().len() == 1);
            assert!(!done || world.audited("logout") == 1);
        },
    },
    Flow { name: "logout everywhere", success: 200, holds: everywhere },
    Flow { name: "logout everywhere by refresh token", success: 200, holds: everywhere },
    Flow {
        name: "login",
        success: 200,
        holds: |world, done| {
            whole(world);
            assert!(!done || world.count("SELECT COUNT(*) FROM sessions WHERE kind = 'cookie'") >= 1);
        },
    },
    Flow {
        name: "logout by cookie",
        success: 200,
        holds: |world, done| {
            whole(world);
            assert!(!done || (world.blacklisted().len() == 1 && world.audited("logout") == 1));
        },
    },
    Flow { name: "me by cookie", success: 200, holds: |world, _| whole(world) },
    Flow { name: "sessions", success: 200, holds: |world, _| whole(world) },
    Flow { name: "ending one", success: 204, holds: one_of_two },
    Flow { name: "ending others", success: 204, holds: one_of_two },
    Flow {
        name: "ending others by a new password",
        success: 200,
        holds: |world, done| {
            whole(world);
            let changed = world.audited("password_changed");
            // All that were there are over, and one goes on under another id.
            assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"), 2 * changed);
            assert!(!done || (changed == 1 && world.blacklisted().len() == 2));
        },
    },
    Flow { name: "name", success: 200, holds: |world, _| whole(world) },
    Flow {
        name: "ending tokens by another address",
        success: 200,
        holds: |world, done| {
            whole(world);
            assert!(!done || (world.audited("email_changed") == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow {
        name: "ending all by closing the account",
        success: 200,
        holds: |world, done| {
            whole(world);
            let left = world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL");
            assert_eq!(left, 2 - 2 * world.audited("account_deactivated"));
            assert!(!done || (left == 0 && world.blacklisted().len() == 1));
        },
    },
    Flow {
        name: "ending another's account",
        success: 204,
        holds: |world, done| {
            whole(world);
            let closed = world.count("SELECT COUNT(*) FROM users WHERE username = 'bob' AND is_active = 0");
            assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"), closed);
            assert!(!done || (closed == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow {
        name: "ending and erasing another's account",
        success: 204,
        holds: |world, done| {
            whole(world);
            let erased = world.count("SELECT COUNT(*) FROM users WHERE erased_at IS NOT NULL");
            assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE username = 'bob'"), 1 - erased);
            assert!(!done || (erased == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow {
        name: "verify email",
        success: 200,
        holds: |world, done| {
            whole(world);
            assert!(!done || world.count("SELECT email_verified FROM users") == 1);
        },
    },
    Flow {
        name: "verify email, resend",
        success: 202,
        holds: |world, done| {
            whole(world);
            let mails = world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'verify_email'");
            assert!(if done { (2..=3).contains(&mails) } else { mails <= 2 });
        },
    },
    Flow {
        name: "reset request",
        success: 202,
        holds: |world, done| {
            whole(world);
            let mails = world.count("SELECT COUNT(*) FROM mail_outbox WHERE kind = 'reset_password'");
            assert!(if done { (2..=3).contains(&mails) } else { mails <= 2 });
            assert_eq!(mails, world.audited("password_reset_requested"));
        },
    },
    Flow {
        name: "reset confirm",
        success: 200,
        holds: |world, done| {
            whole(world);
            let changed = world.count("SELECT password_version - 1 FROM users");
            assert_eq!(changed, world.audited("password_reset"));
            assert_eq!(changed, world.count("SELECT token_version - 1 FROM users"));
            assert_eq!(changed, world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"));
            assert!(!done || (changed == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow { name: "me", success: 200, holds: |world, _| whole(world) },
    Flow { name: "me by key", success: 200, holds: |world, _| whole(world) },
    Flow {
        name: "key",
        success: 201,
        holds: |world, done| {
            whole(world);
            assert!(!done || world.count("SELECT COUNT(*) FROM api_keys") >= 1);
        },
    },
    Flow { name: "listing a key", success: 200, holds: |world, _| whole(world) },
    Flow {
        name: "ending a key",
        success: 204,
        holds: |world, done| {
            whole(world);
            let ended = world.count("SELECT COUNT(*) FROM api_keys WHERE ended_at IS NOT NULL");
            assert!(!done || (ended == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow {
        name: "ending a key by another",
        success: 200,
        holds: |world, done| {
            whole(world);
            let ended = world.count("SELECT COUNT(*) FROM api_keys WHERE ended_at IS NOT NULL");
            assert_eq!(world.count("SELECT COUNT(*) FROM api_keys"), 1 + ended);
            assert!(!done || (ended == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow { name: "keys", success: 200, holds: |world, _| whole(world) },
    Flow { name: "audit", success: 200, holds: |world, _| whole(world) },
    Flow {
        name: "audit export",
        success: 200,
        holds: |world, done| {
            whole(world);
            // Nothing was read out of which the log does not tell.
            assert!(!done || world.audited("admin_action") >= 1);
        },
    },
    Flow { name: "key set", success: 200, holds: |world, _| whole(world) },
    Flow {
        name: "rotate",
        success: 200,
        holds: |world, done| {
            whole(world);
            assert!(!done || world.count("SELECT COUNT(*) FROM token_keys") == 2);
        },
    },
    Flow {
        name: "emergency",
        success: 200,
        holds: |world, done| {
            whole(world);
            let told = i64::try_from(world.blacklisted().len()).unwrap();
            assert!(!done || world.count("SELECT COUNT(*) FROM revocations WHERE kind = 'key'") == told);
        },
    },
];

#[tokio::test]
async fn every_flow_survives_the_loss_of_every_call() {
    let mut cases = 0;
    // A warm isolate asks nobody for the key set.
    let asks = |(flow, warm): &(&Flow, bool)| flow.name != "key set" || !warm;
    for (flow, warm) in FLOWS.iter().flat_map(|flow| [(flow, true), (flow, false)]).filter(asks) {
        let swept = Swept { name: flow.name, warm, success: flow.success, holds: flow.holds };
        cases += swept
            .sweep(
                async || {
                    let (world, ada, browser) = begin_flow(flow, warm).await;
                    (world, (ada, browser))
                },
                async |world, (ada, browser)| request(flow.name, world, ada, browser).await,
                async |world, (ada, browser), label| again(flow, world, ada, browser, label).await,
            )
            .await;
    }
    assert!(cases >= 200, "only {cases} cases");
}

/// The client tries again, and gets what it wanted, or learns that it has it.
async fn again(flow: &Flow, world: &World, ada: &SignedIn, browser: &Browser, label: &str) {
    // An isolate that could not read its keys asks again after a second.
    world.host.clock.advance(Duration::from_secs(1));
    let answer = request(flow.name, world, ada, browser).await;
    let made_before = Some(answer.status) == flow.told_after();
    // The failure that closes the account may have counted, or may count until it is out of the window.
    let counted_before = flow.name == "token, closing" && answer.status == 429;
    let done = answer.status == flow.success || made_before;
    assert!(done || counted_before, "{label}, again: {answer:?}");
    // Who is told that it was done before tells nobody of it any more: the feed finds it in the record.
    (flow.holds)(world, answer.status == flow.success);
    if flow.name == "register" {
        world.isolate.try_sign_in("192.0.2.2", "new", PASSWORD).await.expect(200);
    }
    if flow.name == "ending others by a new password" {
        world.isolate.try_sign_in("192.0.2.2", "ada", "Another-Horse-8").await.expect(200);
    }
}

#[tokio::test]
async fn a_sign_in_that_the_limiter_cannot_count_is_refused() {
    let (world, _) = begin(true).await;
    world.host.switchboard.set(Plan::DownFrom(0));
    world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(503);
    assert_eq!(world.host.switchboard.calls(), ["limiter"], "nothing was read, nothing hashed");
}

#[tokio::test]
async fn a_logout_that_is_not_everywhere_says_so_and_heals() {
    let (world, ada) = begin(true).await;
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    // The token is known here, so the first call is the record, the second the blacklist.
    world.host.switchboard.set(Plan::DownFrom(1));
    let answer = world.isolate.logout(&ada.access).await.expect(503);
    assert!(answer.text("/detail").contains("recorded"), "{answer:?}");
    world.host.switchboard.set(Plan::Healthy);
    // Here it is in force already, and everywhere after another try.
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    world.isolate.logout(&ada.access).await.expect(200);
    world.another_isolate().proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
}
