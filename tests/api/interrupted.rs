//! Questions that are broken off, or take long: whoever comes after is not misled, and does not wait for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use edgewarden::{
    app::App,
    domain::revocation::{
        Entry, Revoked, Versions,
        feed::{Answer, Change, Cursor, Meta},
    },
    gateway::{Verdict, head::Head},
    native::{Host, YieldingTimer, switchboard::Plan},
    ports::{Clock, Database, DatabaseError, Revocations, Rows, Statement, Timer, Unavailable},
    stores::feed::{Disk, Keeper, Loaded},
};
use futures_util::FutureExt;

use crate::harness::{World, demo_origin};

/// A timer that takes its time.
pub struct Waiting(pub Host);

#[async_trait]
impl Timer for Waiting {
    async fn pause(&self, duration: Duration) {
        self.0.clock.advance(duration);
        YieldingTimer.pause(duration).await;
    }
}

/// A feed that can be told never to answer.
struct Hanging {
    host: Host,
    hangs: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait]
impl Revocations for Hanging {
    async fn push(&self, entries: &[Entry], versions: Option<Versions>) -> Result<(), Unavailable> {
        self.host.feed.push(entries, versions).await
    }

    async fn since(&self, cursor: Option<&Cursor>) -> Result<Answer, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.host.feed.since(cursor).await
    }
}

/// An isolate over a feed that may hang.
fn isolate(world: &World) -> (Arc<App>, Arc<Hanging>) {
    let known = &world.isolate.app;
    let (config, mut ports) = (known.config.clone(), known.ports.clone());
    let feed =
        Arc::new(Hanging { host: world.host.clone(), hangs: AtomicBool::new(false), asked: AtomicUsize::new(0) });
    ports.revocations = feed.clone();
    ports.timer = Arc::new(Waiting(world.host.clone()));
    let app = App::new(config, &demo_origin, ports).unwrap();
    (Arc::new(app), feed)
}

pub async fn ask(app: &App, path: &str, token: &str) -> u16 {
    let text = format!("GET\nhttps://auth.example.com{path}\nauthorization\nBearer {token}");
    match app.resolve(&Head::parse(&text).unwrap(), app.ports.new_request_id()).await {
        Verdict::Refuse(error, _) => error.status_code().as_u16(),
        Verdict::Forward(_) => 200,
        other => panic!("{other:?}"),
    }
}

/// A client goes away while its request asks the feed, and the next one comes with a token that was revoked: nobody
/// believes an old copy in KV because of that.
#[tokio::test]
async fn who_breaks_off_a_question_does_not_make_others_believe_an_old_copy() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    let (app, feed) = isolate(&world);
    app.bundle().await.unwrap();
    world.host.clock.advance(Duration::from_secs(11));
    // What KV said of both when they were good, it says for two minutes.
    world.host.blacklist.be_stale(Duration::from_mins(2));
    world.host.switchboard.set(Plan::WithoutAll(&["feed", "database"]));
    for user in [&ada, &bob] {
        assert_eq!(ask(&app, "/demo/private/x", &user.access).await, 200);
    }
    world.host.switchboard.set(Plan::Healthy);
    world.host.clock.advance(Duration::from_secs(30));
    world.isolate.logout(&ada.access).await.expect(200);
    feed.hangs.store(true, Ordering::SeqCst);
    assert!(ask(&app, "/demo/private/x", &bob.access).now_or_never().is_none(), "it asks, and is broken off");
    feed.hangs.store(false, Ordering::SeqCst);
    assert_eq!(ask(&app, "/demo/private/x", &ada.access).await, 401);
    assert_eq!(ask(&app, "/demo/private/x", &bob.access).await, 200);
    assert_eq!(world.host.switchboard.count("kv"), 2, "what the logout wrote");
}

/// Whoever waits for a question that was broken off waits for some seconds, and then one of them asks.
#[tokio::test]
async fn of_many_who_wait_for_a_question_that_was_broken_off_one_takes_over() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (app, feed) = isolate(&world);
    assert_eq!(ask(&app, "/demo/private/x", &ada.access).await, 200);
    world.host.clock.advance(Duration::from_secs(30));
    feed.hangs.store(true, Ordering::SeqCst);
    assert!(ask(&app, "/demo/private/x", &ada.access).now_or_never().is_none());
    feed.hangs.store(false, Ordering::SeqCst);
    let before = feed.asked.load(Ordering::SeqCst);
    let local = tokio::task::LocalSet::new();
    let spawn = |_| {
        let (app, token) = (app.clone(), ada.access.clone());
        local.spawn_local(async move { ask(&app, "/demo/private/x", &token).await })
    };
    let asked: Vec<_> = (0..20).map(spawn).collect();
    local.await;
    for each in asked {
        assert_eq!(each.await.unwrap(), 200);
    }
    assert_eq!(feed.asked.load(Ordering::SeqCst) - before, 1);
}

