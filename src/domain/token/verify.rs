//! The one way a token is believed.
//!
//! [`verify`] is the only maker of [`VerifiedClaims`]. It takes a [`Signed`] token, which comes of a
//! [`Claimed`] one by the answer about that very token's signature, and that only by finding the
//! key it names. Each step consumes the one before, so an answer about one token cannot vouch for
//! another.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    claims::Claims,
    jwk::KeyId,
    jws::{ACCESS_TYPE, Unreadable, Untrusted},
    keyring::{RingKey, VerifyingKey},
};
use crate::domain::{
    id::{SessionId, TokenId},
    revocation::set::Grounds,
    time::Timestamp,
};

/// Clocks may differ by this much.
pub const LEEWAY: Duration = Duration::from_secs(LEEWAY_SECS.unsigned_abs());
const LEEWAY_SECS: i64 = 5;
/// No token lives longer than this, whatever it says: what ends one early is kept for as long.
pub const MAX_LIFE: Duration = Duration::from_secs(MAX_LIFE_SECS.unsigned_abs());
const MAX_LIFE_SECS: i64 = 60 * 60;

/// Why a token is not believed. Callers are told only that it is invalid; the log says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a token that could be read.
    #[error("malformed")]
    Malformed,
    /// It asks for what is never done.
    #[error("unsupported")]
    Unsupported,
    /// No key of that id.
    #[error("unknown_key")]
    UnknownKey,
    /// The signature is not the key's, or is claimed under another algorithm than the key's.
    #[error("bad_signature")]
    BadSignature,
    /// Not an access token.
    #[error("wrong_type")]
    WrongType,
    /// From another issuer.
    #[error("wrong_issuer")]
    WrongIssuer,
    /// For someone else.
    #[error("wrong_audience")]
    WrongAudience,
    /// Over.
    #[error("expired")]
    Expired,
    /// Not begun.
    #[error("not_yet_valid")]
    NotYetValid,
    /// Ended early.
    #[error("revoked")]
    Revoked,
}

impl From<Unreadable> for Refusal {
    fn from(fault: Unreadable) -> Self {
        match fault {
            Unreadable::Malformed => Self::Malformed,
            Unreadable::Unsupported => Self::Unsupported,
        }
    }
}

/// A token and the key it names, which could have made its signature. Made by key rings alone, ours and those of other issuers.
#[derive(Debug)]
pub struct Claimed<'a> {
    token: Untrusted<'a>,
    key: Arc<RingKey>,
}

impl<'a> Claimed<'a> {
    /// Holds a token against the key that it names. The key decides the algorithm (RFC 8725, §3.1);
    /// the header may only agree. What claims another, or has a signature of another length, is
    /// refused before any cryptography.
    pub(super) fn new(token: Untrusted<'a>, key: Arc<RingKey>) -> Result<Self, Refusal> {
        let could_be = token.algorithm() == key.algorithm() && token.signature().len() == key.key.signature_bytes();
        if could_be { Ok(Self { token, key }) } else { Err(Refusal::BadSignature) }
    }

    /// The key to check it with.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key.key
    }

    /// What was signed.
    #[must_use]
    pub const fn signing_input(&self) -> &'a str {
        self.token.signing_input()
    }

    /// The signature to be checked.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        self.token.signature()
    }

    /// Takes the answer to: is this signature over these bytes this key's?
    pub fn answered(self, good: bool) -> Result<Signed<'a>, Refusal> {
        let Self { token, key } = self;
        if good { Ok(Signed { token, key }) } else { Err(Refusal::BadSignature) }
    }
}

/// A token with a good signature, whatever it may say.
#[derive(Debug)]
pub struct Signed<'a> {
    token: Untrusted<'a>,
    key: Arc<RingKey>,
}

impl<'a> Signed<'a> {
    /// The token, and the key whose signature it has.
    pub(super) fn into_vouched(self) -> (Untrusted<'a>, Arc<RingKey>) {
        (self.token, self.key)
    }
}

/// What an access token must say to be for us.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// Audiences that mean us.
    pub audience: &'a [String],
}

/// Claims that were believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaims {
    claims: Claims,
    key: KeyId,
}

impl VerifiedClaims {
    /// What was claimed.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The key that vouches for it.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// When the token ends.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.claims.exp)
    }

    /// Its session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.claims.sid
    }

    /// Its own id.
    #[must_use]
    pub const fn token(&self) -> TokenId {
        self.claims.jti
    }

    /// What the token rests on.
    #[must_use]
    pub fn grounds(&self) -> Grounds<'_> {
        let claims = &self.claims;
        Grounds {
            token: claims.jti,
            session: claims.sid,
            user: &claims.sub,
            version: claims.ver,
            given_at: Timestamp::from_secs(claims.iat),
            key: self.key.as_str(),
        }
    }

    /// Whether its time is now, with [`LEEWAY`]. A remembered token is asked again.
    pub const fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let now = now.secs();
        if now >= self.claims.exp.saturating_add(LEEWAY_SECS) {
            return Err(Refusal::Expired);
        }
        if now < self.claims.nbf.saturating_sub(LEEWAY_SECS) {
            return Err(Refusal::NotYetValid);
        }
        Ok(())
    }
}

/// Believes an access token, or says why not.
///
/// # Errors
/// The first reason found, in the order of the steps.
pub fn verify(signed: Signed<'_>, expected: Expected<'_>, now: Timestamp) -> Result<VerifiedClaims, Refusal> {
    let Signed { token, key } = signed;
    // (1) The type (RFC 9068, §4; RFC 8725, §3.11): no other kind of token passes for an access token.
    if token.token_type() != Some(ACCESS_TYPE) {
        return Err(Refusal::WrongType);
    }
    // (2) The claims, all of them, with their exact types.
    let claims: Claims = serde_json::from_value(Value::Object(token.claims()?)).map_err(|_| Refusal::Malformed)?;
    // (3) From whom and for whom.
    if claims.iss != expected.issuer {
        return Err(Refusal::WrongIssuer);
    }
    if !claims.aud.meets(expected.audience) {
        return Err(Refusal::WrongAudience);
    }
    // (4) Times within sane bounds, then against the clock.
    let sane =
        claims.iat >= 0 && claims.nbf >= 0 && claims.exp > claims.iat && claims.exp - claims.iat <= MAX_LIFE_SECS;
    if !sane {
        return Err(Refusal::Malformed);
    }
    if claims.iat > now.secs().saturating_add(LEEWAY_SECS) {
        return Err(Refusal::NotYetValid);
    }
    let verified = VerifiedClaims { claims, key: key.kid().clone() };
    verified.check_time(now)?;
    Ok(verified)
}
