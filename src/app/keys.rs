//! This isolate's copy of keys and roles, and the life of signing keys.

use std::{sync::Arc, time::Duration};

use super::App;
use crate::{
    domain::{
        audit::{Entry, Event, Origin},
        bundle::{Age, Bundle},
        id::UserId,
        time::Timestamp,
        token::{jwk::KeyId, rotation::Occasion},
    },
    error::ApiError,
    gateway::knowledge::{RELOAD_EVERY, signing_key_key},
    stores::{audit, blacklist, bundle::Keeper},
};

/// Another request's answer is looked for this often …
const WAIT: Duration = Duration::from_millis(25);
/// … and so many times: for a little more than two seconds, after which another may ask.
const WAITS: usize = 85;

/// How keys are to be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A next key is published, and signs as soon as everyone can know it.
    Graceful,
    /// New keys sign at once, and what all others signed is refused.
    Emergency,
}

impl App {
    /// Keys and roles, as this isolate knows them. If it does not yet, they are read, by one request at
    /// a time; and not again just after that failed.
    pub async fn bundle(&self) -> Result<Arc<Bundle>, ApiError> {
        let known = || self.knowledge().bundle.clone();
        if let Some(bundle) = known() {
            return Ok(bundle);
        }
        self.wait_for_reader().await;
        if let Some(bundle) = known() {
            return Ok(bundle);
        }
        if self.knowledge().failed_lately(self.ports.clock.now()) {
            return Err(ApiError::Unavailable("keys could not be read a moment ago".to_owned()));
        }
        self.read_bundle().await
    }

    /// Waits while another request reads the keys, but not for long.
    pub(super) async fn wait_for_reader(&self) {
        for _ in 0..WAITS {
            if !self.knowledge().is_being_read(self.ports.clock.now()) {
                break;
            }
            self.ports.timer.pause(WAIT).await;
        }
    }

    /// Keys and roles for those who tell others of the keys: asked for again if they are over
    /// [`RELOAD_EVERY`] old. `false` beside them if they are older all the same, because that failed or
    /// is being done; and none if they are so old that they are used for nothing.
    pub async fn current_bundle(&self) -> Result<(Arc<Bundle>, bool), ApiError> {
        let now = self.ports.clock.now();
        let is_current = |bundle: &Bundle, now: Timestamp| now.since(bundle.as_of) <= RELOAD_EVERY;
        let asks = {
            let mut knowledge = self.knowledge();
            let stale = knowledge.bundle.as_ref().is_some_and(|bundle| !is_current(bundle, now));
            let old = matches!(knowledge.age(now), Some(Age::Old | Age::Spent))
                && !knowledge.failed_lately(now)
                && !knowledge.is_being_read(now);
            stale && (knowledge.claim_reload(now) || old)
        };
        if asks {
            self.reload().await;
        }
        let bundle = self.bundle().await?;
        if bundle.age(now) == Age::Spent {
            return Err(ApiError::Unavailable("keys are too old".to_owned()));
        }
        let is_current = is_current(&bundle, now) && bundle.unreadable.is_empty();
        Ok((bundle, is_current))
    }

    /// Keys and roles, with the keys of the version that the record has.
    pub(super) async fn bundle_of(&self, keys_version: i64) -> Result<Arc<Bundle>, ApiError> {
        let known = self.bundle().await?;
        if known.keys_version == keys_version { Ok(known) } else { self.read_bundle().await }
    }

    /// Whether keys and roles should be asked for again beside an answer; whoever is told so, does it.
    /// What is old is asked for by those who need it, before they go on.
    #[must_use]
    pub fn refresh_is_due(&self) -> bool {
        let now = self.ports.clock.now();
        let mut knowledge = self.knowledge();
        knowledge.age(now) == Some(Age::Ageing) && knowledge.claim_reload(now)
    }

    /// Asks for keys and roles again. Where that fails, what is known is used on, for an hour at most:
    /// keys end by the clock all the same, and for so long the blacklist tells of those that were ended
    /// before their time.
    pub async fn reload(&self) {
        if let Err(error) = self.read_bundle().await {
            self.log_fault("keys", &error.log_reason().map_or_else(|| error.to_string(), |(_, what)| what));
        }
    }

