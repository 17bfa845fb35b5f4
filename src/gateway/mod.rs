//! Proxied traffic: what reaches an origin, and as whom.
//!
//! [`decide`] is one pure, synchronous function of a request's head and what is known. A warm
//! request is decided in one call from JavaScript; where something must be asked first, the
//! verdict says what, [`crate::app`] asks it, and the same function decides again.

pub mod api_key;
pub mod assertion;
pub mod authenticate;
pub mod caller;
pub mod canonical;
mod credentials;
pub mod forward;
pub mod head;
pub mod headers;
pub mod hosts;
pub mod knowledge;
mod limits;
pub mod memory;
mod navigation;
pub mod policy;
pub mod same_origin;
pub mod session;
pub mod uses;
pub mod view;

use std::{sync::Arc, time::Duration};

pub use self::limits::{LimitAnswer, LimitKind};
use self::{
    api_key::{AskedKey, KeyFound},
    assertion::{Asserted, ToAssert},
    authenticate::{Authenticated, Outcome},
    canonical::Path,
    forward::{AccessLine, Rewrite},
    head::Head,
    headers::Handed,
    hosts::AllowedHosts,
    knowledge::{Knowledge, TokenDigest},
    limits::{Limited, limit},
    policy::{Access, Policy},
    same_origin::SameOrigin,
    session::SessionFound,
};
use crate::{
    config::{AccessLog, Config, Environment},
    domain::{
        cookies::CookieNames,
        host::is_loopback,
        id::{ApiKeyId, RequestId, SessionId},
        rate_limit::{Limit, LimitKey},
        revocation::Revocation,
        secret::SecretList,
        session::cookie::SessionCookie,
        time::Timestamp,
        token::verify::{Claimed, Refusal},
    },
    error::ApiError,
    security_headers::Transport,
};

/// What a decision rests on that does not change while the isolate lives.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Routes and origins.
    pub policy: &'a Policy,
    /// Every host that is answered on.
    pub hosts: &'a AllowedHosts,
    /// Host and port of our own endpoints.
    pub auth_authority: &'a str,
    /// Whether loopback names are the auth host too.
    pub environment: Environment,
    /// Whether the API's description is among our own endpoints.
    pub docs: bool,
    /// The path under which our own endpoints are.
    pub api_prefix: &'a str,
    /// The path under which pages are.
    pub pages_prefix: &'a str,
    /// How old what is known of revocations may be.
    pub revocation_bound: Duration,
    /// How fresh it must be on every route.
    pub revocation: Revocation,
    /// Our own pages.
    pub same_origin: SameOrigin<'a>,
    /// How our cookies are called.
    pub cookies: CookieNames,
    /// What vouches for them, and for API keys.
    pub mac_keys: &'a SecretList,
    /// How often an API key may be used.
    pub key_limit: &'a Limit,
    /// Whether the log is told of what is forwarded.
    pub access_log: AccessLog,
}

impl<'a> World<'a> {
    /// From configuration and policy.
    #[must_use]
    pub fn new(config: &'a Config, policy: &'a Policy, hosts: &'a AllowedHosts) -> Self {
        Self {
            policy,
            hosts,
            auth_authority: config.public_url.authority(),
            environment: config.environment,
            docs: config.docs,
            api_prefix: &config.api_prefix,
            pages_prefix: &config.pages_prefix,
            revocation_bound: config.revocation_bound,
            revocation: config.revocation,
            same_origin: SameOrigin::new(config),
            cookies: config.cookies(),
            mac_keys: &config.token_mac_key,
            key_limit: &config.key_limit,
            access_log: config.access_log,
        }
    }
}

