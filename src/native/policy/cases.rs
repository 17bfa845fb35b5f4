//! Cases beside a policy: a request, who makes it, and what is to become of it.

use serde::Deserialize;
use toml::Spanned;

use super::installation::Installation;
use crate::{
    duration,
    gateway::{
        policy::Credential,
        question::{Question, Whom},
    },
};

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    /// Where it stands.
    pub line: usize,
    name: String,
    head: String,
    whom: Whom,
    expected: Expected,
}

/// What is to become of it: it is refused with this status, or else forwarded. What is not said may be anything.
#[derive(Debug)]
struct Expected {
    status: Option<u16>,
    route: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<Written>>,
}

/// A case as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    request: String,
    #[serde(default)]
    headers: toml::map::Map<String, toml::Value>,
    roles: Option<Vec<String>>,
    subject: Option<String>,
    scope: Option<String>,
    credential: Option<String>,
    mfa: Option<String>,
    status: Option<u16>,
    route: Option<String>,
    url: Option<String>,
    #[serde(default)]
    receives: toml::map::Map<String, toml::Value>,
}

/// Reads all of them: there is one at least, and each expects something.
pub(super) fn read(text: &str) -> Result<Vec<Case>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.case.is_empty() {
        return Err("there is no [[case]]".to_owned());
    }
    let case = |written: Spanned<Written>| {
        let before = text.bytes().take(written.span().start);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        Case::new(line, written.into_inner()).map_err(|problem| format!("line {line}: {problem}"))
    };
    file.case.into_iter().map(case).collect()
}

impl Case {
    fn new(line: usize, written: Written) -> Result<Self, String> {
        let (method, url) = written.request.split_once(' ').ok_or("request must be a method and a URL")?;
        let headers = texts(written.headers)?;
        let question = Question { method: method.to_owned(), url: url.trim().to_owned(), headers };
        let head = question.head().map_err(|(what, problem)| format!("{what} {problem}"))?;
        let parse =
            |text: &String| Credential::parse(text).ok_or("credential must be bearer, session, api_key or mtls");
        let credential = written.credential.as_ref().map(parse).transpose()?;
        let mfa = written.mfa.map(|text| duration::parse(&text)).transpose().map_err(|why| format!("mfa {why}"))?;
        let Written { roles, subject, scope, status, route, url, .. } = written;
        let expected = Expected { status, route, url, headers: texts(written.receives)? };
        if expected.status.is_some() && (expected.url.is_some() || !expected.headers.is_empty()) {
            return Err(
                "what is refused with a status is forwarded nowhere: say status, or url and receives".to_owned()
            );
        }
        Ok(Self { line, name: written.request, head, whom: Whom { roles, subject, scope, credential, mfa }, expected })
    }

    /// What is not as it is expected.
    pub fn failure(&self, installation: &Installation) -> Option<String> {
        let came_of = installation.explain(&self.head, &self.whom);
        let Expected { status, route, url, headers } = &self.expected;
        let forwarded = came_of.forwarded.as_ref();
        let told = || match (came_of.status, came_of.checks.last()) {
            (Some(status), Some(check)) => format!("it is refused with {status} ({}: {})", check.check, check.detail),
            _ => match (forwarded, &came_of.route) {
                (Some(forwarded), Some(route)) => format!("{route} forwards it to {}", forwarded.url),
                _ if came_of.outcome == "preflight" => "it is a preflight that is answered".to_owned(),
                _ => "it is for the gateway's own endpoints".to_owned(),
            },
        };
        let mut wrong = Vec::new();
        match status {
            Some(status) if came_of.status != Some(*status) => wrong.push(format!("status {status}")),
            None if forwarded.is_none() => wrong.push("that it is forwarded".to_owned()),
            _ => {}
        }
        if route.is_some() && came_of.route != *route {
            wrong.extend(route.as_ref().map(|route| format!("route {route}")));
        }
        if url.is_some() && forwarded.is_some_and(|forwarded| Some(&forwarded.url) != url.as_ref()) {
            wrong.extend(url.as_ref().map(|url| format!("url {url}")));
        }
        for (name, value) in headers.iter().filter(|_| forwarded.is_some()) {
            let received = forwarded.and_then(|forwarded| forwarded.set.get(name));
            if received != Some(value) {
                let received = received.map_or("nothing", String::as_str);
                wrong.push(format!("{name}: {value}, not {received}"));
            }
        }
        (!wrong.is_empty()).then(|| format!("{}: expected {}, but {}", self.name, wrong.join(", "), told()))
    }
}

fn texts(table: toml::map::Map<String, toml::Value>) -> Result<Vec<(String, String)>, String> {
    let text = |(name, value): (String, toml::Value)| match value {
        toml::Value::String(value) => Ok((name.to_ascii_lowercase(), value)),
        _ => Err(format!("{name} must be a text")),
    };
    table.into_iter().map(text).collect()
}
