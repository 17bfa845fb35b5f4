//! `POST auth/mfa/step-up`: a second factor is shown again, for what wants it to be lately (RFC 9470).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        Connection,
        auth::CookieAnswer,
        extract::{Enrolling, JsonObject, Principal},
        form::Fields,
        mfa::show::{Purpose, Showing, show},
    },
    app::{AccessToken, App, Grant},
    domain::{id::SessionId, mfa::Code, rbac::Missing},
    error::ApiError,
    gateway::authenticate::Authenticated,
};

/// What is answered to whoever holds tokens: the refresh token stays as it is.
#[derive(Serialize, JsonSchema)]
pub struct SteppedUp {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    session_id: SessionId,
}

/// Takes `{code}`. Whoever holds tokens is answered a new access token, whoever has a cookie gets another one.
pub async fn step_up(
    State(app): State<Arc<App>>,
    connection: Connection,
    Enrolling(principal): Enrolling,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Response, ApiError>) {
    let mut headers = HeaderMap::new();
    let mut fields = Fields::new(body);
    let code = fields.required("code", Code::parse);
    let answer = match fields.complete(code) {
        Ok(code) => renew(&app, &connection, &principal, &code, &mut headers).await,
        Err(error) => Err(error),
    };
    (headers, answer)
}

/// (1) That we can sign, where that is wanted. (2) The code is used up, and the session told. (3) What is answered.
async fn renew(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    code: &Code,
    headers: &mut HeaderMap,
) -> Result<Response, ApiError> {
    // (1)
    if matches!(principal.0, Authenticated::Token(_)) {
        app.ready_to_issue().await?;
    }
    // (2)
    let showing = Showing { code, password: None, purpose: Purpose::StepUp };
    let shown = show(app, connection, principal, showing, headers).await?;
    // (3)
    let changed = &shown.changed;
    match &principal.0 {
        Authenticated::Token(token) => {
            let grant = Grant {
                user: &changed.user,
                session: shown.session,
                amr: &changed.amr,
                scope: token.claims.claims().scope.as_deref(),
                signed_in_at: changed.authenticated_at,
                session_expires_at: changed.session_expires_at,
            };
            let AccessToken { token, expires_in, scope } = app.issue_access(grant, changed.keys_version).await?;
            let session_id = shown.session;
            let answer = SteppedUp { access_token: token, token_type: "bearer", expires_in, scope, session_id };
            Ok(Json(answer).into_response())
        }
        Authenticated::Key(_) => Err(ApiError::Forbidden(Missing::Person)),
        Authenticated::Session(_) => {
            let (graph, roles) = (&app.bundle().await?.roles, changed.user.roles(app.ports.clock.now()));
            let scope = graph.permissions_within(&roles, changed.scope.as_deref());
            let scope = scope.into_iter().collect::<Vec<_>>().join(" ");
            let expires_at = changed.session_expires_at.rfc3339();
            Ok(Json(CookieAnswer { session_id: shown.session, expires_at, scope }).into_response())
        }
    }
}
