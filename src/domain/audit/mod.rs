//! Security events: what is worth a row, and what a row says. Never a password, token or secret.

pub mod record;
pub mod seal;

use super::{
    id::{RequestId, RowId, SessionId, UserId},
    time::Timestamp,
};

/// Every event stands here once: its name, how loud it is, and what became of what was tried. The names are part of the public
/// contract; two events may share one, if they share their outcome.
macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $name:literal, $severity:ident, $outcome:ident;)*) => {
        /// The events that are written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $event,)*
        }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$event,)*];

            /// The name in the log.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$event => $name,)*
                }
            }

            /// How loud it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$event => Severity::$severity,)*
                }
            }

            /// What became of what was tried.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self {
                    $(Self::$event => Outcome::$outcome,)*
                }
            }
        }
    };
}

events! {
    /// An account was created.
    Register = "register", Info, Success;
    /// An account was taken over from another system.
    UserImported = "user_imported", Info, Success;
    /// Someone signed in.
    LoginSuccess = "login_success", Info, Success;
    /// Someone tried to, and failed.
    LoginFailure = "login_failure", Warning, Failure;
    /// Someone tried to after too many failures: nothing was looked at.
    LoginBlocked = "login_blocked", Warning, Denied;
    /// Too many failures closed an account, to everyone or to one browser.
    AccountLocked = "account_locked", Warning, Failure;
    /// A session was ended by its owner.
    Logout = "logout", Info, Success;
    /// All sessions of a user were ended, by their owner or by another.
    LogoutAll = "logout_all", Info, Success;
    /// Sessions were ended from another, or because there were too many.
    SessionEnded = "session_ended", Info, Success;
    /// A password was changed by its owner.
    PasswordChanged = "password_changed", Info, Success;
    /// An address was changed.
    EmailChanged = "email_changed", Info, Success;
    /// An account was closed, by its owner or by another.
    AccountDeactivated = "account_deactivated", Info, Success;
    /// The person behind an account was removed from it.
    AccountErased = "admin_action", Info, Success;
    /// An account was opened again.
    AccountReactivated = "account_reactivated", Info, Success;
    /// What keeps sign-in to an account closed was taken away by another.
    AccountUnlocked = "account_unlocked", Info, Success;
    /// Something else of an account was changed by another.
    AccountEdited = "admin_action", Info, Success;
    /// Roles were granted, or taken away.
    RoleChanged = "role_changed", Info, Success;
    /// A role was made.
    RoleCreated = "role_created", Info, Success;
    /// A role was changed: what it inherits, gives or asks for.
    RoleUpdated = "role_updated", Info, Success;
    /// A role was removed.
    RoleDeleted = "role_deleted", Info, Success;
    /// A permission was made.
    PermissionCreated = "admin_action", Info, Success;
    /// What a permission is for was said anew.
    PermissionUpdated = "admin_action", Info, Success;
    /// A permission was removed.
    PermissionDeleted = "admin_action", Info, Success;
    /// Rows of the log were read out. It is about who did so.
    AuditExported = "admin_action", Info, Success;
    /// An API key was made.
    ApiKeyCreated = "api_key_created", Info, Success;
    /// An API key was made in the place of another.
    ApiKeyRotated = "api_key_rotated", Info, Success;
    /// An API key was ended by its owner.
    ApiKeyRevoked = "api_key_revoked", Info, Success;
    /// An address was proven.
    EmailVerified = "email_verified", Info, Success;
    /// A mail was asked for to choose a new password.
    PasswordResetRequested = "password_reset_requested", Info, Success;
    /// A new password was chosen by such a mail.
    PasswordReset = "password_reset", Info, Success;
    /// A password was right, and a second factor is asked for.
    MfaChallenged = "mfa_challenged", Info, Success;
    /// A second factor was wrong.
    MfaFailure = "mfa_failure", Warning, Failure;
    /// A second factor was shown again by who is signed in.
    MfaSteppedUp = "mfa_stepped_up", Info, Success;
    /// A second factor was enrolled.
    MfaEnabled = "mfa_enabled", Info, Success;
    /// A second factor was taken off by its owner.
    MfaDisabled = "mfa_disabled", Info, Success;
    /// A second factor was taken off by another.
    MfaReset = "mfa_reset", Info, Success;
    /// A recovery code was used.
    MfaRecoveryUsed = "mfa_recovery_used", Info, Success;
    /// Recovery codes were replaced by new ones.
    MfaRecoveryRenewed = "mfa_recovery_renewed", Info, Success;
    /// A refresh token was exchanged.
    TokenRefresh = "token_refresh", Info, Success;
    /// A refresh token was used that had been replaced long since.
    TokenReuseDetected = "token_reuse_detected", Warning, Denied;
    /// A next signing key was added, or may sign earlier than planned.
    KeyAdded = "key_rotated", Info, Success;
    /// A new signing key took the place of all others, at once.
    KeysReplaced = "key_rotated", Warning, Success;
    /// Another policy was put live, or is tried, or none is any more.
    PolicyChanged = "policy_changed", Info, Success;
    /// An earlier policy was put live again.
    PolicyRolledBack = "policy_rolled_back", Info, Success;
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Info,
    /// A failure, a lock, a reuse, a denial.
    Warning,
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

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Info, Self::Warning].into_iter().find(|severity| severity.name() == name)
    }
}

/// What became of what was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not, for what it was tried with.
    Failure,
    /// It was not, whatever it was tried with.
    Denied,
}

impl Outcome {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Denied].into_iter().find(|outcome| outcome.name() == name)
    }

    /// That of a row, which another version may have written: of an event that is not known here, its severity tells.
    #[must_use]
    pub fn of_row(event: &str, severity: &str) -> Self {
        let known = Event::ALL.iter().find(|known| known.name() == event);
        let by_severity = if severity == Severity::Info.name() { Self::Success } else { Self::Failure };
        known.map_or(by_severity, |event| event.outcome())
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

/// A row about what somebody did to another's account, or to what all accounts go by. Where it came from is where they were, not whom it is about.
#[derive(Clone, Debug)]
pub struct Act {
    /// What, and to whom.
    pub entry: Entry,
    /// Who did it.
    pub actor: UserId,
    /// What it was, beside what and to whom: which role, what of it. Never what tells of a person.
    pub detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_name_have_one_outcome_and_no_info_fails() {
        for event in Event::ALL {
            assert_eq!(Outcome::of_row(event.name(), "info"), event.outcome(), "{event:?}");
            assert!(event.severity() == Severity::Warning || event.outcome() == Outcome::Success, "{event:?}");
        }
        assert_eq!(Outcome::of_row("of_tomorrow", "info"), Outcome::Success);
        assert_eq!(Outcome::of_row("of_tomorrow", "warning"), Outcome::Failure);
    }
}
