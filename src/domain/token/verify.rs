//! The one way a token is believed.
//!
//! [`verify`] is the only maker of [`VerifiedClaims`]. It takes a [`SignatureProof`], which only
//! [`SignatureProof::from_port`] makes, from the answer of the crypto port about exactly the key
//! and the bytes it was asked about.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    claims::Claims,
    jwk::PublicKey,
    jws::{ACCESS_TYPE, Unreadable, Untrusted},
};
use crate::domain::{
    id::{SessionId, TokenId},
    time::Timestamp,
};

/// Clocks may differ by this much.
pub const LEEWAY: Duration = Duration::from_secs(LEEWAY_SECS.unsigned_abs());
const LEEWAY_SECS: i64 = 5;
/// No token lives longer than this, whatever it says: a day, in seconds.
const MAX_LIFE_SECS: i64 = 24 * 60 * 60;

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

/// What was asked of the crypto port: is this signature over these bytes this key's?
fn question(key: &PublicKey, signing_input: &str, signature: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [key.bytes().as_slice(), signing_input.as_bytes(), signature] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The crypto port's answer about one signature.
#[derive(Debug)]
pub struct SignatureProof {
    question: [u8; 32],
    good: bool,
}

impl SignatureProof {
    /// Keeps an answer together with what was asked.
    #[must_use]
    pub fn from_port(key: &PublicKey, token: &Untrusted<'_>, good: bool) -> Self {
        Self { question: question(key, token.signing_input(), token.signature()), good }
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
pub struct VerifiedClaims(Claims);

impl VerifiedClaims {
    /// What was claimed.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.0
    }

    /// When the token ends.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.0.exp)
    }

    /// Its session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.0.sid
    }

    /// Its own id.
    #[must_use]
    pub const fn token(&self) -> TokenId {
        self.0.jti
    }

    /// Whether its time is now, with [`LEEWAY`]. A remembered token is asked again.
    pub const fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let now = now.secs();
        if now >= self.0.exp.saturating_add(LEEWAY_SECS) {
            return Err(Refusal::Expired);
        }
        if now < self.0.nbf.saturating_sub(LEEWAY_SECS) {
            return Err(Refusal::NotYetValid);
        }
        Ok(())
    }
}

/// Believes an access token, or says why not.
///
/// # Errors
/// The first reason found, in the order of the steps.
pub fn verify(
    token: Untrusted<'_>,
    key: &PublicKey,
    proof: &SignatureProof,
    expected: Expected<'_>,
    now: Timestamp,
) -> Result<VerifiedClaims, Refusal> {
    // (1) The key decides the algorithm (RFC 8725, §3.1); the header may only agree.
    if !key.could_have_made(token.algorithm(), token.signature()) {
        return Err(Refusal::BadSignature);
    }
    // (2) The signature, and that the answer is about this very token and key.
    if !proof.good || proof.question != question(key, token.signing_input(), token.signature()) {
        return Err(Refusal::BadSignature);
    }
    // (3) The type (RFC 9068, §4; RFC 8725, §3.11): no other kind of token passes for an access token.
    if token.token_type() != Some(ACCESS_TYPE) {
        return Err(Refusal::WrongType);
    }
    // (4) The claims, all of them, with their exact types.
    let claims: Claims = serde_json::from_value(Value::Object(token.into_claims())).map_err(|_| Refusal::Malformed)?;
    // (5) From whom and for whom.
    if claims.iss != expected.issuer {
        return Err(Refusal::WrongIssuer);
    }
    if !claims.aud.meets(expected.audience) {
        return Err(Refusal::WrongAudience);
    }
    // (6) Times within sane bounds, then against the clock.
    let sane =
        claims.iat >= 0 && claims.nbf >= 0 && claims.exp > claims.iat && claims.exp - claims.iat <= MAX_LIFE_SECS;
    if !sane {
        return Err(Refusal::Malformed);
    }
    if claims.iat > now.secs().saturating_add(LEEWAY_SECS) {
        return Err(Refusal::NotYetValid);
    }
    let verified = VerifiedClaims(claims);
    verified.check_time(now)?;
    Ok(verified)
}
