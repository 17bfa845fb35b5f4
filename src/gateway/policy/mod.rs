//! The policy: which requests reach which origin, and who may make them. Parsed once, strictly:
//! an unknown key, a missing origin or two routes that claim the same request are faults, which
//! are told all at once, each with its line.

mod changes;
mod client;
mod cors;
mod deployed;
mod fault;
mod file;
mod issuer;
mod limits;
mod origin;
mod reach;
mod reader;
mod route;
mod routes;

use std::time::Duration;

use serde::Deserialize;

use self::routes::{Host, RouteTable};
pub use self::{
    changes::Changes,
    cors::{Cors, Readers},
    deployed::Deployed,
    fault::{Fault, PolicyError},
    file::{Names, Ours, Surroundings},
    routes::Params,
};
use super::canonical;
use crate::domain::{
    certificate::Client, host::HostPattern, rate_limit::Limit, rbac::Requirement, revocation::Revocation,
    token::issuer::Issuer,
};

/// Who may make a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Anyone; credentials are not looked at.
    Public,
    /// Anyone; credentials, if there are any, must be good.
    Optional,
    /// Only who proves who they are.
    Authenticated,
}

/// What proves who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// An access token.
    Bearer,
    /// A session cookie.
    Session,
    /// An API key.
    ApiKey,
    /// A client's certificate.
    Mtls,
}

impl Credential {
    /// What a route takes that names none, in this order: a cookie comes along by itself, so whatever is shown on purpose is
    /// looked at first. A certificate does, too: it is looked at only where a route says so.
    pub const USUAL: [Self; 3] = [Self::Bearer, Self::ApiKey, Self::Session];

    /// Reads what origins are told of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::Session, Self::ApiKey, Self::Mtls].into_iter().find(|one| one.method() == text)
    }

    /// What origins are told of it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Session => "session",
            Self::ApiKey => "api_key",
            Self::Mtls => "mtls",
        }
    }
}

/// What a limit counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitBy {
    /// The connecting address.
    Ip,
    /// The authenticated subject.
    Subject,
    /// The API key, where one is shown.
    ApiKey,
}

/// What happens when a limiter cannot answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLimiterError {
    /// 503.
    #[default]
    Deny,
    /// The request goes on, unlimited.
    Allow,
}

/// What an origin is handed of a caller, signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assertion {
    /// Who it is; remembered for most of its life.
    #[default]
    Identity,
    /// That, and which request is made.
    Request,
    /// Nothing.
    None,
}

/// Where an origin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// At a URL (scheme, host, port).
    Url(String),
    /// A Worker bound under this name.
    Service(String),
}

/// A service behind the gateway.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its name in the policy.
    pub id: String,
    /// Where it is.
    pub target: Target,
    /// How long it may take to begin its answer.
    pub timeout: Duration,
    /// How long its answer may pause once it has begun, if that is watched.
    pub idle_timeout: Option<Duration>,
    /// Who its assertions are for.
    pub assertion_audience: String,
    /// Whether it is shown what callers prove themselves by, but for our cookies.
    pub forward_credentials: bool,
}

/// A kind of request and what is done with it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in the policy and in logs.
    pub id: String,
    /// On which hosts it answers.
    host: Host,
    /// The path that it is for, with its parameters.
    pub(super) path: String,
    /// Which origin, by position in [`Policy::origins`].
    pub(super) origin: usize,
    /// Who may.
    pub access: Access,
    /// What proves who is calling, in the order in which it is looked at.
    pub credentials: Vec<Credential>,
    /// What they need.
    pub require: Requirement,
    /// How fresh revocation knowledge must be, where `REVOCATION` does not ask for more.
    pub revocation: Revocation,
    /// Limits by address.
    pub ip_limits: Vec<Limit>,
    /// Limits by subject.
    pub subject_limits: Vec<Limit>,
    /// Limits by API key, beside the one that each key has everywhere.
    pub key_limits: Vec<Limit>,
    /// When the limiter cannot answer.
    pub on_limiter_error: OnLimiterError,
    /// What the origin is handed of a caller, signed.
    pub assertion: Assertion,
    /// Whether its paths may hold encoded slashes.
    pub allow_encoded_slash: bool,
    /// What it changes of a request.
    pub changes: Changes,
    /// Whose pages may read its answers; if nothing is said, that is the origin's to say.
    pub cors: Option<Cors>,
}

impl Route {
    /// All its limits.
    fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.ip_limits.iter().chain(&self.subject_limits).chain(&self.key_limits)
    }

    /// The same, to be changed.
    fn limits_mut(&mut self) -> impl Iterator<Item = &mut Limit> {
        self.ip_limits.iter_mut().chain(&mut self.subject_limits).chain(&mut self.key_limits)
    }
}

/// A whole policy, ready to decide.
#[derive(Debug)]
pub struct Policy {
    named: Named,
    routes: Vec<Route>,
    table: RouteTable,
}

/// What the file that is deployed names beside routes, and no live policy can change.
#[derive(Clone, Debug, Default)]
struct Named {
    origins: Vec<Origin>,
    issuers: Vec<Issuer>,
    clients: Vec<Client>,
    /// Whether clients stand in it, though there may be none here.
    knows_clients: bool,
}

impl Policy {
    /// From parts that were checked.
    const fn new(named: Named, routes: Vec<Route>, table: RouteTable) -> Self {
        Self { named, routes, table }
    }

    /// The route for a request, with its path parameters; the most particular one wins.
    #[must_use]
    pub fn find<'p>(&self, method: &str, host: &str, path: &'p canonical::Path) -> Option<(&Route, Params<'p>)> {
        let (index, params) = self.table.find(method, host, path)?;
        Some((self.routes.get(index)?, params))
    }

    /// Whether the path of what `matched` may hold encoded slashes: where its route allows that, and whoever takes them for
    /// slashes, so that it is `slashed`, reads the same. Then it is no other route's, by whatever method, and its owner is the same.
    #[must_use]
    pub fn is_read_alike(
        &self,
        method: &str,
        host: &str,
        slashed: &canonical::Path,
        matched: Option<&(&Route, Params<'_>)>,
    ) -> bool {
        let Some((route, params)) = matched.filter(|(route, _)| route.allow_encoded_slash) else { return false };
        let is_no_others = match self.find(method, host, slashed) {
            Some((other, _)) => other.id == route.id,
            None => !self.table.has(host, slashed),
        };
        // What stands before a parameter decides which segment that is.
        let owner = params.iter().position(|(name, _)| route.require.owner.as_ref() == Some(name));
        let until_owner = owner.map_or(0, |at| at.saturating_add(1));
        is_no_others && !params.iter().take(until_owner).any(|(_, value)| value.contains('/'))
    }

    /// Every host that a route names.
    #[must_use]
    pub fn hosts(&self) -> &[HostPattern] {
        self.table.hosts()
    }

    /// The origin of a route.
    #[must_use]
    pub fn origin(&self, route: &Route) -> Option<&Origin> {
        self.named.origins.get(route.origin)
    }

    /// All origins, in the order of the file.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.named.origins
    }

    /// Whose tokens are taken beside our own.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.named.issuers
    }

    /// The services that prove themselves by a certificate.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        &self.named.clients
    }

    /// All routes, in the order of the file.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The roles that routes name: to have one opens something.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let needs = self.routes.iter().map(|route| &route.require);
        needs.flat_map(|need| need.any_role.iter().chain(&need.min_role).chain(&need.unless_role)).map(String::as_str)
    }
}
