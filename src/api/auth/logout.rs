//! `POST auth/logout` and `auth/logout-all`: end this session, or every one, by an access token or by a refresh token
//! alone.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Map, Value, json};

use crate::{
    api::{
        Connection,
        extract::{OptionalJsonObject, bearer},
        form::Fields,
    },
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        token::{refresh::RefreshToken, verify::Refusal},
    },
    error::ApiError,
    gateway::knowledge::Remembered,
    stores::{
        audit,
        sessions::{self, Ended, Holder},
    },
};

/// Ends the session. Signing out twice is signing out once: the second time answers alike, and heals what the first
/// may have left undone.
pub async fn logout(
    State(app): State<Arc<App>>,
    connection: Connection,
    headers: HeaderMap,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Json<Value>, ApiError> {
    sign_out(&app, connection, &headers, body, Event::Logout).await
}

/// Ends every session of the caller, with all tokens of them.
pub async fn logout_all(
    State(app): State<Arc<App>>,
    connection: Connection,
    headers: HeaderMap,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Json<Value>, ApiError> {
    sign_out(&app, connection, &headers, body, Event::LogoutAll).await
}

/// (1) Who holds what. (2) One batch ends it and records what is revoked. (3) This isolate knows it at once, the others
/// are told; only then is it answered.
async fn sign_out(
    app: &App,
    connection: Connection,
    headers: &HeaderMap,
    body: Map<String, Value>,
    event: Event,
) -> Result<Json<Value>, ApiError> {
    // (1)
    let mut fields = Fields::new(body);
    let refresh = fields.optional("refresh_token", |text| Ok(text.to_owned()));
    fields.refuse()?;
    let credential = credential(app, bearer(headers), refresh.as_deref()).await?;
    let holder = credential.holder();
    // (2)
    let now = app.ports.clock.now();
    let until = app.revoked_until(now);
    let mut entry = Entry {
        id: app.ports.new_row_id(),
        at: now,
        event,
        subject: None,
        session: Some(holder.session()),
        origin: connection.origin,
    };
    let database = app.ports.database.as_ref();
    let ended = match event {
        Event::LogoutAll => sessions::end_all(database, holder, until, &entry).await?,
        _ => sessions::end(database, holder, until, &entry).await?,
    };
    // (3)
    let (revoked, publication) = match ended {
        Ended::Now { user, revoked } => {
            entry.subject = Some(user);
            audit::log(app.ports.log.as_ref(), &entry);
            (revoked, Publication::First)
        }
        Ended::Before { revoked } => (revoked, Publication::Again),
        Ended::NotTheirs => {
            return Err(match holder {
                Holder::Access(_) => ApiError::InvalidToken(Refusal::Revoked),
                Holder::Refresh(_) => ApiError::InvalidRefresh,
            });
        }
    };
    app.publish(&revoked, None, publication).await?;
    Ok(Json(json!({ "detail": "Signed out." })))
}

/// The access token, or else the refresh token: one that is over does not stand in the other's way.
async fn credential(app: &App, access: Option<&str>, refresh: Option<&str>) -> Result<Credential, ApiError> {
    let refused = match access {
        None => ApiError::Unauthenticated,
        Some(token) => match app.believe(token).await {
            Ok(remembered) => return Ok(Credential::Access(remembered)),
            Err(refused @ ApiError::InvalidToken(_)) => refused,
            Err(fault) => return Err(fault),
        },
    };
    let Some(refresh) = refresh else { return Err(refused) };
    let decoded = RefreshToken::decode(refresh, &app.config.token_mac_key);
    decoded.map(Credential::Refresh).map_err(|_| ApiError::InvalidRefresh)
}

enum Credential {
    Access(Arc<Remembered>),
    Refresh(RefreshToken),
}

impl Credential {
    fn holder(&self) -> Holder<'_> {
        match self {
            Self::Access(remembered) => Holder::Access(&remembered.claims),
            Self::Refresh(token) => Holder::Refresh(token),
        }
    }
}
