//! Random stories of browsers over three isolates, with things failing and coming back: no session is let in later than the
//! bound after its end was said to be done, none on a strict route or where it was done after that; roles count as they
//! are within the bound; and no good session is ever turned away as a bad one.

use std::time::Duration;

use edgewarden::{
    domain::time::Timestamp,
    native::switchboard::Plan,
    ports::{Clock, Value as Sql},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    harness::{Isolate, PASSWORD, URL, World},
    story::tell_stories,
};

const ISOLATES: usize = 3;
const USERS: usize = 2;
const BOUND: Duration = Duration::from_secs(10);
/// What was not pushed is pulled by the feed this much later at most.
const PULL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Time passes, in milliseconds.
    Wait(u64),
    /// Someone signs in.
    LogIn(usize, usize),
    /// A session is used on a bounded route, or on a strict one.
    Browse(usize, usize, bool),
    /// A session signs out, or out everywhere.
    Leave(usize, usize, bool),
    /// A session ends another, or all others.
    End(usize, usize, Option<usize>),
    /// An operator gives a role or takes it away, on the record.
    Turn(usize),
    /// Something is down from now on.
    Fail(&'static [&'static str]),
    /// The feed is evicted, or loses all.
    Evict(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let isolate = || 0..ISOLATES;
    let faults: Vec<&'static [&'static str]> =
        vec![&[], &[], &[], &["feed"], &["database"], &["kv"], &["feed", "kv"], &["database", "kv"]];
    prop_oneof![
        8 => prop_oneof![6 => 0_u64..1000, 6 => 0_u64..9_000, 2 => 0_u64..90_000, 1 => 0_u64..2_400_000].prop_map(Event::Wait),
        4 => (isolate(), 0..USERS).prop_map(|(isolate, user)| Event::LogIn(isolate, user)),
        18 => (isolate(), any::<usize>(), prop::bool::weighted(0.3)).prop_map(|(i, session, strict)| Event::Browse(i, session, strict)),
        3 => (isolate(), any::<usize>(), prop::bool::weighted(0.3)).prop_map(|(i, session, all)| Event::Leave(i, session, all)),
        2 => (isolate(), any::<usize>(), prop::option::of(any::<usize>())).prop_map(|(i, by, which)| Event::End(i, by, which)),
        2 => (0..USERS).prop_map(Event::Turn),
        3 => prop::sample::select(faults).prop_map(Event::Fail),
        1 => prop::bool::weighted(0.3).prop_map(Event::Evict),
    ]
}

/// How far a session's end has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Nobody wanted it.
    None,
    /// Somebody did, and it is not known to be done.
    Wanted,
    /// It was said to be done at that time, there.
    Done(Timestamp, usize),
}

struct Held {
    browser: Browser,
    user: usize,
    end: End,
}

struct Story {
    world: World,
    isolates: Vec<Isolate>,
    sessions: Vec<Held>,
    /// Which roles a user has, and since when.
    roles: [(bool, Timestamp); USERS],
    failures: usize,
    sign_ins: usize,
    late: usize,
}

impl Story {
    async fn begin() -> Self {
        let world = World::with(&[("SESSION_LIMIT", "100"), ("API_LIMIT", "10000")]);
        for user in 0..USERS {
            world.register(&format!("user-{user}"), None).await;
        }
        let isolates = (0..ISOLATES).map(|_| world.another_isolate()).collect();
        let roles = [(false, Timestamp::from_millis(0)); USERS];
        Self { world, isolates, sessions: Vec::new(), roles, failures: 0, sign_ins: 0, late: 0 }
    }

    fn now(&self) -> Timestamp {
        self.world.host.clock.now()
    }

    fn index(&self, session: usize) -> Option<usize> {
        (!self.sessions.is_empty()).then(|| session % self.sessions.len())
    }

    /// Notes what became of an attempt to end sessions; what was done before stays done when it was.
    fn ended(&mut self, which: impl Fn(usize, &Held) -> bool, status: u16, isolate: usize) {
        let now = self.now();
        let end = if [200, 204].contains(&status) { End::Done(now, isolate) } else { End::Wanted };
        for (index, held) in self.sessions.iter_mut().enumerate() {
            if which(index, held) && !matches!(held.end, End::Done(..)) {
                held.end = end;
            }
        }
    }

