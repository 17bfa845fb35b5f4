//! Sessions that a cookie holds: what they open, for how long, and that they end everywhere.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, session_line},
    harness::{PASSWORD, URL, World},
};

const HOUR: Duration = Duration::from_hours(1);
const ME: &str = "/api/v1/users/me";
const PRIVATE: &str = "/demo/private/x";
const STRICT: &str = "/demo/strict/x";

async fn signed_in() -> (World, Browser) {
    let world = World::new();
    world.register("ada", None).await;
    let browser = world.isolate.log_in("ada").await;
    (world, browser)
}

#[tokio::test]
async fn an_origin_learns_who_it_is_and_never_sees_the_cookie() {
    let (world, browser) = signed_in().await;
    let proxied = world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    assert_eq!((proxied.sets("x-auth-username"), proxied.sets("x-auth-method")), (Some("ada"), Some("session")));
    assert_eq!(proxied.sets("x-auth-session"), Some(browser.session.as_str()));
    assert_eq!(proxied.sets("x-auth-roles"), Some("user"));
    assert_eq!(proxied.sets("x-auth-email"), None, "it was not proven");
    assert_eq!(proxied.sets("cookie"), Some("theme=dark"));
    assert!(world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(200).warm);
    let optional = world.isolate.browse_through(&browser, "GET", "/demo/optional/x", None).await.expect(200);
    assert_eq!(optional.sets("x-auth-username"), Some("ada"));
    let public = world.isolate.browse_through(&browser, "GET", "/demo/public/x", None).await.expect(200);
    assert_eq!((public.sets("x-auth-username"), public.sets("cookie")), (None, Some("theme=dark")));
    world.isolate.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(403);
    world.host.database.look("UPDATE users SET email_verified = 1", &[]).unwrap();
    let proven = world.isolate.log_in("ada").await;
    let proxied = world.isolate.browse_through(&proven, "GET", PRIVATE, None).await.expect(200);
    assert_eq!(proxied.sets("x-auth-email"), Some("ada@example.org"));
}

#[tokio::test]
async fn what_changes_something_must_come_from_our_own_page() {
    let (world, browser) = signed_in().await;
    let isolate = &world.isolate;
    for origin in [None, Some("null"), Some("https://evil.example"), Some("https://app.auth.example.com")] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let refused = isolate.browse_through(&browser, method, PRIVATE, origin).await.expect(403);
            assert!(refused.body["detail"].as_str().unwrap().contains("own pages"));
        }
        isolate.browse_through(&browser, "GET", PRIVATE, origin).await.expect(200);
        let body = json!({ "full_name": "Eve" });
        isolate.browse_from(origin, &browser, "PUT", ME, &body).await.expect(403);
        isolate.browse_from(origin, &browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(403);
        isolate.browse_from(origin, &browser, "DELETE", "/api/v1/auth/sessions", &Value::Null).await.expect(403);
        isolate.browse_from(origin, &browser, "GET", ME, &Value::Null).await.expect(200);
    }
    isolate.browse_through(&browser, "POST", PRIVATE, Some(URL)).await.expect(200);
    isolate.browse(&browser, "PUT", ME, &json!({ "full_name": "Ada" })).await.expect(200);
    // A connection that is opened by a GET can change things later.
    let socket = format!("GET\n{URL}{PRIVATE}\ncookie\n{}\nupgrade\nwebsocket\norigin\n", browser.cookie);
    isolate.proxy(&format!("{socket}https://evil.example")).await.expect(403);
    isolate.proxy(&format!("{socket}{URL}")).await.expect(200);
}

