//! Which pages of others may call us from a browser, and read what we answer (Fetch, "CORS protocol"): those of
//! `ALLOWED_ORIGINS`, with the user's cookies. An origin is told back only if it is one of them; `*` is said of the key
//! set alone.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Connection;
use crate::error::ApiError;

/// Anyone's page may read it: it is the same for everyone, holds public keys and is made for others. That is what a JOSE
/// library in a browser fetches, and without credentials, as `*` demands.
const KEY_SET: &str = "/.well-known/jwks.json";
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, x-api-key, x-request-id, x-organization-id");
/// What a page may read of an answer beside what every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after, x-request-id, www-authenticate",
);
/// A browser keeps the answer to a preflight for so many seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ANY: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// What a request asks of this.
pub struct Cors {
    reader: Reader,
    is_options: bool,
    is_preflight: bool,
}

/// Who may read the answer.
enum Reader {
    /// Any page.
    Any,
    /// This origin's pages, as their users.
    Origin(HeaderValue),
    /// No page of another origin.
    Nobody,
}

impl Cors {
    /// Reads it off a request.
    pub fn of(request: &Request, connection: &Connection) -> Self {
        let origin = request.headers().get(header::ORIGIN);
        let reader = match origin {
            _ if request.uri().path() == KEY_SET => Reader::Any,
            Some(origin) if connection.is_own_page() => Reader::Origin(origin.clone()),
            _ => Reader::Nobody,
        };
        let is_options = request.method() == Method::OPTIONS;
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Self { reader, is_options, is_preflight: is_options && asks && origin.is_some() }
    }

    /// The answer to OPTIONS, made of the one that says that there is no such method: only there is it known what there
    /// is, so that no preflight promises what is not. A page that is not listed is refused with a reason, which its
    /// developer sees; a browser goes no further either way.
    pub fn options(&self, allow: &HeaderValue) -> Option<Response> {
        match (&self.reader, self.is_preflight) {
            _ if !self.is_options => None,
            (Reader::Nobody, true) => Some(ApiError::ForeignOrigin.into_response()),
            (_, true) => {
                let granted = [
                    (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
                    (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
                    (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
                ];
                Some((StatusCode::NO_CONTENT, granted).into_response())
            }
            (_, false) => Some((StatusCode::NO_CONTENT, [(header::ALLOW, allow.clone())]).into_response()),
        }
    }

    /// Says on an answer who may read it, and what that depends on.
    pub fn write(self, headers: &mut HeaderMap) {
        let mut say = |name: HeaderName, value| drop(headers.insert(name, value));
        match self.reader {
            Reader::Any => return say(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY),
            Reader::Origin(origin) => {
                say(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                say(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
                say(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            }
            Reader::Nobody => {}
        }
        // Whether it names an origin or not: another's would have been answered otherwise.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if self.is_preflight {
            let asked = "Access-Control-Request-Method, Access-Control-Request-Headers";
            headers.append(header::VARY, HeaderValue::from_static(asked));
        }
    }
}
