//! `auth/sessions`: where the caller is signed in, and ending it from afar.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{Connection, extract::Principal},
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        id::SessionId,
        session::EndReason,
        user_agent::describe,
    },
    error::ApiError,
    stores::{
        audit,
        sessions::{self, Ended, EndedBy, Listed},
    },
};

/// A session as the API shows one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionView {
    id: SessionId,
    device: String,
    ip: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_seen_at: String,
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    current: bool,
}

/// `GET auth/sessions`: the caller's own that may still be used, the newest first.
pub async fn list(State(app): State<Arc<App>>, principal: Principal) -> Result<Json<Value>, ApiError> {
    principal.require_if_narrowed("profile:read")?;
    let current = principal.session();
    let listed = sessions::list(app.ports.database.as_ref(), principal.user()?, app.ports.clock.now()).await?;
    let view = |session: Listed| SessionView {
        id: session.id,
        device: describe(session.user_agent.as_deref()),
        ip: session.ip,
        created_at: session.created_at.rfc3339(),
        last_seen_at: session.seen_at.rfc3339(),
        expires_at: session.idle_until.rfc3339(),
        current: session.id == current,
    };
    let items: Vec<_> = listed.into_iter().map(view).collect();
    Ok(Json(json!({ "items": items })))
}

/// `DELETE auth/sessions/{id}`: ends one of the caller's own. To end one twice is to end it once; another's is not there.
pub async fn end_one(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    principal.require_if_narrowed("profile:write")?;
    let (user, id) = (principal.user()?, SessionId::parse(&id).map_err(|_| ApiError::NotFound)?);
    let entry = Entry {
        subject: Some(user),
        session: Some(id),
        ..connection.entry(&app, Event::SessionEnded, app.ports.clock.now())
    };
    let until = app.revoked_until(entry.at);
    tell(&app, sessions::end_one(app.ports.database.as_ref(), user, id, until, &entry).await?, &entry).await
}

/// `DELETE auth/sessions`: ends all of the caller's own but this one.
pub async fn end_others(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
) -> Result<StatusCode, ApiError> {
    principal.require_if_narrowed("profile:write")?;
    let (user, current) = (principal.user()?, principal.session());
    let entry = Entry {
        subject: Some(user),
        session: Some(current),
        ..connection.entry(&app, Event::SessionEnded, app.ports.clock.now())
    };
    let what = EndedBy {
        user,
        keep: Some(current),
        reason: EndReason::Ended,
        until: app.revoked_until(entry.at),
        entry: &entry,
    };
    let ended = sessions::end_others(app.ports.database.as_ref(), what).await?;
    if ended.now.is_empty() {
        return tell(&app, Ended::Before { revoked: ended.lately }, &entry).await;
    }
    audit::log(app.ports.log.as_ref(), &entry);
    app.publish_ended(&ended).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everyone is told; only then is it answered.
async fn tell(app: &App, ended: Ended, entry: &Entry) -> Result<StatusCode, ApiError> {
    let (revoked, publication) = match ended {
        Ended::Now { revoked, .. } => {
            audit::log(app.ports.log.as_ref(), entry);
            (revoked, Publication::First)
        }
        Ended::Before { revoked } => (revoked, Publication::Again),
        Ended::NotTheirs | Ended::Narrowed => return Err(ApiError::NotFound),
    };
    app.publish(&revoked, None, publication).await?;
    Ok(StatusCode::NO_CONTENT)
}
