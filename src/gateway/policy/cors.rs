//! Whose pages may read a route's answers, as a policy writes it down.

use std::{collections::BTreeSet, time::Duration};

use url::Url;

use super::{
    reader::{At, Table},
    routes::Pattern,
};
use crate::domain::host::is_loopback;

/// A browser keeps the answer to a preflight for so long if nothing is said, and for so long at most.
const MAX_AGE: (Duration, Duration) = (Duration::from_mins(10), Duration::from_hours(24));

/// Which origins' pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Anyone's, without credentials.
    Any,
    /// These, to the letter.
    These(BTreeSet<String>),
}

/// Whose pages may make a route's requests from a browser, and read its answers (Fetch, "CORS protocol").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Whose.
    pub readers: Readers,
    /// Whether with the user's cookies: such a page may also change something by a session.
    pub credentials: bool,
    /// By which methods; those that need no leave among them.
    pub methods: Vec<String>,
    /// With which headers of their own, in lower case.
    pub headers: Vec<String>,
    /// Which headers of an answer they may read beside those that every page may, and ours.
    pub expose: Vec<String>,
    /// How long a browser keeps the answer to a preflight.
    pub max_age: Duration,
}

impl Cors {
    /// Reads it; `methods` are the route's.
    pub(super) fn read(mut table: Table<'_, '_>, methods: &[String]) -> Self {
        let (origins, credentials) = (table.texts("origins"), table.flag("credentials"));
        let (asked, headers, expose) = (table.texts("methods"), table.texts("headers"), table.texts("expose"));
        let max_age = table.duration("max_age");
        let offset = table.offset;
        if origins.as_ref().is_none_or(Vec::is_empty) {
            table.fault(offset, "cors must name origins");
        }
        let is_any = origins.as_ref().is_some_and(|all| all.iter().any(|one| one.value == "*"));
        if is_any && (credentials || origins.as_ref().is_some_and(|all| all.len() > 1)) {
            table.fault(offset, "cors: * is any page's, and stands alone and without credentials");
        }
        let mut these = BTreeSet::new();
        for At { value, offset } in origins.unwrap_or_default().into_iter().filter(|one| one.value != "*") {
            these.extend(table.noted(offset, origin(&value)));
        }
        let mut methods = methods.to_vec();
        if let Some(asked) = asked {
            for odd in asked.iter().filter(|one| !Pattern::takes_method(&one.value)) {
                table.fault(odd.offset, format!("cors: {:?} is not a method that can be routed", odd.value));
            }
            for odd in asked.iter().filter(|one| !methods.is_empty() && !methods.contains(&one.value)) {
                table.fault(odd.offset, format!("cors: the route does not take {:?}", odd.value));
            }
            methods = asked.into_iter().map(|one| one.value).collect();
        }
        if methods.is_empty() {
            methods = Pattern::methods().map(ToOwned::to_owned).collect();
        }
        let (headers, expose) = (names(&table, "headers", headers), names(&table, "expose", expose));
        if let Some(max_age) = &max_age
            && max_age.value > MAX_AGE.1
        {
            table.fault(max_age.offset, "cors: max_age must be at most 24h");
        }
        table.end();
        let readers = if is_any { Readers::Any } else { Readers::These(these) };
        let max_age = max_age.map_or(MAX_AGE.0, |age| age.value);
        Self { readers, credentials, methods, headers, expose, max_age }
    }
}

/// An origin as browsers write it (RFC 6454, §6.2).
fn origin(text: &str) -> Result<String, String> {
    let wanted = || format!("cors: {text:?} must be an origin such as https://app.example.com, as browsers write it");
    let url = Url::parse(text).map_err(|_| wanted())?;
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
    let as_written = url.origin().ascii_serialization();
    if is_safe && as_written == text && !text.contains('*') { Ok(as_written) } else { Err(wanted()) }
}

/// Names of headers, in lower case.
fn names(table: &Table<'_, '_>, key: &str, texts: Option<Vec<At<String>>>) -> Vec<String> {
    let mut names = Vec::new();
    for At { value, offset } in texts.unwrap_or_default() {
        let name = value.to_ascii_lowercase();
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() || name == "*" {
            table.fault(offset, format!("cors: {key}: {value:?} is no name of a header"));
        }
        names.push(name);
    }
    names
}
