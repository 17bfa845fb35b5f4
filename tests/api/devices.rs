//! A browser that signed in before counts by itself.

use std::time::Duration;

use axum::body::Body;
use edgewarden::domain::{
    device::{Device, Known, LIFETIME},
    id::UserId,
    secret::SecretList,
    time::Timestamp,
};
use http::{Request, header};

use crate::{
    attempts::{attempt, fail},
    harness::{Answer, BOTH_SECRETS, Isolate, OTHER_SECRET, PASSWORD, SECRET, World},
};

/// When a world begins, about.
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
const WRONG: &str = "Wrong-Horse-7";

/// A sign-in from a browser with these cookies, from an address of its own.
async fn from(isolate: &Isolate, number: u16, cookie: &str, username: &str, password: &str) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("username", username), ("password", password)])
        .finish();
    let request = Request::post("/api/v1/auth/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("cf-connecting-ip", format!("203.0.{number}.1"))
        .header(header::COOKIE, cookie);
    isolate.send(request.body(Body::from(form)).unwrap()).await
}

/// What a browser sends back of what it was told to keep.
fn kept(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn device(cookie: &str) -> Device {
    let value = cookie.strip_prefix("__Host-edgewarden-device=").unwrap();
    Device::decode(value, &SecretList::parse(SECRET).unwrap(), NOW).unwrap()
}

#[tokio::test]
async fn its_owner_signs_in_while_strangers_are_shut_out() {
    let world = World::new();
    world.register("ada", None).await;
    let first = attempt(&world, 0, "ada", PASSWORD).await.expect(200);
    let line = first.header("set-cookie").unwrap();
    assert!(line.ends_with("; Max-Age=31536000; Path=/; Secure; HttpOnly; SameSite=Lax"), "{line}");
    let cookie = kept(&first);
    fail(&world, "ada", 1..6).await;
    attempt(&world, 6, "ada", PASSWORD).await.expect(429);
    // With other cookies around it, by the address as well as by the name.
    let again = from(&world.isolate, 0, &format!("a=1; {cookie}; b=2"), "ada@example.org", PASSWORD).await.expect(200);
    assert_eq!(kept(&again), cookie, "the same browser, the same user");
    attempt(&world, 7, "ada", PASSWORD).await.expect(429);
    // It has five of its own.
    for number in 1..6 {
        let wrong = from(&world.isolate, number, &cookie, "ada", WRONG).await.expect(401);
        assert_eq!(wrong.header("set-cookie"), None);
    }
    from(&world.isolate, 6, &cookie, "ada", PASSWORD).await.expect(429);
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 2);
    assert_eq!(world.audited("account_locked"), 2);
}

#[tokio::test]
async fn what_it_fails_at_closes_nothing_to_others() {
    let world = World::new();
    world.register("ada", None).await;
    let cookie = kept(&attempt(&world, 0, "ada", PASSWORD).await.expect(200));
    for number in 0..5 {
        from(&world.isolate, number, &cookie, "ada", WRONG).await.expect(401);
    }
    from(&world.isolate, 5, &cookie, "ada", PASSWORD).await.expect(429);
    fail(&world, "ada", 1..5).await;
    attempt(&world, 5, "ada", PASSWORD).await.expect(200);
    from(&world.isolate, 6, &cookie, "ada", PASSWORD).await.expect(429);
}

#[tokio::test]
async fn it_is_a_stranger_to_everyone_else() {
    let world = World::new();
    world.register("ada", None).await;
    world.register("eve", None).await;
    let cookie = kept(&attempt(&world, 0, "eve", PASSWORD).await.expect(200));
    for number in 0..5 {
        from(&world.isolate, number, &cookie, "ada", WRONG).await.expect(401);
    }
    // Not a count of its own, but everyone's.
    from(&world.isolate, 5, &cookie, "ada", PASSWORD).await.expect(429);
    attempt(&world, 1, "ada", PASSWORD).await.expect(429);
    from(&world.isolate, 6, &cookie, "eve", PASSWORD).await.expect(200);
    // Nor does it have one for who does not exist.
    for number in 10..15 {
        from(&world.isolate, number, &cookie, "nobody", WRONG).await.expect(401);
    }
    attempt(&world, 2, "nobody", WRONG).await.expect(429);
}

