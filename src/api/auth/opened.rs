//! What somebody gets who signed in: a pair of tokens, or a cookie.

use axum::http::HeaderValue;

use super::{CookieAnswer, TokenAnswer};
use crate::{
    app::{App, Grant},
    config::Config,
    domain::{
        cookies::Keep,
        session::{Holding, NewSession, cookie::SessionCookie, snapshot::Snapshot},
        time::{Timestamp, millis},
        token::refresh::{RefreshToken, salt_text},
    },
    error::ApiError,
    stores::session_copy,
};

/// A session that is open as soon as it is recorded.
pub enum Opened {
    /// Held by tokens.
    Tokens(TokenAnswer),
    /// Held by a cookie.
    Cookie(Box<OpenedCookie>),
}

/// A cookie session.
pub struct OpenedCookie {
    cookie: SessionCookie,
    remember: bool,
    scope: String,
    snapshot: Snapshot,
}

impl Opened {
    /// Makes what the session is held by.
    pub async fn new(
        app: &App,
        session: &NewSession,
        grant: Grant<'_>,
        keys_version: i64,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let remember = match session.holding {
            Holding::Cookie { remember } => remember,
            Holding::Tokens => {
                let access = app.issue_access(grant, keys_version).await?;
                let refresh = app.encode_refresh(&RefreshToken::first(session.id, session.salt));
                return Ok(Self::Tokens(TokenAnswer::new(access, refresh, session.id)));
            }
        };
        let roles = &app.bundle().await?.roles;
        let scope: Vec<_> = roles.permissions_within(&grant.user.roles, grant.scope).into_iter().collect();
        Ok(Self::Cookie(Box::new(OpenedCookie {
            cookie: SessionCookie { session: session.id, salt: session.salt },
            remember,
            scope: scope.join(" "),
            snapshot: Snapshot {
                session: session.id,
                salt: salt_text(&session.salt),
                user: grant.user.id,
                username: grant.user.username.clone(),
                verified_email: grant.user.email_verified.then(|| grant.user.email.clone()),
                roles: grant.user.roles.clone(),
                version: grant.user.token_version,
                scope: grant.scope.map(ToOwned::to_owned),
                expires_at: session.expires_at,
                idle_ms: millis(session.idle),
                idle_until: session.idle_until,
                seen_at: now,
                as_of: now,
            },
        })))
    }

    /// Puts the copy of a cookie session into KV, so that others need not ask the record. Whoever finds none asks.
    pub async fn spread(&self, app: &App) {
        if let Self::Cookie(opened) = self
            && let Err(error) = session_copy::put(app.ports.sessions.as_ref(), &opened.snapshot).await
        {
            app.log_fault("session copy", &error.to_string());
        }
    }

    /// Takes the copy back of a session that was not recorded. Nobody has its cookie.
    pub async fn withdraw(&self, app: &App) {
        if let Self::Cookie(opened) = self
            && let Err(error) = session_copy::delete(app.ports.sessions.as_ref(), opened.snapshot.session).await
        {
            app.log_fault("session copy", &error.to_string());
        }
    }
}

impl OpenedCookie {
    /// The line that gives it to the browser.
    pub fn set_cookie(&self, config: &Config) -> Option<HeaderValue> {
        let names = config.cookies();
        let keep = if self.remember { Keep::For(config.lifetimes.session_max) } else { Keep::UntilClosed };
        let line = names.line(names.session(), &self.cookie.encode(&config.token_mac_key), keep);
        HeaderValue::try_from(line).ok()
    }

    /// What is answered beside it.
    pub fn answer(self) -> CookieAnswer {
        CookieAnswer {
            session_id: self.snapshot.session,
            expires_at: self.snapshot.expires_at.rfc3339(),
            scope: self.scope,
        }
    }
}
