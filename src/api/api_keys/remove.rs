//! `DELETE api-keys/{id}`: end a key.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
};

use super::{CHANGE, act};
use crate::{
    api::{Connection, extract::Enrolling},
    app::{App, Publication},
    domain::{audit::Event, id::ApiKeyId},
    error::ApiError,
    stores::{
        api_keys::{self, Changed},
        audit,
    },
};

/// Ends one of the caller's own, be it that they lack the second factor that their roles require. To end one twice is to end it once; another's is not there. Everyone is told; only then is
/// it answered.
pub async fn remove(
    State(app): State<Arc<App>>,
    connection: Connection,
    Enrolling(principal): Enrolling,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    principal.require_if_narrowed(CHANGE)?;
    let (user, id) = (principal.user()?, ApiKeyId::parse(&id).map_err(|_| ApiError::NotFound)?);
    let now = app.ports.clock.now();
    let act = act(&app, &connection, &principal, Event::ApiKeyRevoked, now, id.to_string())?;
    let (revoked, publication) =
        match api_keys::end(app.ports.database.as_ref(), user, id, app.revoked_until(now), &act).await? {
            Changed::Done { revoked } => {
                audit::log_act(app.ports.log.as_ref(), &act);
                (revoked, Publication::First)
            }
            Changed::Before { revoked } => (revoked, Publication::Again),
            _ => return Err(ApiError::NotFound),
        };
    app.publish(&revoked, None, publication).await?;
    Ok(StatusCode::NO_CONTENT)
}
