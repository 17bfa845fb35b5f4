//! What an API key stands for, as of one moment. It is believed as the snapshot of a session is.

use crate::domain::{
    api_key::addresses::Addresses,
    id::{ApiKeyId, UserId},
    session::snapshot::is_believed,
    time::Timestamp,
};

/// A key that stands and its owner, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySnapshot {
    /// The key.
    pub key: ApiKeyId,
    /// Whose it is.
    pub user: UserId,
    /// Their username.
    pub username: String,
    /// Their address, if it was proven.
    pub verified_email: Option<String>,
    /// The roles granted to them directly.
    pub roles: Vec<String>,
    /// When the first of those is over, if one ever is.
    pub roles_until: Option<Timestamp>,
    /// Their token version.
    pub version: i64,
    /// What it was narrowed to, with spaces between; it gives no more than its owner has.
    pub scopes: String,
    /// Whether its owner had shown a second factor when they made it, which they still have.
    pub with_factor: bool,
    /// From where it may be used.
    pub addresses: Addresses,
    /// How often in a minute, if that was said.
    pub per_minute: Option<u32>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When its use was last noted.
    pub used_at: Option<Timestamp>,
    /// As of when all this is so.
    pub as_of: Timestamp,
}

impl KeySnapshot {
    /// Whether it is still believed.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        is_believed(self.as_of, self.roles_until, now)
    }
}
