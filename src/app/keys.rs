//! The life of signing keys.

use std::sync::Arc;

use futures_util::future::join;

use super::{App, Publication};
use crate::{
    domain::{
        audit::{Entry, Event, Origin},
        bundle::Bundle,
        id::UserId,
        revocation,
        time::Timestamp,
        token::rotation::Occasion,
    },
    error::ApiError,
    stores::{audit, bundle::Keeper},
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
    /// What keeps keys and roles, at this moment.
    pub fn keeper(&self) -> Keeper<'_> {
        Keeper {
            database: self.ports.database.as_ref(),
            crypto: self.ports.crypto.as_ref(),
            wanted: self.config.wanted_algorithms(),
            schedule: &self.config.key_schedule,
            now: self.ports.clock.now(),
            order: self.knowledge().view.next(),
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
        // What was changed by that, too.
        let bundle = self.read_bundle().await?;
        self.announce(&bundle, true).await;
        if tidied.revoked.is_empty() { Ok(()) } else { self.publish_keys(&tidied.revoked, &bundle).await }
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
        let bundle = self.knowledge().replace(bundle);
        self.announce(&bundle, true).await;
        Ok(bundle)
    }

    /// (1) One batch retires all keys, records that, and adds new ones. (2) This isolate knows at once.
    /// (3) The others are told; only then is it said to be done.
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
        let copied = self.put_copy(&bundle);
        let (told, copied) = join(self.publish_keys(&replaced.revoked, &bundle), copied).await;
        if let Err(error) = copied {
            self.log_fault("edge bundle", &error.to_string());
        }
        told.map(|()| bundle)
    }

    async fn publish_keys(&self, revoked: &[revocation::Entry], bundle: &Bundle) -> Result<(), ApiError> {
        let told = self.publish(revoked, Some(bundle.versions), Publication::Again).await;
        told.map_err(|error| match error {
            ApiError::RevocationPending(why) => ApiError::KeysPending(why),
            other => other,
        })
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
