//! What a person is told by mail of what is done with their account, and that nobody can fill mailboxes by it.

use std::time::Duration;

use edgewarden::domain::mail::Mail;
use http::{Request, header};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, PASSWORD, SignedIn, World},
    mail::{change, deliver, token_in},
};

const NEW: &str = "Another-Horse-8";

/// Signs in with a browser that calls itself so.
async fn sign_in_with(world: &World, agent: &str, cookie: Option<&str>) -> Answer {
    let number = world.count("SELECT COUNT(*) FROM sessions");
    let mut request = Request::post("/api/v1/auth/token")
        .header(header::CONTENT_TYPE, "application/json")
        .header("cf-connecting-ip", format!("198.51.100.{number}"))
        .header(header::USER_AGENT, agent);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let body = json!({ "username": "ada", "password": PASSWORD }).to_string();
    world.isolate.send(request.body(body.into()).unwrap()).await.expect(200)
}

/// What came since there were so many.
async fn since(world: &World, before: usize) -> Vec<Mail> {
    deliver(world).await.split_off(before)
}

async fn put(world: &World, ada: &SignedIn, body: &Value) -> Answer {
    world.isolate.send_as(&ada.access, "PUT", "/api/v1/users/me", body).await
}

#[tokio::test]
async fn a_browser_that_is_new_is_told_of_once() {
    let world = World::new();
    world.register("ada", None).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    let before = deliver(&world).await.len();
    let first = sign_in_with(&world, "Mozilla/5.0 (X11; Linux) Firefox/145.0", None).await;
    assert!(since(&world, before).await.is_empty(), "the first is no news");
    sign_in_with(&world, "Mozilla/5.0 (X11; Linux) Firefox/145.0", None).await;
    assert!(since(&world, before).await.is_empty());
    sign_in_with(&world, "Mozilla/5.0 (Windows NT 10.0) Chrome/142.0.0.0 Safari/537.36", None).await;
    let told = since(&world, before).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].subject.as_str(), "New sign-in to your Edgewarden account");
    assert!(told[0].text.contains("Chrome on Windows") && told[0].text.contains("198.51.100.2"), "{}", told[0].text);
    sign_in_with(&world, "Mozilla/5.0 (Windows NT 10.0) Chrome/142.0.0.0 Safari/537.36", None).await;
    // A browser that has signed in before is known by its cookie, whatever it calls itself since.
    let device = first.headers.get("set-cookie").unwrap().to_str().unwrap().split(';').next().unwrap();
    sign_in_with(&world, "Mozilla/5.0 (X11; Linux) Firefox/146.0", Some(device)).await;
    assert_eq!(since(&world, before).await.len(), 1);
}

#[tokio::test]
async fn new_browsers_are_told_of_three_times_an_hour_and_only_where_the_address_is_proven() {
    let world = World::new();
    world.register("ada", None).await;
    let before = deliver(&world).await.len();
    for number in 0..4 {
        sign_in_with(&world, &format!("Stranger/{number}"), None).await;
    }
    assert!(since(&world, before).await.is_empty(), "it may be somebody else's address");
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    for number in 4..12 {
        sign_in_with(&world, &format!("Stranger/{number}"), None).await;
    }
    assert_eq!(since(&world, before).await.len(), 3);
    world.host.clock.advance(Duration::from_hours(1));
    sign_in_with(&world, "Stranger/12", None).await;
    assert_eq!(since(&world, before).await.len(), 4);
}

#[tokio::test]
async fn another_password_is_told_of_three_times_an_hour() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    let before = deliver(&world).await.len();
    let passwords = [PASSWORD, NEW, "Third-Horse-9", "Fourth-Horse-1", "Fifth-Horse-2"];
    for pair in passwords.windows(2) {
        let body = json!({ "current_password": pair[0], "new_password": pair[1] });
        world.isolate.post_as(&ada.access, "/api/v1/auth/change-password", &body).await.expect(200);
    }
    let told = since(&world, before).await;
    assert_eq!(told.len(), 3, "{told:?}");
    for mail in told {
        assert_eq!((mail.to.as_str(), mail.text.contains("#token=")), ("ada@example.org", false));
        for password in passwords {
            assert!(!mail.text.contains(password) && !mail.html.contains(password));
        }
    }
}

