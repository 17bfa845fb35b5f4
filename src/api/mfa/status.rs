//! `GET mfa`: how it is with the caller's second factor.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{api::extract::Enrolling, app::App, domain::time::Timestamp, error::ApiError, stores::mfa};

/// What is told.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactor")]
pub struct StatusAnswer {
    enabled: bool,
    #[schemars(extend("format" = "date-time"))]
    enabled_at: Option<String>,
    /// Whether their roles want one.
    required: bool,
    recovery_codes_left: u32,
}

/// Answers with it.
pub async fn status(
    State(app): State<Arc<App>>,
    Enrolling(principal): Enrolling,
) -> Result<Json<StatusAnswer>, ApiError> {
    principal.require_if_narrowed("profile:read")?;
    let status = mfa::status(app.ports.database.as_ref(), principal.user()?).await?;
    Ok(Json(StatusAnswer {
        enabled: status.enabled_at.is_some(),
        enabled_at: status.enabled_at.map(Timestamp::rfc3339),
        required: app.bundle().await?.roles.require_mfa(&principal.0.caller().roles),
        recovery_codes_left: status.codes_left,
    }))
}
