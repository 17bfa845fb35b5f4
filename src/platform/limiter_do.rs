//! The rate limiter on Durable Objects: one object per key is the only one who counts it.

#![expect(missing_docs, reason = "the macro that exports the object documents nothing it makes")]

use std::cell::RefCell;

use async_trait::async_trait;
use worker::{
    DurableObject, Env, Method, ObjectNamespace, Request, RequestInit, Response, SqlStorage, State, durable_object,
    send::SendFuture,
};

use super::{PlatformClock, bounded};
use crate::{
    domain::{
        rate_limit::{Decision, Limit, LimitKey, Logs, Row, Sweep, earlier_alarm},
        time::Timestamp,
    },
    ports::{Clock, RateLimiter as RateLimiterPort, Unavailable},
};

/// The port.
pub struct Limiter(ObjectNamespace);

impl Limiter {
    /// The bound namespace.
    #[must_use]
    pub const fn new(namespace: ObjectNamespace) -> Self {
        Self(namespace)
    }

    async fn ask(&self, key: &LimitKey, limits: &[Limit]) -> worker::Result<Decision> {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(serde_json::to_string(limits)?.into()));
        let request = Request::new_with_init("http://limiter.internal/", &init)?;
        let mut answer = self.0.get_by_name(key.as_str())?.fetch_with_request(request).await?;
        answer.json().await
    }
}

#[async_trait]
impl RateLimiterPort for Limiter {
    async fn admit(&self, key: &LimitKey, limits: &[Limit]) -> Result<Decision, Unavailable> {
        SendFuture::new(bounded("limiter", self.ask(key, limits))).await
    }
}

/// One row for each counter and millisecond; made at the first admission, so that who is only
/// refused writes nothing.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS admissions (
    counter TEXT NOT NULL, at INTEGER NOT NULL, weight INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (counter, at)) WITHOUT ROWID";
const EXISTS: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'admissions'";
const READ: &str = "SELECT counter, at, weight, until FROM admissions ORDER BY at";
/// All rows of an admission at once, so that none of its counters is charged alone.
const WRITE: &str = "INSERT OR REPLACE INTO admissions (counter, at, weight, until)
    SELECT value ->> 'counter', value ->> 'at', value ->> 'weight', value ->> 'until' FROM json_each(?)";
const SWEEP: &str = "DELETE FROM admissions WHERE counter = ? AND at <= ?";
/// Not by the clock, which may step back, but by the newest entry, behind which time does not go.
const FORGET: &str = "DELETE FROM admissions WHERE until <= (SELECT MAX(at) FROM admissions)";

/// What an object remembers while it is awake.
#[derive(Debug)]
struct Memory {
    logs: Logs,
    /// When the alarm goes off that will see to what is over, if it is set.
    alarm: Option<Timestamp>,
    /// Whether the table is there.
    table: bool,
}

/// One key's referee. It reads, asks [`Logs::admit`], writes; an idle one deletes itself.
#[durable_object(alarm)]
pub struct RateLimiter {
    state: State,
    memory: RefCell<Option<Memory>>,
}

impl DurableObject for RateLimiter {
    fn new(state: State, _env: Env) -> Self {
        Self { state, memory: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let limits: Vec<Limit> = request.json().await?;
        self.load().await?;
        // Nothing waits between the decision and its rows, so no other request comes between.
        let decided = self.decide(&limits);
        let (decision, alarm_at) = decided.inspect_err(|_| {
            // What is remembered may be more than what was written: it is read again.
            self.memory.replace(None);
        })?;
        if let Some(at) = alarm_at {
            self.set_alarm(at).await?;
        }
        Response::from_json(&decision)
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.load().await?;
        let next = self.with_memory(|memory| {
            memory.alarm = None;
            let next = memory.logs.next_alarm(now());
            next.zip(memory.logs.newest()).map(|(next, newest)| {
                memory.logs.forget(newest);
                (next, memory.table)
            })
        });
        let Some((next, table)) = next.flatten() else {
            self.memory.replace(None);
            self.state.storage().delete_all().await?;
            return Response::empty();
        };
        if table {
            self.sql().exec(FORGET, None)?;
        }
        self.set_alarm(next).await?;
        Response::empty()
    }
}

impl RateLimiter {
    /// Reads what is stored, at the first use; what is over is deleted before, and never read.
    async fn load(&self) -> worker::Result<()> {
        if self.memory.borrow().is_some() {
            return Ok(());
        }
        let alarm = self.state.storage().get_alarm().await?.map(Timestamp::from_millis);
        // While this waited, another request may have loaded and counted already.
        if self.memory.borrow().is_none() {
            let table = self.sql().exec(EXISTS, None)?.raw().next().is_some();
            let mut rows = Vec::new();
            if table {
                self.sql().exec(FORGET, None)?;
                rows = self.sql().exec(READ, None)?.to_array::<Row>()?;
            }
            self.memory.replace(Some(Memory { logs: Logs::load(rows), alarm, table }));
        }
        Ok(())
    }

    /// Decides, and writes what was admitted; also says when the alarm must be set, if it must.
    fn decide(&self, limits: &[Limit]) -> worker::Result<(Decision, Option<Timestamp>)> {
        let mut memory = self.memory.borrow_mut();
        let lost = || worker::Error::RustError("nothing was loaded".to_owned());
        let memory = memory.as_mut().ok_or_else(lost)?;
        let now = now();
        let (decision, rows) = memory.logs.admit(limits, now);
        if rows.is_empty() {
            return Ok((decision, None));
        }
        if !memory.table {
            self.sql().exec(CREATE, None)?;
            memory.table = true;
        }
        for Sweep { counter, at } in memory.logs.sweeps() {
            self.sql().exec(SWEEP, vec![counter.into(), at.into()])?;
        }
        self.sql().exec(WRITE, vec![serde_json::to_string(&rows)?.into()])?;
        Ok((decision, earlier_alarm(memory.alarm, &rows, now)))
    }

    fn with_memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        self.memory.borrow_mut().as_mut().map(work)
    }

    fn sql(&self) -> SqlStorage {
        self.state.storage().sql()
    }

    async fn set_alarm(&self, at: Timestamp) -> worker::Result<()> {
        let date = js_sys::Date::new_0();
        #[expect(clippy::cast_precision_loss, reason = "a time within ±2^53")]
        date.set_time(at.millis() as f64);
        self.state.storage().set_alarm(worker::ScheduledTime::new(date)).await?;
        self.with_memory(|memory| memory.alarm = Some(at));
        Ok(())
    }
}

fn now() -> Timestamp {
    PlatformClock.now()
}
