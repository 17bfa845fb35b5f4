//! What an origin is handed of a caller, signed: an assertion, made once for as long as it is good, or for one request.

use std::sync::Arc;

use super::{
    Findings,
    canonical::Path,
    head::Head,
    knowledge::Knowledge,
    memory::Weigh,
    outsider::Proven,
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
    pub who: Proven,
    /// When it was made.
    pub made_at: Timestamp,
    /// What signed it.
    pub key: KeyId,
    /// The assertion.
    pub token: Box<str>,
}

impl Weigh for Asserted {
    fn bytes(&self) -> usize {
        self.who.caller().bytes() + self.token.len()
    }
}

/// An assertion that is to be made.
#[derive(Debug)]
pub struct ToAssert {
    /// Of whom.
    pub who: Proven,
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
            scope_left_out: false,
            sid: caller.session,
            auth_method: caller.method,
            request: self.request.as_ref(),
        }
    }
}

/// The assertion of a caller, if the route has any; or that it is to be made.
pub(super) fn assertion(
    who: &Proven,
    (route, origin): (&Route, &Origin),
    (head, path): (&Head<'_>, &Path),
    knowledge: &Knowledge,
    found: &Findings,
    now: Timestamp,
) -> Result<Option<Arc<Asserted>>, Box<ToAssert>> {
    // Of this very caller, as they are now, by a key that is one still.
    let is_theirs =
        |asserted: &&Arc<Asserted>| asserted.who.is_same(who) && !knowledge.view.ends_key(asserted.key.as_str());
    let is_young = |asserted: &&Arc<Asserted>| now >= asserted.made_at && now.since(asserted.made_at) < HANDED_ON_FOR;
    // What was made for this very request is good for it, however long that took.
    let made = found.assertion.as_ref().filter(is_theirs);
    let known = match route.assertion {
        Assertion::None => return Ok(None),
        Assertion::Identity => {
            let remembered = knowledge.asserted(&(who.credential(), route.origin));
            made.or_else(|| remembered.filter(is_theirs).filter(is_young))
        }
        Assertion::Request => made,
    };
    if let Some(asserted) = known {
        return Ok(Some(asserted.clone()));
    }
    let request = (route.assertion == Assertion::Request).then(|| BoundRequest {
        method: head.method.to_owned(),
        host: head.authority.clone().into_owned(),
        target: format!("{}{}", route.changes.path(path.as_str()), head.query),
    });
    let audience = origin.assertion_audience.clone();
    Err(Box::new(ToAssert { who: who.clone(), origin: route.origin, audience, request }))
}
