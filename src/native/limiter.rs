//! The limiter port in memory: the same decisions as the Durable Object's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{
    ManualClock,
    switchboard::{Fate, Switchboard},
};
use crate::{
    domain::rate_limit::{Decision, Log, Rule},
    ports::{Clock, RateLimiter, Unavailable},
};

/// The name of this port in counts.
pub const PORT: &str = "limiter";

/// All keys' logs.
pub struct NativeLimiter {
    logs: Mutex<HashMap<String, Log>>,
    switchboard: Arc<Switchboard>,
    clock: Arc<ManualClock>,
}

impl NativeLimiter {
    pub(super) fn new(switchboard: Arc<Switchboard>, clock: Arc<ManualClock>) -> Self {
        Self { logs: Mutex::default(), switchboard, clock }
    }
}

#[async_trait]
impl RateLimiter for NativeLimiter {
    async fn admit(&self, key: &str, rules: &[Rule]) -> Result<Decision, Unavailable> {
        let unavailable = || Unavailable { port: PORT, message: "switched off".to_owned() };
        let fate = self.switchboard.enter(PORT);
        if fate == Fate::Down {
            return Err(unavailable());
        }
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let decision = logs.entry(key.to_owned()).or_default().admit(rules, self.clock.now());
        if fate == Fate::Lost { Err(unavailable()) } else { Ok(decision) }
    }
}
