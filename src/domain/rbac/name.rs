//! How roles and permissions are called.

use std::fmt;

use serde::Serialize;

use crate::domain::user::FieldProblem;

/// The name of a role: `[a-z][a-z0-9_-]{1,49}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RoleName(String);

/// The name of a permission: `resource:action`, each spelled as a role's is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PermissionName(String);

/// What both consist of.
fn is_word(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (2..=50).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(rest)
}

impl RoleName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        if is_word(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 2 to 50 of a-z, 0-9, _ and -, and begin with a letter")
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PermissionName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        match text.split_once(':') {
            Some((resource, action)) if is_word(resource) && is_word(action) => Ok(Self(text.to_owned())),
            _ => Err("must be resource:action, each 2 to 50 of a-z, 0-9, _ and -, beginning with a letter"),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PermissionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_one_alphabet() {
        for good in ["ab", "super_admin", "a0-_", &"a".repeat(50)] {
            assert_eq!(RoleName::parse(good).map(|name| name.to_string()).as_deref(), Ok(good));
            let permission = format!("{good}:{good}");
            assert_eq!(PermissionName::parse(&permission).map(|name| name.to_string()).as_deref(), Ok(&*permission));
        }
        for bad in ["", "a", "Ab", "0a", "-a", "a b", "aé", "a:b", "ab\n", "ab\"", &"a".repeat(51)] {
            assert!(RoleName::parse(bad).is_err(), "{bad:?}");
            assert!(PermissionName::parse(&format!("users:{bad}")).is_err(), "{bad:?}");
            assert!(PermissionName::parse(&format!("{bad}:read")).is_err(), "{bad:?}");
            assert!(PermissionName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
