//! What a person does with an account.

pub mod deactivate;
pub mod me;
pub mod profile;
pub mod register;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{id::UserId, time::Timestamp, user::User};

/// A user as the API shows one: never the hash.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserView {
    id: UserId,
    username: String,
    email: String,
    email_verified: bool,
    full_name: String,
    roles: Vec<String>,
    is_active: bool,
    mfa_enabled: bool,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_login_at: Option<String>,
}

impl UserView {
    /// A user at `now`.
    pub fn new(user: User, now: Timestamp) -> Self {
        Self {
            roles: user.roles(now),
            id: user.id,
            username: user.username,
            email: user.email,
            email_verified: user.email_verified,
            full_name: user.full_name,
            is_active: user.is_active,
            mfa_enabled: user.mfa_enabled,
            created_at: user.created_at.rfc3339(),
            updated_at: user.updated_at.rfc3339(),
            last_login_at: user.last_login_at.map(Timestamp::rfc3339),
        }
    }
}
