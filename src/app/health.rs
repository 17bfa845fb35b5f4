//! How this Worker sees what it rests on: each store is asked, side by side, and says how long it took.

use std::sync::atomic::Ordering;

use futures_util::future::join4;
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use crate::{
    domain::{
        rate_limit::LimitKey,
        time::{Timestamp, millis},
    },
    error::ApiError,
    stores::{health, outbox::delivery::Counts},
};

/// The state of everything; times are in milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// `ok`, or `degraded` if a store does not answer.
    pub status: &'static str,
    version: &'static str,
    stores: Stores,
    feed: Feed,
    mails: Mails,
    isolate: Isolate,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Stores {
    database: Store,
    kv: Store,
    feed: Store,
    limiter: Store,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Store {
    ok: bool,
    took_ms: i64,
}

/// How far the feed is behind the record.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Feed {
    /// How long ago it last asked the record for what it was not told.
    pulled_ago_ms: Option<i64>,
    /// How many rows of the record came since then. Most of them it was told of.
    behind: Option<i64>,
}

/// How many mails wait to be sent, and how many never were, as far as they are counted: up to a thousand.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(inline)]
struct Mails {
    pending: Option<i64>,
    dead: Option<i64>,
}

/// What this isolate goes by.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Isolate {
    /// How old its view of revocations was before this question; nothing if there was none.
    view_age_ms: Option<i64>,
    /// How many revocations it knows.
    revocations: usize,
    /// How often limits refused something here since it started.
    limiter_refusals: u64,
}

impl Health {
    /// Whether everything answers.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        let Stores { database, kv, feed, limiter } = &self.stores;
        [database, kv, feed, limiter].into_iter().all(|store| store.ok)
    }
}

impl App {
    /// Asks everything.
    pub async fn health(&self) -> Health {
        let began = self.ports.clock.now();
        let (cursor, view_age_ms, known) = {
            let knowledge = self.knowledge();
            (knowledge.view.cursor().cloned(), knowledge.view.age_ms(began), knowledge.view.len())
        };
        let ports = &self.ports;
        let record = health::look(ports.database.as_ref());
        let kv = async { ports.blacklist.get_bulk(&["health".to_owned()]).await.map_err(ApiError::from) };
        let feed = async { ports.revocations.since(cursor.as_ref()).await.map_err(ApiError::from) };
        // Without limits there is nothing to count, and nothing is written.
        let limiter = async { ports.limiter.admit(&LimitKey::subject("health"), &[]).await.map_err(ApiError::from) };
        let (record, kv, feed, limiter) =
            join4(self.timed(record), self.timed(kv), self.timed(feed), self.timed(limiter)).await;
        let now = self.ports.clock.now();
        let told = feed.0.as_ref().map(|answer| (answer.pulled_at, answer.record));
        let (newest, mails): (Option<i64>, Option<Counts>) = record.0.unzip();
        let health = Health {
            status: "ok",
            version: env!("CARGO_PKG_VERSION"),
            feed: Feed {
                pulled_ago_ms: told.map(|(at, _)| millis(now.since(Timestamp::from_millis(at)))),
                behind: told.zip(newest).map(|((_, known), newest)| newest.saturating_sub(known).max(0)),
            },
            mails: Mails { pending: mails.map(|mails| mails.pending), dead: mails.map(|mails| mails.dead) },
            stores: Stores { database: record.1, kv: kv.1, feed: feed.1, limiter: limiter.1 },
            isolate: Isolate {
                view_age_ms,
                revocations: known,
                limiter_refusals: self.limiter_refusals.load(Ordering::Relaxed),
            },
        };
        if health.is_ok() { health } else { Health { status: "degraded", ..health } }
    }

    async fn timed<T>(&self, answer: impl Future<Output = Result<T, ApiError>>) -> (Option<T>, Store) {
        let began = self.ports.clock.now();
        let answer = answer.await;
        let took_ms = millis(self.ports.clock.now().since(began));
        if let Err(error) = &answer {
            self.log_fault("health", &error.cause());
        }
        let ok = answer.is_ok();
        (answer.ok(), Store { ok, took_ms })
    }
}
