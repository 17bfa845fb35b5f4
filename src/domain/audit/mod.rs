//! Security events: what is worth a row, and what a row says. Never a password, token or secret.

use super::{
    id::{RequestId, RowId, SessionId, UserId},
    time::Timestamp,
};

/// The events that are written. The names are part of the public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An account was created.
    Register,
    /// An account was taken over from another system.
    UserImported,
    /// Someone signed in.
    LoginSuccess,
    /// Someone tried to, and failed.
    LoginFailure,
    /// Someone tried to after too many failures: nothing was looked at.
    LoginBlocked,
    /// Too many failures closed an account, to everyone or to one browser.
    AccountLocked,
    /// A session was ended by its owner.
    Logout,
    /// All sessions of a user were ended by their owner.
    LogoutAll,
    /// Sessions were ended from another, or because there were too many.
    SessionEnded,
    /// A password was changed by its owner.
    PasswordChanged,
    /// An address was changed.
    EmailChanged,
    /// An account was closed, by its owner or by another.
    AccountDeactivated,
    /// The person behind an account was removed from it.
    AccountErased,
    /// An address was proven.
    EmailVerified,
    /// A mail was asked for to choose a new password.
    PasswordResetRequested,
    /// A new password was chosen by such a mail.
    PasswordReset,
    /// A password was right, and a second factor is asked for.
    MfaChallenged,
    /// A second factor was wrong.
    MfaFailure,
    /// A second factor was shown again by who is signed in.
    MfaSteppedUp,
    /// A second factor was enrolled.
    MfaEnabled,
    /// A second factor was taken off by its owner.
    MfaDisabled,
    /// A second factor was taken off by another.
    MfaReset,
    /// A recovery code was used.
    MfaRecoveryUsed,
    /// Recovery codes were replaced by new ones.
    MfaRecoveryRenewed,
    /// A refresh token was exchanged.
    TokenRefresh,
    /// A refresh token was used that had been replaced long since.
    TokenReuseDetected,
    /// A next signing key was added, or may sign earlier than planned.
    KeyAdded,
    /// A new signing key took the place of all others, at once.
    KeysReplaced,
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Info,
    /// A failure, a lock, a reuse, a denial.
    Warning,
}

impl Event {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::UserImported => "user_imported",
            Self::LoginSuccess => "login_success",
            Self::LoginFailure => "login_failure",
            Self::LoginBlocked => "login_blocked",
            Self::AccountLocked => "account_locked",
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::SessionEnded => "session_ended",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::AccountDeactivated => "account_deactivated",
            Self::AccountErased => "admin_action",
            Self::EmailVerified => "email_verified",
            Self::PasswordResetRequested => "password_reset_requested",
            Self::PasswordReset => "password_reset",
            Self::MfaChallenged => "mfa_challenged",
            Self::MfaFailure => "mfa_failure",
            Self::MfaSteppedUp => "mfa_stepped_up",
            Self::MfaEnabled => "mfa_enabled",
            Self::MfaDisabled => "mfa_disabled",
            Self::MfaReset => "mfa_reset",
            Self::MfaRecoveryUsed => "mfa_recovery_used",
            Self::MfaRecoveryRenewed => "mfa_recovery_renewed",
            Self::TokenRefresh => "token_refresh",
            Self::TokenReuseDetected => "token_reuse_detected",
            Self::KeyAdded | Self::KeysReplaced => "key_rotated",
        }
    }

    /// How loud it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::LoginFailure
            | Self::LoginBlocked
            | Self::AccountLocked
            | Self::TokenReuseDetected
            | Self::MfaFailure
            | Self::KeysReplaced => Severity::Warning,
            Self::Register
            | Self::UserImported
            | Self::LoginSuccess
            | Self::Logout
            | Self::LogoutAll
            | Self::SessionEnded
            | Self::PasswordChanged
            | Self::EmailChanged
            | Self::AccountDeactivated
            | Self::AccountErased
            | Self::EmailVerified
            | Self::PasswordResetRequested
            | Self::PasswordReset
            | Self::MfaChallenged
            | Self::MfaSteppedUp
            | Self::MfaEnabled
            | Self::MfaDisabled
            | Self::MfaReset
            | Self::MfaRecoveryUsed
            | Self::MfaRecoveryRenewed
            | Self::TokenRefresh
            | Self::KeyAdded => Severity::Info,
        }
    }
}

impl Severity {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// Where a request came from, as far as the log is concerned.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The request.
    pub request: RequestId,
    /// The connecting address, if known.
    pub ip: Option<String>,
    /// The client's own description of itself, cut to [`MAX_USER_AGENT`] characters.
    pub user_agent: Option<String>,
}

/// A stored user agent is cut to this many characters.
pub const MAX_USER_AGENT: usize = 256;

/// One row of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id, made before it is written, so that a repeated write is one row.
    pub id: RowId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// Whom it is about, if that is known.
    pub subject: Option<UserId>,
    /// Which session, if one.
    pub session: Option<SessionId>,
    /// From where.
    pub origin: Origin,
}

/// A row about what somebody did to another's account. Where it came from is where they were, not whom it is about.
#[derive(Clone, Debug)]
pub struct Act {
    /// What, and to whom.
    pub entry: Entry,
    /// Who did it.
    pub actor: UserId,
}
