//! Whether any request can come to a route.

use super::{Ours, Route, routes::Host};
use crate::{
    config::Environment,
    domain::host::{HostPattern, is_loopback, split_port},
};

/// The paths of ours that are under no prefix, whatever is configured.
const WELL_KNOWN: [&str; 2] = ["/.well-known/jwks.json", "/health"];

/// Those of the API's description.
const DOCS: [&str; 4] = ["/openapi.json", "/docs", "/docs/page.css", "/docs/page.js"];

/// Checks that a request can; `named` are the hosts that any route names.
///
/// # Errors
/// Why none can.
pub(super) fn check(route: &Route, ours: &Ours, named: &[HostPattern]) -> Result<(), String> {
    let auth = HostPattern::Exactly(ours.authority.clone());
    let answered = ours.hosts.as_deref().unwrap_or(named);
    // (1) The host is one that is answered on, as all are that routes name if there is no list. In development this machine is, by
    //     its own names.
    if ours.hosts.is_none() && !is_ours(route, ours) {
        return Ok(());
    }
    let is_for = |other: &&HostPattern| match &route.host {
        Host::Any => true,
        Host::Like(host) => overlap(host, &without_port(other)),
    };
    let hosts: Vec<_> = answered.iter().chain([&auth]).filter(is_for).collect();
    let is_this_machine = |host: &Host| matches!(host, Host::Like(HostPattern::Exactly(name)) if is_loopback(name));
    if ours.environment == Environment::Development && is_this_machine(&route.host) {
        return Ok(());
    }
    if hosts.is_empty() {
        return Err("no request comes to it: its host is not among ALLOWED_HOSTS".to_owned());
    }
    // (2) And not only that of our own endpoints, if the path is one of theirs.
    if is_ours(route, ours) && hosts.iter().all(|host| **host == auth) {
        return Err("no request comes to it: this path is our own endpoints'".to_owned());
    }
    Ok(())
}

/// Whether a route's path is one of our own endpoints'.
fn is_ours(route: &Route, ours: &Ours) -> bool {
    let is_under = |rest: &str| rest.is_empty() || rest.starts_with('/');
    let path = route.path.as_str();
    path.strip_prefix(ours.api_prefix.as_str()).is_some_and(is_under)
        || WELL_KNOWN.contains(&path)
        || (ours.docs && DOCS.contains(&path))
}

/// A route names hosts without ports.
fn without_port(pattern: &HostPattern) -> HostPattern {
    match pattern {
        HostPattern::Exactly(name) => HostPattern::Exactly(split_port(name).0.to_owned()),
        HostPattern::Under(suffix) => HostPattern::Under(split_port(suffix).0.to_owned()),
    }
}

/// Whether some host is taken by both.
fn overlap(one: &HostPattern, other: &HostPattern) -> bool {
    match (one, other) {
        (HostPattern::Exactly(name), pattern) | (pattern, HostPattern::Exactly(name)) => pattern.takes(name),
        (HostPattern::Under(one), HostPattern::Under(other)) => {
            one.ends_with(other.as_str()) || other.ends_with(one.as_str())
        }
    }
}
