//! `GET /dev/outbox`, in development only: what would be in the mailboxes.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{app::App, domain::mail::Mail, error::ApiError};

/// The newest mails, the last one first. Nothing of them is kept: rows are rendered again.
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let view = |Mail { to, subject, text, html, .. }: &Mail| json!({ "to": to.as_str(), "subject": subject.as_str(), "text": text, "html": html });
    let items: Vec<_> = app.newest_mails().await?.iter().map(view).collect();
    Ok(Json(json!({ "items": items })))
}