#[tokio::test]
async fn a_cookie_that_does_not_stand_is_as_good_as_none() {
    let (world, browser) = signed_in().await;
    let (name, value) = browser.cookie.split_once('=').unwrap();
    let changed = |from: &str, to: &str| Browser { cookie: browser.cookie.replacen(from, to, 1), ..browser.clone() };
    world.isolate.app.do_chores().await;
    world.host.switchboard.set(Plan::Healthy);
    for stranger in [
        changed(value, ""),
        changed(value, "k1.x"),
        changed("k1.", "k2."),
        changed(name, "__Host-Edgewarden"),
        changed(&value[value.len() - 2..], if value.ends_with("AA") { "BB" } else { "AA" }),
        Browser { cookie: format!("{}A", browser.cookie), ..browser.clone() },
    ] {
        world.isolate.browse_through(&stranger, "GET", PRIVATE, None).await.expect(401);
        let anonymous = world.isolate.browse_through(&stranger, "POST", "/demo/optional/x", None).await.expect(200);
        assert_eq!(anonymous.sets("x-auth-username"), None);
        world.isolate.browse(&stranger, "GET", ME, &Value::Null).await.expect(401);
    }
    assert_eq!(world.host.switchboard.calls(), ["limiter"; 6], "a forged cookie costs no call but to count its sender");
    // Beside a stranger, the good one counts; a bad token is not made up for by a good cookie.
    let both = Browser { cookie: format!("{name}=k1.x; {}", browser.cookie), ..browser.clone() };
    world.isolate.browse_through(&both, "GET", PRIVATE, None).await.expect(200);
    let head = format!("GET\n{URL}{PRIVATE}\ncookie\n{}\nauthorization\nBearer x.y.z", browser.cookie);
    world.isolate.proxy(&head).await.expect(401);
}

#[tokio::test]
async fn a_cookie_that_others_planted_in_a_value_of_theirs_is_not_read() {
    let (world, victim) = signed_in().await;
    world.register("eve", None).await;
    let eve = world.isolate.log_in("eve").await;
    // Browsers let a comma stand in a value, and send such a cookie of a sibling host's before ours.
    let planted = Browser { cookie: format!("a=x,{}; {}", eve.cookie, victim.cookie), ..victim.clone() };
    let proxied = world.isolate.browse_through(&planted, "GET", PRIVATE, None).await.expect(200);
    assert_eq!(proxied.sets("x-auth-username"), Some("ada"));
    assert_eq!(proxied.sets("cookie"), Some("theme=dark; a=x"), "nor is it sent on");
    let me = world.isolate.browse(&planted, "GET", ME, &Value::Null).await.expect(200);
    assert_eq!(me.text("/username"), "ada");
    let alone = Browser { cookie: format!("a=x,{}", eve.cookie), ..victim };
    world.isolate.browse(&alone, "GET", ME, &Value::Null).await.expect(401);
}

#[tokio::test]
async fn a_session_goes_by_roles_as_they_are_now_at_first_sight_too() {
    let (world, browser) = signed_in().await;
    let stale = world.another_isolate();
    stale.proxy_get(PRIVATE, Some(&world.user("bob", None).await.access)).await.expect(200);
    world.host.clock.advance(HOUR);
    stale.app.ask_view().await;
    stale.app.refresh().await;
    world.host.clock.advance(Duration::from_mins(2));
    world.host.database.look("DELETE FROM role_permissions WHERE permission = 'content:create'", &[]).unwrap();
    // The feed hears of it when it asks the record, which it is asked to by somebody else.
    world.hear(&world.isolate).await;
    for path in [PRIVATE, STRICT] {
        let proxied = stale.browse_through(&browser, "GET", path, None).await.expect(200);
        assert!(!proxied.sets("x-auth-scopes").unwrap().contains("content:create"), "{path}");
    }
}

#[tokio::test]
async fn a_session_of_another_salt_is_not_opened() {
    let (world, browser) = signed_in().await;
    world.host.database.look("UPDATE sessions SET salt = 'another'", &[]).unwrap();
    world.host.switchboard.set(Plan::Without("kv"));
    world.another_isolate().browse(&browser, "GET", ME, &Value::Null).await.expect(401);
}

#[tokio::test]
async fn logout_is_noticed_at_once_here_and_elsewhere_within_the_bound() {
    let (world, browser) = signed_in().await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    let answer = world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
    assert!(session_line(&answer).unwrap().starts_with("__Host-edgewarden=; Max-Age=0; Path=/; Secure"));
    assert!(world.host.sessions.keys().is_empty(), "the copy is gone");
    for path in [PRIVATE, STRICT] {
        world.isolate.browse_through(&browser, "GET", path, None).await.expect(401);
    }
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(401);
    elsewhere.browse_through(&browser, "GET", STRICT, None).await.expect(401);
    world.host.clock.advance(Duration::from_secs(10));
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
    world.another_isolate().browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
    // Twice is once.
    world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
    assert_eq!(world.audited("logout"), 1);
}

