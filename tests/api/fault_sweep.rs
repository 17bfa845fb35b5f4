//! The fault sweep: each flow runs once per store call that it makes, with that call failing, with
//! its answer lost once, and with its answer lost and the store down after it. In each case: the
//! right status, no half-state, and the client can simply try again.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::json;

use crate::{
    attempts::fail,
    harness::{Answer, PASSWORD, SignedIn, World},
    keys::rotate,
};

/// A flow: what comes before, the request itself, and what must hold.
struct Flow {
    name: &'static str,
    /// The success of the request.
    success: u16,
    /// What must hold whatever happened, given whether the request succeeded.
    holds: fn(&World, bool),
}

/// What becomes of a flow whose call fares badly.
#[derive(PartialEq, Eq)]
enum Outcome {
    /// Nobody notices.
    Done,
    /// It is told that something does not answer.
    Refused,
    /// Either, as it happens; but what is told is true.
    Told,
}

/// What must become of a flow, if this call of it fares so.
fn outcome(flow: &str, warm: bool, calls: &[&str], number: usize, plan: Plan) -> Outcome {
    let port = calls[number];
    let once = plan == Plan::LoseOnce(number);
    let is_first = !calls[..number].contains(&port);
    let revokes = flow.starts_with("logout") || flow == "emergency";
    match port {
        // A batch whose answer is lost once is run once more.
        "database" if once => Outcome::Done,
        "feed's database" => Outcome::Done,
        // A fresh isolate asks for the edge bundle and the feed, and can do without either.
        "kv" | "feed" if !revokes => Outcome::Done,
        "kv" | "feed" if !warm && is_first && once && !flow.ends_with("refresh token") => Outcome::Done,
        // The edge bundle is written beside what must be told.
        "kv" if flow == "emergency" => Outcome::Told,
        "feed" if flow == "emergency" && once => Outcome::Told,
        _ => Outcome::Refused,
    }
}

impl Flow {
    /// So many failures to sign in come before.
    fn failures(&self) -> u16 {
        match self.name {
            "token, closing" => 4,
            "token, blocked" => 5,
            _ => 0,
        }
    }
}

/// The state a flow begins from: in an isolate that knows its keys and roles, or in a fresh one.
async fn begin(warm: bool) -> (World, SignedIn) {
    begin_after(0, warm).await
}

/// The same, after so many failures to sign in.
async fn begin_after(failures: u16, warm: bool) -> (World, SignedIn) {
    let mut world = World::new();
    let ada = world.user("ada", Some("super_admin")).await;
    fail(&world, "ada", 0..failures).await;
    if !warm {
        world.isolate = world.another_isolate();
    }
    (world, ada)
}

async fn request(name: &str, world: &World, ada: &SignedIn) -> Answer {
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
        "me" => isolate.get("/api/v1/users/me", Some(&ada.access)).await,
        "keys" => isolate.get("/api/v1/admin/keys", Some(&ada.access)).await,
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
        "key set" => isolate.get("/.well-known/jwks.json", None).await,
        other => panic!("no flow {other}"),
    }
}

/// Rows that refer to what is not there, or that stand alone: there must never be any.
fn whole(world: &World) {
    for sql in [
        "SELECT COUNT(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u.id)",
        "SELECT COUNT(*) FROM users u WHERE (SELECT COUNT(*) FROM audit_events WHERE event = 'register' AND subject = u.id) <> 1",
        "SELECT COUNT(*) FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = s.id)",
        "SELECT COUNT(*) FROM sessions s WHERE (SELECT COUNT(*) FROM audit_events WHERE event = 'login_success' AND session_id = s.id) <> 1",
        "SELECT COUNT(*) FROM sessions s WHERE (ended_at IS NOT NULL) <> EXISTS (
           SELECT 1 FROM revocations WHERE value = s.id OR (kind = 'user' AND user_id = s.user_id))",
        // One key signs for each algorithm, at most one waits, and each is told of but the first.
        "SELECT COUNT(*) <> 1 FROM token_keys WHERE retire_at IS NULL",
        "SELECT COUNT(*) > 2 FROM token_keys WHERE retire_at IS NULL OR retire_at > 1767225600000",
        "SELECT (SELECT COUNT(*) FROM token_keys) - 1 <> (SELECT COUNT(*) FROM audit_events WHERE event = 'key_rotated')",
        "SELECT COUNT(*) FROM revocations r WHERE kind = 'key' AND EXISTS (
           SELECT 1 FROM token_keys WHERE kid = r.value AND (retire_at IS NULL OR retire_at > r.created_at))",
        "SELECT COUNT(*) FROM refresh_tokens t WHERE t.generation - 1 <> (SELECT COUNT(*) FROM audit_events WHERE event = 'token_refresh' AND session_id = t.session_id)",
    ] {
        assert_eq!(world.count(sql), 0, "{sql}");
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
    Flow { name: "me", success: 200, holds: |world, _| whole(world) },
    Flow { name: "keys", success: 200, holds: |world, _| whole(world) },
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
        let (world, ada) = begin_after(flow.failures(), warm).await;
        world.host.switchboard.set(Plan::Healthy);
        request(flow.name, &world, &ada).await.expect(flow.success);
        let calls = world.host.switchboard.calls();
        assert!(!calls.is_empty(), "{} makes no calls: nothing to sweep", flow.name);
        (flow.holds)(&world, true);
        for (number, port) in calls.iter().enumerate() {
            for plan in [Plan::DownFrom(number), Plan::LoseOnce(number), Plan::LoseThenDown(number)] {
                cases += 1;
                let (world, ada) = begin_after(flow.failures(), warm).await;
                let label = format!("{} (warm: {warm}): call {number} ({port}), {plan:?}", flow.name);
                world.host.switchboard.set(plan);
                let answer = request(flow.name, &world, &ada).await;
                let done = answer.status == flow.success;
                let outcome = outcome(flow.name, warm, &calls, number, plan);
                if outcome == Outcome::Done {
                    assert!(done, "{label}: {answer:?}");
                } else if !done || outcome == Outcome::Refused {
                    assert_eq!(answer.status, 503, "{label}: {answer:?}");
                    assert_eq!(answer.text("/request_id").len(), 36);
                    assert!(!answer.body.to_string().contains("switched off"), "{label}: the cause is for the log");
                }
                (flow.holds)(&world, done);
                world.host.switchboard.set(Plan::Healthy);
                again(flow, &world, &ada, &label).await;
            }
        }
    }
    assert!(cases >= 200, "only {cases} cases");
}

/// The client tries again, and gets what it wanted, or learns that it has it.
async fn again(flow: &Flow, world: &World, ada: &SignedIn, label: &str) {
    // An isolate that could not read its keys asks again after a second.
    world.host.clock.advance(Duration::from_secs(1));
    let answer = request(flow.name, world, ada).await;
    let made_before = flow.name == "register" && answer.status == 409;
    // The failure that closes the account may have counted, or may count until it is out of the window.
    let counted_before = flow.name == "token, closing" && answer.status == 429;
    let done = answer.status == flow.success || made_before;
    assert!(done || counted_before, "{label}, again: {answer:?}");
    (flow.holds)(world, done);
    if flow.name == "register" {
        world.isolate.try_sign_in("192.0.2.2", "new", PASSWORD).await.expect(200);
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
