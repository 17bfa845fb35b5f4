//! A sign-in and what descends from it.
//!
//! A session is held by tokens (a *bearer* session, which idles out with its refresh token) or by a browser's
//! [`cookie`] (a *cookie* session, which idles out by itself). Either way it ends when it is ended, or at its
//! absolute end.

pub mod cookie;
pub mod snapshot;

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
    /// A cookie session that is not used, unless the browser is to be remembered: then as a refresh token.
    pub session_idle: Duration,
    /// A session, whatever is done with it.
    pub session_max: Duration,
}

/// What holds a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Tokens.
    Tokens,
    /// A browser's cookie.
    Cookie {
        /// Whether it outlives the browser's own session.
        remember: bool,
    },
}

/// A new session, before it is recorded.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// What holds it.
    pub holding: Holding,
    /// When it ends whatever is done with it.
    pub expires_at: Timestamp,
    /// How long it may go unused.
    pub idle: Duration,
    /// When it ends if it is not used.
    pub idle_until: Timestamp,
    /// What tells this session's refresh tokens, or its cookie, from forged ones beside their MAC.
    pub salt: [u8; 16],
}

impl NewSession {
    /// Opens a session.
    #[must_use]
    pub fn open(id: SessionId, holding: Holding, salt: [u8; 16], lifetimes: &Lifetimes, now: Timestamp) -> Self {
        let expires_at = now.plus(lifetimes.session_max);
        let idle = match holding {
            Holding::Cookie { remember: false } => lifetimes.session_idle,
            Holding::Cookie { remember: true } | Holding::Tokens => lifetimes.refresh,
        };
        let idle_until = now.plus(idle).min(expires_at);
        Self { id, holding, expires_at, idle, idle_until, salt }
    }
}

/// A session's use is noted only so often, in parts of how long it may go unused: writing costs more than knowing to
/// the second.
const SEEN_PARTS: u32 = 24;

/// How long after one use of a session the next is noted, if it may go unused for `idle`.
#[must_use]
pub fn noted_every(idle: Duration) -> Duration {
    idle / SEEN_PARTS
}

/// What ends where a refresh token is used that had been replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReuseRevokes {
    /// Its session, with every token that descends from that sign-in.
    #[default]
    Family,
    /// Every session of its user.
    User,
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
    /// Its owner ended it from another session.
    Ended,
    /// There were too many, and it was used longest ago.
    TooMany,
    /// Its owner changed the password from another session.
    PasswordChange,
    /// It goes on under another id.
    Renewed,
    /// The account was deactivated.
    Deactivated,
    /// Its owner chose a new password by mail.
    PasswordReset,
    /// A second factor was enrolled or taken off from another session.
    FactorChange,
}

impl EndReason {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::TokenReuse => "token_reuse",
            Self::Ended => "ended",
            Self::TooMany => "too_many",
            Self::PasswordChange => "password_change",
            Self::Renewed => "renewed",
            Self::Deactivated => "deactivated",
            Self::PasswordReset => "password_reset",
            Self::FactorChange => "factor_change",
        }
    }
}