#[tokio::test]
async fn a_copy_that_outlives_its_session_opens_nothing() {
    // The copy may go on being read after it was deleted; what was revoked is told for longer than it is believed.
    for hours in [0, 1, 2] {
        let (world, browser) = signed_in().await;
        world.another_isolate().browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
        world.host.sessions.be_stale(24 * HOUR);
        world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
        world.host.clock.advance(HOUR * hours);
        world.isolate.app.forget_revocations().await.unwrap();
        world.another_isolate().browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
    }
}

#[tokio::test]
async fn every_session_ends_with_logout_everywhere() {
    let (world, browser) = signed_in().await;
    let other = world.isolate.log_in("ada").await;
    let token = world.isolate.sign_in("ada").await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&other, "GET", PRIVATE, None).await.expect(200);
    world.isolate.browse(&browser, "POST", "/api/v1/auth/logout-all", &Value::Null).await.expect(200);
    world.host.clock.advance(Duration::from_secs(10));
    for one in [&browser, &other] {
        world.isolate.browse_through(one, "GET", PRIVATE, None).await.expect(401);
        elsewhere.browse_through(one, "GET", PRIVATE, None).await.expect(401);
        world.isolate.browse(one, "POST", "/api/v1/auth/logout-all", &Value::Null).await.expect(200);
    }
    elsewhere.proxy_get(PRIVATE, Some(&token.access)).await.expect(401);
}

#[tokio::test]
async fn a_changed_role_counts_within_the_bound_and_signs_nobody_out() {
    let (world, browser) = signed_in().await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(403);
    grant(&world, "INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'admin', 0 FROM users");
    world.hear(&elsewhere).await;
    elsewhere.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(200);
    assert!(elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(200).warm, "asked once");
    // Taken away; and much later, when nobody is told of it any more.
    grant(&world, "DELETE FROM user_roles WHERE role = 'admin'");
    world.hear(&elsewhere).await;
    elsewhere.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(403);
    world.host.clock.advance(2 * HOUR);
    world.isolate.app.forget_revocations().await.unwrap();
    let fresh = world.another_isolate();
    fresh.browse_through(&browser, "GET", "/demo/admin/x", None).await.expect(403);
    fresh.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
}

/// What an operator does with roles: the user's version goes up, and the revocation tells of it.
fn grant(world: &World, change: &'static str) {
    let now = edgewarden::ports::Value::from(world.isolate.app.ports.clock.now().millis());
    for (sql, params) in [
        (change, vec![]),
        ("UPDATE users SET token_version = token_version + 1", vec![]),
        (
            "INSERT INTO revocations (kind, value, user_id, created_at, until)
             SELECT 'user', id || ':' || token_version, id, ?1, ?1 + 3605000 FROM users",
            vec![now],
        ),
    ] {
        world.host.database.look(sql, &params).unwrap();
    }
}

#[tokio::test]
async fn an_account_that_is_closed_opens_nothing_more() {
    let (world, browser) = signed_in().await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    grant(&world, "UPDATE users SET is_active = 0");
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(401);
    world.hear(&elsewhere).await;
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
}

#[tokio::test]
async fn it_ends_after_a_day_without_use() {
    let (world, browser) = signed_in().await;
    world.host.clock.advance(24 * HOUR);
    world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(401);
    world.another_isolate().browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
}

#[tokio::test]
async fn used_it_goes_on_for_thirty_days_wherever_it_is_used() {
    let (world, browser) = signed_in().await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    for day in 0..35 {
        world.host.clock.advance(HOUR * 21);
        let status = elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.status;
        assert_eq!(status, if (day + 1) * 21 < 720 { 200 } else { 401 }, "day {day}");
        // Here nobody came by since; what is known here is as old as the session.
        let status = world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.status;
        assert_eq!(status, if (day + 1) * 21 < 720 { 200 } else { 401 }, "day {day}");
    }
}

