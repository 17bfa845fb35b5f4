//! The feed: what is revoked on one isolate is refused on every other within the bound, and most requests ask nobody.

use std::time::Duration;

use crate::harness::World;
use edgewarden::native::switchboard::Plan;

const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_logout_is_known_elsewhere_within_the_bound_and_at_once_on_a_strict_route() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let other = world.warm_isolate(&[&ada, &bob]).await;
    world.isolate.logout(&ada.access).await.expect(200);
    other.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(401);
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);

    world.host.clock.advance(Duration::from_secs(5));
    other.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
    world.isolate.logout(&bob.access).await.expect(200);
    world.host.clock.advance(Duration::from_millis(9999));
    let mut last = 200;
    for _ in 0..2 {
        last = other.proxy_get("/demo/private/x", Some(&bob.access)).await.status;
    }
    assert_eq!(last, 401, "an ageing view is asked for beside the first of two answers");
    // An isolate that was idle asks first.
    let (idle, eve) = (world.another_isolate(), world.user("eve", None).await);
    idle.proxy_get("/demo/private/x", Some(&eve.access)).await.expect(200);
    world.isolate.logout(&eve.access).await.expect(200);
    world.host.clock.advance(BOUND);
    assert!(!idle.proxy_get("/demo/private/x", Some(&eve.access)).await.expect(401).warm);
}

#[tokio::test]
async fn requests_in_between_ask_nobody_but_the_feed_and_that_once_in_five_seconds() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let other = world.warm_isolate(&[&ada]).await;
    world.host.switchboard.set(Plan::Healthy);
    let (seconds, each) = (120, 4);
    let mut signed = 0;
    for _ in 0..seconds * each {
        world.host.clock.advance(Duration::from_millis(1000 / each));
        signed += u32::from(!other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200).warm);
    }
    assert_eq!(signed, 2, "an assertion is handed on for 45 seconds");
    let board = &world.host.switchboard;
    assert_eq!((board.count("database"), board.count("kv"), board.count("limiter")), (0, 0, 0));
    let calls = u64::try_from(board.count("feed")).unwrap();
    assert!((seconds / 6..=seconds / 5).contains(&calls), "{calls} calls in {seconds} s");
    assert_eq!(board.count("feed's database"), board.count("feed"), "which asks the record as often at most");
}

#[tokio::test]
async fn of_two_hundred_that_come_at_once_to_an_old_view_one_asks() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let other = world.warm_isolate(&[&ada]).await;
    world.host.clock.advance(BOUND);
    world.host.switchboard.set(Plan::Healthy);
    let local = tokio::task::LocalSet::new();
    let ask = |_| {
        let (other, token) = (other.clone(), ada.access.clone());
        local.spawn_local(async move { other.proxy_get("/demo/private/x", Some(&token)).await.status })
    };
    let asked: Vec<_> = (0..200).map(ask).collect();
    local.await;
    for each in asked {
        assert_eq!(each.await.unwrap(), 200);
    }
    assert_eq!(world.host.switchboard.calls(), ["feed", "feed's database"]);
}

#[tokio::test]
async fn revocation_strict_makes_every_route_ask() {
    let world = World::with(&[("REVOCATION", "strict")]);
    let ada = world.user("ada", None).await;
    let other = world.warm_isolate(&[&ada]).await;
    world.host.switchboard.set(Plan::Healthy);
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
    assert_eq!(world.host.switchboard.calls(), ["feed"]);
    world.isolate.logout(&ada.access).await.expect(200);
    other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
}

/// The change is recorded; the Worker ends before it can tell anyone.
#[tokio::test]
async fn a_revocation_that_nobody_was_told_of_comes_from_the_record() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let other = world.warm_isolate(&[&ada]).await;
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "kv"]));
    world.isolate.logout(&ada.access).await.expect(503);
    world.host.switchboard.set(Plan::Healthy);
    let mut refused_after = None;
    for second in 1..=30 {
        world.host.clock.advance(Duration::from_secs(1));
        if other.proxy_get("/demo/private/x", Some(&ada.access)).await.status == 401 {
            refused_after = Some(second);
            break;
        }
    }
    // The feed asks the record when it was not asked for five seconds; the isolate hears it the time after.
    assert!(refused_after.is_some_and(|seconds| seconds <= 15), "{refused_after:?}");
}

