//! What somebody gets who signed in: a pair of tokens, or a cookie.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{CookieAnswer, TokenAnswer, challenge::Challenge, return_to::ReturnTo};
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

/// What comes of a sign-in: a session that is open as soon as it is recorded, or half of one.
pub enum Opened {
    /// Held by tokens.
    Tokens(TokenAnswer),
    /// Held by a cookie.
    Cookie(Box<OpenedCookie>),
    /// None yet: a second factor is asked for.
    Challenged(Challenge),
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
        let graph = &app.bundle().await?.roles;
        let roles = grant.user.roles(now);
        let scope: Vec<_> = graph.permissions_within(&roles, grant.scope).into_iter().collect();
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
                roles,
                roles_until: grant.user.roles_until(now),
                version: grant.user.token_version,
                scope: grant.scope.map(ToOwned::to_owned),
                amr: grant.amr.to_vec(),
                authenticated_at: Some(grant.signed_in_at),
                expires_at: session.expires_at,
                idle_ms: millis(session.idle),
                idle_until: session.idle_until,
                seen_at: now,
                as_of: now,
            },
        })))
    }

    /// What is answered, with a cookie among `headers` where one is given. A form is led on: to `return_to`, or to the page
    /// that asks for a code. The token stands in the fragment: credentials never stand in a query.
    pub fn respond(
        self,
        app: &App,
        return_to: Option<ReturnTo>,
        headers: &mut HeaderMap,
    ) -> Result<Response, ApiError> {
        let lead = |to: HeaderValue| (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
        Ok(match (self, return_to) {
            (Self::Tokens(answer), _) => Json(answer).into_response(),
            (Self::Challenged(challenge), None) => Json(challenge).into_response(),
            (Self::Challenged(challenge), Some(return_to)) => {
                let fragment: String = form_urlencoded::Serializer::new(String::new())
                    .append_pair("mfa_token", &challenge.mfa_token)
                    .append_pair("return_to", return_to.as_str())
                    .finish();
                let to = format!("{}/mfa#{fragment}", app.config.pages_prefix);
                lead(HeaderValue::try_from(to).map_err(|error| ApiError::Internal(error.to_string()))?)
            }
            (Self::Cookie(opened), return_to) => {
                headers.extend(opened.set_cookie(&app.config).map(|line| (header::SET_COOKIE, line)));
                match return_to {
                    Some(return_to) => lead(return_to.into_value()),
                    None => Json(opened.answer()).into_response(),
                }
            }
        })
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
    fn set_cookie(&self, config: &Config) -> Option<HeaderValue> {
        let names = config.cookies();
        let keep = if self.remember { Keep::For(config.lifetimes.session_max) } else { Keep::UntilClosed };
        let line = names.line(names.session(), &self.cookie.encode(&config.token_mac_key), keep);
        HeaderValue::try_from(line).ok()
    }

    /// What is answered beside it.
    fn answer(self) -> CookieAnswer {
        CookieAnswer {
            session_id: self.snapshot.session,
            expires_at: self.snapshot.expires_at.rfc3339(),
            scope: self.scope,
        }
    }
}
