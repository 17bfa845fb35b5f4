//! The rate limiter on Durable Objects: one object per key is the only one who counts it.

#![expect(missing_docs, reason = "the macro that exports the object documents nothing it makes")]

use std::cell::RefCell;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use worker::{
    Date, DurableObject, Env, Method, ObjectNamespace, Request, RequestInit, Response, State, durable_object,
    send::SendFuture,
};

use super::bounded;
use crate::{
    domain::{
        rate_limit::{Decision, Log, Rule},
        time::Timestamp,
    },
    ports::{RateLimiter as RateLimiterPort, Unavailable},
};

/// The port.
pub struct Limiter(ObjectNamespace);

impl Limiter {
    /// The bound namespace.
    #[must_use]
    pub const fn new(namespace: ObjectNamespace) -> Self {
        Self(namespace)
    }

    async fn ask(&self, key: &str, rules: &[Rule]) -> worker::Result<Decision> {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(serde_json::to_string(rules)?.into()));
        let request = Request::new_with_init("http://limiter.internal/", &init)?;
        let mut answer = self.0.get_by_name(key)?.fetch_with_request(request).await?;
        answer.json().await
    }
}

#[async_trait]
impl RateLimiterPort for Limiter {
    async fn admit(&self, key: &str, rules: &[Rule]) -> Result<Decision, Unavailable> {
        SendFuture::new(bounded("limiter", self.ask(key, rules))).await
    }
}

/// What an object keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counter {
    log: Log,
    /// When nothing of it can matter any more, in milliseconds since the Unix epoch.
    forgettable_at: i64,
    /// Whether an alarm is set.
    alarm: bool,
}

/// Where the counter is kept.
const KEY: &str = "counter";

/// One key's referee. It reads, asks [`Log::admit`], writes; an idle one deletes itself.
#[durable_object(alarm)]
pub struct RateLimiter {
    state: State,
    counter: RefCell<Option<Counter>>,
}

impl DurableObject for RateLimiter {
    fn new(state: State, _env: Env) -> Self {
        Self { state, counter: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let rules: Vec<Rule> = request.json().await?;
        self.load().await?;
        // Nothing waits within a decision, so no other request comes between.
        let now = Timestamp::from_millis(i64::try_from(Date::now().as_millis()).unwrap_or(0));
        let (decision, alarm_at) = {
            let mut counter = self.counter.borrow_mut();
            let counter = counter.get_or_insert_default();
            let decision = counter.log.admit(&rules, now);
            let forgettable_at = counter.log.forgettable_at(&rules).map_or(0, Timestamp::millis);
            counter.forgettable_at = counter.forgettable_at.max(forgettable_at);
            (decision, (!counter.alarm).then_some(counter.forgettable_at))
        };
        if decision.admitted {
            // The alarm first: what is kept must never be without one.
            if let Some(at) = alarm_at {
                self.set_alarm(at).await?;
            }
            // What is written is the counter as it is now, so that no write undoes another's.
            let kept = self.counter.borrow_mut().as_mut().map(|counter| {
                counter.alarm = true;
                counter.clone()
            });
            self.state.storage().put(KEY, &kept.unwrap_or_default()).await?;
        }
        Response::from_json(&decision)
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.load().await?;
        let forgettable_at = self.counter.borrow().as_ref().map_or(0, |counter| counter.forgettable_at);
        if i64::try_from(Date::now().as_millis()).unwrap_or(0) < forgettable_at {
            self.set_alarm(forgettable_at).await?;
        } else {
            self.counter.replace(None);
            self.state.storage().delete_all().await?;
        }
        Response::empty()
    }
}

impl RateLimiter {
    async fn load(&self) -> worker::Result<()> {
        if self.counter.borrow().is_none() {
            let stored = self.state.storage().get::<Counter>(KEY).await?;
            // While this waited, another request may have loaded and counted already.
            self.counter.borrow_mut().get_or_insert_with(|| stored.unwrap_or_default());
        }
        Ok(())
    }

    async fn set_alarm(&self, at_ms: i64) -> worker::Result<()> {
        let at = js_sys::Date::new_0();
        #[expect(clippy::cast_precision_loss, reason = "a time within ±2^53")]
        at.set_time(at_ms as f64);
        self.state.storage().set_alarm(worker::ScheduledTime::new(at)).await
    }
}
