//! `GET admin/users/{id}`: one account, with what only those who look after it need to know.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::READ;
use crate::{
    api::{accounts::UserView, extract::Reader},
    app::App,
    domain::{id::UserId, rbac::Requirement, time::Timestamp},
    error::ApiError,
    stores::users::{self, Granted},
};

/// An account with who granted its roles, and what keeps it closed.
#[derive(Serialize, JsonSchema)]
pub struct WholeUser {
    #[serde(flatten)]
    user: UserView,
    /// The roles in `roles`, and such as are over.
    role_grants: Vec<GrantView>,
    /// Until when sign-in is closed to everyone who is not known, if it is.
    #[schemars(extend("format" = "date-time"))]
    locked_until: Option<String>,
    /// How many sessions stand.
    live_sessions: i64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RoleGrant")]
struct GrantView {
    role: String,
    #[schemars(extend("format" = "date-time"))]
    granted_at: String,
    granted_by: Option<UserId>,
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
}

impl From<Granted> for GrantView {
    fn from(grant: Granted) -> Self {
        Self {
            role: grant.role,
            granted_at: grant.granted_at.rfc3339(),
            granted_by: grant.granted_by,
            expires_at: grant.expires_at.map(Timestamp::rfc3339),
        }
    }
}

/// Answers with the account.
pub async fn view(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Json<WholeUser>, ApiError> {
    reader.require(&app, &Requirement::permission(READ)).await?;
    let id = UserId::parse(&id).map_err(|_| ApiError::NotFound)?;
    read(&app, id).await.map(Json)
}

/// Reads it, as it is now.
pub(super) async fn read(app: &App, id: UserId) -> Result<WholeUser, ApiError> {
    let now = app.ports.clock.now();
    let whole = users::whole(app.ports.database.as_ref(), id, now).await?.ok_or(ApiError::NotFound)?;
    Ok(WholeUser {
        user: UserView::new(whole.user, now),
        role_grants: whole.grants.into_iter().map(GrantView::from).collect(),
        locked_until: whole.locked_until.map(Timestamp::rfc3339),
        live_sessions: whole.live_sessions,
    })
}
