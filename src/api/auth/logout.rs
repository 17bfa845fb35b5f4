//! `POST auth/logout` and `auth/logout-all`: end this session, or every one, by an access token, a refresh token alone, or
//! the session cookie.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, header},
};
use serde_json::{Map, Value, json};

use crate::{
    api::{
        Connection,
        extract::{OptionalJsonObject, bearer, session_cookie},
        form::Fields,
        limits,
    },
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        cookies::Keep,
        rbac::Missing,
        session::cookie::SessionCookie,
        token::{refresh::RefreshToken, verify::Refusal},
    },
    error::ApiError,
    gateway::knowledge::Remembered,
    stores::{
        audit, session_copy,
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
) -> Result<(HeaderMap, Json<Value>), ApiError> {
    sign_out(&app, connection, &headers, body, Event::Logout).await
}

/// Ends every session of the caller, with all tokens of them.
pub async fn logout_all(
    State(app): State<Arc<App>>,
    connection: Connection,
    headers: HeaderMap,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<(HeaderMap, Json<Value>), ApiError> {
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
) -> Result<(HeaderMap, Json<Value>), ApiError> {
    // (1)
    let mut fields = Fields::new(body);
    let refresh = fields.optional_text("refresh_token");
    fields.refuse()?;
    let credential = credential(app, &connection, bearer(headers), refresh.as_deref()).await?;
    let holder = credential.holder();
    if let (Event::LogoutAll, Credential::Access(token)) = (event, &credential) {
        may_end_others(app, &connection, token).await?;
    }
    // (2)
    let now = app.ports.clock.now();
    let until = app.revoked_until(now);
    let mut entry = Entry { session: Some(holder.session()), ..connection.entry(app, event, now) };
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
        Ended::Before { revoked } => {
            limits::count(app, &connection, &connection.ip.limit_key()).await?;
            (revoked, Publication::Again)
        }
        Ended::Narrowed => {
            limits::count(app, &connection, &connection.ip.limit_key()).await?;
            return Err(ApiError::Forbidden(lacking()));
        }
        Ended::NotTheirs => {
            limits::count(app, &connection, &connection.ip.limit_key()).await?;
            return Err(match holder {
                Holder::Access(_) => ApiError::InvalidToken(Refusal::Revoked),
                Holder::Refresh(_) => ApiError::InvalidRefresh,
                Holder::Cookie(_) => ApiError::Unauthenticated,
            });
        }
    };
    app.publish(&revoked, None, publication).await?;
    let mut headers = HeaderMap::new();
    if let Holder::Cookie(cookie) = holder {
        // It is believed no more, as everyone was told; nor should it lie about.
        if let Err(error) = session_copy::delete(app.ports.sessions.as_ref(), cookie.session).await {
            app.log_fault("session copy", &error.to_string());
        }
        headers.extend(removal(app).map(|line| (header::SET_COOKIE, line)));
    }
    Ok((headers, Json(json!({ "detail": "Signed out." }))))
}

/// The line that removes the session cookie from a browser.
pub fn removal(app: &App) -> Option<HeaderValue> {
    let names = app.config.cookies();
    HeaderValue::try_from(names.line(names.session(), "", Keep::Not)).ok()
}

/// The access token, or else the refresh token, or else the cookie: one that is over does not stand in the others' way.
async fn credential(
    app: &App,
    connection: &Connection,
    access: Option<&str>,
    refresh: Option<&str>,
) -> Result<Credential, ApiError> {
    let refused = match access {
        None => ApiError::Unauthenticated,
        Some(token) => match app.believe(token).await {
            Ok(remembered) => return Ok(Credential::Access(remembered)),
            Err(refused @ ApiError::InvalidToken(_)) => refused,
            Err(fault) => return Err(fault),
        },
    };
    let Some(refresh) = refresh else {
        let cookie = session_cookie(app, connection, &Method::POST)?;
        return cookie.map(Credential::Cookie).ok_or(refused);
    };
    let decoded = RefreshToken::decode(refresh, &app.config.token_mac_key);
    decoded.map(Credential::Refresh).map_err(|_| ApiError::InvalidRefresh)
}

enum Credential {
    Access(Arc<Remembered>),
    Refresh(RefreshToken),
    Cookie(SessionCookie),
}

/// What it takes to end other sessions than one's own with a token that was narrowed.
const END_OTHERS: &str = "profile:write";

fn lacking() -> Missing {
    Missing::Permissions(vec![END_OTHERS.to_owned()])
}

/// An access token that was narrowed ends its own session only; one that stands is told so. Whether the session itself was, the
/// record knows.
async fn may_end_others(app: &App, connection: &Connection, token: &Remembered) -> Result<(), ApiError> {
    if token.claims.claims().scope.is_none() || token.caller.permissions.contains(END_OTHERS) {
        return Ok(());
    }
    limits::count(app, connection, &connection.ip.limit_key()).await?;
    if sessions::stands(app.ports.database.as_ref(), &token.claims, app.ports.clock.now()).await? {
        return Err(ApiError::Forbidden(lacking()));
    }
    Err(ApiError::InvalidToken(Refusal::Revoked))
}

impl Credential {
    fn holder(&self) -> Holder<'_> {
        match self {
            Self::Access(remembered) => Holder::Access(&remembered.claims),
            Self::Refresh(token) => Holder::Refresh(token),
            Self::Cookie(cookie) => Holder::Cookie(*cookie),
        }
    }
}
