//! A verdict in the form in which it crosses to JavaScript: one JSON text.
//!
//! `{"forward": …}` is carried out by `edge.js` with the request's own body, which is never
//! touched here; `{"answer": …}` is sent as it stands.

use std::time::Duration;

use serde::Serialize;

use super::{
    Moment, Used,
    caller::Caller,
    canonical::Path,
    cors::Said,
    head::Head,
    headers::HeaderChanges,
    policy::{Access, Assertion, Origin, Route, Target},
};
use crate::{
    domain::{id::RequestId, rate_limit::Decision},
    error::{Reply, limit_headers},
    security_headers::{self, Transport},
};

/// How a request goes on to its origin.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Rewrite {
    /// The URL it goes to.
    pub url: String,
    /// The service binding it goes through, if not over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How many milliseconds the origin has to begin its answer.
    pub timeout_ms: u64,
    /// How many milliseconds its answer may pause once it has begun, if that is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// Whether it is sent once at most: what is asserted of it is for one request.
    pub once: bool,
    /// Whether no cache may answer or keep this: the origin's answer may depend on who calls, which
    /// the platform's cache does not know once the credentials are removed.
    pub no_store: bool,
    /// Request headers to remove.
    pub remove: Vec<String>,
    /// Request headers to set.
    pub set: Vec<(String, String)>,
    /// Headers to set on the answer.
    pub answer: Vec<(String, String)>,
    /// What the answer says of whose pages may read it, in place of what the origin says, where the route does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Said>,
    /// Whether the answer, or one that must be made in its place, tells clients to come by https only.
    pub strict: bool,
    /// What the log is told of it, beside what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<AccessLine>,
    /// The request's id, for an answer that must be made when the origin gives none.
    pub request_id: String,
    /// What is used by this, of which it is noted.
    #[serde(skip)]
    pub uses: Option<Used>,
    /// How the caller, if anybody is known, is asserted.
    #[serde(skip)]
    pub assertion: Assertion,
}

impl Rewrite {
    pub(super) fn new(
        head: &Head<'_>,
        origin: &Origin,
        route: &Route,
        path: &Path,
        changes: &HeaderChanges<'_>,
        limit: Option<Decision>,
        Moment { request, now }: Moment,
    ) -> Self {
        let (base, service) = match &origin.target {
            Target::Url(base) => (base.as_str(), None),
            // The host of a URL that goes through a binding reaches nothing but the bound Worker.
            Target::Service(name) => ("http://service.internal", Some(name.clone())),
        };
        let limits = limit.map(|decision| limit_headers(&decision, now)).unwrap_or_default();
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let mut answer = vec![("x-request-id".to_owned(), request.to_string())];
        answer.extend(limits.iter().map(|(name, value)| (name.to_string(), text(value))));
        Self {
            once: route.assertion == Assertion::Request,
            no_store: route.access != Access::Public,
            url: format!("{base}{}{}", route.changes.path(path.as_str()), head.query),
            service,
            timeout_ms: millis(origin.timeout),
            idle_timeout_ms: origin.idle_timeout.map(millis),
            remove: changes.remove.iter().map(ToString::to_string).collect(),
            set: changes.set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            answer,
            cors: None,
            strict: false,
            log: None,
            request_id: request.to_string(),
            uses: None,
            assertion: route.assertion,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the log is told of a forwarded request: neither its path nor its query, in which there may be anything.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct AccessLine {
    /// The route.
    pub route: String,
    /// The method.
    pub method: String,
    /// Who calls, if anybody is known.
    pub subject: Option<String>,
    /// By what they are known.
    pub credential: Option<&'static str>,
}

impl AccessLine {
    pub(super) fn new(route: &Route, head: &Head<'_>, caller: Option<&Caller>) -> Self {
        Self {
            route: route.id.clone(),
            method: head.method.to_owned(),
            subject: caller.map(|caller| caller.subject.clone()),
            credential: caller.map(|caller| caller.method),
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    status: u16,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outward<'a> {
    Forward(&'a Rewrite),
    Answer(Answer<'a>),
}

fn write(outward: &Outward<'_>) -> String {
    serde_json::to_string(outward).unwrap_or_default()
}

/// A rewrite as JSON.
#[must_use]
pub fn forward_json(rewrite: &Rewrite) -> String {
    write(&Outward::Forward(rewrite))
}

/// A finished answer as JSON, with the headers that every answer of ours has, and what it says of who may read it.
#[must_use]
pub fn answer_json(reply: &Reply, request: RequestId, transport: Transport, cors: &[(&'static str, String)]) -> String {
    let own = reply.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    finished(reply.status.as_u16(), own.collect(), &reply.body, (request, transport), cors)
}

/// The answer to a preflight as JSON.
#[must_use]
pub fn preflight_json(said: &[(&'static str, String)], request: RequestId, transport: Transport) -> String {
    finished(204, vec![("cache-control", "no-store")], "", (request, transport), said)
}

fn finished(
    status: u16,
    own: Vec<(&str, &str)>,
    body: &str,
    (request, transport): (RequestId, Transport),
    cors: &[(&'static str, String)],
) -> String {
    let id = request.to_string();
    let always = security_headers::all(transport).map(|(name, value): (&str, &str)| (name, value));
    let cors = cors.iter().map(|(name, value)| (*name, value.as_str()));
    let headers = own.into_iter().chain(always).chain(cors).chain([("x-request-id", id.as_str())]).collect();
    write(&Outward::Answer(Answer { status, headers, body }))
}
