//! The headers that every answer of ours carries. `X-XSS-Protection` is left out: it does harm.
//!
//! `edge.js` has them as well: for the one answer that Rust does not make, and for origins' answers, which get what the
//! origin left out.

use crate::config::Environment;

/// Names and values, on our own answers.
pub const ALWAYS: &[(&str, &str)] = &[
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
];

/// What a page of ours has in the place of the first of those: its own scripts and styles, none of them inline, and nobody
/// else's.
pub const PAGE: (&str, &str) = (
    "content-security-policy",
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// A year of https, on subdomains too (RFC 6797, §6.1).
pub const STRICT_TRANSPORT: (&str, &str) = ("strict-transport-security", "max-age=31536000; includeSubDomains");

/// Whether an answer says [`STRICT_TRANSPORT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// It is a production answer over https.
    Strict,
    /// It goes over plain http, where the header means nothing (RFC 6797, §7.2), or a developer's machine sends it, whose
    /// names serve other things too.
    Lax,
}

impl Transport {
    /// Of an answer to a request of that scheme.
    #[must_use]
    pub fn new(environment: Environment, scheme: Option<&str>) -> Self {
        if environment == Environment::Production && scheme == Some("https") { Self::Strict } else { Self::Lax }
    }
}

/// All of them, for an answer that goes that way.
pub fn all(transport: Transport) -> impl Iterator<Item = (&'static str, &'static str)> {
    let strict = (transport == Transport::Strict).then_some(STRICT_TRANSPORT);
    ALWAYS.iter().copied().chain(strict)
}
