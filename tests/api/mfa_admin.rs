//! Second factors and administrators: `admin/users/{id}/reset-mfa`, and what wants one to be shown.

use std::time::Duration;

use serde_json::Value;

use crate::{
    harness::{Answer, SignedIn, World},
    keys::rotate,
    mail::deliver,
    mfa::{STEP_UP, enrolled, sign_in},
};

async fn reset(world: &World, who: &SignedIn, id: &str) -> Answer {
    let path = format!("/api/v1/admin/users/{id}/reset-mfa");
    world.isolate.send_as(&who.access, "POST", &path, &Value::Null).await
}

#[tokio::test]
async fn who_lost_everything_can_be_helped_by_who_may() {
    let world = World::new();
    let (ada, _) = enrolled(&world, "ada", None).await;
    let (admin, moderator) = (world.user("chief", Some("admin")).await, world.user("mod", Some("moderator")).await);
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    deliver(&world).await;
    for who in [&ada, &moderator] {
        reset(&world, who, &ada.id).await.expect(403);
    }
    assert_eq!(world.count("SELECT SUM(mfa_enabled) FROM users"), 1);
    reset(&world, &admin, &ada.id).await.expect(204);
    reset(&world, &admin, &ada.id).await.expect(204);
    // Every session of its owner is over, and a password alone signs in.
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    world.isolate.sign_in("ada").await;
    let row = "SELECT COUNT(*) FROM audit_events WHERE event = 'mfa_reset'
               AND subject = (SELECT id FROM users WHERE username = 'ada')
               AND actor = (SELECT id FROM users WHERE username = 'chief')";
    assert_eq!(world.count(row), 1);
    let told: Vec<_> =
        deliver(&world).await.into_iter().filter(|mail| mail.subject.as_str().contains("is off")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to.as_str(), "ada@example.org");
}

#[tokio::test]
async fn nobody_does_it_above_themselves_or_to_themselves() {
    let world = World::new();
    let (root, _) = enrolled(&world, "root", Some("super_admin")).await;
    let admin = world.user("chief", Some("admin")).await;
    reset(&world, &admin, &root.id).await.expect(403);
    reset(&world, &admin, &admin.id).await.expect(400);
    reset(&world, &admin, "019b76da-a800-7f55-b0f5-a1810b7af78c").await.expect(404);
    reset(&world, &admin, "x").await.expect(404);
    assert_eq!(world.count("SELECT SUM(mfa_enabled) FROM users"), 1);
}

#[tokio::test]
async fn an_administrator_who_has_one_must_have_shown_it_lately() {
    let world = World::new();
    let (_, factor) = enrolled(&world, "root", Some("super_admin")).await;
    let bob = world.user("bob", None).await;
    let root = sign_in(&world, "root", &factor).await;
    rotate(&world.isolate, &root, "graceful").await.expect(200);
    world.host.clock.advance(Duration::from_mins(31));
    let root = SignedIn::from(&world.isolate.refresh(&root.refresh).await.expect(200));
    let path = format!("/api/v1/admin/users/{}", bob.id);
    for answer in [
        rotate(&world.isolate, &root, "graceful").await,
        rotate(&world.isolate, &root, "emergency").await,
        reset(&world, &root, &bob.id).await,
        world.isolate.send_as(&root.access, "DELETE", &path, &Value::Null).await,
    ] {
        let answer = answer.expect(401);
        assert!(answer.header("www-authenticate").unwrap().ends_with("max_age=\"1800\""), "{answer:?}");
    }
    let body = serde_json::json!({ "code": factor.code(&world) });
    let stepped = world.isolate.post_as(&root.access, STEP_UP, &body).await.expect(200);
    let root = SignedIn { access: stepped.text("/access_token").to_owned(), ..root };
    world.isolate.send_as(&root.access, "DELETE", &path, &Value::Null).await.expect(204);
}

#[tokio::test]
async fn an_erased_account_leaves_no_factor() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    let admin = world.user("chief", Some("admin")).await;
    let token = crate::mfa::half(&world, "ada").await;
    crate::mfa::verify(&world.isolate, &token, &factor.wrong(&world)).await.expect(401);
    let path = format!("/api/v1/admin/users/{}?erase=true", ada.id);
    world.isolate.send_as(&admin.access, "DELETE", &path, &Value::Null).await.expect(204);
    let left = "SELECT (SELECT COUNT(*) FROM totp_factors) + (SELECT COUNT(*) FROM recovery_codes)
      + (SELECT COUNT(*) FROM mfa_setups) + (SELECT COUNT(*) FROM mfa_challenges) + (SELECT COUNT(*) FROM mfa_failures)";
    assert_eq!(world.count(left), 0);
    crate::mfa::verify(&world.isolate, &token, &factor.next(&world)).await.expect(401);
}
