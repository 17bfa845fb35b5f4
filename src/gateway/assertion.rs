//! What an origin is handed of a caller, signed: an assertion, made once for as long as it is good, or for one request.

use std::sync::Arc;

use super::{
    Findings, Want,
    authenticate::Authenticated,
    caller::Caller,
    canonical::Path,
    head::Head,
    knowledge::Knowledge,
    memory::Weigh,
    policy::{Assertion, Origin, Route},
    view::CredentialId,
};
use crate::domain::{
    id::TokenId,
    time::Timestamp,
    token::{
        assertion::{BoundRequest, Claims, HANDED_ON_FOR, ends_at},
        jwk::KeyId,
    },
};

/// By which credential, and to which origin of the policy.
pub type AssertedTo = (CredentialId, usize);

/// An assertion that is remembered.
#[derive(Debug)]
pub struct Asserted {
    /// Of whom.
    pub caller: Caller,
    /// When it was made.
    pub made_at: Timestamp,
    /// What signed it.
    pub key: KeyId,
    /// The assertion.
    pub token: Arc<str>,
}

impl Weigh for Asserted {
    fn bytes(&self) -> usize {
        self.caller.bytes() + self.token.len()
    }
}

/// An assertion that is to be made.
#[derive(Debug)]
pub struct ToAssert {
    /// Of whom.
    pub who: Authenticated,
    /// For which origin, by its place in the policy.
    pub origin: usize,
    /// Who that is to itself.
    pub audience: String,
    /// The request that it is bound to, if it is to be.
    pub request: Option<BoundRequest>,
}

impl ToAssert {
    /// What it says.
    #[must_use]
    pub fn claims<'a>(&'a self, issuer: &'a str, jti: TokenId, now: Timestamp) -> Claims<'a> {
        let caller = self.who.caller();
        Claims {
            iss: issuer,
            aud: &self.audience,
            sub: &caller.subject,
            sub_iss: &caller.issuer,
            iat: now.secs(),
            exp: ends_at(now).secs(),
            jti,
            username: caller.username.as_deref(),
            email: caller.verified_email.as_deref(),
            roles: caller.roles_text.split_whitespace().collect(),
            scope: Some(&caller.scopes_text),
            sid: caller.session,
            auth_method: caller.method,
            request: self.request.as_ref(),
        }
    }
}

/// The assertion of a caller, if the route has any; or that it is to be made.
pub(super) fn assertion<'a>(
    who: &Authenticated,
    (route, origin): (&Route, &Origin),
    (head, path): (&Head<'_>, &Path),
    knowledge: &Knowledge,
    found: &Findings,
    now: Timestamp,
) -> Result<Option<Arc<str>>, Want<'a>> {
    let is_good = |asserted: &&Arc<Asserted>| {
        let is_young = now >= asserted.made_at && now.since(asserted.made_at) < HANDED_ON_FOR;
        is_young && asserted.caller == *who.caller() && !knowledge.view.ends_key(asserted.key.as_str())
    };
    let known = match route.assertion {
        Assertion::None => return Ok(None),
        // What was made for this very request is good for it, however long that took.
        _ if found.assertion.is_some() => found.assertion.clone(),
        Assertion::Identity => {
            knowledge.asserted(&(who.credential(), route.origin)).filter(is_good).map(|asserted| asserted.token.clone())
        }
        Assertion::Request => None,
    };
    if known.is_some() {
        return Ok(known);
    }
    let request = (route.assertion == Assertion::Request).then(|| BoundRequest {
        method: head.method.to_owned(),
        host: head.authority.clone().into_owned(),
        path: route.changes.path(path.as_str()),
        query: head.query.strip_prefix('?').unwrap_or_default().to_owned(),
    });
    let audience = origin.assertion_audience.clone();
    Err(Want::Assertion(Box::new(ToAssert { who: who.clone(), origin: route.origin, audience, request })))
}
