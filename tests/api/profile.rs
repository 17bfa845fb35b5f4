//! `PUT` and `DELETE users/me`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Isolate, PASSWORD, SignedIn, World};

const ME: &str = "/api/v1/users/me";

async fn send(isolate: &Isolate, method: &str, ada: &SignedIn, body: &Value) -> Answer {
    isolate.send_as(&ada.access, method, ME, body).await
}

async fn put(world: &World, ada: &SignedIn, body: &Value) -> Answer {
    send(&world.isolate, "PUT", ada, body).await
}

#[tokio::test]
async fn a_name_is_changed_by_itself() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.host.clock.advance(Duration::from_secs(5));
    let answer = put(&world, &ada, &json!({ "full_name": "  Ada L.  " })).await.expect(200);
    assert_eq!((answer.text("/full_name"), answer.text("/email")), ("Ada L.", "ada@example.org"));
    assert_eq!(answer.text("/updated_at"), "2026-01-01T00:00:05.000Z");
    put(&world, &ada, &json!({ "full_name": "" })).await.expect(200);
    let same = put(&world, &ada, &json!({ "email": "ada@example.org" })).await.expect(200);
    assert_eq!(same.text("/full_name"), "");
    put(&world, &ada, &json!({})).await.expect(200);
    assert_eq!((world.audited("email_changed"), world.count("SELECT token_version FROM users")), (0, 1));
}

#[tokio::test]
async fn another_address_takes_the_password_and_is_not_proven() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    let elsewhere = world.warm_isolate(&[&ada]).await;
    let refused = put(&world, &ada, &json!({ "email": "new@example.org" })).await.expect(422);
    assert_eq!(refused.body["errors"][0]["field"], "current_password");
    let wrong = json!({ "email": "new@example.org", "current_password": "Wrong-Horse-7" });
    put(&world, &ada, &wrong).await.expect(400);
    let right = json!({ "email": "New@Example.ORG", "full_name": "Ada", "current_password": PASSWORD });
    let answer = put(&world, &ada, &right).await.expect(200);
    assert_eq!((answer.text("/email"), answer.text("/full_name")), ("New@example.org", "Ada"));
    assert_eq!(answer.body["email_verified"], false);
    assert_eq!(world.audited("email_changed"), 1);
    // Tokens that say the old address end; the session goes on.
    world.host.clock.advance(Duration::from_secs(10));
    elsewhere.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    world.isolate.get(ME, Some(&ada.access)).await.expect(401);
    world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.try_sign_in("192.0.2.1", "new@example.org", PASSWORD).await.expect(200);
    world.isolate.try_sign_in("192.0.2.1", "ada@example.org", PASSWORD).await.expect(401);
}

#[tokio::test]
async fn a_taken_address_changes_nothing() {
    let world = World::new();
    let (ada, _) = (world.user("ada", None).await, world.register("bob", None).await);
    let body = json!({ "email": "BOB@example.org", "full_name": "Ada", "current_password": PASSWORD });
    let answer = put(&world, &ada, &body).await.expect(409);
    assert_eq!(answer.body["errors"], json!([{ "field": "email", "message": "is taken" }]));
    let me = world.isolate.get(ME, Some(&ada.access)).await.expect(200);
    assert_eq!((me.text("/email"), me.text("/full_name")), ("ada@example.org", ""));
}

#[tokio::test]
async fn what_is_not_theirs_to_set_is_not_set() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let body = json!({
        "id": "x", "username": "root", "roles": ["admin"], "is_active": false, "email_verified": true,
        "mfa_enabled": true, "token_version": 9, "full_name": "Ada",
    });
    let answer = put(&world, &ada, &body).await.expect(200);
    assert_eq!((answer.text("/id"), answer.text("/username")), (ada.id.as_str(), "ada"));
    assert_eq!((&answer.body["roles"], &answer.body["is_active"]), (&json!(["user"]), &json!(true)));
    assert_eq!((&answer.body["email_verified"], &answer.body["mfa_enabled"]), (&json!(false), &json!(false)));
    let bad = put(&world, &ada, &json!({ "full_name": 7, "email": "x" })).await.expect(422);
    assert_eq!(bad.body["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_account_that_changes_under_way_is_left_as_it_is() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.get(ME, Some(&ada.access)).await.expect(200);
    world.host.database.meddle(3, "UPDATE users SET password_hash = 'another'");
    let body = json!({ "email": "new@example.org", "full_name": "Ada", "current_password": PASSWORD });
    put(&world, &ada, &body).await.expect(409);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'pending'"), 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE email = 'ada@example.org' AND full_name = ''"), 1);
    assert_eq!((world.audited("email_changed"), world.count("SELECT COUNT(*) FROM revocations")), (0, 0));
}

#[tokio::test]
async fn an_account_is_closed_with_all_of_its_sessions() {
    let world = World::new();
    let (ada, other) = (world.user("ada", None).await, world.isolate.sign_in("ada").await);
    let browser = world.isolate.log_in("ada").await;
    let elsewhere = world.warm_isolate(&[&ada, &other]).await;
    elsewhere.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    send(&world.isolate, "DELETE", &ada, &json!({})).await.expect(422);
    send(&world.isolate, "DELETE", &ada, &json!({ "password": "Wrong-Horse-7" })).await.expect(400);
    let answer = send(&world.isolate, "DELETE", &ada, &json!({ "password": PASSWORD })).await.expect(200);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    world.host.clock.advance(Duration::from_secs(10));
    for isolate in [&world.isolate, &elsewhere] {
        for one in [&ada, &other] {
            isolate.proxy_get("/demo/private/x", Some(&one.access)).await.expect(401);
            isolate.refresh(&one.refresh).await.expect(401);
        }
        isolate.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(401);
    }
    world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(401);
    assert_eq!(world.audited("account_deactivated"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL"), 0);
    // What they were called stays theirs.
    let again = json!({ "username": "ada", "email": "other@example.org", "password": PASSWORD });
    world.isolate.post("/api/v1/users/register", &again).await.expect(409);
}

#[tokio::test]
async fn who_has_no_permission_for_it_changes_and_closes_nothing() {
    let world = World::new();
    world.register("ada", None).await;
    world.host.database.look("UPDATE user_roles SET role = 'guest'", &[]).unwrap();
    let ada = world.isolate.sign_in("ada").await;
    put(&world, &ada, &json!({ "full_name": "Ada" })).await.expect(403);
    send(&world.isolate, "DELETE", &ada, &json!({ "password": PASSWORD })).await.expect(403);
    // Their password and sessions are their own all the same.
    let body = json!({ "current_password": PASSWORD, "new_password": "Another-Horse-8" });
    world.isolate.post_as(&ada.access, "/api/v1/auth/change-password", &body).await.expect(200);
    world.isolate.get("/api/v1/auth/sessions", Some(&ada.access)).await.expect(200);
}
