//! What is believed of a token that another issuer made.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Issuer;
use crate::domain::{
    time::Timestamp,
    token::{
        algorithm::Algorithm,
        claims::Audience,
        jwk::KeyId,
        verify::{LEEWAY, Refusal, Signed},
    },
};

/// A token of theirs that goes on for longer is not taken: nothing here ends one early.
const MAX_REST: Duration = Duration::from_hours(24);
/// A longer subject is none, in bytes, without its prefix.
pub const MAX_SUBJECT_BYTES: usize = 255;
/// The types of token that pass for an access token (RFC 9068, §2.1; RFC 7519, §5.1), beside none.
const TYPES: [&str; 4] = ["JWT", "application/jwt", "at+jwt", "application/at+jwt"];

/// What is believed of such a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TheirClaims {
    /// The subject, with the prefix that makes it no one of ours.
    pub subject: String,
    /// The roles that its claims give here.
    pub roles: Vec<String>,
    ends_at: Timestamp,
    begins_at: Timestamp,
    key: KeyId,
    algorithm: Algorithm,
}

impl TheirClaims {
    /// The key that vouches for it, and what that was used for.
    #[must_use]
    pub const fn key(&self) -> (&KeyId, Algorithm) {
        (&self.key, self.algorithm)
    }

    /// Whether its time is now, with [`LEEWAY`]. A remembered token is asked again.
    ///
    /// # Errors
    /// It is not.
    pub fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        if now >= self.ends_at.plus(LEEWAY) {
            return Err(Refusal::Expired);
        }
        if now.plus(LEEWAY) < self.begins_at {
            return Err(Refusal::NotYetValid);
        }
        Ok(())
    }
}

/// Believes a token of a trusted issuer, or says why not.
///
/// # Errors
/// The first reason found, in the order of the steps.
pub fn verify_theirs(signed: Signed<'_>, issuer: &Issuer, now: Timestamp) -> Result<TheirClaims, Refusal> {
    let (token, key) = signed.into_vouched();
    // (1) Its algorithm is one of those that are taken of this issuer, and its type is not another's (RFC 8725, §3.1 and §3.11).
    if !issuer.algorithms.contains(&token.algorithm()) {
        return Err(Refusal::Unsupported);
    }
    if token.token_type().is_some_and(|typ| !TYPES.iter().any(|one| one.eq_ignore_ascii_case(typ))) {
        return Err(Refusal::WrongType);
    }
    // (2) From whom and for whom.
    let claims = token.claims()?;
    if text(&claims, "iss")? != Some(&issuer.issuer) {
        return Err(Refusal::WrongIssuer);
    }
    let audience: Audience =
        claims.get("aud").and_then(|aud| serde_json::from_value(aud.clone()).ok()).ok_or(Refusal::WrongAudience)?;
    if !audience.meets(&issuer.audience) {
        return Err(Refusal::WrongAudience);
    }
    // (3) That it is good for whoever bears it, which one that is bound to a key is not (RFC 7800, §3.1; RFC 8705; RFC 9449), and
    //     no notice of something that happened (RFC 8417, §2.2), such as a logout.
    if claims.contains_key("cnf") {
        return Err(Refusal::Unsupported);
    }
    if claims.contains_key("events") {
        return Err(Refusal::WrongType);
    }
    // (4) Who.
    let subject = text(&claims, "sub")?.filter(|sub| !sub.is_empty() && sub.len() <= MAX_SUBJECT_BYTES);
    let subject = format!("{}{}", issuer.subject_prefix, subject.ok_or(Refusal::Malformed)?);
    // (5) Times: when it ends must be said, and not be far off.
    let ends_at = time(&claims, "exp")?.ok_or(Refusal::Malformed)?;
    let (begins_at, issued_at) = (time(&claims, "nbf")?, time(&claims, "iat")?);
    if ends_at > now.plus(MAX_REST + LEEWAY) {
        return Err(Refusal::Malformed);
    }
    let (key, algorithm) = (key.kid().clone(), key.algorithm());
    let begins_at = begins_at.into_iter().chain(issued_at).max().unwrap_or(Timestamp::from_secs(0));
    let roles = issuer.roles.of(&claims);
    let theirs = TheirClaims { subject, roles, ends_at, begins_at, key, algorithm };
    theirs.check_time(now)?;
    Ok(theirs)
}

/// A claim that is a text, or is not there.
fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Result<Option<&'c String>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::Malformed),
    }
}

/// A `NumericDate` (RFC 7519, §2), which may have a fraction, or nothing.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Refusal> {
    /// The year 9999; whatever is later is no time.
    const LAST: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let secs = value.as_f64().filter(|secs| (0.0..=LAST).contains(secs)).ok_or(Refusal::Malformed)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is within what an i64 holds, and a fraction does not matter"
    )]
    Ok(Some(Timestamp::from_secs(secs as i64)))
}
