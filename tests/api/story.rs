//! Random stories over three isolates, with things failing and coming back: no token is accepted later than the bound
//! after its end was said to be done, none on a strict route or where it was done after that, and no good token is ever
//! called a bad one.

use std::{cell::Cell, time::Duration};

use edgewarden::{
    domain::time::Timestamp,
    native::switchboard::Plan,
    ports::{Clock, Value as Sql},
};
use proptest::{prelude::*, test_runner::Config};
use serde_json::json;

use crate::{
    common::forge::claims_of,
    harness::{Isolate, SignedIn, World},
};

const ISOLATES: usize = 3;
const USERS: usize = 3;
const BOUND: Duration = Duration::from_secs(10);
/// What was not pushed is pulled by the feed this much later at most.
const PULL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Time passes, in milliseconds.
    Wait(u64),
    /// Someone signs in again.
    SignIn(usize, usize),
    /// A session's newest token is exchanged.
    Refresh(usize, usize),
    /// A token is shown on a bounded route, or on a strict one.
    Show(usize, usize, bool),
    /// A session is ended by one of its tokens.
    Logout(usize, usize),
    /// All sessions of its user are.
    LogoutAll(usize, usize),
    /// An operator grants a role on the record, around the Worker: the user's tokens are of an old version.
    Grant(usize),
    /// The isolate asks for what has aged.
    Look(usize),
    /// Something is down from now on.
    Fail(&'static [&'static str]),
    /// The feed is evicted, or loses all.
    Evict(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let isolate = || 0..ISOLATES;
    let faults: Vec<&'static [&'static str]> = vec![
        &[],
        &[],
        &[],
        &["feed"],
        &["database"],
        &["kv"],
        &["feed", "kv"],
        &["feed", "database"],
        &["database", "kv"],
    ];
    prop_oneof![
        8 => prop_oneof![0_u64..1000, 0_u64..12_000, 0_u64..90_000].prop_map(Event::Wait),
        3 => (isolate(), 0..USERS).prop_map(|(isolate, user)| Event::SignIn(isolate, user)),
        2 => (isolate(), any::<usize>()).prop_map(|(isolate, token)| Event::Refresh(isolate, token)),
        16 => (isolate(), any::<usize>(), prop::bool::weighted(0.3)).prop_map(|(i, token, strict)| Event::Show(i, token, strict)),
        3 => (isolate(), any::<usize>()).prop_map(|(isolate, token)| Event::Logout(isolate, token)),
        1 => (isolate(), any::<usize>()).prop_map(|(isolate, token)| Event::LogoutAll(isolate, token)),
        1 => (0..USERS).prop_map(Event::Grant),
        2 => isolate().prop_map(Event::Look),
        3 => prop::sample::select(faults).prop_map(Event::Fail),
        1 => prop::bool::weighted(0.3).prop_map(Event::Evict),
    ]
}

/// How far a token's end has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Nobody wanted it.
    None,
    /// Somebody did, and it is not known to be done.
    Wanted,
    /// It was said to be done at that time, there; or it was done around the Worker, nowhere.
    Done(Timestamp, Option<usize>),
}

struct Token {
    held: SignedIn,
    user: usize,
    version: i64,
    made_at: Timestamp,
    until: Timestamp,
    end: End,
}

struct Story {
    world: World,
    isolates: Vec<Isolate>,
    tokens: Vec<Token>,
    down: &'static [&'static str],
    /// Until when isolates may rely on what KV alone said.
    deaf_until: Option<Timestamp>,
    failures: usize,
    sign_ins: usize,
    late: usize,
}

impl Story {
    async fn begin() -> Self {
        let world = World::new();
        for user in 0..USERS {
            world.register(&format!("user-{user}"), None).await;
        }
        let isolates = (0..ISOLATES).map(|_| world.another_isolate()).collect();
        Self { world, isolates, tokens: Vec::new(), down: &[], deaf_until: None, failures: 0, sign_ins: 0, late: 0 }
    }

