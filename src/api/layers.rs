//! What every answer of ours goes through: a request id, the security headers, and problems
//! written out in one place.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Connection;
use crate::{app::App, error::ApiError, security_headers};

/// A problem travels as the error itself until the outermost layer writes it.
#[derive(Clone)]
struct Pending(Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        // What axum adds for the error's sake, such as `Allow`, needs the status to be there already.
        *response.status_mut() = self.status_code();
        response.extensions_mut().insert(Pending(Arc::new(self)));
        response
    }
}

/// (1) Knows where the request comes from. (2) Lets it be handled. (3) Writes a problem out and
/// logs it. (4) Adds the headers that every answer has.
pub async fn outermost(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    // (1)
    let id = app.ports.new_request_id();
    let connection = Connection::of(&app, request.uri(), request.headers(), id);
    request.extensions_mut().insert(connection);
    // (2)
    let mut response = next.run(request).await;
    // (3)
    if let Some(Pending(error)) = response.extensions_mut().remove() {
        app.log_refusal(&error, id, None);
        let reply = error.reply(id);
        let (parts, _) = response.into_parts();
        response = Response::from_parts(parts, reply.body.into());
        *response.status_mut() = reply.status;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(reply.headers);
    }
    // (4)
    let headers = response.headers_mut();
    for (name, value) in security_headers::ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}
