//! Signing in, staying signed in, signing out.

pub mod challenge;
mod device;
pub mod forward;
pub mod login;
pub mod logout;
pub mod mfa;
mod opened;
pub mod password;
pub mod prove;
pub mod refresh;
pub mod renewal;
mod return_to;
pub mod sessions;
pub mod sign_in;
pub mod token;

pub use opened::Opened;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{app::AccessToken, domain::id::SessionId};

/// The answer of `auth/token` and `auth/refresh` (RFC 6749, §5.1).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tokens")]
pub struct TokenAnswer {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    session_id: SessionId,
}

impl TokenAnswer {
    fn new(access: AccessToken, refresh_token: String, session_id: SessionId) -> Self {
        let AccessToken { token, expires_in, scope } = access;
        Self { access_token: token, refresh_token, token_type: "bearer", expires_in, scope, session_id }
    }
}

/// The answer of `auth/login`, beside the cookie.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CookieSession")]
pub struct CookieAnswer {
    /// The session.
    pub session_id: SessionId,
    /// When it ends whatever is done with it.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    /// What it permits, with spaces between.
    pub scope: String,
}
