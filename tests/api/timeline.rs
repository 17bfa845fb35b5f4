//! The life of keys, over random days: a client that keeps the key set for its max-age never meets a
//! token whose key it cannot know, at any moment from the token's making to its end; no isolate does
//! either.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use edgewarden::{domain::audit::Origin, domain::time::Timestamp, ports::Clock};
use proptest::{prelude::*, test_runner::Config};
use serde_json::Value;

use crate::{
    common::forge::claims_of,
    harness::{Isolate, SignedIn, World},
    keys::{kid_of, rotate},
};

/// What may happen, and in which isolate.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Time passes, in seconds.
    Wait(u64),
    /// The cron runs.
    Cron(usize),
    /// Somebody gets a token.
    Issue(usize),
    /// Somebody reads the key set.
    Fetch(usize),
    /// A token is shown.
    Show(usize, usize),
    /// Some other request comes.
    Touch(usize),
    /// An admin wants a new key.
    Rotate(usize),
}

const ISOLATES: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    let isolate = || 0..ISOLATES;
    prop_oneof![
        6 => (1_u64..3600).prop_map(Event::Wait),
        2 => isolate().prop_map(Event::Cron),
        5 => isolate().prop_map(Event::Issue),
        5 => isolate().prop_map(Event::Fetch),
        5 => (isolate(), any::<usize>()).prop_map(|(isolate, token)| Event::Show(isolate, token)),
        2 => isolate().prop_map(Event::Touch),
        1 => isolate().prop_map(Event::Rotate),
    ]
}

struct Issued {
    token: String,
    kid: String,
    from: Timestamp,
    until: Timestamp,
}

struct Fetched {
    at: Timestamp,
    kids: BTreeSet<String>,
}

/// Everything that happened.
struct Story {
    world: World,
    isolates: Vec<Isolate>,
    root: SignedIn,
    max_age: Duration,
    issued: Vec<Issued>,
    fetched: Vec<Fetched>,
}

impl Story {
    async fn begin(max_age: &'static str, algorithm: &'static str, life: &'static str) -> Self {
        let world = World::with(&[
            ("KEY_ROTATION", "4h"),
            ("JWKS_MAX_AGE", max_age),
            ("SIGNING_ALG", algorithm),
            ("ACCESS_TTL", life),
        ]);
        let root = world.user("root", Some("super_admin")).await;
        let isolates: Vec<_> = (0..ISOLATES).map(|_| world.another_isolate()).collect();
        let max_age = isolates[0].app.config.jwks_max_age;
        Self { world, isolates, root, max_age, issued: Vec::new(), fetched: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        self.world.host.clock.now()
    }

    async fn tell(&mut self, event: Event) {
        match event {
            Event::Wait(seconds) => self.world.host.clock.advance(Duration::from_secs(seconds)),
            Event::Cron(isolate) => {
                let app = &self.isolates[isolate].app;
                let origin = Origin { request: app.ports.new_request_id(), ip: None, user_agent: None };
                app.keep_keys(&origin).await.unwrap();
            }
            Event::Issue(isolate) => {
                let answer = self.isolates[isolate].refresh(&self.root.refresh).await.expect(200);
                let token = answer.text("/access_token").to_owned();
                let until = Timestamp::from_secs(claims_of(&token)["exp"].as_i64().unwrap());
                answer.text("/refresh_token").clone_into(&mut self.root.refresh);
                self.root.access.clone_from(&token);
                self.issued.push(Issued { kid: kid_of(&token), token, from: self.now(), until });
            }
            Event::Fetch(isolate) => {
                let set = self.isolates[isolate].get("/.well-known/jwks.json", None).await.expect(200);
                let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
                let kids = set.body["keys"].as_array().unwrap().iter().map(kid).collect();
                self.fetched.push(Fetched { at: self.now(), kids });
            }
            Event::Show(isolate, token) => {
                if let Some(issued) = self.issued.get(token % self.issued.len().max(1)) {
                    let expected = if self.now() < issued.until { 200 } else { 401 };
                    let isolate = &self.isolates[isolate];
                    let shown = isolate.proxy_get("/demo/private/x", Some(&issued.token)).await;
                    // The leeway.
                    if self.now() < issued.until || self.now() >= issued.until.plus(Duration::from_secs(5)) {
                        let last = self.world.host.log.lines().pop();
                        assert_eq!(shown.status, expected, "{} {shown:?} {last:?}", issued.kid);
                    }
                }
            }
            Event::Touch(isolate) => {
                self.isolates[isolate].proxy_get("/demo/public/x", None).await.expect(200);
            }
            Event::Rotate(isolate) => {
                // With a fresh token, because the last may be over by now.
                Box::pin(self.tell(Event::Issue(isolate))).await;
                rotate(&self.isolates[isolate], &self.root, "graceful").await.expect(200);
            }
        }
    }

    /// Whoever fetched the key set no longer before a token was made than it may be kept, or at any
    /// time while the token lived, found its key.
    fn check(&self) {
        for Issued { kid, from, until, .. } in &self.issued {
            for Fetched { at, kids } in &self.fetched {
                let relevant = at.plus(self.max_age) >= *from && at < until;
                assert!(!relevant || kids.contains(kid), "{kid} made at {from:?} is not in the set of {at:?}");
            }
        }
    }
}

#[test]
fn nobody_ever_meets_a_key_that_they_cannot_know() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rotations = Cell::new(0);
    let mut runner =
        proptest::test_runner::TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let setting = (
        prop::sample::select(vec!["0s", "1m", "10m", "30m"]),
        prop::sample::select(vec!["EdDSA", "ES256"]),
        prop::sample::select(vec!["1m", "15m", "1h"]),
    );
    let days = (setting, prop::collection::vec(event(), 100..250));
    runner
        .run(&days, |((max_age, algorithm, life), events)| {
            runtime.block_on(async {
                let mut story = Story::begin(max_age, algorithm, life).await;
                for event in events {
                    story.tell(event).await;
                }
                story.check();
                let kids = story.issued.iter().map(|issued| &issued.kid).collect::<BTreeSet<_>>().len();
                rotations.set(rotations.get() + kids.saturating_sub(1));
            });
            Ok(())
        })
        .unwrap();
    assert!(rotations.get() > 64, "only {} rotations were seen", rotations.get());
}
