//! Identifiers: UUID version 7 (RFC 9562, §5.7), one type for each thing they name.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::time::Timestamp;

/// A value that is not a lower-case hyphenated UUID.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

/// Reads a UUID in its one canonical spelling, so that two texts never name one thing.
fn parse(text: &str) -> Result<Uuid, NotAnId> {
    let uuid = Uuid::try_parse(text).map_err(|_| NotAnId)?;
    let mut canonical = Uuid::encode_buffer();
    if uuid.hyphenated().encode_lower(&mut canonical) == text { Ok(uuid) } else { Err(NotAnId) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[schemars(inline, extend("format" = "uuid"))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, sortable by `now`, from 80 random bits (of which the format keeps 74).
            #[must_use]
            pub fn new(now: Timestamp, random: &[u8; 10]) -> Self {
                let millis = u64::try_from(now.millis()).unwrap_or(0);
                Self(Builder::from_unix_timestamp_millis(millis, random).into_uuid())
            }

            /// Reads the canonical spelling: lower case, hyphenated.
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                parse(text).map(Self)
            }

            /// When it was made, as its first 48 bits tell.
            #[must_use]
            pub const fn made_at(&self) -> Timestamp {
                let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
                Timestamp::from_millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
            }

            /// The id's 16 bytes.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id!(
    /// A user; the `sub` of the tokens made for them.
    UserId
);
id!(
    /// A sign-in and everything that descends from it; the `sid` of its tokens.
    SessionId
);
id!(
    /// One token; its `jti`.
    TokenId
);
id!(
    /// An API key.
    ApiKeyId
);
id!(
    /// One request, as answers, logs and origins see it.
    RequestId
);
id!(
    /// A row that nothing outside the database refers to: an audit event, a sign-in attempt.
    RowId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_sort_by_time() {
        let early = UserId::new(Timestamp::from_millis(1), &[255; 10]);
        let late = UserId::new(Timestamp::from_millis(2), &[0; 10]);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().chars().nth(14), Some('7'));
        assert_eq!((early.made_at(), late.made_at()), (Timestamp::from_millis(1), Timestamp::from_millis(2)));
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let id = UserId::new(Timestamp::from_millis(5), &[171; 10]);
        let text = id.to_string();
        assert_eq!(UserId::parse(&text), Ok(id));
        for other in [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), String::new()] {
            assert_eq!(UserId::parse(&other), Err(NotAnId), "{other}");
        }
    }
}