/// What was asked for one request only, and what came of it.
#[derive(Debug, Default)]
pub struct Findings {
    /// The token was looked at and is not believed.
    pub token_refused: Option<Refusal>,
    /// Newer keys and roles were asked for, by this request or by another a moment ago.
    pub reload_tried: bool,
    /// It was waited for another request's question about them.
    pub waited: bool,
    /// What came of this request's own question about revocations: good enough for this request, however long the
    /// answer took.
    pub view: Option<Asked>,
    /// How often it was waited for another request's question about them.
    pub waits_for_view: u8,
    /// What this request's own question about its very token gave.
    pub token_standing: Option<Standing>,
    /// The same of its session. One request may show several things: none vouches for another.
    pub session_standing: Option<Standing>,
    /// What was found of its session.
    pub session: Option<Arc<SessionFound>>,
    /// What was found of its API key.
    pub key: Option<KeyFound>,
    /// What this request's own question about its API key gave, if a copy was asked.
    pub key_standing: Option<Standing>,
    /// The assertion that was made for it.
    pub assertion: Option<Arc<Asserted>>,
    /// What the limiter said by address.
    pub ip_limit: Option<LimitAnswer>,
    /// What the limiter said by subject.
    pub subject_limit: Option<LimitAnswer>,
    /// What the limiter said by API key.
    pub key_limit: Option<LimitAnswer>,
}

/// What came of asking about revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The feed or the record answered.
    Answered,
    /// Neither did.
    Failed,
}

/// What was said of one token or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was revoked.
    Revoked,
    /// It was not.
    Good,
}

/// Something that must be asked before a verdict can be given.
#[derive(Debug)]
pub enum Want<'a> {
    /// Keys and roles, of which nothing is known.
    Bundle,
    /// Newer keys and roles than are known, if they can be had.
    Reload,
    /// That another request, which asks for newer keys already, has its answer.
    Wait,
    /// Whether a token's signature is its key's, and all that follows from it.
    Verification {
        /// The token, beside its key.
        token: Claimed<'a>,
        /// Its digest.
        digest: TokenDigest,
    },
    /// What was revoked lately.
    View,
    /// That another request, which asks that already, has its answer.
    WaitForView,
    /// What the session of a cookie stands for, of which nothing is known.
    Session {
        /// The cookie.
        cookie: SessionCookie,
        /// Whether only the record will do.
        of_record: bool,
    },
    /// What an API key stands for, as the record has it.
    Key(AskedKey),
    /// Whether everything that a token, a session or an API key rests on stands, as the record has it.
    Record(Authenticated),
    /// Whether a token, a session or an API key was revoked, as its copy has it, because nobody else can be asked.
    Blacklist(Authenticated),
    /// An assertion of the caller, for the origin.
    Assertion(Box<ToAssert>),
    /// A limiter's yes.
    Limit {
        /// Which.
        kind: LimitKind,
        /// Who is counted.
        key: LimitKey,
        /// How, all at once.
        limits: Vec<Limit>,
    },
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// It is for our own endpoints.
    Own,
    /// It goes to its origin, changed like this.
    Forward(Box<Rewrite>),
    /// It ends here; the log gets the route's id.
    Refuse(ApiError, Option<String>),
    /// Something must be asked first.
    Need(Want<'a>),
}

/// Which request is decided on, and when.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The request's id.
    pub request: RequestId,
    /// Now.
    pub now: Timestamp,
}

/// What a forwarded request uses, which is to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// A session, by its cookie.
    Session(SessionId),
    /// An API key, and when its use was last noted as far as is known here.
    Key(ApiKeyId, Option<Timestamp>),
}

