//! Mails: what they are about, what they say, and the tokens in them.
//!
//! A mail goes to whoever holds an address, and attackers have mails sent to others. So nothing that a stranger can
//! write freely stands in one: no full name, and of a browser only what `device.rs` recognises. The subject and both
//! addresses are of types that hold no line break, so that no header can be injected.

mod delivery;
mod render;
mod token;
mod words;

pub use delivery::{FIRST_WAIT, GIVE_UP_AFTER, KEEP_DEAD, KEEP_SENT, LONGEST_WAIT};
pub use render::{Branding, Details, Letter, render};
pub use token::{MailToken, NotAMailToken, Proven, Purpose};

use super::{
    id::RowId,
    user::{Email, FieldProblem},
};

/// What a mail is about. The names are kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To prove an address.
    VerifyEmail,
    /// To choose a new password.
    ResetPassword,
    /// To choose the first password of an account that somebody else made.
    Invitation,
    /// To the old address: the account has another one now.
    EmailChanged,
    /// The password was changed.
    PasswordChanged,
    /// Too many failures closed the account's sign-in.
    SignInClosed,
    /// Someone signed in from a browser that had not signed in before.
    NewDevice,
    /// A second factor was enrolled.
    MfaEnabled,
    /// A second factor was taken off, by its owner or by another.
    MfaDisabled,
    /// A recovery code was used; how many are left.
    RecoveryUsed,
    /// Recovery codes were replaced by new ones.
    RecoveryRenewed,
    /// An API key was made.
    ApiKeyMade,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::Invitation,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::SignInClosed,
        Self::NewDevice,
        Self::MfaEnabled,
        Self::MfaDisabled,
        Self::RecoveryUsed,
        Self::RecoveryRenewed,
        Self::ApiKeyMade,
    ];

    /// The name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::SignInClosed => "sign_in_closed",
            Self::NewDevice => "new_device",
            Self::MfaEnabled => "mfa_enabled",
            Self::MfaDisabled => "mfa_disabled",
            Self::RecoveryUsed => "recovery_used",
            Self::RecoveryRenewed => "recovery_renewed",
            Self::ApiKeyMade => "api_key_made",
        }
    }

    /// The kind of that name; `None` for one that only a later version knows.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What the token in it is for, if there is one.
    #[must_use]
    pub const fn purpose(self) -> Option<Purpose> {
        match self {
            Self::VerifyEmail => Some(Purpose::VerifyEmail),
            // An invitation is taken up where a reset is: either proves the address, and chooses a password.
            Self::ResetPassword | Self::Invitation => Some(Purpose::ResetPassword),
            Self::EmailChanged
            | Self::PasswordChanged
            | Self::SignInClosed
            | Self::NewDevice
            | Self::MfaEnabled
            | Self::MfaDisabled
            | Self::RecoveryUsed
            | Self::RecoveryRenewed
            | Self::ApiKeyMade => None,
        }
    }
}

/// One line of text without control characters: what may stand in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    /// At most so many characters.
    const MAX_CHARS: usize = 200;

    /// The text as one line: what would end it, or is no text, becomes a space; what is too much is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        Self(text.chars().map(|c| if is_break(c) { ' ' } else { c }).take(Self::MAX_CHARS).collect())
    }

    /// The line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whom mails are from: an address, with a name or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The name; empty if there is none.
    pub name: String,
    /// The address.
    pub address: Email,
}

impl Sender {
    /// Reads `name@example.com` or `A name <name@example.com>`. The name holds nothing that means something in a header.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", text),
        };
        let has_meaning = |c: char| c.is_control() || "()<>[]:;@\\,\"".contains(c);
        if name.contains(has_meaning) || name.chars().count() > 100 {
            return Err("has a name with characters that mean something in a header");
        }
        Ok(Self { name: name.to_owned(), address: Email::parse(address)? })
    }

    /// As it stands in a header, with its name as it is.
    #[must_use]
    pub fn header(&self) -> String {
        let address = self.address.as_str();
        if self.name.is_empty() { address.to_owned() } else { format!("{} <{address}>", self.name) }
    }
}

/// A mail, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its row's id: two mails of one id are one.
    pub id: RowId,
    /// Whom it is from.
    pub from: Sender,
    /// Whom it is to.
    pub to: Email,
    /// What it is about.
    pub subject: Line,
    /// What it says, complete by itself.
    pub text: String,
    /// The same for programs that show HTML.
    pub html: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
        assert_eq!(Kind::parse("love_letter"), None);
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(Line::new("a\r\nBcc: b\u{2028}c\u{0}").as_str(), "a  Bcc: b c ");
        assert_eq!(Line::new(&"é".repeat(300)).as_str().chars().count(), 200);
    }

    #[test]
    fn senders() {
        let read = |text| Sender::parse(text).map(|sender| sender.header());
        assert_eq!(read("no-reply@example.com"), Ok("no-reply@example.com".to_owned()));
        assert_eq!(read("Example Inc. <a@Example.com>"), Ok("Example Inc. <a@example.com>".to_owned()));
        for bad in [
            "",
            "Example",
            "a@b.org\r\nBcc: c@d.org",
            "A\nB <a@b.org>",
            "A, B <a@b.org>",
            "\"A\" <a@b.org>",
            "A <a@b.org> x",
        ] {
            assert!(Sender::parse(bad).is_err(), "{bad:?}");
        }
    }
}
