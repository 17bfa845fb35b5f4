//! `GET api-keys`: the caller's own.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::KeyView;
use crate::{api::extract::Enrolling, app::App, error::ApiError, stores::api_keys};

/// Answers with those that are not ended, the newest first; those included that are over, for as long as they are kept.
pub async fn list(State(app): State<Arc<App>>, Enrolling(principal): Enrolling) -> Result<Json<Value>, ApiError> {
    principal.require_if_narrowed("profile:read")?;
    let listed = api_keys::list(app.ports.database.as_ref(), principal.user()?, app.ports.clock.now()).await?;
    let items = listed.into_iter().map(KeyView::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(json!({ "items": items })))
}