    fn now(&self) -> Timestamp {
        self.world.host.clock.now()
    }

    fn keep(&mut self, held: SignedIn, user: usize) {
        let claims = claims_of(&held.access);
        let until = Timestamp::from_secs(claims["exp"].as_i64().unwrap());
        let version = claims["ver"].as_i64().unwrap();
        self.tokens.push(Token { held, user, version, made_at: self.now(), until, end: End::None });
    }

    /// Notes whether KV alone can be asked; isolates go on like that for a while.
    fn only_kv(&mut self) {
        if ["feed", "database"].iter().all(|port| self.down.contains(port)) {
            self.deaf_until = Some(self.now().plus(BOUND + BOUND));
        }
    }

    fn index(&self, token: usize) -> Option<usize> {
        (!self.tokens.is_empty()).then(|| token % self.tokens.len())
    }

    /// Notes what became of an attempt to end tokens; what was done before stays done when it was.
    fn ended(&mut self, which: impl Fn(&Token) -> bool, status: u16, isolate: usize) {
        let now = self.now();
        let end = if status == 200 { End::Done(now, Some(isolate)) } else { End::Wanted };
        for token in self.tokens.iter_mut().filter(|token| which(token)) {
            if !matches!(token.end, End::Done(..)) {
                token.end = end;
            }
        }
    }

    async fn tell(&mut self, event: Event) {
        match event {
            Event::Wait(millis) => self.world.host.clock.advance(Duration::from_millis(millis)),
            Event::SignIn(isolate, user) => {
                // Nobody here runs into limits by address.
                self.sign_ins += 1;
                let ip = format!("2001:db8:0:{:x}::1", self.sign_ins);
                let isolate = &self.isolates[isolate];
                let name = format!("user-{user}");
                let answer = isolate.try_sign_in(&ip, &name, crate::harness::PASSWORD).await;
                if answer.status == 200 {
                    self.keep(SignedIn::from(&answer), user);
                } else {
                    // Tries that broke off count for a while.
                    assert!([503, 429].contains(&answer.status) && self.failures > 0, "{answer:?}");
                }
            }
            Event::Refresh(isolate, token) => {
                let Some(index) = self.index(token) else { return };
                let (refresh, user) = (self.tokens[index].held.refresh.clone(), self.tokens[index].user);
                let answer = self.isolates[isolate].refresh(&refresh).await;
                if answer.status == 200 {
                    assert!(
                        !matches!(self.tokens[index].end, End::Done(_, Some(_))),
                        "renewed after its end: {answer:?}"
                    );
                    self.keep(SignedIn::from(&answer), user);
                } else if answer.body["detail"].to_string().contains("reuse") {
                    let session = self.tokens[index].held.session.clone();
                    self.ended(|token| token.held.session == session, 0, isolate);
                }
            }
            Event::Show(isolate, token, strict) => self.show(isolate, token, strict).await,
            Event::Logout(isolate, token) => {
                let Some(index) = self.index(token) else { return };
                let (access, session) =
                    (self.tokens[index].held.access.clone(), self.tokens[index].held.session.clone());
                let status = self.isolates[isolate].logout(&access).await.status;
                if [200, 503].contains(&status) {
                    self.ended(|token| token.held.session == session, status, isolate);
                }
            }
            Event::LogoutAll(isolate, token) => {
                let Some(index) = self.index(token) else { return };
                let Token { held, user, version, .. } = &self.tokens[index];
                let (access, user) = (held.access.clone(), *user);
                // Said again, it is about what was ended then, not about what came after.
                let sql = "SELECT 1 AS stands FROM sessions WHERE id = ?1 AND ended_at IS NULL";
                let stands = self.world.host.database.look(sql, &[held.session.as_str().into()]).unwrap();
                let version = if stands.0.is_empty() { *version } else { i64::MAX };
                let all = self.isolates[isolate].post_as(&access, "/api/v1/auth/logout-all", &json!({})).await;
                if [200, 503].contains(&all.status) {
                    self.ended(|token| token.user == user && token.version <= version, all.status, isolate);
                }
            }
            Event::Grant(user) => {
                let params: [Sql; 2] = [format!("user-{user}").into(), self.now().millis().into()];
                for sql in [
                    "INSERT INTO revocations (kind, value, user_id, created_at, until)
                     SELECT 'user', id || ':' || (token_version + 1), id, ?2, ?2 + 3605000 FROM users WHERE username = ?1",
                    "UPDATE users SET token_version = token_version + 1, updated_at = ?2 WHERE username = ?1",
                ] {
                    self.world.host.database.look(sql, &params).unwrap();
                }
                let now = self.now();
                for token in self.tokens.iter_mut().filter(|token| token.user == user) {
                    if !matches!(token.end, End::Done(..)) {
                        token.end = End::Done(now, None);
                    }
                }
            }
            Event::Look(isolate) => {
                if self.isolates[isolate].app.refresh_is_due() {
                    self.isolates[isolate].app.refresh().await;
                }
            }
            Event::Fail(down) => {
                self.only_kv();
                self.down = down;
                self.failures += usize::from(!down.is_empty());
                self.world.host.switchboard.set(Plan::WithoutAll(down));
            }
            Event::Evict(loses) if loses => self.world.host.feed.lose(),
            Event::Evict(_) => self.world.host.feed.evict(),
        }
    }

