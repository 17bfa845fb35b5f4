//! Who is calling. An authenticator has three outcomes: it knows who, it is not responsible, or
//! it refuses; each refusal has a closed reason for the log.

use std::sync::Arc;

use super::{
    Asked, Findings, Standing, Want, World,
    knowledge::{Knowledge, Remembered, digest},
    view::ViewAge,
};
use crate::{
    domain::{
        bundle::Age,
        revocation::set::Known,
        time::Timestamp,
        token::{
            jws::{MAX_TOKEN_BYTES, Untrusted},
            verify::Refusal,
        },
    },
    error::ApiError,
};

/// So often a request waits for another's question about revocations, before it is told that nobody knows.
const MAX_WAITS: u8 = 4;

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

/// How fresh the knowledge about revocations must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Heard of less than `REVOCATION_BOUND` ago.
    Bounded,
    /// Asked of the feed for this very request.
    Strict,
    /// Asked of the record for this very request: all that the token rests on must stand.
    Record,
}

/// Authenticates by bearer token.
///
/// # Errors
/// A token that is not believed; all look alike to the caller. Or what cannot be told, because nobody answers.
pub fn bearer<'a>(
    token: &'a str,
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    freshness: Freshness,
    now: Timestamp,
) -> Result<Outcome<'a>, ApiError> {
    let remembered = match recognise(token, knowledge, found, now)? {
        Outcome::Known(remembered) => remembered,
        other => return Ok(other),
    };
    let (view, claims, bound) = (&knowledge.view, &remembered.claims, world.revocation_bound);
    // (1) What is known to be revoked stays so.
    let known = view.knows(claims, now);
    if known == Known::Revoked || found.standing == Some(Standing::Revoked) {
        return Err(ApiError::InvalidToken(Refusal::Revoked));
    }
    // (2) Whom this request itself asked about the token is believed.
    let asked = found.standing == Some(Standing::Good);
    let ask_record = || Ok(Outcome::Need(Want::Record(remembered.clone())));
    let unavailable = |why: &str| Err(ApiError::Unavailable(why.to_owned()));
    let is_fresh = match freshness {
        _ if asked => return Ok(Outcome::Known(remembered)),
        Freshness::Record => return ask_record(),
        // (3) The view, as fresh as is wanted: this request's own question is, however long it took.
        Freshness::Strict => match found.view {
            Some(Asked::Answered) => true,
            Some(Asked::Failed) => return unavailable("revocations cannot be asked"),
            // Where that failed, one at a time tries again.
            None if view.is_failing(now) && (view.failed_lately(now) || view.is_being_asked(now)) => {
                return unavailable("revocations could not be asked a moment ago");
            }
            None => return Ok(Outcome::Need(Want::View)),
        },
        Freshness::Bounded => found.view == Some(Asked::Answered) || view.age(now, bound) != ViewAge::Old,
    };
    let was_checked = || freshness == Freshness::Bounded && view.was_checked(claims, now, bound);
    match (is_fresh, known) {
        (true, Known::Clear) => Ok(Outcome::Known(remembered)),
        // (4) Otherwise the very token is asked about, unless that was done a moment ago: of the record, where too much
        //     was revoked to be told of;
        _ if was_checked() => Ok(Outcome::Known(remembered)),
        (true, _) => ask_record(),
        // (5) of its own copy, where nobody tells. Whoever else asks already is waited for, unless the last question
        //     failed; who does not come back is taken over from, by one at a time.
        _ if found.view == Some(Asked::Failed) || view.is_failing(now) => {
            Ok(Outcome::Need(Want::Blacklist(remembered.clone())))
        }
        _ if !view.is_being_asked(now) => Ok(Outcome::Need(Want::View)),
        _ if found.waits_for_view < MAX_WAITS => Ok(Outcome::Need(Want::WaitForView)),
        _ => unavailable("revocations are being asked"),
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
    let age = knowledge.age(now).unwrap_or(Age::Spent);
    match age {
        Age::Spent if failed => return unavailable("keys are too old"),
        Age::Spent => return need(Want::Reload),
        Age::Old if !found.reload_tried && knowledge.may_reload(now) => return Ok(Outcome::Need(Want::Reload)),
        Age::Fresh | Age::Ageing | Age::Old => {}
    }
    // (3) A token that was verified before: its time and its key's are asked again, nothing else.
    if let Some(remembered) = remembered {
        if knowledge.view.ends_key(remembered.claims.key().as_str()) {
            return refuse(Refusal::Revoked);
        }
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
    if knowledge.view.ends_key(untrusted.key_id()) {
        return refuse(Refusal::UnknownKey);
    }
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
