//! The limiter port in memory: the same decisions as the Durable Objects', by the same function.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    ManualClock,
    switchboard::{Fate, Switchboard},
};
use crate::{
    domain::rate_limit::{Decision, Limit, LimitKey, Logs},
    ports::{Clock, RateLimiter, Unavailable},
};

/// The name of this port in counts.
pub const PORT: &str = "limiter";

/// All keys' logs.
pub struct NativeLimiter {
    logs: Mutex<HashMap<LimitKey, Logs>>,
    switchboard: Arc<Switchboard>,
    clock: Arc<ManualClock>,
}

impl NativeLimiter {
    pub(super) fn new(switchboard: Arc<Switchboard>, clock: Arc<ManualClock>) -> Self {
        Self { logs: Mutex::default(), switchboard, clock }
    }

    /// Has every referee forget what it remembers and read what it wrote.
    pub fn restart(&self) {
        for logs in self.logs().values_mut() {
            *logs = Logs::load(logs.rows());
        }
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<LimitKey, Logs>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (decision, _) = self.logs().entry(key.clone()).or_default().admit(limits, self.clock.now());
        if fate == Fate::Lost { Err(unavailable()) } else { Ok(decision) }
    }
}
