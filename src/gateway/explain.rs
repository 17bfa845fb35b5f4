//! What would become of a request, and why: each step of the decision with what it comes to, of somebody who is only supposed
//! to call. Nobody is asked, nothing is counted, nothing is signed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Moment, World,
    caller::Caller,
    canonical::Path,
    cors,
    credentials::{require_own_page, require_own_page_of_browsers},
    decide::{Entered, enter, matched, refuse_odd_body},
    forward::Rewrite,
    head::Head,
    headers::{self, Handed},
    navigation,
    policy::{Access, Assertion, Credential, Route},
};
use crate::{
    domain::{rate_limit::Limit, rbac::RoleGraph},
    error::ApiError,
};

/// What would become of a request.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Explanation {
    /// `own` if it is for the gateway's own endpoints, `forward`, `refuse`, or `preflight` if that is answered.
    pub outcome: &'static str,
    /// With what status it would be refused.
    pub status: Option<u16>,
    /// The path that is decided on, if it has one spelling.
    pub path: Option<String>,
    /// The route that it would take.
    pub route: Option<String>,
    /// Each step, in order, up to the one that refuses; what is required of the caller is told in full.
    pub checks: Vec<Check>,
    /// What the origin would receive.
    pub forwarded: Option<Forwarded>,
}

/// One step of the decision.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Check {
    /// Which.
    pub check: &'static str,
    /// Whether it lets the request pass.
    pub passes: bool,
    /// What it goes by, or why it does not.
    pub detail: String,
}

/// What an origin would receive.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Forwarded {
    /// Which origin.
    pub origin: String,
    /// The method.
    pub method: String,
    /// Where to; the host is none where the origin is a bound Worker.
    pub url: String,
    /// Headers that are set. What is signed for each request stands in angle brackets.
    pub set: BTreeMap<String, String>,
    /// Headers of the request that do not arrive.
    pub removed: Vec<String>,
}

/// Explains what becomes of a request; nobody calls if there is no `caller`.
#[must_use]
pub fn explain(
    head: &Head<'_>,
    caller: Option<&Caller>,
    world: &World<'_>,
    roles: &RoleGraph,
    moment: Moment,
) -> Explanation {
    let mut told = Explanation { outcome: "refuse", ..Explanation::default() };
    match told.go(head, caller, world, roles, moment) {
        Ok(outcome) => told.outcome = outcome,
        Err(error) => told.status = Some(error.status_code().as_u16()),
    }
    told
}

impl Explanation {
    fn go(
        &mut self,
        head: &Head<'_>,
        caller: Option<&Caller>,
        world: &World<'_>,
        roles: &RoleGraph,
        moment: Moment,
    ) -> Result<&'static str, ApiError> {
        let path = Path::parse(head.raw_path).ok();
        self.path = path.as_ref().map(|path| path.as_str().to_owned());
        let entered = self.step("perimeter", enter(head, path.as_ref(), world), |_| {
            "The host is answered on, by this scheme, and the path has one spelling.".to_owned()
        })?;
        let path = match entered {
            Entered::Own => return Ok("own"),
            Entered::Proxied(path) => path,
        };
        if let Some((route, cors, method)) = cors::preflighted(head, path, world) {
            self.route = Some(route.id.clone());
            self.step("preflight", cors.preflight(head, method), |_| "The page may ask.".to_owned())?;
            return Ok("preflight");
        }
        let (route, params) = self.step("route", matched((head, head.method), path, world), |(route, params)| {
            let params = params.iter().map(|(name, value)| format!(", {name} = {value:?}"));
            format!("{} by {}{}", route.path, route.id, params.collect::<String>())
        })?;
        self.route = Some(route.id.clone());
        if let Err(error) = refuse_odd_body(head) {
            return self.step("body", Err(error), |&outcome: &&str| outcome.to_owned());
        }
        self.limits("limits by address", &route.ip_limits);
        let caller = self.step("credential", known(head, path, caller, route, world), |caller| match caller {
            Some(caller) => format!("{} by {}", caller.subject, caller.method),
            None => "Nobody is looked at, or nobody is there.".to_owned(),
        })?;
        if let Some(caller) = caller {
            let param = |name: &str| params.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_ref());
            let each = route.require.each(caller.holdings(), roles, param, moment.now);
            let mut refused = None;
            for (check, came_of) in each {
                let step = self.step(check, came_of.map_err(ApiError::lacking), |()| "It holds.".to_owned());
                refused = refused.or(step.err());
            }
            if let Some(error) = refused {
                return Err(error);
            }
        }
        self.limits("limits by subject", &route.subject_limits);
        self.limits("limits by API key", &route.key_limits);
        self.forwarded = forwarded((head, path), caller, route, world, moment);
        Ok("forward")
    }

    fn step<T>(
        &mut self,
        check: &'static str,
        came_of: Result<T, ApiError>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, ApiError> {
        let told = came_of.as_ref().map_or_else(ToString::to_string, detail);
        self.checks.push(Check { check, passes: came_of.is_ok(), detail: told });
        came_of
    }

    /// What would be counted; whether anything is left is the limiter's to say.
    fn limits(&mut self, check: &'static str, limits: &[Limit]) {
        let rules = limits.iter().flat_map(|limit| limit.rules.iter());
        let rules: Vec<_> = rules.map(|rule| format!("{} in {} s", rule.limit, rule.window_ms / 1000)).collect();
        if !rules.is_empty() {
            self.checks.push(Check { check, passes: true, detail: format!("Not counted here: {}", rules.join(", ")) });
        }
    }
}

/// Who is known to a route, as far as it looks.
fn known<'c>(
    head: &Head<'_>,
    path: &Path,
    caller: Option<&'c Caller>,
    route: &Route,
    world: &World<'_>,
) -> Result<Option<&'c Caller>, ApiError> {
    let takes =
        |caller: &&Caller| route.credentials.iter().map(|one| Credential::method(*one)).any(|one| one == caller.method);
    match (route.access, caller.filter(takes)) {
        (Access::Public, _) => Ok(None),
        (Access::Authenticated, None) => Err(navigation::unknown(head, path, route, world)),
        (_, Some(caller)) if caller.method == Credential::Session.method() => {
            require_own_page(head, route, world).map(|()| Some(caller))
        }
        (_, Some(caller)) if caller.method == Credential::Mtls.method() => {
            require_own_page_of_browsers(head, route, world).map(|()| Some(caller))
        }
        (_, caller) => Ok(caller),
    }
}

fn forwarded(
    (head, path): (&Head<'_>, &Path),
    caller: Option<&Caller>,
    route: &Route,
    world: &World<'_>,
    moment: Moment,
) -> Option<Forwarded> {
    let origin = world.policy.origin(route)?;
    let assertion = caller.filter(|_| route.assertion != Assertion::None);
    let assertion = assertion.map(|_| format!("<signed for {}>", origin.assertion_audience));
    let shows_credentials = world.shows_credentials(head, path, route, origin);
    let handed = Handed { changes: &route.changes, assertion: assertion.as_deref(), shows_credentials };
    let changes = headers::rewrite(head, caller, moment.request, handed);
    let Rewrite { url, set, remove, .. } = Rewrite::new(head, origin, route, path, &changes, None, moment);
    let mut set: BTreeMap<_, _> = set.into_iter().collect();
    set.insert("x-request-id".to_owned(), "<made for each request>".to_owned());
    Some(Forwarded { origin: origin.id.clone(), method: head.method.to_owned(), url, set, removed: remove })
}
