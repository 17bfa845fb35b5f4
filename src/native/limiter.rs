//! The limiter port in memory: the same decisions as the Durable Objects', by the same function, and as many rows.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    ManualClock,
    switchboard::{Fate, Switchboard},
};
use crate::{
    domain::{
        rate_limit::{Decision, Limit, LimitKey, Logs, Row, earlier_alarm},
        time::Timestamp,
    },
    ports::{Clock, RateLimiter, Unavailable},
};

/// The name of this port in counts.
pub const PORT: &str = "limiter";

/// One key's referee, as `platform/limiter_do.rs` has it.
#[derive(Debug, Default)]
struct Object {
    logs: Logs,
    /// What it has stored, by counter and time.
    rows: BTreeMap<(String, i64), Row>,
    alarm: Option<Timestamp>,
}

impl Object {
    fn admit(&mut self, limits: &[Limit], now: Timestamp) -> Decision {
        let (decision, rows) = self.logs.admit(limits, now);
        for sweep in self.logs.sweeps() {
            self.rows.retain(|(counter, at), _| *counter != sweep.counter || *at > sweep.at);
        }
        self.alarm = earlier_alarm(self.alarm, &rows, now).or(self.alarm);
        self.rows.extend(rows.into_iter().map(|row| ((row.counter.clone(), row.at), row)));
        decision
    }

    /// Lets the alarm go off if it is time.
    fn catch_up(&mut self, now: Timestamp) {
        if self.alarm.is_none_or(|at| at > now) {
            return;
        }
        self.alarm = self.logs.next_alarm(now);
        match (self.alarm, self.logs.newest()) {
            (Some(_), Some(newest)) => {
                self.logs.forget(newest);
                self.rows.retain(|_, row| row.until > newest.millis());
            }
            _ => *self = Self::default(),
        }
    }

    fn restart(&mut self) {
        let newest = self.rows.values().map(|row| row.at).max();
        self.rows.retain(|_, row| newest.is_some_and(|newest| row.until > newest));
        let mut rows: Vec<_> = self.rows.values().cloned().collect();
        rows.sort_by_key(|row| row.at);
        self.logs = Logs::load(rows);
    }
}

/// All keys' referees.
pub struct NativeLimiter {
    objects: Mutex<HashMap<LimitKey, Object>>,
    switchboard: Arc<Switchboard>,
    clock: Arc<ManualClock>,
}

impl NativeLimiter {
    pub(super) fn new(switchboard: Arc<Switchboard>, clock: Arc<ManualClock>) -> Self {
        Self { objects: Mutex::default(), switchboard, clock }
    }

    /// Has every referee forget what it remembers and read what it wrote.
    pub fn restart(&self) {
        self.objects().values_mut().for_each(Object::restart);
    }

    /// How many rows all of them have stored.
    #[must_use]
    pub fn stored(&self) -> usize {
        let mut objects = self.objects();
        objects.values_mut().for_each(|object| object.catch_up(self.clock.now()));
        objects.values().map(|object| object.rows.len()).sum()
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<LimitKey, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RateLimiter for NativeLimiter {
    async fn admit(&self, key: &LimitKey, limits: &[Limit]) -> Result<Decision, Unavailable> {
        let unavailable = || Unavailable { port: PORT, message: "switched off".to_owned() };
        let fate = self.switchboard.enter(PORT);
        if fate == Fate::Down {
            return Err(unavailable());
        }
        let (mut objects, now) = (self.objects(), self.clock.now());
        let object = objects.entry(key.clone()).or_default();
        object.catch_up(now);
        let decision = object.admit(limits, now);
        if fate == Fate::Lost { Err(unavailable()) } else { Ok(decision) }
    }
}