#[tokio::test]
async fn another_address_is_asked_to_prove_itself_and_the_proven_one_before_is_told() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    let before = deliver(&world).await.len();
    let body = json!({ "email": "new@example.org", "current_password": PASSWORD });
    put(&world, &ada, &body).await.expect(200);
    let told = since(&world, before).await;
    let find = |to: &str| told.iter().find(|mail| mail.to.as_str() == to).unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(!find("ada@example.org").text.contains("#token="));
    assert!(!find("ada@example.org").text.contains("new@example.org"), "who reads the old one need not know the new");
    let token = token_in(find("new@example.org"));
    world.isolate.post("/api/v1/auth/verify-email", &json!({ "token": token })).await.expect(200);
    assert_eq!(world.count("SELECT email_verified FROM users"), 1);
    // An address that was never proven may be somebody else's: nobody is told there.
    change(&world, "UPDATE users SET email_verified = 0 WHERE username = ?1", "ada");
    let ada = world.isolate.sign_in("ada").await;
    let before = deliver(&world).await.len();
    put(&world, &ada, &json!({ "email": "third@example.org", "current_password": PASSWORD })).await.expect(200);
    let told = since(&world, before).await;
    assert_eq!(told.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["third@example.org"]);
    // The token of an address that the account has no more proves nothing.
    world.isolate.post("/api/v1/auth/verify-email", &json!({ "token": token })).await.expect(400);
}

#[tokio::test]
async fn nobody_has_mails_sent_to_whom_they_like() {
    let world = World::new();
    world.register("ada", None).await;
    for number in 0..4 {
        let ada = world.isolate.sign_in("ada").await;
        let email = format!("victim{number}@example.org");
        let answer = put(&world, &ada, &json!({ "email": email, "current_password": PASSWORD })).await;
        // The registration's own counts, too.
        if number < 2 {
            assert_eq!(answer.status, 200, "{answer:?}");
            continue;
        }
        let refused = answer.expect(429);
        assert_eq!(refused.header("retry-after"), Some("3600"));
        assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE email = 'victim1@example.org'"), 1);
    }
    assert_eq!(world.audited("email_changed"), 2);
    world.host.clock.advance(Duration::from_hours(1));
    let ada = world.isolate.sign_in("ada").await;
    let body = json!({ "email": "mine@example.org", "current_password": PASSWORD });
    put(&world, &ada, &body).await.expect(200);
}

#[tokio::test]
async fn who_was_away_for_long_is_told_too() {
    let world = World::new();
    world.register("ada", None).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    sign_in_with(&world, "Mozilla/5.0 (X11; Linux) Firefox/145.0", None).await;
    let before = deliver(&world).await.len();
    world.host.clock.advance(Duration::from_hours(60 * 24));
    world.host.database.look("DELETE FROM refresh_tokens", &[]).unwrap();
    world.host.database.look("DELETE FROM sessions", &[]).unwrap();
    sign_in_with(&world, "Mozilla/5.0 (Windows NT 10.0) Chrome/142.0.0.0 Safari/537.36", None).await;
    assert_eq!(since(&world, before).await.len(), 1);
}

#[tokio::test]
async fn a_stranger_does_not_keep_anyone_from_changing_their_address() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    change(&world, "UPDATE users SET email_verified = 1 WHERE username = ?1", "ada");
    world.host.clock.advance(Duration::from_hours(2));
    let ada = SignedIn::from(&world.isolate.refresh(&ada.refresh).await.expect(200));
    for _ in 0..3 {
        let body = json!({ "email": "ada@example.org" });
        world.isolate.post("/api/v1/auth/verify-email/resend", &body).await.expect(202);
    }
    put(&world, &ada, &json!({ "email": "new@example.org", "current_password": PASSWORD })).await.expect(200);
}

#[tokio::test]
async fn an_address_that_is_not_proven_is_told_of_nothing_but_what_is_asked_of_it() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "2")]);
    let ada = world.user("ada", None).await;
    let before = deliver(&world).await.len();
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    world.isolate.post_as(&ada.access, "/api/v1/auth/change-password", &body).await.expect(200);
    crate::attempts::fail(&world, "ada", 0..2).await;
    assert!(since(&world, before).await.is_empty(), "it may be somebody else's");
}

#[tokio::test]
async fn what_came_to_nothing_uses_up_no_try() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.register("bob", None).await;
    for _ in 0..6 {
        let body = json!({ "email": "bob@example.org", "current_password": PASSWORD });
        put(&world, &ada, &body).await.expect(409);
    }
    world.isolate.sign_in("ada").await;
}
