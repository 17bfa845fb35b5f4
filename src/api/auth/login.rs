//! `POST auth/login`: a browser signs in and gets a session cookie.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    http::HeaderMap,
    response::Response,
};

use super::{
    return_to::ReturnTo,
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

/// What was sent, as JSON or as a form.
struct Sent {
    credentials: Credentials,
    remember: bool,
    /// Where a form leads to; JSON is answered.
    return_to: Option<ReturnTo>,
}

/// Signs in. JSON is answered with 200 and what the session is; a form with 303 to `return_to`, a path of our own. Must
/// come from our own pages: elsewhere somebody could be signed in as another without noticing.
pub async fn login(
    State(app): State<Arc<App>>,
    connection: Connection,
    request: Request,
) -> (HeaderMap, Result<Response, ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = open(&app, &connection, request, &mut headers).await;
    (headers, answer)
}

/// (1) From where. (2) What. (3) Who; a session that the browser had ends.
async fn open(
    app: &Arc<App>,
    connection: &Connection,
    request: Request,
    headers: &mut HeaderMap,
) -> Result<Response, ApiError> {
    // (1)
    connection.require_own_page()?;
    // (2)
    let sent = Sent::read(app, request).await?;
    // (3)
    let holding = Holding::Cookie { remember: sent.remember };
    let opened = sign_in(app, connection, &sent.credentials, holding, headers).await?;
    opened.respond(app, sent.return_to, headers)
}

impl Sent {
    async fn read(app: &Arc<App>, request: Request) -> Result<Self, ApiError> {
        if is_json(&request) {
            let JsonObject(body) = JsonObject::from_request(request, app).await?;
            let mut fields = Fields::new(body);
            let credentials = Credentials::of_json(&mut fields);
            let remember = fields.optional_flag("remember_me").unwrap_or(false);
            fields.refuse()?;
            return Ok(Self { credentials, remember, return_to: None });
        }
        let form = OauthForm::from_request(request, app).await?;
        Ok(Self {
            credentials: Credentials::of_form(&form)?,
            remember: matches!(form.value("remember_me"), Some("on" | "true" | "1")),
            return_to: Some(ReturnTo::parse(form.value("return_to"))?),
        })
    }
}
