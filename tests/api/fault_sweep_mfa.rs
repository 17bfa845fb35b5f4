//! The fault sweep over second factors.

use http::Request;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    harness::{Answer, PASSWORD, SignedIn, URL, World},
    mfa::{CONFIRM, DISABLE, Factor, RENEW, SETUP, STATUS, STEP_UP, VERIFY, enrol, half, verify},
    sweep::{Swept, whole},
};

/// What a flow begins from.
struct State {
    ada: SignedIn,
    /// Who may administer others.
    root: SignedIn,
    browser: Browser,
    factor: Factor,
    /// A code that was not used, and is right.
    code: String,
    /// The token of half a sign-in.
    half: String,
}

/// Whether ada has enrolled before a flow begins.
fn is_enrolled(name: &str) -> bool {
    !matches!(name, "set-up" | "ending others by enrolling" | "ending others by enrolling, cookie")
}

async fn begin(name: &str, warm: bool) -> (World, State) {
    let mut world = World::new();
    let ada = world.user("ada", None).await;
    let root = match name {
        "ending all by a reset" => world.user("root", Some("super_admin")).await,
        _ => ada.clone(),
    };
    let mut browser = world.isolate.log_in("ada").await;
    let mut half_in = String::new();
    let factor = if is_enrolled(name) {
        let factor = enrol(&world, &ada).await;
        // The browser's session ended with that; it comes in again.
        browser = Browser::of(&complete(&world, &factor.next(&world)).await);
        half_in = half(&world, "ada").await;
        factor
    } else {
        let setup = if name.ends_with("cookie") {
            world.isolate.browse(&browser, "POST", SETUP, &json!({})).await.expect(200)
        } else {
            world.isolate.post_as(&ada.access, SETUP, &json!({})).await.expect(200)
        };
        Factor::of(&setup)
    };
    if name == "verify, cookie" {
        half_in = half_of_a_browser(&world).await;
    }
    let code = factor.next(&world);
    world.isolate.app.do_chores().await;
    // Time has passed: what was heard is heard anew.
    world.isolate.app.ask_view().await;
    world.isolate.app.refresh().await;
    if !warm {
        world.isolate = world.another_isolate();
    }
    (world, State { ada, root, browser, factor, code, half: half_in })
}

async fn half_of_a_browser(world: &World) -> String {
    let body = json!({ "username": "ada", "password": PASSWORD });
    let asked = world.isolate.try_log_in(Some(URL), "192.0.2.60", &body).await.expect(200);
    asked.text("/mfa_token").to_owned()
}

async fn complete(world: &World, code: &str) -> Answer {
    let token = half_of_a_browser(world).await;
    by_page(world, &token, code).await.expect(200)
}

async fn by_page(world: &World, token: &str, code: &str) -> Answer {
    let request = Request::post(VERIFY).header("content-type", "application/json").header("origin", URL);
    let body = json!({ "mfa_token": token, "code": code }).to_string();
    world.isolate.send(request.body(body.into()).unwrap()).await
}

async fn request(name: &str, world: &World, state: &State) -> Answer {
    let (isolate, code) = (&world.isolate, json!({ "code": state.code }));
    let both = json!({ "password": PASSWORD, "code": state.code });
    let access = state.ada.access.as_str();
    match name {
        "status" => isolate.get(STATUS, Some(access)).await,
        "set-up" => isolate.post_as(access, SETUP, &json!({ "password": PASSWORD })).await,
        "ending others by enrolling" => isolate.post_as(access, CONFIRM, &code).await,
        "ending others by enrolling, cookie" => isolate.browse(&state.browser, "POST", CONFIRM, &code).await,
        "token, challenged" => isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await,
        "verify" => verify(isolate, &state.half, &state.code).await,
        "verify, recovery" => verify(isolate, &state.half, &state.factor.recovery[0]).await,
        "verify, wrong" => verify(isolate, &state.half, &state.factor.wrong(world)).await,
        "verify, cookie" => by_page(world, &state.half, &state.code).await,
        "step-up" => isolate.post_as(access, STEP_UP, &code).await,
        "step-up, wrong" => isolate.post_as(access, STEP_UP, &json!({ "code": state.factor.wrong(world) })).await,
        "ending one by stepping up, cookie" => isolate.browse(&state.browser, "POST", STEP_UP, &code).await,
        "codes" => isolate.post_as(access, RENEW, &both).await,
        "ending others by taking it off" => isolate.post_as(access, DISABLE, &both).await,
        "ending all by a reset" => {
            let path = format!("/api/v1/admin/users/{}/reset-mfa", state.ada.id);
            isolate.send_as(&state.root.access, "POST", &path, &Value::Null).await
        }
        other => panic!("no flow {other}"),
    }
}