/// Decides on a request.
#[must_use]
pub fn decide<'a>(
    head: &Head<'a>,
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    moment: Moment,
) -> Verdict<'a> {
    // Nothing is said under a name that is not ours, and in production nothing over a wire that others can read. The
    // scheme is the one that the platform says; no header of a client's changes it.
    if !world.hosts.take(head) {
        return Verdict::Refuse(ApiError::Misdirected, None);
    }
    if world.environment == Environment::Production && head.scheme != "https" {
        let secure = format!("https://{}{}{}", head.authority, head.raw_path, head.query);
        return Verdict::Refuse(ApiError::PlainHttp(secure), None);
    }
    // A control character in a header is no field value (RFC 9110, §5.5), whoever it is for.
    if head.has_control_characters() {
        return Verdict::Refuse(ApiError::Malformed("A header holds a control character."), None);
    }
    // One spelling of the path comes first: everything after it decides on what is forwarded.
    let Ok(path) = Path::parse(head.raw_path) else { return Verdict::Refuse(ApiError::AmbiguousPath, None) };
    if is_own(head, &path, world) {
        return if path.with_slashes().is_none() {
            Verdict::Own
        } else {
            Verdict::Refuse(ApiError::AmbiguousPath, None)
        };
    }
    let mut route_id = None;
    route(head, &path, world, knowledge, found, moment, &mut route_id)
        .unwrap_or_else(|error| Verdict::Refuse(error, route_id))
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

fn is_auth_host(head: &Head<'_>, world: &World<'_>) -> bool {
    let loopback = || world.environment == Environment::Development && is_loopback(head.host());
    head.authority == world.auth_authority || loopback()
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
    // (1) The route.
    let matched = world.policy.find(head.method, head.host(), path);
    if let Some(slashed) = path.with_slashes()
        && (is_own(head, &slashed, world)
            || !world.policy.is_read_alike(head.method, head.host(), &slashed, matched.as_ref()))
    {
        return Err(ApiError::AmbiguousPath);
    }
    let (route, params) = matched.ok_or(ApiError::NotFound)?;
    *route_id = Some(route.id.clone());
    // The platform cannot send one on (and RFC 9110, §9.3.1 gives it no meaning).
    let has_length = head.header("content-length").is_some_and(|length| length != "0");
    let has_body = has_length || head.header("transfer-encoding").is_some();
    if has_body && matches!(head.method, "GET" | "HEAD") {
        return Err(ApiError::Malformed("A GET or HEAD request cannot have a body."));
    }
    // (2) Limits by address.
    let ip_key = || credentials::client_ip(head).limit_key();
    let ip_limit = match limit(route, &route.ip_limits, LimitKind::Ip, found.ip_limit, ip_key, now)? {
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
    let subject_limit = match limit(route, limits, LimitKind::Subject, found.subject_limit, subject_key, now)? {
        Limited::Ask(want) => return Ok(Verdict::Need(want)),
        Limited::Passed(decision) => decision,
    };
    let key_limit = match &caller {
        Some(Authenticated::Key(live)) => {
            let limits = [&[live.limit(world.key_limit)], route.key_limits.as_slice()].concat();
            match limit(route, &limits, LimitKind::ApiKey, found.key_limit, || live.limit_key(), now)? {
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
        None => None,
        Some(who) => match assertion::assertion(who, (route, origin), (head, path), knowledge, found, now) {
            Ok(asserted) => asserted,
            Err(to_assert) => return Ok(Verdict::Need(Want::Assertion(to_assert))),
        },
    };
    let identity = caller.as_ref().map(Authenticated::caller);
    let handed =
        Handed { origin, changes: &route.changes, assertion: asserted.as_ref().map(|asserted| &*asserted.token) };
    let changes = headers::rewrite(head, identity, request, handed);
    let uses = match &caller {
        Some(Authenticated::Session(live)) => Some(Used::Session(live.snapshot.session)),
        Some(Authenticated::Key(live)) => Some(Used::Key(live.snapshot.key, live.snapshot.used_at)),
        _ => None,
    };
    let strict = Transport::new(world.environment, Some(head.scheme)) == Transport::Strict;
    let moment = Moment { request, now };
    let rewrite = Rewrite::new(head, origin, route, path, &changes, tightest, moment);
    let log = (world.access_log == AccessLog::All).then(|| AccessLine::new(route, head, identity));
    Ok(Verdict::Forward(Box::new(Rewrite { strict, log, uses, ..rewrite })))
}