#[tokio::test]
async fn it_knows_the_last_four_and_two_tabs_do_no_harm() {
    let world = World::new();
    let mut ids = Vec::new();
    for name in ["one", "two", "three", "four", "five"] {
        ids.push(UserId::parse(&world.register(name, None).await).unwrap());
    }
    let mut cookie = kept(&attempt(&world, 0, "one", PASSWORD).await.expect(200));
    let id = device(&cookie).slot();
    // Two tabs sign two people in with the same cookie: one of them stays known, the other is a stranger.
    let tabs = [("two", 1), ("three", 2)];
    for (name, number) in tabs {
        let tab = kept(&from(&world.isolate, number, &cookie, name, PASSWORD).await.expect(200));
        assert_eq!(device(&tab).slot(), id);
        assert_eq!(device(&tab).users().len(), 2);
    }
    for (number, name) in (3..).zip(["two", "three", "four", "five"]) {
        cookie = kept(&from(&world.isolate, number, &cookie, name, PASSWORD).await.expect(200));
    }
    let known = |index: usize| Known { user: ids[index], password_version: 1 };
    assert_eq!(device(&cookie).users(), [4, 3, 2, 1].map(known));
    assert_eq!(device(&cookie).slot(), id, "the same browser all along");
}

#[tokio::test]
async fn what_no_key_vouches_for_is_a_stranger() {
    let world = World::new();
    let ada = UserId::parse(&world.register("ada", None).await).unwrap();
    let good = kept(&attempt(&world, 0, "ada", PASSWORD).await.expect(200));
    let known = Known { user: ada, password_version: 1 };
    let foreign = Device::new([1; 16]).with_user(known).encode(&SecretList::parse(OTHER_SECRET).unwrap(), NOW);
    let value = good.split_once('=').unwrap().1;
    fail(&world, "ada", 1..6).await;
    let mut number = 0;
    for cookie in [
        format!("__Host-edgewarden-device={foreign}"),
        format!("__Host-edgewarden-device={}", value.replace("k1.", "k2.")),
        "__Host-edgewarden-device=".to_owned(),
        format!("__Host-edgewarden-device=\"{value}\""),
        format!("__host-edgewarden-device={value}"),
        format!("__Host-edgewarden={value}"),
        format!("edgewarden-device={value}"),
        "é".to_owned(),
        "=;=;;".to_owned(),
    ] {
        from(&world.isolate, number, &cookie, "ada", PASSWORD).await.expect(429);
        number += 1;
    }
    // A bad one does not hide a good one.
    let both = format!("__Host-edgewarden-device=x; {good}");
    from(&world.isolate, number, &both, "ada", PASSWORD).await.expect(200);
    // What stands in another cookie's value is that one's, whoever put it there.
    for joined in [format!("a=1, {good}"), format!("a=1; b=2,{good},c=3; d=4")] {
        number += 1;
        from(&world.isolate, number, &joined, "ada", PASSWORD).await.expect(429);
    }
}

#[tokio::test]
async fn it_outlives_the_rotation_of_the_mac_key_while_the_old_one_is_listed() {
    let world = World::new();
    world.register("ada", None).await;
    let cookie = kept(&attempt(&world, 0, "ada", PASSWORD).await.expect(200));
    fail(&world, "ada", 1..6).await;
    let rotated = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", BOTH_SECRETS)]);
    let renewed = kept(&from(&rotated, 0, &cookie, "ada", PASSWORD).await.expect(200));
    assert!(renewed.starts_with("__Host-edgewarden-device=k2."), "{renewed}");
    let after = World::isolate_over(&world.host, &[("TOKEN_MAC_KEY", OTHER_SECRET)]);
    from(&after, 1, &cookie, "ada", PASSWORD).await.expect(429);
    let again = kept(&from(&after, 2, &renewed, "ada", PASSWORD).await.expect(200));
    assert_eq!(again, renewed, "one browser under two keys");
}

#[tokio::test]
async fn it_is_a_stranger_after_a_year_and_once_the_password_has_changed() {
    let world = World::new();
    world.register("ada", None).await;
    world.register("eve", None).await;
    let cookie = kept(&attempt(&world, 0, "ada", PASSWORD).await.expect(200));
    let both = kept(&from(&world.isolate, 1, &cookie, "eve", PASSWORD).await.expect(200));
    let change = "UPDATE users SET password_version = password_version + 1 WHERE username = 'ada'";
    world.host.database.look(change, &[]).unwrap();
    for name in ["ada", "eve"] {
        fail(&world, name, 1..6).await;
    }
    from(&world.isolate, 2, &both, "ada", PASSWORD).await.expect(429);
    from(&world.isolate, 3, &both, "eve", PASSWORD).await.expect(200);
    // With the new password it is known again; until a year later.
    world.host.clock.advance(Duration::from_mins(30));
    let again = kept(&from(&world.isolate, 4, &both, "ada", PASSWORD).await.expect(200));
    for (later, status) in [(LIFETIME, 200), (Duration::from_secs(1), 429)] {
        world.host.clock.advance(later);
        fail(&world, "ada", 10..15).await;
        from(&world.isolate, 5, &again, "ada", PASSWORD).await.expect(status);
        world.host.database.look("DELETE FROM sign_in_locks", &[]).unwrap();
    }
}
