//! `POST auth/token`: the OAuth2 password and refresh grants (RFC 6749, §4.3 and §6), or a sign-in as JSON.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use super::{
    refresh,
    sign_in::{Credentials, sign_in},
};
use crate::{
    api::{
        Connection,
        extract::{JsonObject, OauthForm, is_json},
        form::Fields,
    },
    app::App,
    domain::session::Holding,
    error::ApiError,
};

/// Answers a form or a JSON object; a sign-in, successful or not, says what its limit has left, and a successful
/// one leaves a cookie by which the browser is known again.
pub async fn token(
    State(app): State<Arc<App>>,
    connection: Connection,
    request: Request,
) -> (HeaderMap, Result<Response, ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = grant(&app, connection, request, &mut headers).await;
    (headers, answer)
}

async fn grant(
    app: &Arc<App>,
    connection: Connection,
    request: Request,
    headers: &mut HeaderMap,
) -> Result<Response, ApiError> {
    connection.refuse_foreign_pages()?;
    if is_json(&request) {
        let JsonObject(body) = JsonObject::from_request(request, app).await?;
        let mut fields = Fields::new(body);
        let credentials = Credentials::of_json(&mut fields);
        fields.refuse()?;
        return tokens(app, &connection, &credentials, headers).await;
    }
    let form = OauthForm::from_request(request, app).await?;
    match form.value("grant_type") {
        None | Some("password") if app.config.password_grant => {
            tokens(app, &connection, &Credentials::of_form(&form)?, headers).await
        }
        Some("refresh_token") => {
            let (token, scope) = (form.required("refresh_token")?, form.value("scope"));
            Ok(Json(refresh::exchange(app, connection, token, scope).await?).into_response())
        }
        None => Err(ApiError::InvalidRequest("The parameter grant_type is missing.".to_owned())),
        Some(_) => Err(ApiError::UnsupportedGrant),
    }
}

async fn tokens(
    app: &App,
    connection: &Connection,
    credentials: &Credentials,
    headers: &mut HeaderMap,
) -> Result<Response, ApiError> {
    sign_in(app, connection, credentials, Holding::Tokens, headers).await?.respond(app, None, headers)
}
