//! A sign-in and what descends from it.

use std::time::Duration;

use super::{id::SessionId, time::Timestamp};

/// How long things made at a sign-in live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// An access token.
    pub access: Duration,
    /// A refresh token that is not used.
    pub refresh: Duration,
    /// How long a used refresh token's answer can be had again.
    pub refresh_grace: Duration,
    /// A session, whatever is done with it.
    pub session_max: Duration,
}

/// A new session, before it is recorded.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// When it ends whatever is done with it.
    pub expires_at: Timestamp,
    /// When its refresh token ends if it is not used.
    pub refresh_expires_at: Timestamp,
    /// What tells this session's refresh tokens from forged ones beside their MAC.
    pub salt: [u8; 16],
}

impl NewSession {
    /// Opens a session.
    #[must_use]
    pub fn open(id: SessionId, salt: [u8; 16], lifetimes: &Lifetimes, now: Timestamp) -> Self {
        let expires_at = now.plus(lifetimes.session_max);
        let refresh_expires_at = now.plus(lifetimes.refresh).min(expires_at);
        Self { id, expires_at, refresh_expires_at, salt }
    }
}

/// Why a session ended, as its row says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its owner signed out.
    Logout,
    /// Its owner signed out everywhere.
    LogoutAll,
    /// A refresh token was used that had been replaced: someone else holds a copy.
    TokenReuse,
}

impl EndReason {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::TokenReuse => "token_reuse",
        }
    }
}
