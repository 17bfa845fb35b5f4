//! How the database looks for what a sign-in asks: by an index, however many there are of whatever.

use edgewarden::native::switchboard::Plan;
use serde_json::json;

use crate::{
    attempts::{attempt, fail},
    harness::{PASSWORD, World},
    mail::last_token,
};

/// What may be gone through from one end to the other: what a statement brings with it.
const MAY_BE_SCANNED: [&str; 5] =
    ["SCAN CONSTANT ROW", "SCAN one", "SCAN (subquery-", "SCAN known VIRTUAL TABLE", "SCAN asked VIRTUAL TABLE"];

/// Asserts that nothing asked so far goes through a table.
pub fn assert_that_nothing_is_scanned(world: &World, at_least: usize) {
    assert_that_nothing_else_is_scanned(world, at_least, &[]);
}

/// The same, but for some statements.
pub fn assert_that_nothing_else_is_scanned(world: &World, at_least: usize, but: &[&'static str]) {
    let mut plans = world.host.database.plans().unwrap();
    plans.retain(|(sql, _)| !but.contains(sql));
    assert!(plans.len() >= at_least, "only {} statements", plans.len());
    for (sql, lines) in plans {
        let scans = |line: &&String| {
            let scan = line.contains("SCAN") && !MAY_BE_SCANNED.iter().any(|may| line.starts_with(may));
            scan || line.contains("AUTOMATIC")
        };
        assert_eq!(lines.iter().find(scans), None, "{sql}\n{lines:#?}");
    }
}

#[tokio::test]
async fn a_sign_in_goes_through_no_table() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "2")]);
    world.register("ada", None).await;
    // What a fresh isolate reads, of which there is little, is another matter.
    attempt(&world, 0, "ada", PASSWORD).await.expect(200);
    drop(world.host.database.plans());
    attempt(&world, 1, "ada", PASSWORD).await.expect(200);
    assert_that_nothing_is_scanned(&world, 10);
    for username in ["ada", "nobody"] {
        fail(&world, username, 2..4).await;
        attempt(&world, 5, username, PASSWORD).await.expect(429);
        assert_that_nothing_is_scanned(&world, 10);
    }
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.app.forget_attempts().await.unwrap();
    assert_that_nothing_is_scanned(&world, 3);
}

#[tokio::test]
async fn nor_does_a_mail_or_what_is_done_by_it() {
    let world = World::new();
    world.register("ada", None).await;
    let verifies = last_token(&world).await;
    drop(world.host.database.plans());
    let post = async |path: &str, body| world.isolate.post(&format!("/api/v1/auth/{path}"), &body).await;
    post("verify-email", json!({ "token": verifies })).await.expect(200);
    for name in ["ada", "nobody"] {
        for path in ["verify-email/resend", "password-reset"] {
            post(path, json!({ "email": format!("{name}@example.org") })).await.expect(202);
        }
    }
    let resets = last_token(&world).await;
    post("password-reset/confirm", json!({ "token": resets, "new_password": "Other-Horse-8" })).await.expect(200);
    world.host.mailer.refuse(true);
    world.isolate.app.do_chores().await;
    world.host.switchboard.set(Plan::Without("mailer"));
    world.register("bob", None).await;
    world.isolate.app.deliver_mails().await.unwrap();
    world.isolate.app.forget_mails().await.unwrap();
    world.isolate.app.health().await;
    assert_that_nothing_is_scanned(&world, 30);
}

#[tokio::test]
async fn nor_does_a_revocation_or_whoever_hears_of_it() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    drop(world.host.database.plans());
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.get("/api/v1/users/me", Some(renewed.text("/access_token"))).await.expect(200);
    world.isolate.logout(&ada.access).await.expect(200);
    world.isolate.post_as(&bob.access, "/api/v1/auth/logout-all", &serde_json::json!({})).await.expect(200);
    // Where the feed is silent the record is asked: for what is new, and all versions, which are three.
    world.host.switchboard.set(Plan::Without("feed"));
    world.isolate.app.ask_view().await;
    world.isolate.app.forget_revocations().await.unwrap();
    let plans = world.host.database.plans().unwrap();
    assert!(plans.len() >= 15, "only {} statements", plans.len());
    for (sql, lines) in plans {
        let scans: Vec<_> = lines.iter().filter(|line| line.contains("SCAN") || line.contains("AUTOMATIC")).collect();
        let few = scans
            .iter()
            .all(|line| line.as_str() == "SCAN versions" || MAY_BE_SCANNED.iter().any(|may| line.starts_with(may)));
        assert!(few, "{sql}\n{lines:#?}");
    }
}