#[tokio::test]
async fn use_is_written_down_at_most_every_hour_and_brings_nothing_back() {
    let (world, browser) = signed_in().await;
    let seen = || world.count("SELECT COALESCE(last_seen_at, 0) FROM sessions");
    for _ in 0..59 {
        world.host.clock.advance(Duration::from_mins(1));
        world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    }
    assert_eq!(seen(), 0);
    world.host.clock.advance(Duration::from_mins(1));
    world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    let first = seen();
    assert_eq!(first, world.isolate.app.ports.clock.now().millis());
    for _ in 0..59 {
        world.host.clock.advance(Duration::from_mins(1));
        world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    }
    assert_eq!(seen(), first);
    // Ended here; an isolate that has not heard of it yet writes late.
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"), 1);
    world.another_isolate().browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
}

#[tokio::test]
async fn remembered_it_may_go_unused_for_as_long_as_a_refresh_token() {
    let world = World::new();
    world.register("ada", None).await;
    let body = json!({ "username": "ada", "password": PASSWORD, "remember_me": true });
    let answer = world.isolate.try_log_in(Some(URL), "192.0.2.1", &body).await.expect(200);
    assert!(session_line(&answer).unwrap().contains("Max-Age=2592000"));
    let browser = Browser::of(&answer);
    world.host.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    world.host.clock.advance(24 * 7 * HOUR);
    world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
}

#[tokio::test]
async fn mac_keys_rotate() {
    use crate::harness::{BOTH_SECRETS, OTHER_SECRET};
    let (world, browser) = signed_in().await;
    let rotated = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", BOTH_SECRETS)]);
    rotated.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    let without = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", OTHER_SECRET)]);
    without.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
}

#[tokio::test]
async fn outages_never_admit_and_mostly_do_not_matter() {
    let (world, browser) = signed_in().await;
    for (down, fresh, warm) in [("kv", 200, 200), ("feed", 200, 200), ("database", 200, 200), ("limiter", 200, 200)] {
        world.host.switchboard.set(Plan::Without(down));
        let elsewhere = world.another_isolate();
        let proxied = elsewhere.browse_through(&browser, "GET", PRIVATE, None).await;
        assert_eq!(proxied.status, fresh, "{down}: {proxied:?}");
        assert_eq!(world.isolate.browse_through(&browser, "GET", PRIVATE, None).await.status, warm, "{down}");
    }
    // Later the copy is not believed, so that the record is needed.
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(HOUR);
    world.host.switchboard.set(Plan::Without("database"));
    world.another_isolate().browse_through(&browser, "GET", PRIVATE, None).await.expect(503);
    world.isolate.browse(&browser, "GET", ME, &Value::Null).await.expect(503);
    // Ended, with the feed and the record gone: its copy is asked.
    world.host.switchboard.set(Plan::Healthy);
    let (world, browser) = signed_in().await;
    let elsewhere = world.another_isolate();
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(200);
    world.isolate.browse(&browser, "POST", "/api/v1/auth/logout", &Value::Null).await.expect(200);
    world.host.clock.advance(Duration::from_secs(10));
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "database", "feed's database"]));
    elsewhere.browse_through(&browser, "GET", PRIVATE, None).await.expect(401);
}

#[tokio::test]
async fn a_bearer_session_has_no_cookie_and_the_other_way_round() {
    let (world, browser) = signed_in().await;
    let token = world.isolate.sign_in("ada").await;
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE kind = 'cookie' AND salt IS NOT NULL"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE kind = 'bearer' AND salt IS NULL"), 1);
    let as_cookie = Browser { cookie: format!("__Host-edgewarden={}", token.refresh), ..browser.clone() };
    world.isolate.browse(&as_cookie, "GET", ME, &Value::Null).await.expect(401);
    world.isolate.refresh(browser.cookie.split_once('=').unwrap().1).await.expect(401);
    // A sign-in of the same browser is another session: nothing that it knew before opens it.
    let again = world.isolate.log_in("ada").await;
    assert_ne!(again.cookie, browser.cookie);
    let lines = world.host.log.lines().join("\n");
    for secret in [&browser.cookie, &again.cookie] {
        assert!(!lines.contains(secret.split_once('.').unwrap().1), "no cookie is logged");
    }
}
