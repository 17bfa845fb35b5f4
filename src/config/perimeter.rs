//! Who may reach our endpoints, and how often: hosts, pages of others, and the limit of each caller.

use std::time::Duration;

use url::Url;

use super::{
    ConfigError, Environment,
    vars::{Vars, fault},
};
use crate::domain::{
    host::HostPattern,
    rate_limit::{Limit, Rule},
};

/// `ALLOWED_HOSTS`: patterns with commas between. `None` leaves it to `PUBLIC_URL` and the policy.
pub(super) fn allowed_hosts(vars: &Vars<'_>) -> Result<Option<Vec<HostPattern>>, ConfigError> {
    const NAME: &str = "ALLOWED_HOSTS";
    let Some(text) = vars.text(NAME) else { return Ok(None) };
    let pattern = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        // As a request's own host is spelt: a port that is the scheme's own is left out.
        HostPattern::parse_with_port(text.strip_suffix(":443").unwrap_or(&text))
    };
    let patterns: Option<Vec<_>> = text.split(',').map(pattern).collect();
    let wanted = "must be names such as api.example.com, *.example.com or a.example.com:8443, with commas between";
    patterns.map(Some).ok_or_else(|| fault(NAME, wanted))
}

/// `ALLOWED_ORIGINS`: origins with commas between, as a browser writes them in `Origin`.
pub(super) fn allowed_origins(vars: &Vars<'_>, environment: Environment) -> Result<Vec<String>, ConfigError> {
    const NAME: &str = "ALLOWED_ORIGINS";
    let Some(text) = vars.text(NAME) else { return Ok(Vec::new()) };
    text.split(',').map(|one| origin(one.trim(), environment).map_err(|problem| fault(NAME, problem))).collect()
}

fn origin(text: &str, environment: Environment) -> Result<String, &'static str> {
    const WANTED: &str = "must be origins such as https://app.example.com, without a path, with commas between";
    if matches!(text, "*" | "null") {
        return Err("must name each origin: * and null are any page's");
    }
    let url = Url::parse(text).map_err(|_| WANTED)?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !plain || !url.username().is_empty() || url.password().is_some() || !url.has_host() || text.contains('*') {
        return Err(WANTED);
    }
    match (url.scheme(), environment) {
        ("https", _) | ("http", Environment::Development) => Ok(url.origin().ascii_serialization()),
        ("http", Environment::Production) => Err("must begin with https:// in production, each of them"),
        _ => Err(WANTED),
    }
}

/// `API_LIMIT`: requests of one subject, or of one address where nobody is signed in.
pub(super) fn api_limit(vars: &Vars<'_>) -> Result<Limit, ConfigError> {
    let limit = vars.number("API_LIMIT", 60, 1..=10_000)?;
    Ok(Limit::new("api", [Rule::new(limit, Duration::from_mins(1))]))
}

/// `APIKEY_LIMIT`: requests with one API key.
pub(super) fn key_limit(vars: &Vars<'_>) -> Result<Limit, ConfigError> {
    let limit = vars.number("APIKEY_LIMIT", 1000, 1..=10_000)?;
    Ok(Limit::new("requests", [Rule::new(limit, Duration::from_mins(1))]))
}
