//! Asking what a decision lacks, and deciding again.

use std::sync::Arc;

use super::App;
use crate::{
    domain::{
        bundle::Bundle,
        id::RequestId,
        token::{
            jws::Untrusted,
            verify::{Refusal, verify},
        },
    },
    error::ApiError,
    gateway::{
        Findings, LimitAnswer, LimitKind, Moment, Verdict, Want,
        caller::Caller,
        decide,
        head::Head,
        knowledge::{Remembered, Standing, TokenDigest, session_key, token_key},
    },
    ports::prove,
    stores::{blacklist, bundle, sessions},
};

/// A request asks at most: bundle, limit by address, signature, standing, limit by subject. More
/// rounds than that mean that an answer did not satisfy the question.
pub(super) const MAX_ROUNDS: usize = 8;

impl App {
    /// Decides on a request, asking whatever that takes. Never answers [`Verdict::Need`].
    pub async fn resolve(&self, head: &Head<'_>, request: RequestId) -> Verdict {
        let mut found = Findings::default();
        for _ in 0..MAX_ROUNDS {
            let moment = Moment { request, now: self.ports.clock.now() };
            let verdict = decide(head, &self.world(), &self.knowledge(), &found, moment);
            let Verdict::Need(want) = verdict else { return verdict };
            if let Err(error) = self.ask(want, &mut found).await {
                return Verdict::Refuse(error, None);
            }
        }
        Verdict::Refuse(unsettled(), None)
    }

    /// Asks one thing. What concerns everyone goes to the isolate's knowledge, the rest to `found`.
    pub async fn ask(&self, want: Want, found: &mut Findings) -> Result<(), ApiError> {
        match want {
            Want::Bundle => self.bundle().await.map(drop),
            Want::Verification { token, digest } => self.ask_verification(&token, digest, found).await,
            Want::Standing { token, strict: true } => self.ask_record(&token, found).await,
            Want::Standing { token, strict: false } => self.ask_blacklist(&token, found).await,
            Want::Limit { kind, key, rules } => {
                let answer = match self.ports.limiter.admit(&key, &rules).await {
                    Ok(decision) => LimitAnswer::Decided(decision),
                    Err(error) => {
                        self.log_fault("limiter", &error.to_string());
                        LimitAnswer::NoAnswer
                    }
                };
                match kind {
                    LimitKind::Ip => found.ip_limit = Some(answer),
                    LimitKind::Subject => found.subject_limit = Some(answer),
                }
                Ok(())
            }
        }
    }

    /// Keys and roles, read if this isolate has not yet.
    pub async fn bundle(&self) -> Result<Arc<Bundle>, ApiError> {
        if let Some(bundle) = self.knowledge().bundle.clone() {
            return Ok(bundle);
        }
        let now = self.ports.clock.now();
        let read = bundle::read(self.ports.database.as_ref(), self.ports.crypto.as_ref(), now).await?;
        let bundle = Arc::new(read);
        self.knowledge().bundle = Some(bundle.clone());
        Ok(bundle)
    }

    /// The signature, and then everything [`verify`] asks. Each request verifies for itself:
    /// nothing asynchronous is shared between requests.
    async fn ask_verification(&self, token: &str, digest: TokenDigest, found: &mut Findings) -> Result<(), ApiError> {
        match self.verify_token(token).await? {
            Ok(remembered) => self.knowledge().remember(digest, Arc::new(remembered)),
            Err(why) => found.token_refused = Some(why),
        }
        Ok(())
    }

    async fn verify_token(&self, token: &str) -> Result<Result<Remembered, Refusal>, ApiError> {
        let untrusted = match Untrusted::parse(token) {
            Ok(untrusted) => untrusted,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let bundle = self.bundle().await?;
        let kid = untrusted.key_id().to_owned();
        let key = match bundle.keyring.key_of(&untrusted, self.ports.clock.now()) {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        let proof = prove(self.ports.crypto.as_ref(), key, &untrusted).await?;
        let verified = verify(untrusted, key, &proof, self.expected(), self.ports.clock.now());
        Ok(verified.map(|claims| {
            let caller = Caller::from_claims(&claims, &bundle.roles);
            Remembered { claims, kid, caller }
        }))
    }

    /// The record itself: always right, one trip.
    async fn ask_record(&self, token: &Remembered, found: &mut Findings) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        let stands = sessions::stands(self.ports.database.as_ref(), &token.claims, now).await?;
        let mut knowledge = self.knowledge();
        if stands {
            knowledge.revocations.found_good(token.claims.token(), now);
        } else {
            knowledge.revocations.revoke(token_key(token.claims.token()), self.revoked_until(now), now);
        }
        found.standing = Some(if stands { Standing::Good } else { Standing::Revoked });
        Ok(())
    }

    /// The copy: near, and a little behind the record.
    async fn ask_blacklist(&self, token: &Remembered, found: &mut Findings) -> Result<(), ApiError> {
        // As of when it is asked, not of when the answer comes.
        let now = self.ports.clock.now();
        let key = token_key(token.claims.token());
        let keys = [session_key(token.claims.session()), key.clone()];
        let revoked = blacklist::any(self.ports.blacklist.as_ref(), &keys).await?;
        let mut knowledge = self.knowledge();
        if revoked {
            knowledge.revocations.revoke(key, self.revoked_until(now), now);
        } else {
            knowledge.revocations.found_good(token.claims.token(), now);
        }
        found.standing = Some(if revoked { Standing::Revoked } else { Standing::Good });
        Ok(())
    }
}

pub(super) fn unsettled() -> ApiError {
    ApiError::Internal("a decision did not settle".to_owned())
}
