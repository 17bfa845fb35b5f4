//! Asking what a decision lacks, and deciding again.

use std::sync::Arc;

use super::App;
use crate::{
    domain::{
        id::RequestId,
        token::verify::{Claimed, Refusal, verify},
    },
    error::ApiError,
    gateway::{
        Findings, LimitAnswer, LimitKind, Moment, Verdict, Want,
        caller::Caller,
        decide,
        head::Head,
        knowledge::{Remembered, Standing, TokenDigest, keys_of, token_key},
    },
    ports::prove,
    stores::{blacklist, sessions},
};

/// A request asks at most: limit by address, keys, another's answer, newer keys, signature, standing, limit by subject.
/// More rounds than that mean that an answer did not satisfy the question.
pub(super) const MAX_ROUNDS: usize = 9;

impl App {
    /// Decides on a request, asking whatever that takes. Never answers [`Verdict::Need`].
    pub async fn resolve<'a>(&self, head: &Head<'a>, request: RequestId) -> Verdict<'a> {
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
    pub async fn ask(&self, want: Want<'_>, found: &mut Findings) -> Result<(), ApiError> {
        match want {
            Want::Bundle => self.bundle().await.map(drop),
            Want::Reload => {
                found.reload_tried = true;
                self.reload().await;
                Ok(())
            }
            Want::Wait => {
                found.waited = true;
                self.wait_for_reader().await;
                Ok(())
            }
            Want::Verification { token, digest } => self.ask_verification(token, digest, found).await,
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

    /// The signature, and then everything [`verify`] asks. Each request verifies for itself:
    /// nothing asynchronous is shared between requests.
    async fn ask_verification(
        &self,
        token: Claimed<'_>,
        digest: TokenDigest,
        found: &mut Findings,
    ) -> Result<(), ApiError> {
        match self.verify_token(token).await? {
            Ok(remembered) => self.knowledge().remember(digest, Arc::new(remembered)),
            Err(why) => found.token_refused = Some(why),
        }
        Ok(())
    }

    async fn verify_token(&self, token: Claimed<'_>) -> Result<Result<Remembered, Refusal>, ApiError> {
        let signed = match prove(self.ports.crypto.as_ref(), token).await? {
            Ok(signed) => signed,
            Err(why) => return Ok(Err(why)),
        };
        let bundle = self.bundle().await?;
        let verified = verify(signed, self.expected(), self.ports.clock.now());
        Ok(verified.map(|claims| Remembered { caller: Caller::from_claims(&claims, &bundle.roles), claims }))
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
        let keys = keys_of(&token.claims);
        let revoked = blacklist::present(self.ports.blacklist.as_ref(), &keys).await?;
        let mut knowledge = self.knowledge();
        if revoked.is_empty() {
            knowledge.revocations.found_good(token.claims.token(), now);
        }
        found.standing = Some(if revoked.is_empty() { Standing::Good } else { Standing::Revoked });
        for key in revoked {
            knowledge.revocations.revoke(key, self.revoked_until(now), now);
        }
        Ok(())
    }
}

pub(super) fn unsettled() -> ApiError {
    ApiError::Internal("a decision did not settle".to_owned())
}
