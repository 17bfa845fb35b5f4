//! This isolate's copy of keys and roles, and the life of signing keys.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;

use super::{App, Publication};
use crate::{
    domain::{
        audit::{Entry, Event, Origin},
        bundle::{Age, Bundle},
        id::UserId,
        revocation,
        time::Timestamp,
        token::rotation::Occasion,
    },
    error::ApiError,
    gateway::{
        Asked,
        knowledge::RELOAD_EVERY,
        view::{RevocationView, ViewAge},
    },
    stores::{audit, bundle::Keeper, edge_copy},
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
        self.first_bundle().await.0
    }

    /// The same; and what came of asking about revocations, if that was done beside it. Nothing is known in a fresh
    /// isolate: the edge bundle and the feed are asked side by side, and the record only if the copy will not do.
    pub(super) async fn first_bundle(&self) -> (Result<Arc<Bundle>, ApiError>, Option<Asked>) {
        let known = || self.knowledge().bundle.clone();
        if let Some(bundle) = known() {
            return (Ok(bundle), None);
        }
        self.wait_for_reader().await;
        if let Some(bundle) = known() {
            return (Ok(bundle), None);
        }
        let now = self.ports.clock.now();
        if self.knowledge().failed_lately(now) {
            return (Err(ApiError::Unavailable("keys could not be read a moment ago".to_owned())), None);
        }
        self.knowledge().reading(now);
        let is_old = self.knowledge().view.age(now, self.config.revocation_bound) == ViewAge::Old;
        let view = async { if is_old { Some(self.ask_view().await) } else { None } };
        let (copy, view) = join(self.copy(), view).await;
        let bundle = match self.take_copy(copy) {
            Some(bundle) => Ok(bundle),
            None => self.read_bundle().await,
        };
        (bundle, view)
    }

    /// The edge bundle. That there is none is no fault: the record is read then.
    async fn copy(&self) -> Option<Bundle> {
        let copy = edge_copy::get(self.ports.blacklist.as_ref(), self.ports.crypto.as_ref()).await;
        copy.unwrap_or_else(|error| {
            self.log_fault("edge bundle", &error.log_reason().map_or_else(|| error.to_string(), |(_, what)| what));
            None
        })
    }

    /// Writes the edge bundle, unless something cannot be read here that others may be able to read.
    async fn put_copy(&self, bundle: &Bundle) -> Result<(), ApiError> {
        if !bundle.unreadable.is_empty() {
            return Ok(());
        }
        edge_copy::put(self.ports.blacklist.as_ref(), bundle).await
    }

    /// Takes over the edge bundle, if it will do at all.
    fn take_copy(&self, copy: Option<Bundle>) -> Option<Arc<Bundle>> {
        let now = self.ports.clock.now();
        let mut knowledge = self.knowledge();
        knowledge.take_copy(copy?);
        knowledge.bundle.clone().filter(|_| knowledge.age(now) != Some(Age::Spent))
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

    /// Keys and roles for those who tell others of the keys: if nothing was heard for [`RELOAD_EVERY`], it is asked
    /// whether these are still the keys. `false` beside them if nobody says that they are; and none if they are so old
    /// that they are used for nothing.
    pub async fn current_bundle(&self) -> Result<(Arc<Bundle>, bool), ApiError> {
        let now = self.ports.clock.now();
        let is_old = |view: &RevocationView| view.as_of().is_none_or(|at| now.since(at) > RELOAD_EVERY || at > now);
        self.bundle().await?;
        let asks = {
            let mut knowledge = self.knowledge();
            is_old(&knowledge.view) && knowledge.view.claim(now, self.config.revocation_bound)
        };
        if asks {
            self.ask_view().await;
        }
        let is_behind = || {
            let knowledge = self.knowledge();
            knowledge.age(now) >= Some(Age::Old) && !knowledge.failed_lately(now)
        };
        if is_behind() {
            self.wait_for_reader().await;
            if is_behind() {
                self.reload().await;
            }
        }
        let bundle = self.bundle().await?;
        let knowledge = self.knowledge();
        if knowledge.age(now) == Some(Age::Spent) {
            return Err(ApiError::Unavailable("keys are too old".to_owned()));
        }
        let read_lately = !bundle.is_copy && now.since(bundle.as_of) <= RELOAD_EVERY;
        let confirmed = !is_old(&knowledge.view)
            && knowledge.view.versions().is_some_and(|(versions, _)| versions.keys == bundle.versions.keys);
        drop(knowledge);
        let is_current = (read_lately || confirmed) && bundle.unreadable.is_empty();
        Ok((bundle, is_current))
    }

    /// Keys and roles with private halves, and with the keys of the version that the record has.
    pub(super) async fn bundle_of(&self, keys_version: i64) -> Result<Arc<Bundle>, ApiError> {
        let known = self.bundle().await?;
        if known.versions.keys == keys_version && !known.is_copy { Ok(known) } else { self.read_bundle().await }
    }

    /// Makes sure that what roles give is what they gave less than `REVOCATION_BOUND` ago, if anyone can be asked.
    pub async fn keep_up(&self) -> Result<(), ApiError> {
        // Whether somebody asks already, if what was heard is too old.
        let asked_if_old = || {
            let (now, knowledge) = (self.ports.clock.now(), self.knowledge());
            let is_old = knowledge.view.age(now, self.config.revocation_bound) == ViewAge::Old;
            is_old.then(|| knowledge.view.is_being_asked(now) || knowledge.view.is_failing(now))
        };
        self.bundle().await?;
        if asked_if_old() == Some(true) {
            self.wait_for_view().await;
        }
        if asked_if_old() == Some(false) {
            self.ask_view().await;
        }
        let age = self.knowledge().age(self.ports.clock.now());
        if age == Some(Age::Spent) { self.read_bundle().await.map(drop) } else { Ok(()) }
    }

    /// Whether something should be asked again beside an answer: about revocations, or keys and roles. Whoever is told
    /// so, does it with [`App::refresh`]. What is too old to be used is asked for by those who need it, before they go
    /// on.
    #[must_use]
    pub fn refresh_is_due(&self) -> bool {
        let now = self.ports.clock.now();
        let mut knowledge = self.knowledge();
        knowledge.view.claim_refresh(now, self.config.revocation_bound)
            || knowledge.age(now) == Some(Age::Ageing) && knowledge.claim_reload(now)
    }

    /// Asks again for what has aged. What is heard of revocations tells as well whether keys and roles are of the
    /// versions that they must be; they are read only if they are not, or if nobody says so.
    pub async fn refresh(&self) {
        let is_fresh =
            |app: &Self| app.knowledge().view.age(app.ports.clock.now(), app.config.revocation_bound) == ViewAge::Fresh;
        if !is_fresh(self) {
            self.ask_view().await;
        }
        let now = self.ports.clock.now();
        let is_behind = {
            let knowledge = self.knowledge();
            let may = !knowledge.is_being_read(now) && !knowledge.failed_lately(now);
            may && knowledge.age(now).is_some_and(|age| age > Age::Fresh)
        };
        if is_behind {
            self.reload().await;
        }
    }

    /// Asks for keys and roles again. Where that fails, a copy will do that is of the versions that they must be; else
    /// what is known is used on, for an hour at most: keys end by the clock all the same, and for so long the feed tells
    /// of those that were ended before their time.
    pub async fn reload(&self) {
        let Err(error) = self.read_bundle().await else { return };
        self.log_fault("keys", &error.log_reason().map_or_else(|| error.to_string(), |(_, what)| what));
        if self.knowledge().age(self.ports.clock.now()) >= Some(Age::Old) {
            let copy = self.copy().await;
            self.take_copy(copy);
        }
    }

    /// Reads keys and roles from the record.
    pub async fn read_bundle(&self) -> Result<Arc<Bundle>, ApiError> {
        let keeper = self.keeper();
        self.knowledge().reading(keeper.now);
        match keeper.read().await {
            Ok((bundle, changed)) => {
                self.log_unreadable(&bundle);
                let first = self.knowledge().bundle.is_none();
                let bundle = self.knowledge().take_over(bundle);
                // A fresh isolate is here because the copy would not do.
                if changed || first {
                    self.announce(&bundle, changed).await;
                }
                Ok(bundle)
            }
            Err(error) => {
                self.knowledge().read_failed(self.ports.clock.now());
                Err(error)
            }
        }
    }

    /// Writes the edge bundle, and tells the feed of its versions if they are new. Who does not hear of it asks the record
    /// a little later.
    async fn announce(&self, bundle: &Bundle, changed: bool) {
        let push =
            async { if changed { self.ports.revocations.push(&[], Some(bundle.versions)).await } else { Ok(()) } };
        let (put, pushed) = join(self.put_copy(bundle), push).await;
        if let Err(error) = put {
            self.log_fault("edge bundle", &error.log_reason().map_or_else(|| error.to_string(), |(_, what)| what));
        }
        if let Err(error) = pushed {
            self.log_fault("feed", &error.to_string());
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
