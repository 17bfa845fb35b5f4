//! What is the same for everyone, and may be kept: it has a tag, by which whoever has it is told so (RFC 9110, §13.1.2).

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// It may be kept, and must be asked for each time: it is another with each deploy.
pub const ASK_AGAIN: &str = "no-cache";

/// Such content.
pub struct Kept {
    kind: &'static str,
    body: Bytes,
    etag: String,
}

impl Kept {
    /// Of a media type.
    pub fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self { kind, etag: format!("\"{}\"", Base64UrlUnpadded::encode_string(&Sha256::digest(&body))), body }
    }

    /// It, or 304 where it is there already; with how long it may be kept.
    pub fn answer(&self, headers: &HeaderMap, cache: &str) -> Result<Response<Body>, ApiError> {
        let is_known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, &self.etag));
        let (status, body) = if is_known {
            (StatusCode::NOT_MODIFIED, Body::empty())
        } else {
            (StatusCode::OK, self.body.clone().into())
        };
        let response = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, self.kind)
            .header(header::CACHE_CONTROL, cache)
            .header(header::ETAG, &self.etag);
        response.body(body).map_err(|error| ApiError::Internal(error.to_string()))
    }
}

/// Whether a value of `If-None-Match` names an entity tag: one of a list, weak or not, or any.
fn names(value: &HeaderValue, etag: &str) -> bool {
    let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.into_iter().any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
