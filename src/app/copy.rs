//! This isolate's copy of keys and roles: where it comes from, and until when it is used.

use std::sync::Arc;

use futures_util::future::join;

use super::App;
use crate::{
    domain::bundle::{Age, Bundle},
    error::ApiError,
    gateway::{
        Asked,
        knowledge::{Knowledge, RELOAD_EVERY},
        view::{RevocationView, ViewAge},
    },
    stores::edge_copy,
};

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
            self.log_fault("edge bundle", &error.cause());
            None
        })
    }

    /// Writes the edge bundle, unless something cannot be read here that others may be able to read.
    pub(super) async fn put_copy(&self, bundle: &Bundle) -> Result<(), ApiError> {
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
        let taken = knowledge.bundle.clone().filter(|_| knowledge.age(now) != Some(Age::Spent));
        drop(knowledge);
        taken.inspect(|bundle| self.log_rules(bundle))
    }

    /// Waits while another request reads the keys, but not for long: after that another may ask.
    pub(super) async fn wait_for_reader(&self) {
        self.wait_while(Knowledge::is_being_read).await;
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

    /// Hears of revocations and versions, if that was not done for `REVOCATION_BOUND` and anyone can be asked.
    pub async fn keep_up(&self) {
        // Whether somebody sees to it already, if what was heard is too old.
        let seen_to = || {
            let (now, knowledge) = (self.ports.clock.now(), self.knowledge());
            let is_old = knowledge.view.age(now, self.config.revocation_bound) == ViewAge::Old;
            is_old.then(|| knowledge.view.is_being_asked(now) || knowledge.view.is_failing(now))
        };
        if seen_to() == Some(true) {
            self.wait_for_view().await;
        }
        if seen_to() == Some(false) {
            self.ask_view().await;
        }
    }

    /// Whether something should be asked again beside an answer: about revocations, keys and roles, or issuers' keys. Whoever is told
    /// so, does it with [`App::refresh`]. What is too old to be used is asked for by those who need it, before they go
    /// on.
    #[must_use]
    pub fn refresh_is_due(&self) -> bool {
        let now = self.ports.clock.now();
        let mut knowledge = self.knowledge();
        knowledge.view.claim_refresh(now, self.config.revocation_bound)
            || knowledge.age(now) == Some(Age::Ageing) && knowledge.claim_reload(now)
            || knowledge.issuers.claim_ageing(now)
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
        self.refresh_issuers().await;
    }

    /// Asks for keys and roles again. Where that fails, a copy will do that is of the versions that they must be; else
    /// what is known is used on, for an hour at most: keys end by the clock all the same, and for so long the feed tells
    /// of those that were ended before their time.
    pub async fn reload(&self) {
        let Err(error) = self.read_bundle().await else { return };
        self.log_fault("keys", &error.cause());
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
                self.log_rules(&bundle);
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
    pub(super) async fn announce(&self, bundle: &Bundle, changed: bool) {
        let push =
            async { if changed { self.ports.revocations.push(&[], Some(bundle.versions)).await } else { Ok(()) } };
        let (put, pushed) = join(self.put_copy(bundle), push).await;
        if let Err(error) = put {
            self.log_fault("edge bundle", &error.cause());
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
}