    async fn tell(&mut self, event: Event) {
        match event {
            Event::Wait(millis) => self.world.host.clock.advance(Duration::from_millis(millis)),
            Event::LogIn(isolate, user) => {
                self.sign_ins += 1;
                let ip = format!("2001:db8:0:{:x}::1", self.sign_ins);
                let body = json!({ "username": format!("user-{user}"), "password": PASSWORD });
                let answer = self.isolates[isolate].try_log_in(Some(URL), &ip, &body).await;
                if answer.status == 200 {
                    self.sessions.push(Held { browser: Browser::of(&answer), user, end: End::None });
                } else {
                    // Tries that broke off count for a while.
                    assert!([503, 429].contains(&answer.status) && self.failures > 0, "{answer:?}");
                }
            }
            Event::Browse(isolate, session, strict) => self.browse(isolate, session, strict).await,
            Event::Leave(isolate, session, all) => {
                let Some(index) = self.index(session) else { return };
                let Held { browser, user, .. } = &self.sessions[index];
                let (browser, user) = (browser.clone(), *user);
                let sql = "SELECT 1 AS stands FROM sessions WHERE id = ?1 AND ended_at IS NULL";
                let stands = self.world.host.database.look(sql, &[browser.session.as_str().into()]).unwrap();
                let path = if all { "/api/v1/auth/logout-all" } else { "/api/v1/auth/logout" };
                let status = self.isolates[isolate].browse(&browser, "POST", path, &Value::Null).await.status;
                // Said again, it is about what was ended then, not about what came after.
                let everything = all && !stands.0.is_empty();
                if [200, 503].contains(&status) {
                    self.ended(|other, held| other == index || everything && held.user == user, status, isolate);
                }
            }
            Event::End(isolate, by, which) => {
                let (Some(by), Some(which)) =
                    (self.index(by), which.map_or(Some(None), |one| self.index(one).map(Some)))
                else {
                    return;
                };
                let (browser, user) = (self.sessions[by].browser.clone(), self.sessions[by].user);
                let path = which.map_or_else(String::new, |one| format!("/{}", self.sessions[one].browser.session));
                let path = format!("/api/v1/auth/sessions{path}");
                let status = self.isolates[isolate].browse(&browser, "DELETE", &path, &Value::Null).await.status;
                if [204, 503].contains(&status) {
                    self.ended(
                        |other, held| {
                            which.map_or(other != by && held.user == user, |one| other == one && held.user == user)
                        },
                        status,
                        isolate,
                    );
                }
            }
            Event::Turn(user) => {
                let (has, _) = self.roles[user];
                let name: Sql = format!("user-{user}").into();
                let now: Sql = self.now().millis().into();
                let turn = if has {
                    "DELETE FROM user_roles WHERE role = 'moderator' AND user_id = (SELECT id FROM users WHERE username = ?1)"
                } else {
                    "INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'moderator', 0 FROM users WHERE username = ?1"
                };
                let database = &self.world.host.database;
                database.look(turn, std::slice::from_ref(&name)).unwrap();
                let version = "UPDATE users SET token_version = token_version + 1 WHERE username = ?1";
                database.look(version, std::slice::from_ref(&name)).unwrap();
                let tell = "INSERT INTO revocations (kind, value, user_id, created_at, until)
                            SELECT 'user', id || ':' || token_version, id, ?2, ?2 + 3665000 FROM users WHERE username = ?1";
                database.look(tell, &[name, now]).unwrap();
                self.roles[user] = (!has, self.now());
            }
            Event::Fail(down) => {
                self.failures += usize::from(!down.is_empty());
                self.world.host.switchboard.set(Plan::WithoutAll(down));
            }
            Event::Evict(loses) if loses => self.world.host.feed.lose(),
            Event::Evict(_) => self.world.host.feed.evict(),
        }
    }

    async fn browse(&mut self, isolate: usize, session: usize, strict: bool) {
        let Some(index) = self.index(session) else { return };
        let path = if strict { "/demo/strict/x" } else { "/demo/private/x" };
        let (at, browser) = (self.now(), self.sessions[index].browser.clone());
        let answer = self.isolates[isolate].browse_through(&browser, "GET", path, None).await;
        let Held { user, end, .. } = &self.sessions[index];
        match (answer.status, *end) {
            (200, End::Done(done, place)) => {
                // Where it was done, and wherever it is asked for, it is known by the next request.
                let grace = if strict || place == isolate { Duration::ZERO } else { BOUND };
                let late = at.since(done);
                self.late += usize::from(late > Duration::ZERO);
                assert!(late < grace, "{late:?} after its end: {answer:?}");
            }
            (401, End::None) => panic!("a good session was turned away at {at:?}: {answer:?}"),
            // With all stores up from the beginning, nothing is refused for want of an answer.
            (503, _) => assert!(self.failures > 0, "{answer:?}"),
            (200 | 401, _) => {}
            other => panic!("{other:?} {answer:?}"),
        }
        if answer.status == 200 {
            let (has, since) = self.roles[*user];
            // The record was changed around the Worker: the feed hears of it when it next asks.
            let known = at.since(since) >= if strict { PULL } else { PULL + BOUND };
            let shown = answer.sets("x-auth-roles").unwrap().contains("moderator");
            assert!(!known || shown == has, "{:?} after roles changed: {answer:?}", at.since(since));
        }
    }
}

#[test]
fn no_session_outlives_its_end_or_its_roles_by_more_than_the_bound() {
    let late = tell_stories(100, event(), async |events| {
        let mut story = Story::begin().await;
        for event in events {
            story.tell(event).await;
        }
        story.late
    });
    assert!(late > 5, "only {late} sessions were let in within the bound after their end");
}
