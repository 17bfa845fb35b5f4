//! The policy file: how a policy is written down, and everything that is checked before it decides.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use serde::Deserialize;
use url::Url;

use super::{
    policy::{Access, Credential, OnLimiterError, Origin, Policy, PolicyError, Route, Target},
    policy_limits::{LimitEntry, RouteLimits, check_memory, keep_for_each_other},
    routes::RouteTable,
};
use crate::{
    config::Lookup,
    domain::{rbac::Requirement, revocation::Revocation},
    duration,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    origin: Vec<OriginEntry>,
    #[serde(default)]
    route: Vec<RouteEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginEntry {
    id: String,
    url: Option<String>,
    url_from: Option<String>,
    service: Option<String>,
    timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteEntry {
    id: String,
    host: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    path: String,
    origin: String,
    access: Access,
    credentials: Option<Vec<Credential>>,
    #[serde(default)]
    require: RequireEntry,
    #[serde(default)]
    revocation: Revocation,
    #[serde(default)]
    rate_limit: Vec<LimitEntry>,
    #[serde(default)]
    on_limiter_error: OnLimiterError,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RequireEntry {
    permissions: Vec<String>,
    any_role: Vec<String>,
    min_role: Option<String>,
    owner: Option<String>,
    unless_role: Vec<String>,
    mfa: Option<String>,
}

impl Policy {
    /// Parses and checks a policy. `vars` resolves `url_from`.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(text: &str, vars: Lookup<'_>) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text).map_err(|error| fault("file", error.to_string().trim()))?;
        if file.version != 1 {
            return Err(fault("file", "version must be 1"));
        }
        let mut ids = BTreeSet::new();
        let origins = file.origin.into_iter().map(|entry| origin(entry, vars)).collect::<Result<Vec<_>, _>>()?;
        if let Some(twice) = origins.iter().find(|origin| !ids.insert(origin.id.clone())) {
            return Err(fault(&place("origin", &twice.id), "is defined twice"));
        }
        ids.clear();
        let mut routes = Vec::new();
        let mut table = RouteTable::default();
        for entry in file.route {
            let at = place("route", &entry.id);
            if !ids.insert(entry.id.clone()) {
                return Err(fault(&at, "is defined twice"));
            }
            table
                .add(routes.len(), entry.host.as_deref(), &entry.methods, &entry.path)
                .map_err(|problem| fault(&at, &problem))?;
            routes.push(route(entry, &origins, &at)?);
        }
        keep_for_each_other(&mut routes);
        for route in &routes {
            check_memory(route).map_err(|problem| fault(&place("route", &route.id), &problem))?;
        }
        Ok(Self::new(origins, routes, table))
    }
}

fn origin(entry: OriginEntry, vars: Lookup<'_>) -> Result<Origin, PolicyError> {
    let at = place("origin", &entry.id);
    if !is_name(&entry.id) {
        return Err(fault(&at, "an id is made of a-z, 0-9, . _ and -"));
    }
    let target = match (entry.url, entry.url_from, entry.service) {
        (Some(url), None, None) => Target::Url(base_url(&url).ok_or_else(|| bad_url(&at))?),
        (None, Some(name), None) => {
            let url = vars(&name).ok_or_else(|| fault(&at, &format!("the variable {name} is not set")))?;
            Target::Url(base_url(&url).ok_or_else(|| bad_url(&at))?)
        }
        (None, None, Some(name)) => Target::Service(name),
        _ => return Err(fault(&at, "needs exactly one of url, url_from and service")),
    };
    let timeout = entry.timeout.as_deref().map_or(Ok(DEFAULT_TIMEOUT), duration::parse);
    let timeout = timeout.map_err(|error| fault(&at, &format!("timeout {error}")))?;
    if !(1..=100).contains(&timeout.as_secs()) {
        return Err(fault(&at, "timeout must be between 1 and 100 seconds"));
    }
    Ok(Origin { id: entry.id, target, timeout })
}

/// How long ago a second factor may have been shown, at most, in seconds.
const MFA_AGES: RangeInclusive<u64> = 1..=30 * 86_400;

/// An origin that names no timeout has this long to begin its answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

fn bad_url(at: &str) -> PolicyError {
    fault(at, "must be an http or https URL without path, query or user")
}

fn base_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    let http = matches!(url.scheme(), "http" | "https");
    (plain && nobody && http && url.has_host()).then(|| url.origin().ascii_serialization())
}

fn route(entry: RouteEntry, origins: &[Origin], at: &str) -> Result<Route, PolicyError> {
    if !is_name(&entry.id) {
        return Err(fault(at, "an id is made of a-z, 0-9, . _ and -"));
    }
    let origin = origins
        .iter()
        .position(|origin| origin.id == entry.origin)
        .ok_or_else(|| fault(at, &format!("there is no origin {:?}", entry.origin)))?;
    let RequireEntry { permissions, any_role, min_role, owner, unless_role, mfa } = entry.require;
    let mfa = mfa.as_deref().map(duration::parse).transpose().map_err(|error| fault(at, &format!("mfa {error}")))?;
    if mfa.is_some_and(|mfa| !MFA_AGES.contains(&mfa.as_secs())) {
        return Err(fault(at, "mfa must be between 1 second and 30 days"));
    }
    let require = Requirement { permissions, any_role, min_role, owner, unless_role, mfa };
    if entry.access != Access::Authenticated && require != Requirement::default() {
        return Err(fault(at, "require needs access = \"authenticated\""));
    }
    if require.owner.is_none() && !require.unless_role.is_empty() {
        return Err(fault(at, "unless_role excepts from owner, which is not there"));
    }
    if let Some(owner) = &require.owner
        && !entry.path.contains(&format!("{{{owner}}}"))
    {
        return Err(fault(at, &format!("owner names {owner:?}, which is no parameter of the path")));
    }
    if entry.access == Access::Public && entry.credentials.is_some() {
        return Err(fault(at, "credentials are not looked at where access = \"public\""));
    }
    let credentials = entry.credentials.unwrap_or_else(|| Credential::USUAL.to_vec());
    let each: BTreeSet<_> = credentials.iter().collect();
    if credentials.is_empty() || each.len() < credentials.len() {
        return Err(fault(at, "credentials must name at least one, and each once"));
    }
    let limits = RouteLimits::new(&entry.id, entry.access, &credentials, entry.rate_limit)
        .map_err(|problem| fault(at, &problem))?;
    Ok(Route {
        id: entry.id,
        origin,
        access: entry.access,
        credentials,
        require,
        revocation: entry.revocation,
        ip_limits: limits.ip,
        subject_limits: limits.subject,
        key_limits: limits.key,
        on_limiter_error: entry.on_limiter_error,
    })
}

pub(super) fn is_name(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

fn place(kind: &str, id: &str) -> String {
    format!("{kind} {id:?}")
}

fn fault(place: &str, problem: &str) -> PolicyError {
    PolicyError { place: place.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse(text, &|name| (name == "ORIGIN").then(|| "http://127.0.0.1:9".to_owned()))
    }

    fn problem(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    const HEAD: &str = "version = 1\n[[origin]]\nid = \"a\"\nurl = \"https://a.example\"\n";

    fn with_route(lines: &str) -> String {
        format!("{HEAD}[[route]]\nid = \"r\"\npath = \"/r/{{x}}\"\norigin = \"a\"\naccess = \"authenticated\"\n{lines}")
    }

    #[test]
    fn the_policy_that_ships_is_valid() {
        let policy = Policy::parse(crate::app::POLICY, &|_| Some("http://127.0.0.1:8788".into())).unwrap();
        assert_eq!(policy.routes().len(), 16);
    }

    #[test]
    fn an_origin_may_take_its_url_from_a_variable() {
        let text = "version = 1\n[[origin]]\nid = \"a\"\nurl_from = \"ORIGIN\"\n";
        assert_eq!(parse(text).unwrap().origins[0].target, Target::Url("http://127.0.0.1:9".into()));
        assert!(problem(&text.replace("\"ORIGIN\"", "\"NONE\"")).contains("NONE is not set"));
    }

    #[test]
    fn every_fault_says_where_it_is() {
        for (text, why) in [
            ("version = 2".to_owned(), "file: version must be 1"),
            ("version = 1\ncolour = 3".to_owned(), "unknown field `colour`"),
            ("version = 1\n[[origin]]\nid = \"a\"".to_owned(), "origin \"a\": needs exactly one of"),
            (format!("{HEAD}[[origin]]\nid = \"a\"\nservice = \"A\""), "origin \"a\": is defined twice"),
            (HEAD.replace("a.example", "a.example/path"), "without path"),
            (HEAD.replace("https", "ftp"), "http or https"),
            (format!("{HEAD}timeout = \"5000s\""), "between 1 and 100 seconds"),
            (with_route("colour = 3"), "unknown field `colour`"),
            (with_route("revocation = \"never\""), "unknown variant `never`"),
            (with_route("require = { owner = \"y\" }"), "owner names \"y\""),
            (with_route("require = { mfa = \"soon\" }"), "route \"r\": mfa "),
            (with_route("require = { mfa = \"0s\" }"), "between 1 second and 30 days"),
            (with_route("require = { mfa = 5 }"), "invalid type"),
            (with_route("credentials = []"), "at least one"),
            (with_route("credentials = [\"bearer\", \"api_key\", \"bearer\"]"), "each once"),
            (with_route("credentials = [\"basic\"]"), "unknown variant `basic`"),
            (
                with_route(
                    "credentials = [\"bearer\"]\nrate_limit = [{ limit = 1, window = \"1m\", by = \"api_key\" }]",
                ),
                "takes API keys",
            ),
            (with_route("credentials = [\"bearer\"]").replace("authenticated", "public"), "not looked at"),
            (with_route("require = { unless_role = [\"admin\"] }"), "excepts from owner"),
            (with_route("rate_limit = [{ limit = 0, window = \"1m\", by = \"ip\" }]"), "at least 1"),
            (with_route("").replace("origin = \"a\"\naccess", "origin = \"b\"\naccess"), "there is no origin \"b\""),
            (with_route("").replace("authenticated", "public") + "require = { min_role = \"user\" }", "needs access"),
            (
                with_route("[[route]]\nid = \"s\"\npath = \"/r/{y}\"\norigin = \"a\"\naccess = \"public\""),
                "route \"s\"",
            ),
        ] {
            let found = problem(&text);
            assert!(found.contains(why), "{found}\nwanted: {why}");
        }
    }
}
