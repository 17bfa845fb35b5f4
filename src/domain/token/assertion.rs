//! What the gateway tells an origin of a caller, signed: a JWT (RFC 7519) of a minute, for that origin alone.
//!
//! It is no access token, and nobody takes it for one: its `typ` is its own (RFC 8725, §3.11).

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::domain::{
    id::{SessionId, TokenId},
    time::Timestamp,
};

/// `typ` of its header.
pub const ASSERTION_TYPE: &str = "assertion+jwt";
/// How long it is good for.
pub const LIFE: Duration = Duration::from_mins(1);
/// One that is remembered is handed on for so long: what is left is for the way, and for a clock that is a little ahead.
pub const HANDED_ON_FOR: Duration = Duration::from_secs(45);

/// What it says. Times are whole seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claims<'a> {
    /// Us.
    pub iss: &'a str,
    /// The origin.
    pub aud: &'a str,
    /// The caller.
    pub sub: &'a str,
    /// Whose subject that is: us, or a trusted issuer.
    pub sub_iss: &'a str,
    /// When it was made.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// Its own id.
    pub jti: TokenId,
    /// The username, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<&'a str>,
    /// The email address, only if it was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    /// Roles granted directly, as origins are told of them.
    pub roles: Vec<&'a str>,
    /// What the caller may do, with spaces between; left out where it would make the assertion too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'a str>,
    /// Whether it was.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub scope_left_out: bool,
    /// The session, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// How the caller proved who they are: `bearer`, `session` or `api_key`.
    pub auth_method: &'a str,
    /// The one request that it is good for, if it is for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<&'a BoundRequest>,
}

/// A request as its origin gets to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundRequest {
    /// The method.
    pub method: String,
    /// The host that the client asked, with its port if that is not the scheme's own: `X-Forwarded-Host`.
    pub host: String,
    /// The path and the query, with its `?` if there is one, as they are sent; told by their SHA-256, which has one length.
    #[serde(rename = "target_sha256", serialize_with = "as_digest")]
    pub target: String,
}

fn as_digest<S: Serializer>(target: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Base64UrlUnpadded::encode_string(&Sha256::digest(target)))
}

/// When an assertion that is made at `now` ends.
#[must_use]
pub fn ends_at(now: Timestamp) -> Timestamp {
    now.plus(LIFE)
}
