//! The fields of an account, parsed once into types that cannot hold a bad value.

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};

use super::{id::UserId, time::Timestamp};

/// What is wrong with a field, in words for whoever typed it.
pub type FieldProblem = &'static str;

/// A username: 3 to 50 of `[A-Za-z0-9_-]`, kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Parses what a person typed.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        if !(3..=50).contains(&text.len()) {
            return Err("must have 3 to 50 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err("may hold only letters, digits, _ and -");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The username, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An email address: an RFC 5321 mailbox of at most 254 characters, ASCII, with a domain of at
/// least two labels. The domain is lower-cased, the local part kept as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Parses what a person typed.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        if text.len() > 254 {
            return Err("must have at most 254 characters");
        }
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let mailbox = EmailAddress::parse_with_options(text, options).map_err(|_| "is not an email address")?;
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("is not an email address");
        }
        Ok(Self(format!("{}@{}", mailbox.local_part(), mailbox.domain().to_ascii_lowercase())))
    }

    /// The address as mail is sent to it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes it unique: the address without regard to case.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part before the last `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

/// A person's name: at most 100 characters, trimmed, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullName(String);

impl FullName {
    /// Parses what a person typed.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        line_of_text(text, 100, "must have at most 100 characters").map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What ends a line, is not seen, or makes what follows read otherwise than it is written (Unicode, UAX #9).
const fn reorders(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A line of text, trimmed: at most so many characters, of which none controls anything.
pub fn line_of_text(text: &str, max: usize, too_long: FieldProblem) -> Result<String, FieldProblem> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(too_long);
    }
    if text.chars().any(|c| c.is_control() || reorders(c)) {
        return Err("must not hold control characters");
    }
    Ok(text.to_owned())
}

/// What a person signs in with: a username or an email address, as a look-up key.
///
/// Anything is accepted: whether it could be either is not for a sign-in to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(String);

impl Identifier {
    /// From what was typed, cut to a bounded look-up key.
    #[must_use]
    pub fn new(typed: &str) -> Self {
        Self(typed.trim().chars().take(254).collect::<String>().to_ascii_lowercase())
    }

    /// The key to look up.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands in the place of name and address once the person behind an account was removed from it. Neither a
/// username nor an address can be spelled so, so nobody can register it, before or after.
#[must_use]
pub fn pseudonym(id: UserId) -> String {
    format!("erased:{id}")
}

/// The role that every new account has, if nothing else is said.
pub const FIRST_ROLE: &str = "user";

/// A role that somebody was granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoleGrant {
    /// Its name.
    pub role: String,
    /// When it is over, if it ever is.
    pub expires_at: Option<Timestamp>,
}

/// An account, as the database holds it.
#[derive(Clone, Debug)]
pub struct User {
    /// Its id, the `sub` of its tokens.
    pub id: UserId,
    /// Unique, lower case.
    pub username: String,
    /// Unique without regard to case.
    pub email: String,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// Optional; empty when not given.
    pub full_name: String,
    /// The roles granted directly, in the order of their names; also such as are over, until they are forgotten.
    pub grants: Vec<RoleGrant>,
    /// A deactivated account cannot sign in.
    pub is_active: bool,
    /// Whether a second factor is enrolled.
    pub mfa_enabled: bool,
    /// Raised to end every token that is already out (`ver`).
    pub token_version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it last signed in.
    pub last_login_at: Option<Timestamp>,
}

fn granted(grants: &[RoleGrant], now: Timestamp) -> impl Iterator<Item = &RoleGrant> {
    grants.iter().filter(move |grant| grant.expires_at.is_none_or(|at| at > now))
}

/// Those of the roles that are not over.
#[must_use]
pub fn roles(grants: &[RoleGrant], now: Timestamp) -> Vec<String> {
    granted(grants, now).map(|grant| grant.role.clone()).collect()
}

/// When the first of those will be over, if one will.
#[must_use]
pub fn roles_until(grants: &[RoleGrant], now: Timestamp) -> Option<Timestamp> {
    granted(grants, now).filter_map(|grant| grant.expires_at).min()
}

impl User {
    /// The roles granted directly that are not over, sorted.
    #[must_use]
    pub fn roles(&self, now: Timestamp) -> Vec<String> {
        roles(&self.grants, now)
    }

    /// When the first of them will be over, if one will.
    #[must_use]
    pub fn roles_until(&self, now: Timestamp) -> Option<Timestamp> {
        roles_until(&self.grants, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        assert_eq!(Username::parse("Ada_L-1").unwrap().as_str(), "ada_l-1");
        let long = "a".repeat(51);
        for bad in ["", "ab", long.as_str(), "ada lovelace", "ada@b", "ädä", "a\nb", "ada\u{0}"] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Username::parse(&"a".repeat(50)).is_ok());
    }

    #[test]
    fn emails_keep_the_local_part_and_lower_the_domain() {
        let email = Email::parse("Ada.L+x@Example.ORG").unwrap();
        assert_eq!(email.as_str(), "Ada.L+x@example.org");
        assert_eq!(email.key(), "ada.l+x@example.org");
        assert_eq!(email.local_part(), "Ada.L+x");
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}.org", "b.".repeat(130));
        for bad in [
            "",
            "a",
            "@example.org",
            "a@",
            "a@b",
            "a@@b.org",
            "a b@c.org",
            "Ada <a@b.org>",
            "a@[127.0.0.1]",
            "a@b.org\r\nX-Evil: 1",
            "a@-b.org",
            "ä@b.org",
            &long,
            &longer,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(FullName::parse("  Ada Lovelace ").unwrap().as_str(), "Ada Lovelace");
        assert!(FullName::parse(&"é".repeat(100)).is_ok());
        assert!(FullName::parse(&"é".repeat(101)).is_err());
        for hidden in ['\u{7}', '\u{200B}', '\u{2028}', '\u{202E}', '\u{2066}', '\u{FEFF}'] {
            assert!(FullName::parse(&format!("a{hidden}b")).is_err(), "{hidden:?}");
        }
        assert!(FullName::parse("می\u{200C}خواهم").is_ok(), "some scripts need joiners");
    }

    #[test]
    fn nobody_can_register_a_pseudonym() {
        let pseudonym = pseudonym(UserId::new(Timestamp::from_secs(1), &[7; 10]));
        assert!(Username::parse(&pseudonym).is_err() && Email::parse(&pseudonym).is_err(), "{pseudonym}");
        assert!(Username::parse("erased-0").is_ok(), "which is why it is not spelled with a hyphen");
    }

    #[test]
    fn identifiers_are_bounded_and_fold_case() {
        assert_eq!(Identifier::new(" Ada ").as_str(), "ada");
        assert_eq!(Identifier::new(&"x".repeat(10_000)).as_str().len(), 254);
    }
}
