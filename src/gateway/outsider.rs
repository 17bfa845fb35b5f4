//! Callers of whom there is no account here: whom a trusted issuer vouches for, and services with a certificate.

use std::sync::Arc;

use super::{authenticate::Authenticated, caller::Caller, memory::Weigh, view::CredentialId};
use crate::domain::token::issuer::TheirClaims;

/// Such a caller. Nothing of theirs is revoked here; what they show ends by itself.
#[derive(Debug)]
pub struct Outsider {
    /// Who.
    pub caller: Caller,
    /// What they showed, by its digest.
    pub credential: CredentialId,
}

/// A token of a trusted issuer that was verified.
#[derive(Debug)]
pub struct Taken {
    /// Who it makes its bearer.
    pub who: Arc<Outsider>,
    /// What was verified.
    pub claims: TheirClaims,
    /// Which issuer's it is, by its place in the policy.
    pub issuer: usize,
}

impl Weigh for Taken {
    fn bytes(&self) -> usize {
        // What was claimed stands in the caller.
        2 * self.who.caller.bytes()
    }
}

/// Who makes a request that is proxied, and by what that is known.
#[derive(Clone, Debug)]
pub enum Proven {
    /// Somebody with an account.
    Account(Authenticated),
    /// Somebody without.
    Outsider(Arc<Outsider>),
}

impl Proven {
    /// Who.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        match self {
            Self::Account(who) => who.caller(),
            Self::Outsider(who) => &who.caller,
        }
    }

    /// What they showed.
    #[must_use]
    pub fn credential(&self) -> CredentialId {
        match self {
            Self::Account(who) => who.credential(),
            Self::Outsider(who) => who.credential,
        }
    }

    /// Whether somebody is the same, and holds the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Account(one), Self::Account(other)) => one.is_same(other),
            (Self::Outsider(one), Self::Outsider(other)) => Arc::ptr_eq(one, other) || one.caller == other.caller,
            _ => false,
        }
    }
}
