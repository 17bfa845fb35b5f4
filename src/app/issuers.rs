//! The keys of trusted issuers: where they come from, and what their tokens come to.

use std::sync::Arc;

use super::App;
use crate::{
    domain::{
        time::Timestamp,
        token::issuer::{Issuer, MAX_KEY_SET_BYTES, TheirKeys, verify_theirs},
    },
    error::ApiError,
    gateway::{
        Findings,
        caller::{Caller, Vouched},
        issuers::{FRESH, KEPT, ToVerify, was_within},
        knowledge::credential,
        outsider::{Outsider, Taken},
        policy::Credential,
    },
    ports::prove,
    stores::issuer_keys,
};

impl App {
    fn issuer(&self, place: usize) -> Result<&Issuer, ApiError> {
        let issuer = self.deployed().policy().issuers().get(place);
        issuer.ok_or_else(|| ApiError::Internal("no such issuer".to_owned()))
    }

    /// Asks for an issuer's keys: another isolate may have read them a moment ago, else the issuer itself. Where neither has
    /// anything newer, what is known stays.
    pub(super) async fn ask_issuer(&self, place: usize) -> Result<(), ApiError> {
        let issuer = self.issuer(place)?;
        let since = self.ports.clock.now();
        let may_be_old = self.knowledge().issuers.asking(place, since);
        let copy = issuer_keys::get(self.ports.blacklist.as_ref(), issuer).await.unwrap_or_else(|error| {
            self.log_fault("issuer keys", &error.cause());
            None
        });
        let now = self.ports.clock.now();
        let mut will_do = false;
        // What stands there already, and is not old, is not written again, whatever keys tokens name: writes are few.
        let mut stands = None;
        if let Some(issuer_keys::Kept { keys, read_at, set }) = copy {
            let keys = self.without_what_is_none(keys).await;
            self.knowledge().issuers.learn(place, (keys, read_at), now);
            will_do = was_within(may_be_old, Some(read_at), now);
            stands = was_within(FRESH, Some(read_at), now).then_some(set);
        }
        let read = if will_do { Ok(None) } else { self.read_issuer(place, issuer).await.map(Some) };
        self.knowledge().issuers.end_question(place, since, read.is_err());
        match read {
            Ok(Some((set, _))) if stands.as_ref() == Some(&set) => {}
            Ok(Some((set, read_at))) => {
                let put = issuer_keys::put(self.ports.blacklist.as_ref(), issuer, &set, read_at, KEPT.as_secs());
                if let Err(error) = put.await {
                    self.log_fault("issuer keys", &error.cause());
                }
            }
            Ok(None) => {}
            Err(why) => self.log_fault("issuer", &format!("the keys of {} cannot be read: {why}", issuer.id)),
        }
        Ok(())
    }

    /// Reads its key set, which is known from then on, and gives its text, and as of when that is.
    async fn read_issuer(&self, place: usize, issuer: &Issuer) -> Result<(String, Timestamp), String> {
        let now = self.ports.clock.now();
        self.knowledge().issuers.asked(place, now);
        let answer = self.ports.outbound.get(&issuer.jwks_uri, MAX_KEY_SET_BYTES).await;
        let set = answer.map_err(|error| error.to_string())?;
        let keys = TheirKeys::parse(set.as_bytes(), &issuer.algorithms).map_err(|error| error.to_string())?;
        let keys = self.without_what_is_none(keys).await;
        if keys.is_empty() {
            self.log_fault("issuer", &format!("{} has no key for the algorithms that are taken of it", issuer.id));
        }
        self.knowledge().issuers.learn(place, (keys, now), self.ports.clock.now());
        Ok((set, now))
    }

    /// What is of the form of a key may be none, such as a point that is not on its curve.
    async fn without_what_is_none(&self, mut keys: TheirKeys) -> TheirKeys {
        let mut none = Vec::new();
        for key in keys.keys() {
            if !self.ports.crypto.is_key(key).await {
                none.push(key.key_id().clone());
            }
        }
        keys.without(&none);
        keys
    }

    /// Waits while another request asks for them.
    pub(super) async fn wait_for_issuer(&self, place: usize) {
        self.wait_while(|knowledge, now| knowledge.issuers.is_being_asked(place, now)).await;
    }

    /// Asks again for the keys of those issuers whose are ageing.
    pub(super) async fn refresh_issuers(&self) {
        for place in 0..self.deployed().policy().issuers().len() {
            let is_ageing = || self.knowledge().issuers.ageing(self.ports.clock.now()).contains(&place);
            if is_ageing()
                && let Err(error) = self.ask_issuer(place).await
            {
                self.log_fault("issuer", &error.cause());
            }
        }
    }

    /// The signature of an issuer's token, and then everything that is asked of one.
    pub(super) async fn ask_their_verification(
        &self,
        ToVerify { token, digest, issuer: place }: ToVerify<'_>,
        found: &mut Findings,
    ) -> Result<(), ApiError> {
        let issuer = self.issuer(place)?;
        let proven = prove(self.ports.crypto.as_ref(), token).await?;
        let bundle = self.bundle().await?;
        let verified = proven.and_then(|signed| verify_theirs(signed, issuer, self.ports.clock.now()));
        match verified {
            Ok(claims) => {
                let (subject, roles) = (claims.subject.as_str(), claims.roles.as_slice());
                let vouched = Vouched { subject, issuer: &issuer.issuer, roles, credential: Credential::Bearer };
                let caller = Caller::outsider(vouched, &bundle.roles);
                let who = Arc::new(Outsider { caller, credential: credential(&digest) });
                self.knowledge().remember_taken(digest, Arc::new(Taken { who, claims, issuer: place }));
            }
            Err(why) => found.token_refused = Some(why),
        }
        Ok(())
    }
}
