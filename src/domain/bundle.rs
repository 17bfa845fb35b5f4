//! What an isolate reads once: our keys, and what roles give.

use std::collections::HashMap;

use super::{
    rbac::RoleGraph,
    time::Timestamp,
    token::{jwk::SigningKeyRef, keyring::KeyRing},
};

/// Keys and roles, read together.
#[derive(Debug, Default)]
pub struct Bundle {
    /// Our keys.
    pub keyring: KeyRing,
    /// Private halves by `kid`, sealed.
    pub sealed: HashMap<String, String>,
    /// What roles give.
    pub roles: RoleGraph,
}

impl Bundle {
    /// The key that signs at `now`, with its sealed private half.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Option<(SigningKeyRef, &str)> {
        let key = self.keyring.signing(now)?;
        let sealed = self.sealed.get(key.kid.as_str())?;
        Some((key, sealed))
    }
}
