//! Scopes that are asked for at a sign-in or a refresh.

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    common::forge::claims_of,
    harness::{Answer, PASSWORD, URL, World},
};

async fn sign_in(world: &World, scope: &str) -> Answer {
    world.isolate.form("192.0.2.1", &[("username", "ada"), ("password", PASSWORD), ("scope", scope)]).await
}

async fn refresh(world: &World, token: &str, scope: &str) -> Answer {
    world.isolate.post("/api/v1/auth/refresh", &json!({ "refresh_token": token, "scope": scope })).await
}

#[tokio::test]
async fn a_token_is_narrowed_to_what_is_asked_for_and_held() {
    let world = World::new();
    world.register("ada", None).await;
    let answer = sign_in(&world, "content:read users:write profile:read").await.expect(200);
    assert_eq!(answer.text("/scope"), "content:read profile:read", "what is not held is not granted");
    let access = answer.text("/access_token");
    assert_eq!(claims_of(access)["scope"], "content:read profile:read");
    let proxied = world.isolate.proxy_get("/demo/private/x", Some(access)).await.expect(200);
    assert_eq!(proxied.sets("x-auth-scopes"), Some("content:read profile:read"));
    let me = http::Request::put("/api/v1/users/me")
        .header("authorization", format!("Bearer {access}"))
        .header("content-type", "application/json");
    world.isolate.send(me.body("{}".into()).unwrap()).await.expect(403);
    let json = json!({ "username": "ada", "password": PASSWORD, "scope": "content:read" });
    let answer = world.isolate.post("/api/v1/auth/token", &json).await.expect(200);
    assert_eq!(answer.text("/scope"), "content:read");
}

#[tokio::test]
async fn who_was_narrowed_signs_out_only_themselves() {
    const ALL: &str = "/api/v1/auth/logout-all";
    let world = World::new();
    let ada = world.user("ada", None).await;
    let narrowed = sign_in(&world, "content:read").await.expect(200);
    let (access, token) = (narrowed.text("/access_token"), narrowed.text("/refresh_token"));
    let answer = world.isolate.post_as(access, ALL, &json!({})).await.expect(403);
    assert_eq!(answer.text("/detail"), "missing permission: profile:write");
    world.isolate.post(ALL, &json!({ "refresh_token": token })).await.expect(403);
    let body = json!({ "username": "ada", "password": PASSWORD, "scope": "content:read" });
    let browser = Browser::of(&world.isolate.try_log_in(Some(URL), "192.0.2.2", &body).await.expect(200));
    world.isolate.browse(&browser, "POST", ALL, &Value::Null).await.expect(403);
    // A token that was narrowed at refresh, of a session that was not.
    let renewed = refresh(&world, &ada.refresh, "content:read").await.expect(200);
    world.isolate.post_as(renewed.text("/access_token"), ALL, &json!({})).await.expect(403);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    assert_eq!((world.audited("logout_all"), world.count("SELECT token_version FROM users")), (0, 1));
    // One that is not the newest any more, or is over, is told as ever.
    let next = world.isolate.refresh(token).await.expect(200);
    world.isolate.refresh(next.text("/refresh_token")).await.expect(200);
    world.isolate.post(ALL, &json!({ "refresh_token": token })).await.expect(401);
    world.isolate.logout(access).await.expect(200);
    world.isolate.proxy_get("/demo/private/x", Some(access)).await.expect(401);
    world.isolate.post_as(access, ALL, &json!({})).await.expect(401);
    let enough = sign_in(&world, "profile:write").await.expect(200);
    world.isolate.post(ALL, &json!({ "refresh_token": enough.text("/refresh_token") })).await.expect(200);
    world.isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
}

#[tokio::test]
async fn what_nobody_can_have_is_refused_before_anything_is_looked_at() {
    let world = World::new();
    world.register("ada", None).await;
    for scope in ["nothing:known", "content:read x", "content:read  profile:read", " content:read", "\"content:read\""]
    {
        let answer = sign_in(&world, scope).await.expect(400);
        assert_eq!(answer.text("/error"), "invalid_scope", "{scope}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts"), 0);
}

#[tokio::test]
async fn of_which_one_holds_nothing_is_refused_after_the_password() {
    let world = World::new();
    world.register("ada", None).await;
    assert_eq!(sign_in(&world, "keys:manage").await.expect(400).text("/error"), "invalid_scope");
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
    // Who finds out that a password is right leaves a row; and its owner's tries are not used up.
    assert_eq!(world.audited("login_failure"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE outcome = 'pending'"), 0);
    let wrong = [("username", "ada"), ("password", "Wrong-Horse-7"), ("scope", "keys:manage")];
    world.isolate.form("192.0.2.1", &wrong).await.expect(401);
}

#[tokio::test]
async fn a_refresh_narrows_the_access_token_only() {
    let world = World::new();
    world.register("ada", None).await;
    let first = sign_in(&world, "content:read profile:read").await.expect(200);
    let narrowed = refresh(&world, first.text("/refresh_token"), "content:read").await.expect(200);
    assert_eq!(narrowed.text("/scope"), "content:read");
    assert_eq!(claims_of(narrowed.text("/access_token"))["scope"], "content:read");
    let whole = world.isolate.refresh(narrowed.text("/refresh_token")).await.expect(200);
    assert_eq!(whole.text("/scope"), "content:read profile:read", "as it was granted");
    // Without a scope at the sign-in, all that the roles give is there to be narrowed.
    let wide = world.isolate.sign_in("ada").await;
    let narrowed = refresh(&world, &wide.refresh, "content:read").await.expect(200);
    let whole = world.isolate.refresh(narrowed.text("/refresh_token")).await.expect(200);
    assert!(claims_of(whole.text("/access_token")).get("scope").is_none());
}

#[tokio::test]
async fn it_is_never_widened_and_a_refused_refresh_uses_nothing_up() {
    for grace in ["30s", "0s"] {
        let world = World::with(&[("REFRESH_GRACE", grace)]);
        world.register("ada", Some("admin")).await;
        let first = sign_in(&world, "content:read").await.expect(200);
        let token = first.text("/refresh_token");
        for scope in ["content:read profile:read", "profile:read", "users:write", "nothing:known", ""] {
            let answer = refresh(&world, token, scope).await.expect(400);
            assert_eq!(answer.text("/error"), "invalid_scope", "{scope}");
        }
        assert_eq!(world.audited("token_refresh"), 0);
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", "content:read")];
        let next = world.isolate.form("192.0.2.1", &form).await.expect(200);
        // A replay within the grace is not widened either.
        let status = refresh(&world, token, "profile:read").await.status;
        assert_eq!(status, if grace == "0s" { 401 } else { 400 });
        assert_eq!(next.text("/scope"), "content:read");
    }
}

#[tokio::test]
async fn the_password_form_can_be_switched_off_and_json_stays() {
    let world = World::with(&[("PASSWORD_GRANT", "off")]);
    world.register("ada", None).await;
    let refused = world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(400);
    assert_eq!(refused.text("/error"), "invalid_request", "a grant type must be named then");
    let form = [("grant_type", "password"), ("username", "ada"), ("password", PASSWORD)];
    assert_eq!(world.isolate.form("192.0.2.1", &form).await.expect(400).text("/error"), "unsupported_grant_type");
    let body = json!({ "username": "ada", "password": PASSWORD });
    let pair = world.isolate.post("/api/v1/auth/token", &body).await.expect(200);
    let form = [("grant_type", "refresh_token"), ("refresh_token", pair.text("/refresh_token"))];
    world.isolate.form("192.0.2.1", &form).await.expect(200);
}
