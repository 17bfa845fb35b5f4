//! Who is calling. An authenticator has three outcomes: it knows who, it is not responsible, or
//! it refuses; each refusal has a closed reason for the log.

use std::sync::Arc;

use super::{
    Asked, Findings, Standing, Want, World,
    api_key::LiveKey,
    caller::Caller,
    knowledge::{Knowledge, Remembered, digest},
    session::LiveSession,
    view::{CredentialId, ViewAge},
};
use crate::{
    domain::{
        api_key::ApiKey,
        bundle::{Age, Bundle},
        id::UserId,
        revocation::{Revoked, set::Known},
        time::Timestamp,
        token::{
            jws::{MAX_TOKEN_BYTES, Untrusted},
            verify::Refusal,
        },
    },
    error::ApiError,
};

/// So often a request waits for another's question about revocations, or about an issuer's keys, before it is told that nobody
/// knows.
pub(super) const MAX_WAITS: u8 = 4;

/// Who is calling, and by what that is known.
#[derive(Clone, Debug)]
pub enum Authenticated {
    /// By an access token.
    Token(Arc<Remembered>),
    /// By a session cookie.
    Session(Arc<LiveSession>),
    /// By an API key.
    Key(Arc<LiveKey>),
}

impl Authenticated {
    /// Who.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        match self {
            Self::Token(token) => &token.caller,
            Self::Session(session) => &session.caller,
            Self::Key(key) => &key.caller,
        }
    }

    /// Whether somebody is the same, and holds the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        // Whoever was remembered once mostly still is; then nothing is compared.
        let is_one = match (self, other) {
            (Self::Token(one), Self::Token(other)) => Arc::ptr_eq(one, other),
            (Self::Session(one), Self::Session(other)) => Arc::ptr_eq(one, other),
            (Self::Key(one), Self::Key(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        is_one || self.caller() == other.caller()
    }

    /// The user's token version when it was made.
    #[must_use]
    pub fn version(&self) -> i64 {
        match self {
            Self::Token(token) => token.claims.claims().ver,
            Self::Session(session) => session.snapshot.version,
            Self::Key(key) => key.snapshot.version,
        }
    }

    /// When they last proved who they are. A session whose copy does not say so did it when it began; who made an API key,
    /// when they made it.
    #[must_use]
    pub fn authenticated_at(&self) -> Timestamp {
        match self {
            Self::Token(token) => Timestamp::from_secs(token.claims.claims().auth_time),
            Self::Session(live) => live.snapshot.authenticated_at.unwrap_or(live.snapshot.session.made_at()),
            Self::Key(live) => live.snapshot.key.made_at(),
        }
    }

    /// Whether it was narrowed to less than its user has.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.caller().is_narrowed
    }

    /// What would end it: itself, its session, its user's next version, its key.
    #[must_use]
    pub fn ended_by(&self) -> Vec<Revoked> {
        let (itself, user, version) = match self {
            Self::Token(token) => {
                let claims = token.claims.claims();
                (Revoked::Session(token.claims.session()), UserId::parse(&claims.sub).ok(), claims.ver)
            }
            Self::Session(live) => {
                let snapshot = &live.snapshot;
                (Revoked::Session(snapshot.session), Some(snapshot.user), snapshot.version)
            }
            Self::Key(live) => {
                let snapshot = &live.snapshot;
                (Revoked::ApiKey(snapshot.key), Some(snapshot.user), snapshot.version)
            }
        };
        let mut any = vec![itself];
        any.extend(user.map(|id| Revoked::User { id, version: version.saturating_add(1) }));
        if let Self::Token(token) = self {
            any.extend([Revoked::Token(token.claims.token()), Revoked::Key(token.claims.key().clone())]);
        }
        any
    }

    /// The id of what they showed.
    #[must_use]
    pub fn credential(&self) -> CredentialId {
        match self {
            Self::Token(token) => *token.claims.token().bytes(),
            Self::Session(session) => *session.snapshot.session.bytes(),
            Self::Key(key) => *key.snapshot.key.bytes(),
        }
    }
}

/// How far authentication got.
#[derive(Debug)]
pub enum Outcome<'a, T = Authenticated> {
    /// This is who.
    Known(T),
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

/// The API key that a request shows: in its own header, or as a bearer token.
#[must_use]
pub fn api_key<'a>(header: Option<&'a str>, authorization: Option<&'a str>) -> Option<&'a str> {
    let as_token = || authorization.and_then(bearer_token).filter(|token| ApiKey::is_meant_by(token));
    header.map(|text| text.trim_matches([' ', '\t'])).or_else(as_token)
}

/// What authentication goes by, whatever somebody shows.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'b> {
    /// What does not change.
    pub world: &'b World<'b>,
    /// What is known.
    pub knowledge: &'b Knowledge,
    /// What was asked for this request.
    pub found: &'b Findings,
    /// How fresh what is known of revocations must be.
    pub freshness: Freshness,
    /// Now.
    pub now: Timestamp,
}

/// Authenticates by bearer token.
///
/// # Errors
/// A token that is not believed; all look alike to the caller. Or what cannot be told, because nobody answers.
pub fn bearer<'a>(token: &'a str, basis: Basis<'_>) -> Result<Outcome<'a>, ApiError> {
    let Basis { knowledge, found, now, .. } = basis;
    let remembered = match recognise(token, knowledge, found, now)? {
        Outcome::Known(remembered) => remembered,
        Outcome::NotResponsible => return Ok(Outcome::NotResponsible),
        Outcome::Need(want) => return Ok(Outcome::Need(want)),
    };
    // What is known to be revoked stays so.
    let known = knowledge.view.knows(&remembered.claims.grounds(), now);
    if known == Known::Revoked || found.token_standing == Some(Standing::Revoked) {
        return Err(ApiError::InvalidToken(Refusal::Revoked));
    }
    settle(Authenticated::Token(remembered), known, found.token_standing, basis)
}

