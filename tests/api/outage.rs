//! What is down, and what goes on without it. Nothing is ever allowed because nobody could be asked.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;

use crate::harness::{Isolate, SignedIn, World};

const ROUTES: [&str; 3] = ["/demo/private/x", "/demo/strict/x", "/demo/limited/x"];

/// A warm isolate whose view is too old to be used, in a world where someone else has signed out.
async fn aged() -> (World, Isolate, SignedIn, SignedIn) {
    let world = World::new();
    let (ada, gone) = (world.user("ada", None).await, world.user("gone", None).await);
    let isolate = world.warm_isolate(&[&ada, &gone]).await;
    world.isolate.logout(&gone.access).await.expect(200);
    world.host.clock.advance(Duration::from_secs(11));
    (world, isolate, ada, gone)
}

#[tokio::test]
async fn every_outage_is_survived_by_whom_it_can_be_and_lets_nobody_in() {
    // What is down, and the status of a good token on a bounded, a strict and a limited route, warm and fresh.
    let table: [(&[&str], [u16; 3], [u16; 3]); 11] = [
        (&[], [200; 3], [200; 3]),
        (&["feed"], [200; 3], [200; 3]),
        (&["database"], [200; 3], [200; 3]),
        (&["kv"], [200; 3], [200; 3]),
        (&["limiter"], [200, 200, 503], [200, 200, 503]),
        (&["feed's database"], [200; 3], [200; 3]),
        (&["feed", "kv"], [200; 3], [200; 3]),
        (&["feed", "database"], [200, 503, 200], [200, 503, 200]),
        // What a fresh isolate must read is in KV or in the record.
        (&["database", "kv"], [200; 3], [503; 3]),
        (&["feed", "database", "kv"], [503; 3], [503; 3]),
        (&["feed", "database", "kv", "limiter", "feed's database"], [503; 3], [503; 3]),
    ];
    for (down, warm, fresh) in table {
        for (number, route) in ROUTES.into_iter().enumerate() {
            let (world, isolate, ada, gone) = aged().await;
            let isolates = [(isolate, warm[number]), (world.another_isolate(), fresh[number])];
            for (isolate, status) in isolates {
                world.host.switchboard.set(Plan::WithoutAll(down));
                for _ in 0..3 {
                    let answer = isolate.proxy_get(route, Some(&ada.access)).await;
                    assert_eq!(answer.status, status, "{down:?} {route}: {answer:?}");
                    let refused = isolate.proxy_get(route, Some(&gone.access)).await.status;
                    assert!(refused == 401 || (refused == 503 && status == 503), "{down:?} {route}: {refused}");
                }
                world.host.switchboard.set(Plan::Healthy);
                world.host.clock.advance(Duration::from_secs(10));
                isolate.proxy_get(route, Some(&ada.access)).await.expect(200);
                isolate.proxy_get(route, Some(&gone.access)).await.expect(401);
            }
        }
    }
}

#[tokio::test]
async fn each_call_that_fails_alone_lets_nobody_in() {
    for route in ROUTES.into_iter().chain(["/demo/optional/x", "/demo/private/x"]) {
        let calls = {
            let (world, _, ada, _) = aged().await;
            let fresh = world.another_isolate();
            world.host.switchboard.set(Plan::Healthy);
            fresh.proxy_get(route, Some(&ada.access)).await.expect(200);
            world.host.switchboard.calls().len()
        };
        for call in 0..calls {
            for plan in [Plan::DownFrom(call), Plan::LoseOnce(call), Plan::LoseThenDown(call)] {
                let (world, _, ada, gone) = aged().await;
                for (token, wanted) in [(&ada.access, [200, 503]), (&gone.access, [401, 503])] {
                    let fresh = world.another_isolate();
                    world.host.switchboard.set(plan);
                    let answer = fresh.proxy_get(route, Some(token)).await;
                    assert!(wanted.contains(&answer.status), "{route} {plan:?}: {answer:?}");
                    world.host.switchboard.set(Plan::Healthy);
                    // What could not be read is asked for again after a second.
                    world.host.clock.advance(Duration::from_secs(1));
                    fresh.proxy_get(route, Some(token)).await.expect(wanted[0]);
                }
            }
        }
    }
}

/// Nobody is waited for twice: where feed and record are down, each request costs one look into KV, and one request in
/// two seconds tries the others again, beside its answer.
#[tokio::test]
async fn an_outage_is_not_made_worse_by_those_who_suffer_from_it() {
    let (world, isolate, ada, _) = aged().await;
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "database"]));
    for _ in 0..50 {
        isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    }
    let board = &world.host.switchboard;
    // One question, put to the feed and twice to the record; KV once within the bound.
    assert_eq!((board.count("feed"), board.count("database"), board.count("kv")), (1, 2, 1));
    for _ in 0..20 {
        world.host.clock.advance(Duration::from_millis(500));
        isolate.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    }
    let tries = board.count("database") / 2;
    assert!((2..=6).contains(&tries), "{tries} in ten seconds");
    assert!(board.count("feed") <= 4, "a feed that failed is left alone for a while");
    // A strict route asks, but not while the last answer was a failure a moment ago.
    let before = board.count("database");
    for _ in 0..50 {
        isolate.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(503);
    }
    assert!(board.count("database") - before <= 2);
}

#[tokio::test]
async fn an_hour_without_the_feed_changes_nothing_for_anyone() {
    let world = World::new();
    let other = world.another_isolate();
    let mut users = Vec::new();
    for number in 0..6 {
        users.push(world.user(&format!("user-{number}"), None).await);
    }
    world.host.switchboard.set(Plan::Without("feed"));
    for (number, user) in users.iter_mut().enumerate() {
        world.host.clock.advance(Duration::from_mins(10));
        let renewed = world.isolate.refresh(&user.refresh).await.expect(200);
        renewed.text("/access_token").clone_into(&mut user.access);
        other.proxy_get("/demo/private/x", Some(&user.access)).await.expect(200);
        if number % 2 == 0 {
            // It is recorded, and not said to be done.
            world.isolate.logout(&user.access).await.expect(503);
            other.proxy_get("/demo/strict/x", Some(&user.access)).await.expect(401);
        } else {
            world.host.clock.advance(Duration::from_secs(11));
            other.proxy_get("/demo/strict/x", Some(&user.access)).await.expect(200);
        }
        other.proxy_get("/demo/private/x", Some(&user.access)).await.expect(if number % 2 == 0 { 401 } else { 200 });
    }
    // It comes back, and has heard of nothing: it pulls what it missed.
    world.host.switchboard.set(Plan::Healthy);
    let last = &users[4];
    let fresh = world.another_isolate();
    world.hear(&fresh).await;
    fresh.proxy_get("/demo/private/x", Some(&last.access)).await.expect(401);
    world.isolate.logout(&last.access).await.expect(200);
}
