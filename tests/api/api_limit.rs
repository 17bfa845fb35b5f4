//! `API_LIMIT`: who is counted for what on our own endpoints, and what is not.

use std::time::Duration;

use axum::body::Body;
use edgewarden::native::switchboard::Plan;
use http::Request;
use serde_json::{Value, json};

use crate::{
    common::forge::claims_of,
    harness::{Answer, Isolate, PASSWORD, World},
    mail::token_in,
    tokens::forge,
};

const ME: &str = "/api/v1/users/me";

/// A world in which five a minute are let in.
fn narrow() -> World {
    World::with(&[("API_LIMIT", "5")])
}

async fn me_from(isolate: &Isolate, ip: &str, token: Option<&str>) -> Answer {
    let mut request = Request::get(ME).header("cf-connecting-ip", ip);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    isolate.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_subject_is_counted_wherever_it_comes_from_and_by_whatever_it_is_known() {
    let world = narrow();
    let ada = world.user("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    for left in (0..5).rev() {
        let answer = if left % 2 == 0 {
            me_from(&world.isolate, &format!("192.0.2.{left}"), Some(&ada.access)).await
        } else {
            world.isolate.browse(&browser, "GET", ME, &Value::Null).await
        };
        let answer = answer.expect(200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
        assert!(answer.header("x-ratelimit-reset").is_some() && answer.header("retry-after").is_none());
    }
    // In another isolate, for another endpoint, and by the cookie, which a fresh isolate knows nothing of.
    let other = world.another_isolate();
    for isolate in [&world.isolate, &other] {
        let refused = me_from(isolate, "192.0.2.9", Some(&ada.access)).await.expect(429);
        assert!(refused.header("retry-after").is_some());
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
        isolate.browse(&browser, "GET", "/api/v1/auth/sessions", &Value::Null).await.expect(429);
        isolate.send_as(&ada.access, "PUT", ME, &json!({ "full_name": "Ada" })).await.expect(429);
    }
    let bob = world.user("bob", None).await;
    me_from(&world.isolate, "192.0.2.9", Some(&bob.access)).await.expect(200);
    world.host.clock.advance(Duration::from_mins(1));
    me_from(&world.isolate, "192.0.2.9", Some(&ada.access)).await.expect(200);
}

#[tokio::test]
async fn a_refused_request_does_no_work() {
    let world = narrow();
    let ada = world.user("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    me_from(&world.isolate, "192.0.2.9", Some(&ada.access)).await.expect(200);
    for _ in 0..4 {
        world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(200);
    }
    world.isolate.app.do_chores().await;
    world.host.switchboard.set(Plan::Healthy);
    me_from(&world.isolate, "192.0.2.9", Some(&ada.access)).await.expect(429);
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(429);
    assert_eq!(world.host.switchboard.calls(), ["limiter", "limiter"]);
}

#[tokio::test]
async fn what_is_forged_or_over_counts_by_address_and_uses_up_nobodys_limit() {
    let world = narrow();
    let ada = world.user("ada", None).await;
    let own = forge(&world);
    let mut unsigned = own.sign(&own.header(), &claims_of(&ada.access)).await;
    unsigned.truncate(unsigned.len() - 4);
    unsigned.push_str("AAAA");
    let over = world.isolate.sign_in("ada").await;
    world.isolate.logout(&over.access).await.expect(200);
    for (number, token) in [Some(unsigned.as_str()), Some(&over.access), Some("x"), None].into_iter().enumerate() {
        let ip = format!("198.51.100.{number}");
        for left in (0..5).rev() {
            let refused = me_from(&world.isolate, &ip, token).await.expect(401);
            assert_eq!(refused.header("x-ratelimit-remaining"), Some(left.to_string().as_str()), "{token:?}");
        }
        me_from(&world.isolate, &ip, token).await.expect(429);
        me_from(&world.isolate, "198.51.100.99", Some(&ada.access)).await.expect(200);
    }
}

#[tokio::test]
async fn what_has_a_limit_of_its_own_counts_by_that_alone() {
    let world = World::with(&[("API_LIMIT", "2")]);
    world.register("ada", None).await;
    // Whoever has a browser ask for something in vain does not keep it from signing in.
    for status in [401, 401, 429] {
        me_from(&world.isolate, "192.0.2.1", None).await.expect(status);
    }
    world.isolate.app.do_chores().await;
    world.host.switchboard.set(Plan::Healthy);
    for left in (0..5).rev() {
        let answer = world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(200);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    assert_eq!(world.host.switchboard.count("limiter"), 5, "one question each");
}

#[tokio::test]
async fn a_token_that_is_used_up_is_counted_before_anyone_is_told_of_it_again() {
    let world = World::with(&[("API_LIMIT", "2")]);
    let ada = world.user("ada", None).await;
    let second = world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.refresh(second.text("/refresh_token")).await.expect(200);
    world.isolate.refresh(&ada.refresh).await.expect(401);
    let bob = world.user("bob", None).await;
    let browser = world.isolate.log_in("bob").await;
    world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
    world.isolate.logout(&bob.access).await.expect(200);
    for (status, told) in [(401, true), (401, true), (429, false)] {
        world.host.switchboard.set(Plan::Healthy);
        world.isolate.refresh(&ada.refresh).await.expect(status);
        assert_eq!(world.host.switchboard.count("feed") > 0, told, "{status}");
    }
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(429);
    world.isolate.logout(&bob.access).await.expect(429);
    assert_eq!(world.host.switchboard.count("feed"), 0);
    // So is a mail's token, once it was used.
    world.isolate.app.do_chores().await;
    let mails = world.host.mailer.sent();
    let token = token_in(mails.iter().find(|mail| mail.to.as_str() == "bob@example.org").unwrap());
    let verify = json!({ "token": token });
    let path = "/api/v1/auth/verify-email";
    world.isolate.post_from("192.0.2.7", path, &verify).await.expect(200);
    for status in [200, 200, 429] {
        world.isolate.post_from("192.0.2.7", path, &verify).await.expect(status);
    }
}

#[tokio::test]
async fn what_costs_nothing_or_is_vouched_for_is_not_counted() {
    let world = World::with(&[("API_LIMIT", "2")]);
    let ada = world.user("ada", None).await;
    me_from(&world.isolate, "192.0.2.1", Some(&ada.access)).await.expect(200);
    me_from(&world.isolate, "192.0.2.1", Some(&ada.access)).await.expect(200);
    me_from(&world.isolate, "192.0.2.1", Some(&ada.access)).await.expect(429);
    world.host.switchboard.set(Plan::Without("limiter"));
    let mut refresh = ada.refresh.clone();
    for _ in 0..3 {
        for path in ["/health", "/.well-known/jwks.json"] {
            world.isolate.get(path, None).await.expect(200);
        }
        refresh = world.isolate.refresh(&refresh).await.expect(200).text("/refresh_token").to_owned();
        world.isolate.post("/api/v1/auth/verify-email", &json!({ "token": "ewm_x" })).await.expect(400);
        world.isolate.get("/api/v1/nothing", None).await.expect(404);
    }
    world.isolate.logout(&ada.access).await.expect(200);
    assert_eq!(world.host.switchboard.count("limiter"), 0);
}

#[tokio::test]
async fn where_nobody_counts_nobody_is_let_in() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    world.host.switchboard.set(Plan::Without("limiter"));
    for token in [Some(ada.access.as_str()), Some("x"), None] {
        me_from(&world.isolate, "192.0.2.1", token).await.expect(503);
    }
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(503);
}
