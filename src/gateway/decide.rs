//! The decision itself: who may come in, by which route, as whom, and as what it goes on.

use super::{
    Findings, Moment, Used, Verdict, Want, World, assertion,
    authenticate::{self, Authenticated, Basis, Freshness, Outcome},
    canonical::Path,
    cors, credentials,
    forward::{AccessLine, Rewrite},
    head::Head,
    headers::{self, Handed},
    knowledge::Knowledge,
    limits::{LimitKind, Limited, limit},
    navigation,
    outsider::Proven,
    policy::{Access, Params, Route},
};
use crate::{
    config::{AccessLog, Environment},
    domain::{host::is_loopback, rate_limit::LimitKey, time::Timestamp},
    error::ApiError,
    security_headers::Transport,
};

/// Decides on a request.
#[must_use]
pub fn decide<'a>(
    head: &Head<'a>,
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    moment: Moment,
) -> Verdict<'a> {
    // Which policy decides, and which hosts are answered on, is no older than the bound; for our own endpoints it is all one.
    let path = Path::parse(head.raw_path).ok();
    if !path.as_ref().is_some_and(|path| is_own(head, path, world)) {
        match policy_first(world, knowledge, found, moment.now) {
            Ok(None) => {}
            Ok(Some(want)) => return Verdict::Need(want),
            Err(error) => return Verdict::Refuse(error, None),
        }
    }
    let world = world.under(knowledge.rules.live().map(AsRef::as_ref));
    decide_under((head, path.as_ref()), &world, knowledge, found, moment)
}

/// What is asked before it can be told which policy decides.
fn policy_first<'a>(
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    now: Timestamp,
) -> Result<Option<Want<'a>>, ApiError> {
    let basis = Basis { world, knowledge, found, freshness: Freshness::Bounded, now };
    Ok(match authenticate::usable(knowledge, found, now)? {
        Outcome::Need(want) => Some(want),
        _ => authenticate::view_first(basis),
    })
}

/// Decides on a request, and its path if that has one spelling, under the world's policy, whichever that is.
#[must_use]
pub(super) fn decide_under<'a>(
    (head, path): (&Head<'a>, Option<&Path>),
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    moment: Moment,
) -> Verdict<'a> {
    let mut route_id = None;
    let decided = enter(head, path, world).and_then(|entered| match entered {
        Entered::Own => Ok(Verdict::Own),
        Entered::Proxied(path) => route(head, path, world, knowledge, found, moment, &mut route_id),
    });
    decided.unwrap_or_else(|error| Verdict::Refuse(error, route_id))
}

/// Whom a request is for that may come in at all.
pub(super) enum Entered<'p> {
    /// Us.
    Own,
    /// An origin, perhaps, by this path.
    Proxied(&'p Path),
}

/// Lets a request in that is answered at all.
///
/// # Errors
/// That it is not, whoever makes it.
pub(super) fn enter<'p>(head: &Head<'_>, path: Option<&'p Path>, world: &World<'_>) -> Result<Entered<'p>, ApiError> {
    // Nothing is said under a name that is not ours, and in production nothing over a wire that others can read. The
    // scheme is the one that the platform says; no header of a client's changes it.
    if !world.hosts.take(head) {
        return Err(ApiError::Misdirected);
    }
    if world.environment == Environment::Production && head.scheme != "https" {
        return Err(ApiError::PlainHttp(format!("https://{}{}{}", head.authority, head.raw_path, head.query)));
    }
    // A control character in a header is no field value (RFC 9110, §5.5), whoever it is for.
    if head.has_control_characters() {
        return Err(ApiError::Malformed("A header holds a control character."));
    }
    // One spelling of the path comes first: everything after it decides on what is forwarded.
    let path = path.ok_or(ApiError::AmbiguousPath)?;
    match is_own(head, path, world) {
        true if path.with_slashes().is_none() => Ok(Entered::Own),
        true => Err(ApiError::AmbiguousPath),
        false => Ok(Entered::Proxied(path)),
    }
}

