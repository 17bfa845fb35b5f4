//! Who is calling, by session cookie.
//!
//! A cookie says which session it is of, and its MAC that we gave it out. What the session stands for is a
//! [`Snapshot`]: found once, in KV or in the record, and then remembered. It is believed for as long as everything
//! that could have changed it since is told of; what cannot be told from it the record is asked.

use std::sync::Arc;

use super::{
    Standing, Want, World,
    authenticate::{Authenticated, Basis, Freshness, Outcome, settle, usable, view_first},
    caller::Caller,
    head::Head,
    memory::Weigh,
};
use crate::{
    domain::{
        bundle::Bundle,
        cookies,
        revocation::set::Known,
        session::{cookie::SessionCookie, snapshot::Snapshot},
    },
    error::ApiError,
};

/// A session that stands, and who it makes the holder of its cookie.
#[derive(Debug)]
pub struct LiveSession {
    /// What it stands for.
    pub snapshot: Snapshot,
    /// Who that is.
    pub caller: Caller,
    /// Under which version of the roles.
    pub roles_version: i64,
}

impl LiveSession {
    /// Works out who the holder is; `issuer` is ours.
    #[must_use]
    pub fn new(snapshot: Snapshot, issuer: &str, bundle: &Bundle) -> Self {
        let caller = Caller::from_session(&snapshot, issuer, &bundle.roles);
        Self { caller, snapshot, roles_version: bundle.versions.roles }
    }
}

/// What was found of a session.
#[derive(Clone, Debug)]
pub enum SessionFound {
    /// There is none, or it is over: it never comes back.
    Gone,
    /// It stands.
    Live(Arc<LiveSession>),
}

impl SessionFound {
    /// Whether it was worked out under this version of the roles.
    fn is_under(&self, roles_version: i64) -> bool {
        matches!(self, Self::Gone) || matches!(self, Self::Live(live) if live.roles_version == roles_version)
    }

    /// Whether another finding is at least as good: what is gone stays gone, and of two snapshots the later one counts.
    #[must_use]
    pub fn is_replaced_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Gone, _) => false,
            (Self::Live(_), Self::Gone) => true,
            (Self::Live(known), Self::Live(other)) => known.snapshot.as_of <= other.snapshot.as_of,
        }
    }
}

impl Weigh for SessionFound {
    fn bytes(&self) -> usize {
        match self {
            Self::Gone => size_of::<Self>(),
            // The snapshot's texts stand in the caller as well.
            Self::Live(session) => 2 * session.caller.bytes(),
        }
    }
}

/// The session cookie that a request brings, if we gave it out.
#[must_use]
pub fn session_cookie(head: &Head<'_>, world: &World<'_>) -> Option<SessionCookie> {
    let lines = head.headers.iter().filter(|(name, _)| *name == "cookie").map(|(_, value)| *value);
    cookies::find(lines, world.cookies.session()).find_map(|value| SessionCookie::decode(value, world.mac_keys))
}

/// Authenticates by session cookie. One that does not stand is as good as none.
///
/// # Errors
/// What cannot be told, because nobody answers.
pub fn session<'a>(cookie: SessionCookie, basis: Basis<'_>) -> Result<Outcome<'a>, ApiError> {
    let Basis { knowledge, found, freshness, now, .. } = basis;
    let view = &knowledge.view;
    // (1) What is known to be over stays so.
    let known = view.knows_session(cookie.session, now);
    if known == Known::Revoked || found.session_standing == Some(Standing::Revoked) {
        return Ok(Outcome::NotResponsible);
    }
    // (2) Keys and roles, as for a token.
    let (bundle, _) = match usable(knowledge, found, now)? {
        Outcome::Known(usable) => usable,
        Outcome::NotResponsible => return Ok(Outcome::NotResponsible),
        Outcome::Need(want) => return Ok(Outcome::Need(want)),
    };
    // (3) What is known of revocations and of roles, before anything rests on it.
    if let Some(want) = view_first(basis) {
        return Ok(Outcome::Need(want));
    }
    // (4) What the session stands for, as this request itself was told, or another before; under the roles as they are.
    let told = found.session.as_ref().filter(|found| found.is_under(bundle.versions.roles));
    let remembered = told.or_else(|| knowledge.session(&cookie.session)).map(AsRef::as_ref);
    let live = match remembered {
        None => return Ok(Outcome::Need(Want::Session { cookie, of_record: freshness == Freshness::Record })),
        Some(SessionFound::Gone) => return Ok(Outcome::NotResponsible),
        Some(SessionFound::Live(live)) => live,
    };
    let snapshot = &live.snapshot;
    if snapshot.salt != cookie.salt_text() || now >= snapshot.expires_at {
        return Ok(Outcome::NotResponsible);
    }
    // (5) Whom this request asked of the record is believed. It is asked where the snapshot is too old, where roles or
    //     account may have changed since, and where the session may have gone unused for too long: elsewhere it may
    //     have been used.
    let who = Authenticated::Session(live.clone());
    if found.session_standing == Some(Standing::Good) {
        return Ok(Outcome::Known(who));
    }
    let is_outdated = view.outdates(&live.caller.subject, snapshot.version, snapshot.as_of);
    if !snapshot.is_good(now) || is_outdated || now >= snapshot.idle_until {
        return Ok(Outcome::Need(Want::Record(who)));
    }
    // (6) Otherwise what is known of revocations decides, as fresh as is wanted.
    settle(who, known, found.session_standing, basis)
}
