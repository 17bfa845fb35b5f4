//! The ports on the host, for tests and tools. They enforce what the real platform enforces,
//! count every call, and fail on demand. Not compiled for wasm.

pub mod audit;
pub mod commands;
pub mod crypto;
pub mod feed;
pub mod import;
pub mod kv;
pub mod limiter;
pub mod mail;
pub mod openapi;
pub mod outbound;
pub mod policy;
mod signatures;
pub mod sqlite;
pub mod switchboard;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;

use self::{
    crypto::NativeCrypto,
    feed::NativeFeed,
    kv::NativeKv,
    limiter::NativeLimiter,
    mail::NativeMailer,
    outbound::NativeOutbound,
    sqlite::{FEEDS_PORT, Sqlite},
    switchboard::Switchboard,
};
use crate::{
    domain::{secret::SecretList, time::Timestamp},
    ports::{Clock, Log, Ports, Rng, Timer},
};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(crate::domain::time::millis(by), Ordering::SeqCst);
    }

    /// Sets it back, as happens to clocks.
    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(crate::domain::time::millis(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A timer that lets others run for a moment, however long it is told to wait: the clock stands still.
#[derive(Debug)]
pub struct YieldingTimer;

#[async_trait]
impl Timer for YieldingTimer {
    async fn pause(&self, _duration: Duration) {
        let mut yielded = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Bytes that differ each time, and nothing more: for tests that must repeat.
#[derive(Debug, Default)]
pub struct CountingRng(AtomicU64);

impl Rng for CountingRng {
    fn fill(&self, buffer: &mut [u8]) {
        use sha2::{Digest, Sha256};
        for chunk in buffer.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::SeqCst);
            let bytes = Sha256::digest(count.to_be_bytes());
            chunk.copy_from_slice(bytes.get(..chunk.len()).unwrap_or(&bytes));
        }
    }
}

/// A log that can be read.
#[derive(Debug, Default)]
pub struct MemoryLog(Mutex<Vec<String>>);

impl MemoryLog {
    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Log for MemoryLog {
    fn line(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

/// One set of stores, which several isolates may share.
#[derive(Clone)]
pub struct Host {
    /// Counts calls and fails them on demand.
    pub switchboard: Arc<Switchboard>,
    /// The database.
    pub database: Arc<Sqlite>,
    /// The blacklist.
    pub blacklist: Arc<NativeKv>,
    /// Copies of sessions.
    pub sessions: Arc<NativeKv>,
    /// The feed.
    pub feed: Arc<NativeFeed>,
    /// The limiter.
    pub limiter: Arc<NativeLimiter>,
    /// The mailer.
    pub mailer: Arc<NativeMailer>,
    /// Others on the network.
    pub outbound: Arc<NativeOutbound>,
    /// The clock.
    pub clock: Arc<ManualClock>,
    /// The log.
    pub log: Arc<MemoryLog>,
    rng: Arc<CountingRng>,
}

impl Host {
    /// Empty stores with the real migrations, at `now`.
    ///
    /// # Errors
    /// A migration that SQLite refuses.
    pub fn new(now: Timestamp) -> Result<Self, rusqlite::Error> {
        let clock = Arc::new(ManualClock(AtomicI64::new(now.millis())));
        let switchboard = Arc::new(Switchboard::default());
        let database = Arc::new(Sqlite::new(switchboard.clone())?);
        let feeds_database = Arc::new(database.another_way(FEEDS_PORT));
        Ok(Self {
            database,
            feed: Arc::new(NativeFeed::new(switchboard.clone(), clock.clone(), feeds_database)),
            blacklist: Arc::new(NativeKv::new(switchboard.clone(), clock.clone())),
            sessions: Arc::new(NativeKv::new(switchboard.clone(), clock.clone())),
            limiter: Arc::new(NativeLimiter::new(switchboard.clone(), clock.clone())),
            mailer: Arc::new(NativeMailer::new(switchboard.clone())),
            outbound: Arc::new(NativeOutbound::new(switchboard.clone())),
            log: Arc::default(),
            rng: Arc::default(),
            clock,
            switchboard,
        })
    }

    /// Ports over these stores.
    #[must_use]
    pub fn ports(&self, master: SecretList) -> Ports {
        Ports {
            database: self.database.clone(),
            blacklist: self.blacklist.clone(),
            sessions: self.sessions.clone(),
            revocations: self.feed.clone(),
            limiter: self.limiter.clone(),
            mailer: self.mailer.clone(),
            outbound: self.outbound.clone(),
            crypto: Arc::new(NativeCrypto::switched(master, self.switchboard.clone())),
            clock: self.clock.clone(),
            timer: Arc::new(YieldingTimer),
            rng: self.rng.clone(),
            log: self.log.clone(),
        }
    }
}
