//! What a person does with an account.

use serde_json::json;

use crate::{
    client::{Client, PASSWORD},
    common::forge::claims_of,
    server::Server,
};

pub fn a_first_visit(server: &Server) {
    let registered = server.try_register("visitor").expect(201);
    assert!(!registered.text.contains("argon2"), "never the hash");
    let answer = server.try_sign_in(&server.address(), "visitor", PASSWORD).expect(200);
    assert_eq!(answer.body["expires_in"], 900);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let claims = claims_of(answer.str("/access_token"));
    assert_eq!(claims["sub"], registered.body["id"]);
    assert_eq!(claims["iss"], server.url.as_str());
    let me = server.get("/api/v1/users/me", Some(answer.str("/access_token"))).expect(200);
    assert_eq!(me.str("/username"), "visitor");
    // By address too.
    server.try_sign_in(&server.address(), "visitor@example.org", PASSWORD).expect(200);
}

pub fn what_is_taken_or_bad_is_named(server: &Server) {
    server.try_register("taken").expect(201);
    let again = server.try_register("TAKEN").expect(409);
    assert_eq!(again.body["errors"].as_array().unwrap().len(), 2);
    assert_eq!(again.header("content-type"), Some("application/problem+json"));
    let bad =
        server.post("/api/v1/users/register", &json!({ "username": "a", "email": "b", "password": "c" })).expect(422);
    let fields: Vec<_> = bad.body["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["username", "email", "password"]);
}

pub fn wrong_and_unknown_are_one_answer(server: &Server) {
    server.try_register("known").expect(201);
    let mut answers = [("known", "Wrong-Horse-7"), ("unknown", PASSWORD)].map(|(username, password)| {
        let answer = server.try_sign_in(&server.address(), username, password).expect(401);
        let challenge = answer.header("www-authenticate").map(ToOwned::to_owned);
        (answer.body, challenge)
    });
    for (body, _) in &mut answers {
        assert!(body.as_object_mut().unwrap().remove("request_id").is_some());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0["error"], "invalid_grant");
}

pub fn the_sixth_sign_in_in_a_minute_is_refused(server: &Server) {
    let address = server.address();
    for left in (0..5).rev() {
        let answer = server.try_sign_in(&address, &format!("limited-{left}"), "Wrong-Horse-7").expect(401);
        assert_eq!(answer.header("retry-after"), None, "{left} left");
    }
    let refused = server.try_sign_in(&address, "limited", "Wrong-Horse-7").expect(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-ratelimit-limit"), Some("5"));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    server.try_sign_in(&server.address(), "limited", "Wrong-Horse-7").expect(401);
}

pub fn tokens_rotate_and_theft_ends_the_session(server: &Server) {
    let user = server.user("rotating");
    let first = server.refresh(&user.refresh).expect(200);
    let again = server.refresh(&user.refresh).expect(200);
    assert_eq!(again.str("/refresh_token"), first.str("/refresh_token"), "a lost answer, given again");
    let second = server.refresh(first.str("/refresh_token")).expect(200);
    server.get("/demo/private/x", Some(second.str("/access_token"))).expect(200);
    let theft = server.refresh(&user.refresh).expect(401);
    assert!(theft.str("/detail").contains("reuse"));
    server.refresh(second.str("/refresh_token")).expect(401);
    server.get("/demo/private/x", Some(second.str("/access_token"))).expect(401);
    server.get("/api/v1/users/me", Some(&user.access)).expect(401);
}

pub fn logout_is_noticed_by_the_next_request(server: &Server) {
    let user = server.user("leaving");
    server.get("/demo/private/x", Some(&user.access)).expect(200);
    server.logout(&user.access).expect(200);
    for path in ["/demo/private/x", "/demo/strict/x", "/api/v1/users/me"] {
        let refused = server.get(path, Some(&user.access)).expect(401);
        assert!(refused.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    }
    server.refresh(&user.refresh).expect(401);
}
