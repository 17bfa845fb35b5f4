//! `POST auth/logout`: end this session, by its access token or by its refresh token alone.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use crate::{
    api::{
        Connection,
        extract::{OptionalJsonObject, bearer},
        form::Fields,
    },
    app::App,
    domain::{
        audit::{Entry, Event},
        token::refresh::RefreshToken,
    },
    error::ApiError,
    gateway::knowledge::{Remembered, session_key, token_key},
    stores::{
        audit, blacklist,
        sessions::{self, Ended, Holder},
    },
};

/// (1) Who holds what. (2) One batch ends the session and records what is revoked. (3) This
/// isolate knows it at once, the others by the blacklist. Signing out twice is signing out once:
/// the second time answers alike, and heals what the first may have left undone.
pub async fn logout(
    State(app): State<Arc<App>>,
    connection: Connection,
    headers: HeaderMap,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Json<Value>, ApiError> {
    // (1)
    let mut fields = Fields::new(body);
    let refresh = fields.optional("refresh_token", |text| Ok(text.to_owned()));
    fields.refuse()?;
    let credential = credential(&app, bearer(&headers), refresh.as_deref()).await?;
    let holder = credential.holder();
    // (2)
    let now = app.ports.clock.now();
    let until = app.revoked_until(now);
    let mut entry = Entry {
        id: app.ports.new_row_id(),
        at: now,
        event: Event::Logout,
        subject: None,
        session: Some(holder.session()),
        origin: connection.origin,
    };
    let ended = sessions::end(app.ports.database.as_ref(), holder, until, &entry).await?;
    if ended == Ended::NotTheirs {
        return Err(ApiError::InvalidRefresh);
    }
    // (3)
    let mut keys = vec![session_key(holder.session())];
    keys.extend(holder.token().map(token_key));
    for key in &keys {
        app.knowledge().revocations.revoke(key.clone(), until, now);
    }
    let (kv, life) = (app.ports.blacklist.as_ref(), until.since(now).as_secs());
    let published = match ended {
        Ended::Now(_) => blacklist::publish(kv, &keys, life).await,
        _ => blacklist::publish_missing(kv, &keys, life).await,
    };
    if let Ended::Now(user) = ended {
        entry.subject = Some(user);
        audit::log(app.ports.log.as_ref(), &entry);
    }
    published.map_err(|error| ApiError::RevocationPending(error.to_string()))?;
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
