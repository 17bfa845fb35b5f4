//! What the pages of others are told of a route's answers: whether they may ask, and whether they may read (Fetch, "CORS
//! protocol"). It is no access control: whoever is no browser is not held by it.

use super::{
    World,
    canonical::Path,
    decide::matched,
    head::Head,
    policy::{Cors, Readers, Route},
};
use crate::error::ApiError;

/// What every page may read of an answer that may read any: what we say of limits and of the request.
const OURS: &str =
    "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after, x-request-id, www-authenticate";
/// On what the answer to a preflight depends.
const PREFLIGHT_VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// Headers of an answer, of which `vary` is added to what is there.
pub type Said = Vec<(&'static str, String)>;

/// The method that a preflight asks about.
fn asked_about<'a>(head: &Head<'a>) -> Option<&'a str> {
    if head.method != "OPTIONS" {
        return None;
    }
    head.header("origin")?;
    head.header("access-control-request-method")
}

/// The route that answers a preflight, by the method that it asks about; where the origin is to answer it, there is none.
pub(super) fn preflighted<'w, 'h>(
    head: &Head<'h>,
    path: &Path,
    world: &World<'w>,
) -> Option<(&'w Route, &'w Cors, &'h str)> {
    let method = asked_about(head)?;
    let (route, _) = matched((head, method), path, world).ok()?;
    Some((route, route.cors.as_ref()?, method))
}

/// What is said on the answer to a request, whatever it is: by the route that it is for.
#[must_use]
pub fn said(head: &Head<'_>, world: &World<'_>) -> Option<Said> {
    head.header("origin")?;
    let path = Path::parse(head.raw_path).ok()?;
    if preflighted(head, &path, world).is_some() {
        return Some(vec![("vary", PREFLIGHT_VARY.to_owned())]);
    }
    let (route, _) = matched((head, head.method), &path, world).ok()?;
    Some(route.cors.as_ref()?.said(head))
}

impl Cors {
    /// The origin that is told back, if pages of whoever asks may read.
    fn reader<'a>(&self, head: &Head<'a>) -> Option<&'a str> {
        match &self.readers {
            // Whether a page is named or not: an answer that is kept is read by another later.
            Readers::Any => Some("*"),
            Readers::These(these) => head.header("origin").filter(|origin| these.contains(*origin)),
        }
    }

    fn is_for(&self, method: &str) -> bool {
        self.methods.iter().any(|one| one == method)
    }

    /// Whether a page may act as its user by a cookie.
    pub(super) fn lets_act(&self, origin: &str, method: &str) -> bool {
        self.credentials
            && self.is_for(method)
            && matches!(&self.readers, Readers::These(these) if these.contains(origin))
    }

    /// What is said on an answer.
    pub(super) fn said(&self, head: &Head<'_>) -> Said {
        let mut said = Vec::new();
        if self.readers != Readers::Any {
            // Whether it names an origin or not: another's would have been answered otherwise.
            said.push(("vary", "Origin".to_owned()));
        }
        if let Some(reader) = self.reader(head).filter(|_| self.is_for(head.method)) {
            said.push(("access-control-allow-origin", reader.to_owned()));
            if self.credentials {
                said.push(("access-control-allow-credentials", "true".to_owned()));
            }
            let exposed = self.expose.iter().map(String::as_str).chain([OURS]);
            said.push(("access-control-expose-headers", exposed.collect::<Vec<_>>().join(", ")));
        }
        said
    }

    /// Answers a preflight.
    ///
    /// # Errors
    /// The page may not; its developer is told so, and a browser goes no further.
    pub(super) fn preflight(&self, head: &Head<'_>, method: &str) -> Result<Said, ApiError> {
        let reader = self.reader(head).ok_or(ApiError::ForeignOrigin)?;
        let asked = head.header("access-control-request-headers").unwrap_or_default();
        let mut asked = asked.split(',').map(str::trim).filter(|name| !name.is_empty());
        let is_known = |name: &str| self.headers.iter().any(|known| known.eq_ignore_ascii_case(name));
        if !self.is_for(method) || !asked.all(is_known) {
            return Err(ApiError::ForeignOrigin);
        }
        let mut said = vec![
            ("vary", PREFLIGHT_VARY.to_owned()),
            ("access-control-allow-origin", reader.to_owned()),
            ("access-control-allow-methods", self.methods.join(", ")),
            ("access-control-max-age", self.max_age.as_secs().to_string()),
        ];
        if self.credentials {
            said.push(("access-control-allow-credentials", "true".to_owned()));
        }
        if !self.headers.is_empty() {
            said.push(("access-control-allow-headers", self.headers.join(", ")));
        }
        Ok(said)
    }
}