    /// Reads keys and roles from the record.
    pub async fn read_bundle(&self) -> Result<Arc<Bundle>, ApiError> {
        let keeper = self.keeper();
        self.knowledge().reading(keeper.now);
        match keeper.read().await {
            Ok(bundle) => {
                self.log_unreadable(&bundle);
                Ok(self.knowledge().take_over(bundle))
            }
            Err(error) => {
                self.knowledge().read_failed(self.ports.clock.now());
                Err(error)
            }
        }
    }

    fn log_unreadable(&self, bundle: &Bundle) {
        for (kid, why) in &bundle.unreadable {
            self.log_fault("key", &format!("{kid} cannot be read: {why}"));
        }
    }

    fn keeper(&self) -> Keeper<'_> {
        Keeper {
            database: self.ports.database.as_ref(),
            crypto: self.ports.crypto.as_ref(),
            wanted: self.config.wanted_algorithms(),
            schedule: &self.config.key_schedule,
            now: self.ports.clock.now(),
        }
    }

    /// Rotates the keys at somebody's wish.
    pub async fn rotate_keys(
        &self,
        rotation: Rotation,
        actor: UserId,
        origin: &Origin,
    ) -> Result<Arc<Bundle>, ApiError> {
        match rotation {
            Rotation::Graceful => {
                let known = self.read_bundle().await?;
                self.add_keys(&known, Occasion::Asked, Some(actor), origin).await
            }
            Rotation::Emergency => self.replace_keys(actor, origin).await,
        }
    }

    /// What the cron does: adds keys whose time has come, seals anew what is sealed under an older
    /// secret, forgets keys that are over, and tells the blacklist what it was not told.
    pub async fn keep_keys(&self, origin: &Origin) -> Result<(), ApiError> {
        let mut bundle = self.read_bundle().await?;
        if self.keeper().is_due(&bundle) {
            bundle = self.add_keys(&bundle, Occasion::Regular, None, origin).await?;
        }
        let master = self.config.key_encryption_key.current().id();
        let tidied = self.keeper().tidy(&bundle, master).await?;
        for (kid, why) in &tidied.not_resealed {
            self.log_fault("key", &format!("{kid} cannot be sealed anew: {why}"));
        }
        self.publish_revoked(&tidied.revoked).await
    }

    async fn add_keys(
        &self,
        known: &Bundle,
        occasion: Occasion,
        actor: Option<UserId>,
        origin: &Origin,
    ) -> Result<Arc<Bundle>, ApiError> {
        let keeper = self.keeper();
        let entry = || self.key_entry(Event::KeyAdded, keeper.now, actor, origin);
        let (bundle, entries) = keeper.rotate(known, occasion, entry).await?;
        self.log_audit(&entries);
        Ok(self.knowledge().replace(bundle))
    }

    /// (1) One batch retires all keys, records that, and adds new ones. (2) This isolate knows at once.
    /// (3) The others are told by the blacklist; only then is it said to be done.
    async fn replace_keys(&self, actor: UserId, origin: &Origin) -> Result<Arc<Bundle>, ApiError> {
        // (1)
        let keeper = self.keeper();
        let until = self.revoked_until(keeper.now);
        let entry = || self.key_entry(Event::KeysReplaced, keeper.now, Some(actor), origin);
        let replaced = keeper.replace_all(until, entry).await?;
        // (2)
        self.log_audit(&replaced.entries);
        let bundle = self.knowledge().replace(replaced.bundle);
        // (3)
        self.publish_revoked(&replaced.revoked).await?;
        Ok(bundle)
    }

    async fn publish_revoked(&self, kids: &[KeyId]) -> Result<(), ApiError> {
        if kids.is_empty() {
            return Ok(());
        }
        let now = self.ports.clock.now();
        let (until, keys) = (self.revoked_until(now), kids.iter().map(signing_key_key).collect::<Vec<_>>());
        let published =
            blacklist::publish_missing(self.ports.blacklist.as_ref(), &keys, until.since(now).as_secs()).await;
        published.map_err(|error| ApiError::KeysPending(error.to_string()))
    }

    fn log_audit(&self, entries: &[Entry]) {
        for entry in entries {
            audit::log(self.ports.log.as_ref(), entry);
        }
    }

    fn key_entry(&self, event: Event, at: Timestamp, actor: Option<UserId>, origin: &Origin) -> Entry {
        Entry { id: self.ports.new_row_id(), at, event, subject: actor, session: None, origin: origin.clone() }
    }
}
