//! `GET users/me`: the caller's own account.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::UserView;
use crate::{
    api::extract::Reader,
    app::App,
    domain::{rbac::Requirement, token::verify::Refusal},
    error::ApiError,
    stores::users,
};

/// Answers with the account as it is now, not as the token remembers it.
pub async fn me(State(app): State<Arc<App>>, reader: Reader) -> Result<Json<UserView>, ApiError> {
    reader.require(&app, &Requirement::permission("profile:read")).await?;
    let user = users::by_id(app.ports.database.as_ref(), reader.user()?).await?;
    user.map(|user| Json(UserView::new(user, app.ports.clock.now()))).ok_or(ApiError::InvalidToken(Refusal::Revoked))
}