/// Whether who is recognised still is who they were, of whom as much is `known` as the view tells, and what this request
/// itself has asked about this very credential.
pub(super) fn settle<'a>(
    who: Authenticated,
    known: Known,
    standing: Option<Standing>,
    Basis { world, knowledge, found, freshness, now }: Basis<'_>,
) -> Result<Outcome<'a>, ApiError> {
    let (view, bound) = (&knowledge.view, world.revocation_bound);
    // (1) Whom this request itself asked about this very credential is believed.
    let asked = standing == Some(Standing::Good);
    let ask_record = || Ok(Outcome::Need(Want::Record(who.clone())));
    let unavailable = |why: &str| Err(ApiError::Unavailable(why.to_owned()));
    let is_fresh = match freshness {
        _ if asked => return Ok(Outcome::Known(who)),
        Freshness::Record => return ask_record(),
        // (2) The view, as fresh as is wanted: this request's own question is, however long it took.
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
    let was_checked = || freshness == Freshness::Bounded && view.was_checked(&who.credential(), now, bound);
    match (is_fresh, known) {
        (true, Known::Clear) => Ok(Outcome::Known(who)),
        // (3) Otherwise this very credential is asked about, unless that was done a moment ago: of the record, where too much
        //     was revoked to be told of;
        _ if was_checked() => Ok(Outcome::Known(who)),
        (true, _) => ask_record(),
        // (4) of its own copy, where nobody tells. Whoever else asks already is waited for, unless the last question
        //     failed; who does not come back is taken over from, by one at a time.
        _ if found.view == Some(Asked::Failed) || view.is_failing(now) => Ok(Outcome::Need(Want::Blacklist(who))),
        _ if !view.is_being_asked(now) => Ok(Outcome::Need(Want::View)),
        _ if found.waits_for_view < MAX_WAITS => Ok(Outcome::Need(Want::WaitForView)),
        _ => unavailable("revocations are being asked"),
    }
}

/// What is known of revocations and of roles is asked for first, as fresh as is wanted, where something is to rest on it that the
/// record says: that is held against a copy of the roles. Where nobody tells, that is not waited for here.
pub(super) fn view_first<'a>(Basis { world, knowledge, found, freshness, now }: Basis<'_>) -> Option<Want<'a>> {
    let view = &knowledge.view;
    let is_asked = freshness != Freshness::Record && found.view.is_none() && !view.is_failing(now);
    let is_old = freshness == Freshness::Strict || view.age(now, world.revocation_bound) == ViewAge::Old;
    let waits = freshness == Freshness::Bounded && view.is_being_asked(now) && found.waits_for_view < MAX_WAITS;
    (is_asked && is_old).then_some(if waits { Want::WaitForView } else { Want::View })
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
) -> Result<Outcome<'a, Arc<Remembered>>, ApiError> {
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
    // (2) Keys, and not old ones where newer can be had.
    let unavailable = |why: &str| Err(ApiError::Unavailable(why.to_owned()));
    let (bundle, age) = match usable(knowledge, found, now)? {
        Outcome::Known(usable) => usable,
        Outcome::NotResponsible => return Ok(Outcome::NotResponsible),
        Outcome::Need(want) => return Ok(Outcome::Need(want)),
    };
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
                ask_keys(Want::Reload, knowledge, found, now)
            } else if age == Age::Old || knowledge.last_read_failed() {
                unavailable("keys could not be read to tell")
            } else {
                refuse(Refusal::UnknownKey)
            }
        }
        Err(why) => refuse(why),
    }
}

/// Keys and roles that can be gone by, with their age.
///
/// # Errors
/// There are none, and they can neither be read.
pub(super) fn usable<'a, 'k>(
    knowledge: &'k Knowledge,
    found: &Findings,
    now: Timestamp,
) -> Result<Outcome<'a, (&'k Arc<Bundle>, Age)>, ApiError> {
    let unavailable = |why: &str| Err(ApiError::Unavailable(why.to_owned()));
    let failed = found.reload_tried || knowledge.failed_lately(now);
    let bundle = match &knowledge.bundle {
        None if failed => return unavailable("keys could not be read a moment ago"),
        None => return ask_keys(Want::Bundle, knowledge, found, now),
        Some(bundle) => bundle,
    };
    let age = knowledge.age(now).unwrap_or(Age::Spent);
    match age {
        Age::Spent if failed => unavailable("keys are too old"),
        Age::Spent => ask_keys(Want::Reload, knowledge, found, now),
        Age::Old if !found.reload_tried && knowledge.may_reload(now) => Ok(Outcome::Need(Want::Reload)),
        Age::Fresh | Age::Ageing | Age::Old => Ok(Outcome::Known((bundle, age))),
    }
}

/// Who cannot go on without keys and roles waits for another's question, if there is one; where that takes long, one
/// at a time asks again.
fn ask_keys<'a, T>(
    want: Want<'a>,
    knowledge: &Knowledge,
    found: &Findings,
    now: Timestamp,
) -> Result<Outcome<'a, T>, ApiError> {
    match knowledge.is_being_read(now) {
        true if !found.waited => Ok(Outcome::Need(Want::Wait)),
        true if !knowledge.may_reload_for_unknown(now) => Err(ApiError::Unavailable("keys are being read".to_owned())),
        _ => Ok(Outcome::Need(want)),
    }
}
