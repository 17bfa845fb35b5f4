//! Whether any request can come to a route.

use super::{Ours, Route, routes::Host};
use crate::domain::host::{HostPattern, split_port};

/// The paths of ours that are under no prefix, whatever is configured.
const WELL_KNOWN: [&str; 2] = ["/.well-known/jwks.json", "/health"];

/// Checks that a request can; `named` are the hosts that any route names.
///
/// # Errors
/// Why none can.
pub(super) fn check(route: &Route, ours: &Ours, named: &[HostPattern]) -> Result<(), String> {
    let auth_host = HostPattern::Exactly(split_port(&ours.authority).0.to_owned());
    let answered = ours.hosts.as_deref().unwrap_or(named);
    // (1) The host is one that is answered on.
    if let Host::Like(host) = &route.host
        && !answered.iter().chain([&auth_host]).any(|other| overlap(host, &without_port(other)))
    {
        return Err("no request comes to it: its host is not among ALLOWED_HOSTS".to_owned());
    }
    // (2) And not only that of our own endpoints, if the path is one of theirs.
    let under =
        |prefix: &str| route.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_ours = under(&ours.api_prefix) || WELL_KNOWN.contains(&route.path.as_str());
    let nowhere_else = match &route.host {
        Host::Like(host) => *host == auth_host,
        Host::Any => answered.iter().all(|other| without_port(other) == auth_host),
    };
    if is_ours && nowhere_else {
        return Err("no request comes to it: this path is our own endpoints'".to_owned());
    }
    Ok(())
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
