//! Proxied traffic: what reaches an origin, and as whom.
//!
//! [`decide()`] is one pure, synchronous function of a request's head and what is known. A warm
//! request is decided in one call from JavaScript; where something must be asked first, the
//! verdict says what, [`crate::app`] asks it, and the same function decides again.

pub mod api_key;
pub mod assertion;
pub mod authenticate;
pub mod caller;
pub mod canonical;
pub mod cors;
mod credentials;
mod decide;
pub mod explain;
pub mod forward;
pub mod head;
pub mod headers;
pub mod hosts;
pub mod issuers;
pub mod knowledge;
mod limits;
pub mod memory;
mod navigation;
pub mod original;
pub mod outsider;
pub mod policy;
pub mod question;
pub mod rehearsal;
pub mod rules;
pub mod same_origin;
pub mod session;
pub mod uses;
pub mod view;

use std::{sync::Arc, time::Duration};

use self::{
    api_key::{AskedKey, KeyFound},
    assertion::{Asserted, ToAssert},
    authenticate::Authenticated,
    canonical::Path,
    forward::Rewrite,
    head::Head,
    hosts::AllowedHosts,
    issuers::ToVerify,
    knowledge::TokenDigest,
    policy::{Origin, Policy, Route},
    rules::Ruling,
    same_origin::SameOrigin,
    session::SessionFound,
};
pub use self::{
    decide::decide,
    limits::{LimitAnswer, LimitKind},
};
use crate::{
    config::{AccessLog, Config, Environment},
    domain::{
        cookies::CookieNames,
        id::{ApiKeyId, RequestId, SessionId},
        rate_limit::{Limit, LimitKey},
        revocation::Revocation,
        secret::SecretList,
        session::cookie::SessionCookie,
        time::Timestamp,
        token::verify::{Claimed, Refusal},
    },
    error::ApiError,
};

/// What a decision rests on that does not change while the isolate lives.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Routes and origins.
    pub policy: &'a Policy,
    /// Every host that is answered on.
    pub hosts: &'a AllowedHosts,
    /// The same of the file that is deployed, where another policy decides.
    file: Option<(&'a Policy, &'a AllowedHosts)>,
    /// What our own tokens say that they are of.
    pub issuer: &'a str,
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
            file: None,
            issuer: config.public_url.as_str(),
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

    /// The same under a policy that was put over the API, if there is one.
    #[must_use]
    pub fn under(self, ruling: Option<&'a Ruling>) -> Self {
        match ruling {
            Some(Ruling { policy, hosts, .. }) => Self { policy, hosts, file: Some((self.policy, self.hosts)), ..self },
            None => self,
        }
    }

    /// Whether an origin is shown what a caller proves themselves by: where it asks for that, and the file that is deployed
    /// sends this very request there as well, as the same path. A live policy sends nobody's credentials elsewhere.
    fn shows_credentials(&self, head: &Head<'_>, path: &Path, route: &Route, origin: &Origin) -> bool {
        let is_the_files = |(policy, hosts): (&Policy, &AllowedHosts)| {
            hosts.take(head)
                && policy.find(head.method, head.host(), path).is_some_and(|(other, _)| {
                    other.origin == route.origin
                        && other.changes.path(path.as_str()) == route.changes.path(path.as_str())
                })
        };
        origin.forward_credentials && self.file.is_none_or(is_the_files)
    }
}

/// What was asked for one request only, and what came of it.
#[derive(Debug, Default)]
pub struct Findings {
    /// Nothing comes of the verdict: it counts for no limit, and nothing is signed.
    pub is_rehearsal: bool,
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
    /// How often it was waited for another request's question about an issuer's keys.
    pub waits_for_issuer: u8,
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

impl Findings {
    /// For a rehearsal of what was just decided: whoever was to be asked about revocations was.
    #[must_use]
    pub fn of_rehearsal() -> Self {
        Self { is_rehearsal: true, view: Some(Asked::Answered), ..Self::default() }
    }

    /// What a limiter said; in a rehearsal it lets everything pass.
    const fn of(&self, kind: LimitKind) -> Option<LimitAnswer> {
        match kind {
            _ if self.is_rehearsal => Some(LimitAnswer::NotAsked),
            LimitKind::Ip => self.ip_limit,
            LimitKind::Subject => self.subject_limit,
            LimitKind::ApiKey => self.key_limit,
        }
    }
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
    /// The keys of a trusted issuer, by its place in the policy: there are none, or the one of a token is not among them.
    IssuerKeys(usize),
    /// That another request, which asks for them already, has its answer.
    WaitForIssuer(usize),
    /// Whether the signature of a trusted issuer's token is its key's, and all that follows from it.
    TheirVerification(ToVerify<'a>),
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
    /// It is a preflight (Fetch, "CORS-preflight request") of a page that may ask, and is told this.
    Preflight(cors::Said),
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