/// However many questions are broken off one after the other: the first of them is what the others wait for.
#[tokio::test]
async fn who_breaks_off_one_question_after_another_does_not_put_off_who_takes_over() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    let (app, feed) = isolate(&world);
    assert_eq!(ask(&app, "/demo/private/x", &ada.access).await, 200);
    world.host.clock.advance(Duration::from_secs(30));
    feed.hangs.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(ask(&app, "/demo/strict/x", &ada.access).now_or_never().is_none());
        world.host.clock.advance(Duration::from_millis(1700));
    }
    feed.hangs.store(false, Ordering::SeqCst);
    let before = world.host.clock.now();
    assert_eq!(ask(&app, "/demo/private/x", &ada.access).await, 200);
    assert_eq!(world.host.clock.now(), before, "it waited for nobody");
}

/// A database that answers nothing, until it is let.
struct Stalled(AtomicBool, Host);

#[async_trait]
impl Database for Stalled {
    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DatabaseError> {
        if self.0.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.1.database.batch(statements).await
    }
}

/// What an object keeps, which can refuse to write.
#[derive(Default)]
struct Memory(std::sync::Mutex<Option<Loaded>>, AtomicBool);

impl Disk for &Memory {
    type Error = String;
    fn load(&self) -> Result<Option<Loaded>, String> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn save(&self, meta: &Meta, change: &Change) -> Result<(), String> {
        if self.1.load(Ordering::SeqCst) {
            return Err("full".to_owned());
        }
        let mut kept = self.0.lock().unwrap();
        let mut entries = kept.take().map(|(_, entries)| entries).unwrap_or_default();
        entries.extend(change.added.iter().cloned());
        *kept = Some((meta.clone(), entries));
        Ok(())
    }
}

fn entry(world: &World) -> Entry {
    let now = world.host.clock.now();
    let what = Revoked::Token(world.isolate.app.ports.new_token_id());
    Entry { what, user: None, at: now, until: now.plus(Duration::from_hours(1)) }
}

/// The record hangs: what was pushed is told all the same, and the record is asked by one at a time.
#[tokio::test]
async fn a_feed_whose_record_hangs_tells_what_it_was_told() {
    let world = World::new();
    let (memory, record) = (Memory::default(), Stalled(AtomicBool::new(false), world.host.clone()));
    let keeper = Keeper::new(&memory, "feed".to_owned());
    let now = || world.host.clock.now();
    keeper.since(None, &record, &YieldingTimer, now()).await.unwrap();
    record.0.store(true, Ordering::SeqCst);
    world.host.clock.advance(Duration::from_mins(1));
    let entry = entry(&world);
    keeper.push(vec![entry.clone()], None, now()).unwrap();
    let told = keeper.since(None, &record, &YieldingTimer, now()).await.unwrap();
    assert_eq!(told.entries, std::slice::from_ref(&entry));
    // Somebody pulls beside an answer: nobody waits for that.
    let beside = keeper.pull(&record, now());
    tokio::pin!(beside);
    assert!(beside.as_mut().now_or_never().is_none());
    assert!(!keeper.pull_is_due(now()));
    assert!(keeper.since(None, &record, &YieldingTimer, now()).now_or_never().is_some());
    // One that never read the record cannot tell anything, and says nothing.
    let fresh_memory = Memory::default();
    let fresh = Keeper::new(&fresh_memory, "other".to_owned());
    fresh.push(vec![entry], None, now()).unwrap();
    assert!(fresh.since(None, &record, &YieldingTimer, now()).now_or_never().is_none());
    record.0.store(false, Ordering::SeqCst);
    assert_eq!(fresh.since(None, &record, &YieldingTimer, now()).await.unwrap().entries.len(), 1);
}

/// What could not be written is not told either: whoever pushed it was told that it failed.
#[tokio::test]
async fn a_feed_that_cannot_write_says_so_and_remembers_nothing_of_it() {
    let world = World::new();
    let memory = Memory::default();
    let keeper = Keeper::new(&memory, "feed".to_owned());
    let (record, now) = (world.host.database.as_ref(), world.host.clock.now());
    let first = entry(&world);
    keeper.push(vec![first.clone()], None, now).unwrap();
    memory.1.store(true, Ordering::SeqCst);
    assert!(keeper.push(vec![entry(&world)], None, now).is_err());
    memory.1.store(false, Ordering::SeqCst);
    assert_eq!(keeper.since(None, record, &YieldingTimer, now).await.unwrap().entries, [first]);
}
