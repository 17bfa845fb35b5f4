//! Who is calling. An authenticator has three outcomes: it knows who, it is not responsible, or
//! it refuses; each refusal has a closed reason for the log.

use std::sync::Arc;

use super::{
    Findings, Want, World,
    knowledge::{Knowledge, Remembered, Standing, digest},
    policy::Revocation,
};
use crate::{
    domain::{
        time::Timestamp,
        token::{jws::Untrusted, verify::Refusal},
    },
    error::ApiError,
};

/// How far authentication got.
#[derive(Debug)]
pub enum Outcome {
    /// This is who.
    Known(Arc<Remembered>),
    /// There is no credential of this kind.
    NotResponsible,
    /// Something must be asked first.
    Need(Want),
}

/// The bearer token in the value of an `Authorization` header (RFC 6750, §2.1). A scheme without a
/// token is an empty token, which nobody believes.
#[must_use]
pub fn bearer_token(authorization: &str) -> Option<&str> {
    let blank = |c: char| c == ' ' || c == '\t';
    let authorization = authorization.trim_matches(blank);
    let (scheme, token) = authorization.split_once(blank).unwrap_or((authorization, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(blank))
}

/// Authenticates by bearer token.
///
/// # Errors
/// A token that is not believed; all look alike to the caller.
pub fn bearer(
    token: &str,
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    revocation: Revocation,
    now: Timestamp,
) -> Result<Outcome, ApiError> {
    let refuse = |why| Err(ApiError::InvalidToken(why));
    if let Some(why) = found.token_refused {
        return refuse(why);
    }
    let Some(bundle) = &knowledge.bundle else { return Ok(Outcome::Need(Want::Bundle)) };
    // (1) A token that was verified before: its time and its key's are asked again, nothing else.
    let digest = digest(token);
    let Some(remembered) = knowledge.token(&digest) else {
        // (2) Otherwise: readable, by a key that is ours, and then the signature.
        let readable = Untrusted::parse(token).map_err(Refusal::from);
        if let Err(why) = readable.and_then(|untrusted| bundle.keyring.key_of(&untrusted, now).map(drop)) {
            return refuse(why);
        }
        return Ok(Outcome::Need(Want::Verification { token: token.to_owned(), digest }));
    };
    if bundle.keyring.verifying(&remembered.kid, now).is_none() {
        return refuse(Refusal::UnknownKey);
    }
    if let Err(why) = remembered.claims.check_time(now) {
        return refuse(why);
    }
    // (3) Not revoked: as of now on a strict route, otherwise as of less than the bound ago.
    let view = &knowledge.revocations;
    let standing = match (revocation, found.standing) {
        _ if view.is_revoked(&remembered.claims) => Standing::Revoked,
        (_, Some(standing)) => standing,
        (Revocation::Strict, None) => Standing::Unknown,
        (Revocation::Bounded, None) => view.standing(&remembered.claims, now, world.revocation_bound),
    };
    match standing {
        Standing::Revoked => refuse(Refusal::Revoked),
        Standing::Good => Ok(Outcome::Known(remembered.clone())),
        Standing::Unknown => {
            Ok(Outcome::Need(Want::Standing { token: remembered.clone(), strict: revocation == Revocation::Strict }))
        }
    }
}