/// Whether a request is for our own endpoints: on the auth host, under the API's prefix or at one
/// of the few well-known paths.
fn is_own(head: &Head<'_>, path: &Path, world: &World<'_>) -> bool {
    let path = path.as_str();
    let ours = path.strip_prefix(world.api_prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || matches!(path, "/.well-known/jwks.json" | "/health")
        || (world.docs && matches!(path, "/openapi.json" | "/docs" | "/docs/page.css" | "/docs/page.js"))
        || (world.environment == Environment::Development && path == "/dev/outbox");
    ours && is_auth_host(head, world)
}

pub(super) fn is_auth_host(head: &Head<'_>, world: &World<'_>) -> bool {
    let loopback = || world.environment == Environment::Development && is_loopback(head.host());
    head.authority == world.auth_authority || loopback()
}

/// The route of a request, and its path parameters.
///
/// # Errors
/// There is none, or it could be taken for another.
pub(super) fn matched<'w, 'p>(
    (head, method): (&Head<'_>, &str),
    path: &'p Path,
    world: &World<'w>,
) -> Result<(&'w Route, Params<'p>), ApiError> {
    let matched = world.policy.find(method, head.host(), path);
    if let Some(slashed) = path.with_slashes()
        && (is_own(head, &slashed, world)
            || !world.policy.is_read_alike(method, head.host(), &slashed, matched.as_ref()))
    {
        return Err(ApiError::AmbiguousPath);
    }
    matched.ok_or(ApiError::NotFound)
}

/// A body of a GET or HEAD, which the platform cannot send on (and RFC 9110, §9.3.1 gives it no meaning).
pub(super) fn refuse_odd_body(head: &Head<'_>) -> Result<(), ApiError> {
    let has_length = head.header("content-length").is_some_and(|length| length != "0");
    let has_body = has_length || head.header("transfer-encoding").is_some();
    if has_body && matches!(head.method, "GET" | "HEAD") {
        return Err(ApiError::Malformed("A GET or HEAD request cannot have a body."));
    }
    Ok(())
}

fn route<'a>(
    head: &Head<'a>,
    path: &Path,
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    Moment { request, now }: Moment,
    route_id: &mut Option<String>,
) -> Result<Verdict<'a>, ApiError> {
    // (1) The route. A preflight asks about another method's; where the origin is to answer it, it goes by its own.
    if let Some((route, cors, method)) = cors::preflighted(head, path, world) {
        *route_id = Some(route.id.clone());
        return cors.preflight(head, method).map(Verdict::Preflight);
    }
    let (route, params) = matched((head, head.method), path, world)?;
    *route_id = Some(route.id.clone());
    refuse_odd_body(head)?;
    // (2) Limits by address.
    let ip_key = || credentials::client_ip(head).limit_key();
    let ip_limit = match limit(route, &route.ip_limits, (LimitKind::Ip, found.of(LimitKind::Ip)), ip_key, now)? {
        Limited::Ask(want) => return Ok(Verdict::Need(want)),
        Limited::Passed(decision) => decision,
    };
    // (3) Who is calling.
    let caller = match credentials::authenticate(head, world, knowledge, found, route, now)? {
        Outcome::Need(want) => return Ok(Verdict::Need(want)),
        Outcome::Known(who) => Some(who),
        Outcome::NotResponsible if route.access == Access::Authenticated => {
            return Err(navigation::unknown(head, path, route, world));
        }
        Outcome::NotResponsible => None,
    };
    // (4) Whether they may.
    if let (Some(who), Some(bundle)) = (&caller, &knowledge.bundle) {
        let param = |name: &str| params.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_ref());
        route.require.check(who.caller().holdings(), &bundle.roles, param, now).map_err(ApiError::lacking)?;
    }
    // (5) Limits by subject, and by API key: each is another limiter's.
    let subject_key = || LimitKey::subject(caller.as_ref().map_or("", |who| &who.caller().subject));
    let limits = &route.subject_limits;
    let subject_limit =
        match limit(route, limits, (LimitKind::Subject, found.of(LimitKind::Subject)), subject_key, now)? {
            Limited::Ask(want) => return Ok(Verdict::Need(want)),
            Limited::Passed(decision) => decision,
        };
    let key_limit = match &caller {
        Some(Proven::Account(Authenticated::Key(live))) => {
            let limits = [&[live.limit(world.key_limit)], route.key_limits.as_slice()].concat();
            match limit(route, &limits, (LimitKind::ApiKey, found.of(LimitKind::ApiKey)), || live.limit_key(), now)? {
                Limited::Ask(want) => return Ok(Verdict::Need(want)),
                Limited::Passed(decision) => decision,
            }
        }
        _ => None,
    };
    // (6) What the origin gets to see.
    let origin = world.policy.origin(route).ok_or_else(|| ApiError::Internal("route without origin".to_owned()))?;
    let tightest = [ip_limit, subject_limit, key_limit].into_iter().flatten().min_by_key(|decision| decision.remaining);
    let asserted = match &caller {
        Some(_) if found.is_rehearsal => None,
        None => None,
        Some(who) => match assertion::assertion(who, (route, origin), (head, path), knowledge, found, now) {
            Ok(asserted) => asserted,
            Err(to_assert) => return Ok(Verdict::Need(Want::Assertion(to_assert))),
        },
    };
    let identity = caller.as_ref().map(Proven::caller);
    let (changes, assertion) = (&route.changes, asserted.as_ref().map(|asserted| &*asserted.token));
    let handed = Handed { changes, assertion, shows_credentials: world.shows_credentials(head, path, route, origin) };
    let changes = headers::rewrite(head, identity, request, handed);
    let uses = match &caller {
        Some(Proven::Account(Authenticated::Session(live))) => Some(Used::Session(live.snapshot.session)),
        Some(Proven::Account(Authenticated::Key(live))) => Some(Used::Key(live.snapshot.key, live.snapshot.used_at)),
        _ => None,
    };
    let strict = Transport::new(world.environment, Some(head.scheme)) == Transport::Strict;
    let moment = Moment { request, now };
    let rewrite = Rewrite::new(head, origin, route, path, &changes, tightest, moment);
    let log = (world.access_log == AccessLog::All).then(|| AccessLine::new(route, head, identity));
    let cors = route.cors.as_ref().map(|cors| cors.said(head));
    Ok(Verdict::Forward(Box::new(Rewrite { cors, strict, log, uses, ..rewrite })))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        config::Config,
        domain::{
            bundle::Bundle,
            id::RequestId,
            revocation::feed::Feed,
            versions::{Put, Version},
        },
        gateway::{hosts::AllowedHosts, policy::Deployed, rules::Reader},
    };

    const FILE: &str = r#"version = 1
