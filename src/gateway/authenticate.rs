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
        bundle::Age,
        time::Timestamp,
        token::{
            jws::{MAX_TOKEN_BYTES, Untrusted},
            verify::Refusal,
        },
    },
    error::ApiError,
};

/// How far authentication got.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// This is who.
    Known(Arc<Remembered>),
    /// There is no credential of this kind.
    NotResponsible,
    /// Something must be asked first.
    Need(Want<'a>),
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
pub fn bearer<'a>(
    token: &'a str,
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    revocation: Revocation,
    now: Timestamp,
) -> Result<Outcome<'a>, ApiError> {
    let remembered = match recognise(token, knowledge, found, now)? {
        Outcome::Known(remembered) => remembered,
        other => return Ok(other),
    };
    // Not revoked: as of now on a strict route, otherwise as of less than the bound ago.
    let view = &knowledge.revocations;
    let standing = match (revocation, found.standing) {
        _ if view.is_revoked(&remembered.claims) => Standing::Revoked,
        (_, Some(standing)) => standing,
        (Revocation::Strict, None) => Standing::Unknown,
        (Revocation::Bounded, None) => view.standing(&remembered.claims, now, world.revocation_bound),
    };
    match standing {
        Standing::Revoked => Err(ApiError::InvalidToken(Refusal::Revoked)),
        Standing::Good => Ok(Outcome::Known(remembered)),
        Standing::Unknown => {
            Ok(Outcome::Need(Want::Standing { token: remembered, strict: revocation == Revocation::Strict }))
        }
    }
}

/// Who a token is of, revoked or not: by what was verified before, or by asking its key.
///
/// # Errors
/// A token that is not genuine, or whose time is not now; or what cannot be told, because keys can
/// neither be read nor gone without.
pub fn recognise<'a>(
    token: &'a str,
    knowledge: &Knowledge,
    found: &Findings,
    now: Timestamp,
) -> Result<Outcome<'a>, ApiError> {
    let refuse = |why| Err(ApiError::InvalidToken(why));
    if let Some(why) = found.token_refused {
        return refuse(why);
    }
    // (1) What could never be a token is refused before anyone is asked, and before it is hashed.
    if token.len() > MAX_TOKEN_BYTES {
        return refuse(Refusal::Malformed);
    }
    let digest = digest(token);
    let remembered = knowledge.token(&digest);
    let untrusted = match remembered {
        Some(_) => None,
        None => match Untrusted::parse(token) {
            Ok(untrusted) => Some(untrusted),
            Err(why) => return refuse(why.into()),
        },
    };
    // (2) Keys, and not old ones where newer can be had. Who cannot go on without waits for another's
    //     question, if there is one; where that takes long, one at a time asks again.
    let unavailable = |why: &str| Err(ApiError::Unavailable(why.to_owned()));
    let need = |want| match knowledge.is_being_read(now) {
        true if !found.waited => Ok(Outcome::Need(Want::Wait)),
        true if !knowledge.may_reload_for_unknown(now) => unavailable("keys are being read"),
        _ => Ok(Outcome::Need(want)),
    };
    let failed = found.reload_tried || knowledge.failed_lately(now);
    let bundle = match &knowledge.bundle {
        None if failed => return unavailable("keys could not be read a moment ago"),
        None => return need(Want::Bundle),
        Some(bundle) => bundle,
    };
    let age = bundle.age(now);
    match age {
        Age::Spent if failed => return unavailable("keys are too old"),
        Age::Spent => return need(Want::Reload),
        Age::Old if !found.reload_tried && knowledge.may_reload(now) => return Ok(Outcome::Need(Want::Reload)),
        Age::Fresh | Age::Ageing | Age::Old => {}
    }
    // (3) A token that was verified before: its time and its key's are asked again, nothing else.
    if let Some(remembered) = remembered {
        if bundle.keyring.verifying(remembered.claims.key().as_str(), now).is_none() {
            let unreadable = bundle.unreadable.contains_key(remembered.claims.key().as_str());
            return if unreadable {
                unavailable("the token's key cannot be read")
            } else {
                refuse(Refusal::UnknownKey)
            };
        }
        remembered.claims.check_time(now).map_err(ApiError::InvalidToken)?;
        return Ok(Outcome::Known(remembered.clone()));
    }
    // (4) Otherwise: by a key that is ours and could have made it. Then its signature.
    let Some(untrusted) = untrusted else { return refuse(Refusal::Malformed) };
    let could_be_new = untrusted.could_be_of_a_new_key();
    let unreadable = bundle.unreadable.contains_key(untrusted.key_id());
    match bundle.keyring.claim(untrusted, now) {
        Ok(claimed) => Ok(Outcome::Need(Want::Verification { token: claimed, digest })),
        // (5) Whoever cannot tell does not say that the token is bad.
        Err(Refusal::UnknownKey) if unreadable => unavailable("the token's key cannot be read"),
        // (6) A key that is not known may have been added since.
        Err(Refusal::UnknownKey) if could_be_new => {
            let may_ask = age == Age::Old && !knowledge.failed_lately(now)
                || knowledge.is_being_read(now)
                || knowledge.may_reload_for_unknown(now);
            if may_ask && !found.reload_tried {
                need(Want::Reload)
            } else if age == Age::Old || knowledge.last_read_failed() {
                unavailable("keys could not be read to tell")
            } else {
                refuse(Refusal::UnknownKey)
            }
        }
        Err(why) => refuse(why),
    }
}
