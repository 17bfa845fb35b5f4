//! API keys: what one stands for, and that it is used.

use std::{sync::Arc, time::Duration};

use super::App;
use crate::{
    domain::{id::ApiKeyId, net::ClientIp, time::Timestamp},
    error::ApiError,
    gateway::{
        Findings,
        api_key::{self as by_key, AskedKey, KeyFound, LiveKey},
        authenticate::{Authenticated, Basis, Freshness},
        knowledge::{Knowledge, digest},
    },
    stores::api_keys,
};

/// The use of a key is noted so often at most, by each isolate: writing costs more than knowing to the second.
const NOTED_EVERY: Duration = Duration::from_mins(10);

impl App {
    /// Finds out of the record what a key stands for. It is remembered, and so is that it stands for nothing.
    pub(super) async fn ask_key(&self, asked: AskedKey, found: &mut Findings) -> Result<(), ApiError> {
        // As of when it is asked, not of when the answer comes.
        let (now, digest) = (self.ports.clock.now(), asked.digest);
        let snapshot = api_keys::snapshot(self.ports.database.as_ref(), asked.id, &asked.secret_hash, now).await?;
        let key = match snapshot {
            None => KeyFound::Refused(now),
            Some(snapshot) => {
                let bundle = self.bundle().await?;
                let issuer = self.config.public_url.as_str();
                self.knowledge().view.found_good(*asked.id.bytes(), now);
                KeyFound::Live(Arc::new(LiveKey::new(snapshot, asked, issuer, &bundle)))
            }
        };
        self.knowledge().remember_key(digest, Arc::new(key.clone()));
        found.key = Some(key);
        Ok(())
    }

    /// Who the holder of an API key is, as the record has it, where they show it.
    pub async fn authenticate_key(&self, text: &str, ip: ClientIp) -> Result<Arc<LiveKey>, ApiError> {
        let question = |knowledge: &Knowledge, found: &Findings, now| {
            let freshness = Freshness::Record;
            by_key::api_key(text, ip, Basis { world: &self.world(), knowledge, found, freshness, now })
        };
        match self.settle(question).await? {
            Authenticated::Key(live) => Ok(live),
            Authenticated::Token(_) | Authenticated::Session(_) => Err(ApiError::Unauthenticated),
        }
    }

    /// What an API key stood for when it was last shown here, if it stood.
    #[must_use]
    pub fn known_key(&self, text: &str) -> Option<Arc<LiveKey>> {
        let knowledge = self.knowledge();
        match knowledge.key(&digest(text)).map(AsRef::as_ref) {
            Some(KeyFound::Live(live)) if self.ports.clock.now() < live.snapshot.expires_at => Some(live.clone()),
            _ => None,
        }
    }

    /// Notes that a key is used, unless that was noted lately: it is written beside an answer.
    pub fn note_key_use(&self, key: ApiKeyId, used_at: Option<Timestamp>) {
        let now = self.ports.clock.now();
        if used_at.is_none_or(|at| now.since(at) >= NOTED_EVERY) {
            self.knowledge().key_uses.note(key, now, NOTED_EVERY);
        }
    }
}