[[origin]]
id = "legacy"
url = "https://legacy.internal"
forward_credentials = true
[[origin]]
id = "api"
url = "https://api.internal"
[[route]]
id = "all"
path = "/{*rest}"
methods = ["GET"]
origin = "legacy"
access = "public"
[[route]]
id = "api"
path = "/api/{*rest}"
origin = "api"
access = "public"
"#;

    /// Where a request goes under a live policy, and whether with its credentials.
    fn sent(live: Option<&str>, method: &str, url: &str) -> Option<(String, bool)> {
        let lookup = |name: &str| match name {
            "PUBLIC_URL" => Some("https://auth.example".to_owned()),
            "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY" => Some("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_owned()),
            _ => None,
        };
        let config = Config::parse(&lookup).unwrap();
        let deployed = Arc::new(Deployed::parse(FILE, &lookup, None).unwrap());
        let hosts = AllowedHosts::new(&config, deployed.policy());
        let mut knowledge = Knowledge::new(Arc::new(Reader { deployed: deployed.clone(), hosts: hosts.clone() }));
        let now = Timestamp::from_secs(1_767_225_600);
        let text = live.map(|routes| format!("version = 1\n{routes}"));
        let version = Version { number: 1, base: deployed.digest().to_owned(), text };
        let policies = Put { live: vec![version], candidate: None };
        knowledge.take_over(Bundle { as_of: now, policies, ..Bundle::default() });
        assert_eq!(knowledge.rules.findings(), []);
        knowledge.hear(Feed::new(String::new()).since(None, now), now, now);
        let text = format!("{method}\n{url}\nauthorization\nBearer x");
        let head = Head::parse(&text).unwrap();
        let moment = Moment { request: RequestId::new(now, &[0; 10]), now };
        let world = World::new(&config, deployed.policy(), &hosts);
        match decide(&head, &world, &knowledge, &Findings::default(), moment) {
            Verdict::Forward(rewrite) => Some((rewrite.url, !rewrite.remove.contains(&"authorization".to_owned()))),
            _ => None,
        }
    }

    #[test]
    fn credentials_go_where_the_file_sends_them_whatever_is_put_live() {
        let all = |more: &str| {
            format!("[[route]]\nid = \"x\"\npath = \"/{{*rest}}\"\norigin = \"legacy\"\naccess = \"public\"\n{more}")
        };
        let to = |live: Option<&str>, method: &str, url: &str| sent(live, method, url).unwrap();
        let legacy = |path: &str, shown| (format!("https://legacy.internal{path}"), shown);
        let at = |path: &str| format!("https://auth.example{path}");
        assert_eq!(to(None, "GET", &at("/old")), legacy("/old", true));
        assert_eq!(to(Some(&all("")), "GET", &at("/old")), legacy("/old", true));
        // What the file sends elsewhere, by its path, its method, or as another path.
        assert_eq!(to(Some(&all("")), "GET", &at("/api/v2/x")), legacy("/api/v2/x", false));
        assert_eq!(to(Some(&all("")), "POST", &at("/old")), legacy("/old", false));
        assert_eq!(to(Some(&all("add_prefix = \"/collect\"\n")), "GET", &at("/old")), legacy("/collect/old", false));
        // A host that the file does not answer on.
        let elsewhere =
            "[[route]]\nid = \"y\"\nhost = \"new.example\"\npath = \"/y\"\norigin = \"api\"\naccess = \"public\"\n";
        assert_eq!(to(Some(&(all("") + elsewhere)), "GET", "https://new.example/old"), legacy("/old", false));
    }
}
