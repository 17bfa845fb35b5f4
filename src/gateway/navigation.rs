//! Browsers that go somewhere without being signed in: they are shown where they can be.
//!
//! That is for pages that somebody looks at. Whoever asks for anything else gets 401, which a program understands.

use super::{
    World,
    canonical::Path,
    head::Head,
    policy::{Access, Credential, Route},
};
use crate::error::ApiError;

/// A longer path is not gone back to, in bytes: the sign-in takes none.
const MAX_RETURN_BYTES: usize = 2048;

/// What is answered where somebody must be known and nobody is.
pub(super) fn unknown(head: &Head<'_>, path: &Path, route: &Route, world: &World<'_>) -> ApiError {
    let page = format!("{}/login", world.pages_prefix);
    // The cookie is this host's alone: elsewhere a sign-in would change nothing.
    let would_help = route.credentials.contains(&Credential::Session) && super::decide::is_auth_host(head, world);
    if !would_help || !is_of_a_browser(head) || !is_open(&page, head, world) {
        return ApiError::Unauthenticated;
    }
    // A path in its one spelling begins with one slash, and is nobody else's address.
    let back = format!("{}{}", path.as_str(), head.query);
    let is_taken = back.len() <= MAX_RETURN_BYTES && back.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let asked: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
    ApiError::SignIn(if is_taken { format!("{page}?return_to={asked}") } else { page })
}

/// Whether there is such a page, and everybody may see it.
fn is_open(page: &str, head: &Head<'_>, world: &World<'_>) -> bool {
    let path = Path::parse(page);
    let found = path.as_ref().ok().and_then(|path| world.policy.find("GET", head.host(), path));
    found.is_some_and(|(route, _)| route.access != Access::Authenticated)
}

/// Whether somebody looks at what is answered: a GET that takes HTML, for a page of its own where the browser says so (Fetch
/// Metadata).
fn is_of_a_browser(head: &Head<'_>) -> bool {
    let says = |name: &str, wanted: &str| head.header(name).is_none_or(|value| value == wanted);
    let takes_html = |accept: &str| {
        let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
        kinds.into_iter().any(|kind| kind.eq_ignore_ascii_case("text/html"))
    };
    head.method == "GET"
        && head.header("accept").is_some_and(takes_html)
        && says("sec-fetch-mode", "navigate")
        && says("sec-fetch-dest", "document")
        && head.header("authorization").is_none()
        && head.header("upgrade").is_none()
}
