//! Whether a request comes from a page that may act for its user.
//!
//! A browser sends our cookies along whoever's page makes the request, as long as it is of the same site. So a request
//! that changes something and relies on a cookie must say that it comes from exactly our own origin: a sibling host is
//! not enough. Every browser says so of every such request (Fetch, "HTTP-network-or-cache fetch").

use super::head::Head;
use crate::{
    config::{Config, Environment},
    domain::host::{is_loopback, split_port},
};

/// Which origins are ours.
#[derive(Clone, Copy, Debug)]
pub struct SameOrigin<'a> {
    public_url: &'a str,
    environment: Environment,
}

/// Whether it matters where a request comes from: it may change something, or opens a connection that can.
#[must_use]
pub fn matters(head: &Head<'_>) -> bool {
    // A proxy that asks about a WebSocket keeps `Upgrade` to itself; the handshake has a key in any case (RFC 6455, §4.1).
    !is_safe(head.method) || head.header("upgrade").is_some() || head.header("sec-websocket-key").is_some()
}

/// Whether a method only reads (RFC 9110, §9.2.1).
#[must_use]
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

impl<'a> SameOrigin<'a> {
    /// As configured.
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        Self { public_url: config.public_url.as_str(), environment: config.environment }
    }

    /// Whether an `Origin` is ours. In development, that of the very loopback address that is asked is, too.
    #[must_use]
    pub fn is(&self, origin: &str, scheme: &str, authority: &str) -> bool {
        let is_this_machine = || {
            self.environment == Environment::Development
                && is_loopback(split_port(authority).0)
                && origin.split_once("://") == Some((scheme, authority))
        };
        origin == self.public_url || is_this_machine()
    }
}
