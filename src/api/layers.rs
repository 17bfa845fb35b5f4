//! What every answer of ours goes through: a request id, OPTIONS, the security headers, and problems
//! written out in one place.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Connection, cors::Cors};
use crate::{
    app::App,
    error::{ApiError, limit_headers},
    security_headers::{self, Transport},
};

/// Where proxies ask about requests.
const FORWARD_AUTH: &str = "/auth/verify";

/// A problem travels as the error itself until the outermost layer writes it.
#[derive(Clone)]
struct Pending(Arc<ApiError>);

/// Which route a refusal is of, for the log.
#[derive(Clone)]
pub struct OfRoute(pub String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        // What axum adds for the error's sake, such as `Allow`, needs the status to be there already.
        *response.status_mut() = self.status_code();
        response.extensions_mut().insert(Pending(Arc::new(self)));
        response
    }
}

/// (1) Knows where the request comes from. (2) Lets it be handled; OPTIONS, which no endpoint takes, is answered for
/// those that there are. (3) Writes a problem out and logs it. (4) Adds the headers that every answer has, what a limit
/// has left, and who may read it.
pub async fn outermost(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    // (1)
    let id = app.ports.new_request_id();
    let connection = Connection::of(&app, request.uri(), request.headers(), id);
    let (cors, is_head) = (Cors::of(&request, &connection), request.method() == Method::HEAD);
    // A proxy takes whatever is 2xx for a yes, by whatever method it asks.
    let is_a_proxys = request.uri().path().strip_prefix(&app.config.api_prefix) == Some(FORWARD_AUTH);
    let transport = Transport::new(app.config.environment, request.uri().scheme_str());
    request.extensions_mut().insert(connection.clone());
    // (2)
    let mut response = next.run(request).await;
    if let Some(there_is) = response.headers().get(header::ALLOW).filter(|_| !is_a_proxys) {
        let there_is = with_options(there_is);
        response.headers_mut().insert(header::ALLOW, there_is.clone());
        response = cors.options(&there_is).unwrap_or(response);
    }
    // (3)
    if let Some(Pending(error)) = response.extensions_mut().remove() {
        let route = response.extensions_mut().remove::<OfRoute>();
        app.log_refusal(&error, id, route.as_ref().map(|OfRoute(route)| route.as_str()));
        let reply = error.reply(id);
        let (parts, _) = response.into_parts();
        response = Response::from_parts(parts, if is_head { Body::empty() } else { reply.body.into() });
        *response.status_mut() = reply.status;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(reply.headers);
    }
    // (4)
    let headers = response.headers_mut();
    for (name, value) in security_headers::all(transport) {
        // A page has a policy of its own.
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if let Some(decision) = connection.counted() {
        headers.extend(limit_headers(decision, app.ports.clock.now()));
    }
    cors.write(headers);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

/// What `Allow` names, and OPTIONS.
fn with_options(allow: &HeaderValue) -> HeaderValue {
    let there_is = allow.to_str().unwrap_or_default().replace(',', ", ");
    HeaderValue::try_from(format!("{there_is}, OPTIONS")).unwrap_or_else(|_| allow.clone())
}
