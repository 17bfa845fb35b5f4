//! What was ended before its time, and for how long that matters.
//!
//! The record is in the database. [`feed`] hands it on in the order in which it came; [`set`] is what
//! an isolate knows of it, and answers about one token.

pub mod feed;
pub mod set;
mod thin;

pub use thin::{MAX_ENTRIES, Thinned, thin};

use serde::{Deserialize, Serialize};

use super::{
    id::{ApiKeyId, SessionId, TokenId, UserId},
    time::Timestamp,
    token::jwk::KeyId,
};

/// How fresh the knowledge about revocations must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revocation {
    /// At most `REVOCATION_BOUND` old.
    #[default]
    Bounded,
    /// Asked for each request.
    Strict,
}

/// What was ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revoked {
    /// One token.
    Token(TokenId),
    /// A session, with every token of it.
    Session(SessionId),
    /// Every token of a user that is of a version before this one.
    User {
        /// The user.
        id: UserId,
        /// The first version that is not ended.
        version: i64,
    },
    /// Every token that a key signed.
    Key(KeyId),
    /// An API key, at once or some time later: what is known of it is to be looked up anew.
    ApiKey(ApiKeyId),
    /// Everything that a user was given at or before the revocation's own time: what many revocations of one
    /// user become when there are too many to keep apart.
    Given(UserId),
}

impl Revoked {
    /// The word for its kind, as the record has it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Session(_) => "session",
            Self::User { .. } => "user",
            Self::Key(_) => "key",
            Self::ApiKey(_) => "api_key",
            Self::Given(_) => "given",
        }
    }

    /// Which one, as the record has it.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Token(id) => id.to_string(),
            Self::Session(id) => id.to_string(),
            Self::User { id, version } => format!("{id}:{version}"),
            Self::Key(id) => id.to_string(),
            Self::ApiKey(id) => id.to_string(),
            Self::Given(id) => id.to_string(),
        }
    }

    /// From the record's words; `None` if they are not ones that are known here.
    #[must_use]
    pub fn parse(kind: &str, value: &str) -> Option<Self> {
        Some(match kind {
            "token" => Self::Token(TokenId::parse(value).ok()?),
            "session" => Self::Session(SessionId::parse(value).ok()?),
            "user" => {
                let (id, version) = value.split_once(':')?;
                Self::User { id: UserId::parse(id).ok()?, version: version.parse().ok()? }
            }
            "key" => Self::Key(KeyId::stored(value.to_owned())),
            "api_key" => Self::ApiKey(ApiKeyId::parse(value).ok()?),
            "given" => Self::Given(UserId::parse(value).ok()?),
            _ => return None,
        })
    }
}

/// A revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Entry {
    /// What was ended.
    pub what: Revoked,
    /// Whose it was, if that is known.
    pub user: Option<UserId>,
    /// When.
    pub at: Timestamp,
    /// Until when it can matter.
    pub until: Timestamp,
}

/// How an entry is written down: kind, value, user, and the times in milliseconds since the Unix epoch.
#[derive(Serialize, Deserialize)]
struct Written(String, String, Option<UserId>, i64, i64);

/// What is not an entry, or one of a kind that is not known here.
#[derive(Debug, thiserror::Error)]
#[error("not a revocation")]
pub struct NotARevocation;

impl TryFrom<Written> for Entry {
    type Error = NotARevocation;
    fn try_from(Written(kind, value, user, at, until): Written) -> Result<Self, NotARevocation> {
        let what = Revoked::parse(&kind, &value).ok_or(NotARevocation)?;
        Ok(Self { what, user, at: Timestamp::from_millis(at), until: Timestamp::from_millis(until) })
    }
}

impl From<Entry> for Written {
    fn from(Entry { what, user, at, until }: Entry) -> Self {
        Self(what.kind().to_owned(), what.value(), user, at.millis(), until.millis())
    }
}

/// Reads a list of entries without those of a kind that only a later version knows.
pub fn known_entries<'de, D: serde::Deserializer<'de>>(list: D) -> Result<Vec<Entry>, D::Error> {
    let written = Vec::<Written>::deserialize(list)?;
    Ok(written.into_iter().filter_map(|written| written.try_into().ok()).collect())
}

/// How often each thing changed that isolates hold a copy of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The signing keys.
    pub keys: i64,
    /// The policy.
    pub policy: i64,
    /// The role graph.
    pub roles: i64,
}

impl Versions {
    /// The later of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            keys: self.keys.max(other.keys),
            policy: self.policy.max(other.policy),
            roles: self.roles.max(other.roles),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> UserId {
        UserId::new(Timestamp::from_secs(1), &[number; 10])
    }

    #[test]
    fn every_kind_is_written_down_and_read_back() {
        let kinds = [
            Revoked::Token(TokenId::new(Timestamp::from_secs(1), &[1; 10])),
            Revoked::Session(SessionId::new(Timestamp::from_secs(1), &[1; 10])),
            Revoked::User { id: id(1), version: 7 },
            Revoked::Key(KeyId::stored("k".to_owned())),
            Revoked::ApiKey(ApiKeyId::new(Timestamp::from_secs(1), &[1; 10])),
            Revoked::Given(id(1)),
        ];
        for what in kinds {
            assert_eq!(Revoked::parse(what.kind(), &what.value()), Some(what.clone()));
            let entry = Entry { what, user: Some(id(2)), at: Timestamp::from_secs(3), until: Timestamp::from_secs(4) };
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry, "{text}");
        }
        for (kind, value) in [("planet", "x"), ("token", "x"), ("user", "x"), ("user", "x:1"), ("session", "")] {
            assert_eq!(Revoked::parse(kind, value), None);
        }
    }
}
