//! This isolate's copy of keys and roles, and the life of signing keys.

use std::sync::Arc;

use super::App;
use crate::{
    domain::{
        audit::{Entry, Event, Origin},
        bundle::{Age, Bundle},
        id::UserId,
        token::{jwk::KeyId, rotation::Occasion},
    },
    error::ApiError,
    gateway::knowledge::signing_key_key,
    stores::{audit, blacklist, bundle::Keeper},
};

/// How keys are to be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A next key is published, and signs as soon as everyone can know it.
    Graceful,
    /// New keys sign at once, and what all others signed is refused.
    Emergency,
}

impl App {
    /// Keys and roles, as this isolate knows them; read if it does not yet.
    pub async fn bundle(&self) -> Result<Arc<Bundle>, ApiError> {
        let known = self.knowledge().bundle.clone();
        match known {
            Some(bundle) => Ok(bundle),
            None => self.read_bundle().await,
        }
    }

    /// The same, but not older than [`VIEW_AGE`](crate::domain::token::rotation::VIEW_AGE) where newer
    /// can be had; `false` beside it if that failed.
    pub async fn current_bundle(&self) -> Result<(Arc<Bundle>, bool), ApiError> {
        let now = self.ports.clock.now();
        let old = self.knowledge().age(now) == Some(Age::Old);
        if old && self.knowledge().claim_reload(now) {
            self.reload().await;
        }
        let bundle = self.bundle().await?;
        let is_current = bundle.age(self.ports.clock.now()) != Age::Old;
        Ok((bundle, is_current))
    }

    /// The same, with the keys of a version at least.
    pub(super) async fn bundle_of(&self, keys_version: i64) -> Result<Arc<Bundle>, ApiError> {
        let known = self.bundle().await?;
        if known.keys_version >= keys_version { Ok(known) } else { self.read_bundle().await }
    }

    /// Whether keys and roles should be asked for again after this answer; whoever is told so, does
    /// it.
    #[must_use]
    pub fn refresh_is_due(&self) -> bool {
        let now = self.ports.clock.now();
        let mut knowledge = self.knowledge();
        matches!(knowledge.age(now), Some(Age::Ageing | Age::Old)) && knowledge.claim_reload(now)
    }

    /// Asks for keys and roles again. Where that fails, what is known is used on: keys end by the
    /// clock all the same, and what was ended before its time is told by the blacklist too.
    pub async fn reload(&self) {
        if let Err(error) = self.read_bundle().await {
            self.log_fault("keys", &error.log_reason().map_or_else(|| error.to_string(), |(_, what)| what));
        }
    }

    /// The same, where failing is failing.
    pub async fn reload_now(&self) -> Result<Arc<Bundle>, ApiError> {
        self.read_bundle().await
    }

    async fn read_bundle(&self) -> Result<Arc<Bundle>, ApiError> {
        let wanted = self.config.wanted_algorithms();
        let bundle = self.keeper(&wanted).read().await?;
        Ok(self.knowledge().take_over(bundle))
    }

    fn keeper<'a>(&'a self, wanted: &'a [crate::domain::token::algorithm::Algorithm]) -> Keeper<'a> {
        Keeper {
            database: self.ports.database.as_ref(),
            crypto: self.ports.crypto.as_ref(),
            wanted,
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
            Rotation::Graceful => self.add_keys(Occasion::Asked, Some(actor), origin).await,
            Rotation::Emergency => self.replace_keys(actor, origin).await,
        }
    }

    /// What the cron does: adds keys whose time has come, seals anew what is sealed under an older
    /// secret, forgets keys that are over, and tells the blacklist what it was not told.
    pub async fn keep_keys(&self, origin: &Origin) -> Result<(), ApiError> {
        let wanted = self.config.wanted_algorithms();
        let mut bundle = self.read_bundle().await?;
        if self.keeper(&wanted).is_due(&bundle) {
            bundle = self.add_keys(Occasion::Regular, None, origin).await?;
        }
        let master = self.config.key_encryption_key.current().id();
        let revoked = self.keeper(&wanted).tidy(&bundle, master).await?;
        self.publish_revoked(&revoked).await
    }

    async fn add_keys(
        &self,
        occasion: Occasion,
        actor: Option<UserId>,
        origin: &Origin,
    ) -> Result<Arc<Bundle>, ApiError> {
        let wanted = self.config.wanted_algorithms();
        let known = self.read_bundle().await?;
        let entry = || self.key_entry(actor, origin);
        let (bundle, entries) = self.keeper(&wanted).rotate(&known, occasion, entry).await?;
        self.log_audit(&entries);
        Ok(self.knowledge().take_over(bundle))
    }

    /// (1) One batch retires all keys, records that, and adds new ones. (2) This isolate knows at once.
    /// (3) The others are told by the blacklist; only then is it said to be done.
    async fn replace_keys(&self, actor: UserId, origin: &Origin) -> Result<Arc<Bundle>, ApiError> {
        // (1)
        let wanted = self.config.wanted_algorithms();
        let keeper = self.keeper(&wanted);
        let until = self.revoked_until(keeper.now);
        let entry = || self.key_entry(Some(actor), origin);
        let (bundle, revoked, entries) = keeper.replace_all(until, entry).await?;
        // (2)
        self.log_audit(&entries);
        let bundle = self.knowledge().take_over(bundle);
        // (3)
        self.publish_revoked(&revoked).await?;
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
        published.map_err(|error| ApiError::RevocationPending(error.to_string()))
    }

    fn log_audit(&self, entries: &[Entry]) {
        for entry in entries {
            audit::log(self.ports.log.as_ref(), entry);
        }
    }

    fn key_entry(&self, actor: Option<UserId>, origin: &Origin) -> Entry {
        Entry {
            id: self.ports.new_row_id(),
            at: self.ports.clock.now(),
            event: Event::KeyRotated,
            subject: actor,
            session: None,
            origin: origin.clone(),
        }
    }
}
