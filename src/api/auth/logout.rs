//! `POST auth/logout`: end this session, by its access token or by its refresh token alone.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use crate::{
    api::{
        Connection,
        extract::{OptionalJsonObject, bearer_token},
        form::Fields,
    },
    app::App,
    domain::{
        audit::{Entry, Event},
        id::UserId,
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
    let credential = match (bearer_token(&headers), refresh) {
        (Some(token), _) => Credential::Access(app.believe(token).await?),
        (None, Some(text)) => {
            let decoded = RefreshToken::decode(&text, &app.config.token_mac_key);
            Credential::Refresh(decoded.map_err(|_| ApiError::InvalidRefresh)?)
        }
        (None, None) => return Err(ApiError::Unauthenticated),
    };
    let holder = credential.holder();
    // (2)
    let now = app.ports.clock.now();
    let until = app.revoked_until(now);
    let entry = Entry {
        id: app.ports.new_row_id(),
        at: now,
        event: Event::Logout,
        subject: credential.subject(),
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
        Ended::Now => blacklist::publish(kv, &keys, life).await,
        _ => blacklist::publish_missing(kv, &keys, life).await,
    };
    published.map_err(|error| ApiError::RevocationPending(error.to_string()))?;
    if ended == Ended::Now {
        audit::log(app.ports.log.as_ref(), &entry);
    }
    Ok(Json(json!({ "detail": "Signed out." })))
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

    fn subject(&self) -> Option<UserId> {
        match self {
            Self::Access(remembered) => UserId::parse(&remembered.caller.subject).ok(),
            Self::Refresh(_) => None,
        }
    }
}
