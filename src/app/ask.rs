//! Asking what a decision lacks, and deciding again.

use std::sync::Arc;

use super::App;
use crate::{
    domain::{
        id::RequestId,
        revocation::{Entry, Revoked},
        time::Timestamp,
        token::verify::{Claimed, Refusal, verify},
    },
    error::ApiError,
    gateway::{
        Findings, LimitAnswer, LimitKind, Moment, Standing, Verdict, Want,
        authenticate::{Authenticated, Outcome},
        caller::Caller,
        decide,
        head::Head,
        knowledge::{Knowledge, Remembered, TokenDigest},
    },
    ports::prove,
    stores::{blacklist, sessions},
};

/// A request asks at most: limit by address, keys, another's answer, newer keys, an issuer's keys (three times, and another's
/// answer four times), signature, another's answer about revocations (four times), its own, the record or the copy, limits by subject and
/// by API key, an assertion. A session that
/// does not stand may come before an API key. More rounds than that mean that an answer did not satisfy the question.
pub(super) const MAX_ROUNDS: usize = 26;

impl App {
    /// Decides on a request without asking anyone.
    pub fn decide<'a>(&self, head: &Head<'a>, request: RequestId) -> Verdict<'a> {
        let moment = Moment { request, now: self.ports.clock.now() };
        let verdict = decide(head, &self.world(), &self.knowledge(), &Findings::default(), moment);
        self.note_use_by(&verdict);
        self.try_candidate(head, request, moment.now, &verdict);
        verdict
    }

    /// Decides on a request, asking whatever that takes. Never answers [`Verdict::Need`].
    pub async fn resolve<'a>(&self, head: &Head<'a>, request: RequestId) -> Verdict<'a> {
        let mut found = Findings::default();
        for _ in 0..MAX_ROUNDS {
            let moment = Moment { request, now: self.ports.clock.now() };
            let verdict = decide(head, &self.world(), &self.knowledge(), &found, moment);
            let Verdict::Need(want) = verdict else {
                self.note_use_by(&verdict);
                self.try_candidate(head, request, moment.now, &verdict);
                return verdict;
            };
            if let Err(error) = self.ask(want, &mut found).await {
                return Verdict::Refuse(error, None);
            }
        }
        Verdict::Refuse(unsettled(), None)
    }

    /// Puts a question until nothing is lacking for its answer, asking whatever that takes.
    pub(super) async fn settle<'a, T>(
        &self,
        question: impl Fn(&Knowledge, &Findings, Timestamp) -> Result<Outcome<'a, T>, ApiError>,
    ) -> Result<T, ApiError> {
        let mut found = Findings::default();
        for _ in 0..MAX_ROUNDS {
            let outcome = question(&self.knowledge(), &found, self.ports.clock.now())?;
            match outcome {
                Outcome::Known(known) => return Ok(known),
                Outcome::NotResponsible => return Err(ApiError::Unauthenticated),
                Outcome::Need(want) => self.ask(want, &mut found).await?,
            }
        }
        Err(unsettled())
    }

    /// Asks one thing. What concerns everyone goes to the isolate's knowledge, the rest to `found`.
    pub async fn ask(&self, want: Want<'_>, found: &mut Findings) -> Result<(), ApiError> {
        match want {
            Want::Bundle => {
                let (bundle, view) = self.first_bundle().await;
                found.view = view.or(found.view);
                bundle.map(drop)
            }
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
            Want::IssuerKeys(place) => self.ask_issuer(place).await,
            Want::WaitForIssuer(place) => {
                found.waits_for_issuer = found.waits_for_issuer.saturating_add(1);
                self.wait_for_issuer(place).await;
                Ok(())
            }
            Want::TheirVerification(asked) => self.ask_their_verification(asked, found).await,
            Want::View => {
                found.view = Some(self.ask_view().await);
                Ok(())
            }
            Want::WaitForView => {
                found.waits_for_view = found.waits_for_view.saturating_add(1);
                self.wait_for_view().await;
                Ok(())
            }
            Want::Session { cookie, of_record } => self.ask_session(cookie.session, of_record, found).await,
            Want::Key(asked) => self.ask_key(asked, found).await,
            Want::Record(Authenticated::Key(live)) => self.ask_key(live.asked.clone(), found).await,
            Want::Record(Authenticated::Session(live)) => self.ask_session(live.snapshot.session, true, found).await,
            Want::Record(Authenticated::Token(token)) => {
                // As of when it is asked, not of when the answer comes.
                let now = self.ports.clock.now();
                let stands = sessions::stands(self.ports.database.as_ref(), &token.claims, now).await?;
                self.note_standing(&Authenticated::Token(token), stands, now, found);
                Ok(())
            }
            Want::Blacklist(who) => {
                let now = self.ports.clock.now();
                let named = blacklist::names(self.ports.blacklist.as_ref(), &who.ended_by()).await?;
                match who {
                    // It may go on for a while, and its owner may have no more than other roles: the record knows.
                    Authenticated::Key(live) if named => self.ask_key(live.asked.clone(), found).await,
                    who => {
                        self.note_standing(&who, !named, now, found);
                        Ok(())
                    }
                }
            }
            Want::Assertion(to_assert) => {
                found.assertion = Some(self.assert(*to_assert).await?);
                Ok(())
            }
            Want::Limit { kind, key, limits } => {
                let answer = match self.ports.limiter.admit(&key, &limits).await {
                    Ok(decision) => LimitAnswer::Decided(decision),
                    Err(error) => {
                        self.log_fault("limiter", &error.to_string());
                        LimitAnswer::NoAnswer
                    }
                };
                match kind {
                    LimitKind::Ip => found.ip_limit = Some(answer),
                    LimitKind::Subject => found.subject_limit = Some(answer),
                    LimitKind::ApiKey => found.key_limit = Some(answer),
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

    /// What was said of one token or session at `as_of` is remembered for others that show it.
    fn note_standing(&self, who: &Authenticated, stands: bool, as_of: Timestamp, found: &mut Findings) {
        let mut knowledge = self.knowledge();
        if stands {
            knowledge.view.found_good(who.credential(), as_of);
        } else {
            // Of a session the copy may know no more than that its user's roles changed: that does not end it.
            if let Authenticated::Token(token) = who {
                let until = token.claims.expires_at().plus(crate::domain::token::verify::LEEWAY);
                let what = Revoked::Token(token.claims.token());
                knowledge.view.note(&Entry { what, user: None, at: as_of, until }, as_of);
            }
        }
        let standing = Some(if stands { Standing::Good } else { Standing::Revoked });
        match who {
            Authenticated::Key(_) => found.key_standing = standing,
            Authenticated::Token(_) => found.token_standing = standing,
            Authenticated::Session(_) => found.session_standing = standing,
        }
    }
}

fn unsettled() -> ApiError {
    ApiError::Internal("a decision did not settle".to_owned())
}