/// KV failed, the feed did not: everyone knows within the bound, and the client is told to try again.
#[tokio::test]
async fn a_revocation_that_only_kv_lacks_is_in_force_and_heals() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let other = world.warm_isolate(&[&ada]).await;
    world.host.switchboard.set(Plan::Without("kv"));
    world.isolate.logout(&ada.access).await.expect(503);
    other.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(401);
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.logout(&ada.access).await.expect(200);
    assert_eq!(world.blacklisted().len(), 2);
}

#[tokio::test]
async fn a_feed_that_is_evicted_or_loses_everything_goes_on() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let other = world.warm_isolate(&[&ada, &bob]).await;
    world.isolate.logout(&ada.access).await.expect(200);
    world.host.feed.evict();
    other.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(401);
    world.isolate.logout(&bob.access).await.expect(200);
    world.host.feed.lose();
    for isolate in [&other, &world.another_isolate()] {
        for user in [&ada, &bob] {
            isolate.proxy_get("/demo/strict/x", Some(&user.access)).await.expect(401);
        }
    }
    // One that has lost everything and cannot read the record tells nobody that nothing was revoked.
    let eve = world.user("eve", None).await;
    world.isolate.logout(&eve.access).await.expect(200);
    world.host.feed.lose();
    world.host.switchboard.set(Plan::Without("feed's database"));
    world.another_isolate().proxy_get("/demo/strict/x", Some(&eve.access)).await.expect(401);
    assert_eq!(world.host.switchboard.count("database"), 1, "the record was asked instead");
    world.host.switchboard.set(Plan::WithoutAll(&["feed's database", "database"]));
    world.another_isolate().proxy_get("/demo/strict/x", Some(&eve.access)).await.expect(503);
}

#[tokio::test]
async fn what_is_over_is_forgotten_everywhere() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.logout(&ada.access).await.expect(200);
    let other = world.another_isolate();
    other.app.refresh().await;
    assert_eq!(other.app.knowledge().view.len(), 2);
    world.host.clock.advance(Duration::from_secs(3666));
    world.host.feed.alarm();
    other.app.refresh().await;
    assert_eq!(other.app.knowledge().view.len(), 0);
}

/// Feed and record are down. KV shows what was so two minutes ago, to those who asked before, present and absent alike:
/// what that lets pass is told in the docs, and it is never more than that.
#[tokio::test]
async fn stale_kv_matters_only_where_nobody_else_can_be_asked_and_only_for_as_long_as_it_is_stale() {
    let stale = Duration::from_mins(2);
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let other = world.warm_isolate(&[&ada]).await;
    world.host.clock.advance(Duration::from_secs(11));
    world.host.blacklist.be_stale(stale);
    let both = Plan::WithoutAll(&["feed", "database"]);
    // It is asked of both while both are good; that answer is what it will tell for two minutes.
    world.host.switchboard.set(both);
    for user in [&ada, &bob] {
        other.proxy_get("/demo/private/x", Some(&user.access)).await.expect(200);
    }
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.logout(&ada.access).await.expect(200);
    // Whoever can ask the feed or the record does not care what KV says.
    for down in [&[] as &[&str], &["feed"], &["database"]] {
        world.host.switchboard.set(Plan::WithoutAll(down));
        world.another_isolate().proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(401);
        world.another_isolate().proxy_get("/demo/private/x", Some(&ada.access)).await.expect(401);
    }
    world.host.switchboard.set(both);
    let isolated = world.another_isolate();
    let mut accepted = Duration::ZERO;
    while isolated.proxy_get("/demo/private/x", Some(&ada.access)).await.status == 200 {
        world.host.clock.advance(Duration::from_secs(5));
        accepted += Duration::from_secs(5);
        assert!(accepted <= stale + BOUND, "{accepted:?}");
        isolated.proxy_get("/demo/strict/x", Some(&ada.access)).await.expect(503);
    }
    isolated.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
    // Positive staleness: an entry that is over in KV still shows there, and refuses nobody whose token is good.
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_the_bound_is_still_an_answer() {
    let world = World::with(&[("REVOCATION_BOUND", "1s")]);
    let ada = world.user("ada", None).await;
    world.host.feed.be_slow(Duration::from_secs(3));
    let other = world.another_isolate();
    for calls in 1..4 {
        world.host.switchboard.set(Plan::Healthy);
        other.proxy_get("/demo/private/x", Some(&ada.access)).await.expect(200);
        assert_eq!(world.host.switchboard.count("feed"), 1, "{calls}: asked once, for this request");
    }
}
