//! The claims of an access token (RFC 9068, §2.2) and ours beside them.

use serde::{Deserialize, Serialize};

use crate::domain::id::{SessionId, TokenId};

/// `aud`: one string or a list of them (RFC 7519, §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One audience.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    /// From a configured list: one is written as a string.
    #[must_use]
    pub fn new(list: &[String]) -> Self {
        match list {
            [one] => Self::One(one.clone()),
            many => Self::Many(many.to_vec()),
        }
    }

    /// Whether any of `accepted` is among them.
    #[must_use]
    pub fn meets(&self, accepted: &[String]) -> bool {
        match self {
            Self::One(one) => accepted.contains(one),
            Self::Many(many) => many.iter().any(|one| accepted.contains(one)),
        }
    }
}

/// What an access token says. Times are whole seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The user's id.
    pub sub: String,
    /// Who it is for.
    pub aud: Audience,
    /// When it ends.
    pub exp: i64,
    /// When it begins.
    pub nbf: i64,
    /// When it was made.
    pub iat: i64,
    /// Its own id.
    pub jti: TokenId,
    /// The client it was made for.
    pub client_id: String,
    /// The session it belongs to.
    pub sid: SessionId,
    /// The user's token version when it was made.
    pub ver: i64,
    /// When the user last proved who they are.
    pub auth_time: i64,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// Roles granted directly.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Present only when the token carries less than its roles give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The name as people write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
}

/// A claim that an operator may leave out (`TOKEN_CLAIMS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optional {
    /// `username`.
    Username,
    /// `email`.
    Email,
    /// `email_verified`.
    EmailVerified,
    /// `full_name`.
    FullName,
}