    async fn show(&mut self, isolate: usize, token: usize, strict: bool) {
        let Some(index) = self.index(token) else { return };
        let path = if strict { "/demo/strict/x" } else { "/demo/private/x" };
        self.only_kv();
        let (at, access) = (self.now(), self.tokens[index].held.access.clone());
        let answer = self.isolates[isolate].proxy_get(path, Some(&access)).await;
        let Token { until, end, made_at, .. } = &self.tokens[index];
        let is_over = at >= *until;
        // Who can ask nobody but KV does not hear of what was done around the Worker.
        let deaf = self.deaf_until.is_some_and(|until| at < until);
        match (answer.status, *end) {
            (200, End::Done(done, place)) => {
                let grace = match place {
                    // Where it was done, and wherever it is asked for, it is known by the next request.
                    Some(place) if strict || place == isolate => Duration::ZERO,
                    Some(_) => BOUND,
                    // The record was changed around the Worker: the feed hears of it when it next asks.
                    None if strict => PULL,
                    None => PULL + BOUND,
                };
                let late = at.since(done);
                self.late += usize::from(late > Duration::ZERO);
                assert!(
                    late < grace || (place.is_none() && (late == Duration::ZERO || deaf)),
                    "{late:?} after its end: {answer:?}"
                );
            }
            (401, End::None) => assert!(is_over, "made {made_at:?}, good until {until:?}, shown {at:?}: {answer:?}"),
            // With all stores up from the beginning, nothing is refused for want of an answer.
            (503, _) => assert!(self.failures > 0, "{answer:?}"),
            (200 | 401, _) => {}
            other => panic!("{other:?} {answer:?}"),
        }
    }
}

/// Tells so many random stories, each from its beginning, and adds up what `story` says of each.
pub fn tell_stories<E: Clone + std::fmt::Debug>(
    cases: u32,
    event: impl Strategy<Value = E>,
    story: impl AsyncFn(Vec<E>) -> usize,
) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let total = Cell::new(0);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let told = |events| {
        total.set(total.get() + runtime.block_on(story(events)));
        Ok(())
    };
    proptest::test_runner::TestRunner::new(config).run(&prop::collection::vec(event, 60..160), told).unwrap();
    total.get()
}

#[test]
fn no_token_outlives_its_end_by_more_than_the_bound() {
    let late = tell_stories(150, event(), async |events| {
        let mut story = Story::begin().await;
        for event in events {
            story.tell(event).await;
        }
        story.late
    });
    assert!(late > 20, "only {late} tokens were accepted within the bound after their end");
}
