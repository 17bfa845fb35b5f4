//! Who is calling, by API key.
//!
//! A key says which it is, and its tag that we gave it out. What it stands for is a [`KeySnapshot`]: the record is asked
//! once, and it is remembered and believed as that of a session is. A key that is ended, or whose owner's account is
//! closed, is refused; unlike a cookie it is shown on purpose, so it is never as good as none.

use std::{borrow::Cow, sync::Arc};

use super::{
    Want,
    authenticate::{Authenticated, Basis, Outcome, settle, usable, view_first},
    caller::Caller,
    knowledge::{TokenDigest, digest},
    memory::Weigh,
};
use crate::{
    domain::{
        api_key::{ApiKey, snapshot::KeySnapshot},
        bundle::Bundle,
        id::ApiKeyId,
        net::ClientIp,
        rate_limit::{Limit, LimitKey, Rule},
        rbac::Missing,
        revocation::set::Known,
        time::Timestamp,
        token::verify::Refusal,
    },
    error::ApiError,
};

/// A key that stands, and who it makes its holder.
#[derive(Debug)]
pub struct LiveKey {
    /// What it stands for.
    pub snapshot: KeySnapshot,
    /// Who that is.
    pub caller: Caller,
    /// Which key the record is asked about, should it have changed.
    pub asked: AskedKey,
    /// Under which version of the roles.
    roles_version: i64,
}

/// A key that a MAC key of ours vouches for, as the record is asked about it.
#[derive(Clone, Debug)]
pub struct AskedKey {
    /// Which.
    pub id: ApiKeyId,
    /// What its secret must be.
    pub secret_hash: String,
    /// Its name in memory.
    pub digest: TokenDigest,
}

impl LiveKey {
    /// Works out who the holder is; `issuer` is ours.
    #[must_use]
    pub fn new(snapshot: KeySnapshot, asked: AskedKey, issuer: &str, bundle: &Bundle) -> Self {
        let caller = Caller::from_key(&snapshot, issuer, &bundle.roles);
        Self { caller, snapshot, asked, roles_version: bundle.versions.roles }
    }

    /// Whose admissions it counts among.
    #[must_use]
    pub fn limit_key(&self) -> LimitKey {
        LimitKey::api_key(self.snapshot.key)
    }

    /// How often it may be used: as often as any, or less.
    #[must_use]
    pub fn limit(&self, any: &Limit) -> Limit {
        let Some(own) = self.snapshot.per_minute else { return any.clone() };
        let rules = any.rules.iter().map(|rule| Rule { limit: rule.limit.min(own), ..*rule }).collect::<Vec<_>>();
        Limit { rules, ..any.clone() }
    }
}

/// What was found of a key.
#[derive(Clone, Debug)]
pub enum KeyFound {
    /// It is none that stands, as of some time. The record is asked again some time later: an account may be opened again.
    Refused(Timestamp),
    /// It stands.
    Live(Arc<LiveKey>),
}

impl KeyFound {
    fn as_of(&self) -> Timestamp {
        match self {
            Self::Refused(as_of) => *as_of,
            Self::Live(live) => live.snapshot.as_of,
        }
    }

    /// Whether another finding is at least as good: the later one counts.
    #[must_use]
    pub fn is_replaced_by(&self, other: &Self) -> bool {
        self.as_of() <= other.as_of()
    }

    fn is_under(&self, roles_version: i64) -> bool {
        matches!(self, Self::Live(live) if live.roles_version == roles_version) || matches!(self, Self::Refused(_))
    }
}

impl Weigh for KeyFound {
    fn bytes(&self) -> usize {
        match self {
            Self::Refused(_) => size_of::<Self>(),
            // The snapshot's texts stand in the caller as well.
            Self::Live(live) => 2 * live.caller.bytes() + live.snapshot.scopes.len(),
        }
    }
}

/// Authenticates by API key, which is used from `ip`.
///
/// # Errors
/// A key that is not believed, or may not be used from there. Or what cannot be told, because nobody answers.
pub fn api_key<'a>(text: &str, ip: ClientIp, basis: Basis<'_>) -> Result<Outcome<'a>, ApiError> {
    let Basis { world, knowledge, found, now, .. } = basis;
    let refuse = |why| Err(ApiError::InvalidKey(why));
    // (1) What no MAC key of ours vouches for costs no question. What did once is known again.
    if text.len() > ApiKey::max_chars() {
        return refuse(Refusal::Malformed);
    }
    let digest = digest(text);
    let remembered = knowledge.key(&digest);
    let asked = match remembered.map(AsRef::as_ref) {
        Some(KeyFound::Live(live)) => Cow::Borrowed(&live.asked),
        Some(KeyFound::Refused(as_of)) if now >= *as_of && now.since(*as_of) < world.revocation_bound => {
            return refuse(Refusal::Revoked);
        }
        _ => match ApiKey::decode(text, world.mac_keys) {
            Some(key) => Cow::Owned(AskedKey { id: key.id, secret_hash: key.secret_hash(), digest }),
            None => return refuse(Refusal::BadSignature),
        },
    };
    // (2) Roles, as for a token.
    let (bundle, _) = match usable(knowledge, found, now)? {
        Outcome::Known(usable) => usable,
        Outcome::NotResponsible => return Ok(Outcome::NotResponsible),
        Outcome::Need(want) => return Ok(Outcome::Need(want)),
    };
    // (3) What is known of revocations and of roles, before anything rests on it.
    if let Some(want) = view_first(basis) {
        return Ok(Outcome::Need(want));
    }
    // (4) What the key stands for, as this request itself was told, or another before.
    let told = found.key.as_ref().filter(|found| found.is_under(bundle.versions.roles));
    let live = match told.or_else(|| remembered.map(AsRef::as_ref)) {
        Some(KeyFound::Live(live)) => live,
        Some(KeyFound::Refused(_)) if told.is_some() => return refuse(Refusal::Revoked),
        _ => return Ok(Outcome::Need(Want::Key(asked.into_owned()))),
    };
    let snapshot = &live.snapshot;
    if now >= snapshot.expires_at {
        return refuse(Refusal::Expired);
    }
    // (5) The record is asked anew where the snapshot is too old, and where the key, its owner's roles or their account may
    //     have changed since. Otherwise what is known of revocations decides, as fresh as is wanted.
    let known = knowledge.view.knows_api_key(snapshot.key, snapshot.as_of, now);
    let is_outdated = known == Known::Revoked
        || knowledge.view.outdates(&live.caller.subject, snapshot.version, snapshot.as_of)
        || !snapshot.is_good(now);
    let outcome = if told.is_some() {
        Outcome::Known(Authenticated::Key(live.clone()))
    } else if is_outdated {
        return Ok(Outcome::Need(Want::Key(asked.into_owned())));
    } else {
        let who = Authenticated::Key(live.clone());
        settle(who, known, found.key_standing, basis)?
    };
    // (6) From where.
    match outcome {
        Outcome::Known(_) if !snapshot.addresses.admit(ip) => Err(ApiError::Forbidden(Missing::Address)),
        outcome => Ok(outcome),
    }
}