/// What a repeated request is told where the first was done, but its answer lost: half a sign-in is good once, and a session
/// that ended or changed with it is worth nothing more. Nothing is lost: they sign in, or have what they wanted.
fn told_after(name: &str) -> Option<u16> {
    match name {
        "ending others by enrolling, cookie"
        | "verify"
        | "verify, recovery"
        | "verify, cookie"
        | "ending one by stepping up, cookie"
        | "ending others by taking it off" => Some(401),
        _ => None,
    }
}

fn one_failure_at_most_twice(world: &World, done: bool) {
    whole(world);
    let failures = world.audited("mfa_failure");
    assert_eq!(failures, world.count("SELECT COALESCE(SUM(failures), 0) FROM mfa_failures"));
    assert!(if done { (1..=2).contains(&failures) } else { failures <= 1 });
}

/// A flow, its success, and what must hold whatever happened.
type Case = (&'static str, u16, fn(&World, bool));

const FLOWS: &[Case] = &[
    ("status", 200, |world, _| whole(world)),
    ("set-up", 200, |world, _| {
        whole(world);
        assert_eq!(world.count("SELECT COUNT(*) FROM mfa_setups"), 1);
    }),
    ("ending others by enrolling", 200, |world, done| {
        whole(world);
        assert!(!done || (world.audited("mfa_enabled") == 1 && world.blacklisted().len() == 1));
    }),
    ("ending others by enrolling, cookie", 200, |world, done| {
        whole(world);
        assert!(!done || (world.audited("mfa_enabled") == 1 && world.blacklisted().len() == 2));
    }),
    ("token, challenged", 200, |world, done| {
        whole(world);
        assert!(!done || world.count("SELECT COUNT(*) FROM mfa_challenges WHERE used_at IS NULL") >= 2);
        assert_eq!(world.count("SELECT COUNT(*) FROM mfa_challenges"), world.audited("mfa_challenged"));
    }),
    ("verify", 200, |world, done| {
        whole(world);
        assert!(!done || world.count("SELECT COUNT(*) FROM sessions WHERE kind = 'bearer' AND ended_at IS NULL") >= 2);
    }),
    ("verify, recovery", 200, |world, done| {
        whole(world);
        assert!(!done || world.audited("mfa_recovery_used") == 1);
    }),
    ("verify, wrong", 401, one_failure_at_most_twice),
    ("verify, cookie", 200, |world, _| whole(world)),
    ("step-up", 200, |world, done| {
        whole(world);
        assert!(!done || world.audited("mfa_stepped_up") == 1);
    }),
    ("step-up, wrong", 400, one_failure_at_most_twice),
    ("ending one by stepping up, cookie", 200, |world, done| {
        whole(world);
        let cookies = world.count("SELECT COUNT(*) FROM sessions WHERE kind = 'cookie' AND ended_at IS NULL");
        assert_eq!(cookies, 1);
        assert!(!done || world.audited("mfa_stepped_up") == 1);
    }),
    ("codes", 200, |world, done| {
        whole(world);
        assert!(!done || world.audited("mfa_recovery_renewed") == 1);
    }),
    ("ending others by taking it off", 200, |world, done| {
        whole(world);
        assert!(!done || world.audited("mfa_disabled") == 1);
    }),
    ("ending all by a reset", 204, |world, done| {
        whole(world);
        assert!(!done || world.count("SELECT SUM(mfa_enabled) FROM users") == 0);
    }),
];

#[tokio::test]
async fn every_flow_of_second_factors_survives_the_loss_of_every_call() {
    let mut cases = 0;
    for (&(name, success, holds), warm) in FLOWS.iter().flat_map(|flow| [(flow, true), (flow, false)]) {
        let swept = Swept { name, warm, success, holds };
        cases += swept
            .sweep(
                async || begin(name, warm).await,
                async |world, state| request(name, world, state).await,
                async |world, state, label| {
                    // An isolate that could not read its keys asks again after a second.
                    world.host.clock.advance(std::time::Duration::from_secs(1));
                    let answer = request(name, world, state).await;
                    let made_before = Some(answer.status) == told_after(name);
                    assert!(answer.status == success || made_before, "{label}, again: {answer:?}");
                    holds(world, answer.status == success);
                },
            )
            .await;
    }
    assert!(cases >= 200, "only {cases} cases");
}
