//! `POST auth/refresh`: exchange a refresh token for a new pair (RFC 6749, §6; RFC 9700, §4.14).

use std::sync::Arc;

use axum::{Json, extract::State};

use super::TokenAnswer;
use crate::{
    api::{Connection, extract::JsonObject, form::Fields, limits},
    app::{App, Grant, Publication},
    domain::{
        audit::{Entry, Event},
        scope::{Scope, ScopeProblem},
        token::refresh::RefreshToken,
    },
    error::ApiError,
    stores::{
        audit,
        refresh::{self, Entries, Presented, Terms},
    },
};

/// Takes `{refresh_token, scope?}`. A scope narrows the access token only (RFC 6749, §6).
pub async fn refresh(
    State(app): State<Arc<App>>,
    connection: Connection,
    JsonObject(body): JsonObject,
) -> Result<Json<TokenAnswer>, ApiError> {
    let mut fields = Fields::new(body);
    let token = fields.required_text("refresh_token");
    let scope = fields.optional_text("scope");
    fields.refuse()?;
    exchange(&app, connection, token.as_deref().unwrap_or_default(), scope.as_deref()).await.map(Json)
}

/// (1) The token's MAC, before any I/O. (2) That we can sign, and that there is what is asked for: a token is not used
/// up by a fault of ours, or by a scope that nobody can have. (3) One batch rotates, repeats a lost answer, or ends the session. (4) The same token always has the same successor; the access token is new, with the
/// roles as they are now.
pub async fn exchange(
    app: &App,
    connection: Connection,
    text: &str,
    scope: Option<&str>,
) -> Result<TokenAnswer, ApiError> {
    connection.refuse_foreign_pages()?;
    // (1)
    let token = RefreshToken::decode(text, &app.config.token_mac_key).map_err(|_| ApiError::InvalidRefresh)?;
    let successor = token.clone().successor().ok_or(ApiError::InvalidRefresh)?;
    // (2)
    app.ready_to_issue().await?;
    let roles = app.bundle().await?;
    let scope = scope.map(|text| Scope::parse(text, &roles.roles)).transpose()?;
    // (3)
    let now = app.ports.clock.now();
    let lifetimes = app.config.lifetimes;
    let terms = Terms {
        scope: scope.as_ref(),
        grace: lifetimes.refresh_grace,
        expires_at: now.plus(lifetimes.refresh),
        revoked_until: app.revoked_until(now),
        reuse_revokes: app.config.reuse_revokes,
    };
    let entry = |event| Entry { session: Some(token.session), ..connection.entry(app, event, now) };
    let mut entries = Entries { rotated: entry(Event::TokenRefresh), reuse: entry(Event::TokenReuseDetected) };
    let standing = match refresh::present(app.ports.database.as_ref(), &token, terms, &entries).await? {
        Presented::Good(standing) => standing,
        Presented::Refused => {
            limits::count(app, &connection, &connection.ip.limit_key()).await?;
            return Err(ApiError::InvalidRefresh);
        }
        Presented::Beyond => return Err(ScopeProblem::Beyond.into()),
        Presented::Reuse { user, ended_now, revoked } => {
            if ended_now {
                entries.reuse.subject = Some(user);
                audit::log(app.ports.log.as_ref(), &entries.reuse);
            } else {
                limits::count(app, &connection, &connection.ip.limit_key()).await?;
            }
            // The thief is told no more than the owner; what is not yet everywhere is logged.
            if let Err(error) = app.publish(&revoked, None, Publication::Again).await {
                app.log_fault("revocation", &error.to_string());
            }
            return Err(ApiError::RefreshReuse);
        }
    };
    if standing.rotated_now {
        entries.rotated.subject = Some(standing.user.id);
        audit::log(app.ports.log.as_ref(), &entries.rotated);
    }
    // (4)
    let scope = scope.map(|scope| scope.text()).or(standing.scope);
    let grant = Grant {
        user: &standing.user,
        session: token.session,
        amr: &standing.amr,
        scope: scope.as_deref(),
        signed_in_at: standing.signed_in_at,
        session_expires_at: standing.session_expires_at,
    };
    let access = app.issue_access(grant, standing.keys_version).await?;
    Ok(TokenAnswer::new(access, app.encode_refresh(&successor), token.session))
}
