//! The API's description (OpenAPI 3.1), made from the code on the host and handed out by [`docs`](super::docs).
//!
//! What an endpoint answers is derived from the very types that are answered; what it takes, and why it refuses, stands in one
//! `Operation` for each endpoint, in the file of its area. An endpoint without one, or one without an endpoint, is no
//! document but an error. That the rest is so is held by every API test: each answer that it gets is held against this.
//!
//! Nothing of it is in the Worker, which has the document as a text.

mod accounts;
mod admin_policy;
mod admin_roles;
mod admin_system;
mod admin_users;
mod api_keys;
mod auth;
mod mfa;
mod operation;
mod problem;
mod root;
mod schema;

use serde_json::{Map, Value, json};

use self::{operation::Operation, schema::Schemas};
use super::{DEVELOPMENT_ENDPOINTS, DOCS_ENDPOINTS, ENDPOINTS, docs::PREFIX};

/// Every area. Each describes its endpoints.
const AREAS: [fn(&mut Schemas) -> Vec<Operation>; 9] = [
    accounts::operations,
    auth::operations,
    mfa::operations,
    api_keys::operations,
    admin_users::operations,
    admin_roles::operations,
    admin_policy::operations,
    admin_system::operations,
    root::operations,
];

/// What the areas are called, and what they are.
const TAGS: [(&str, &str); 9] = [
    (accounts::TAG, "An account of one's own: making it, proving its address, changing it, closing it."),
    (auth::TAG, "Signing in, staying signed in, signing out (RFC 6749, RFC 9700)."),
    (mfa::TAG, "A second factor: one-time passwords (RFC 6238), and recovery codes."),
    (api_keys::TAG, "What programs show where a person would sign in."),
    (admin_users::TAG, "Looking after accounts. Nobody does anything to an account that is above themselves."),
    (admin_roles::TAG, "What accounts may do. Nobody gives what they do not have."),
    (admin_policy::TAG, "Which requests reach which origin. Routes can be put live; origins come with a deploy alone."),
    (admin_system::TAG, "What there is, the log, and the keys that tokens are signed with."),
    (root::TAG, "What anyone may read."),
];

const ABOUT: &str = "Accounts, sessions, tokens, roles and keys of an Edgewarden gateway.

Bodies are UTF-8, at most 64 KiB (2 MiB where they hold a policy). JSON must be one object that names nothing twice. Times are RFC 3339 in UTC; ids are UUIDs \
of version 7 in lower case. Whoever is refused gets a problem document (RFC 9457), which names every bad field at once, \
and the id under which the log has the request.

Who acts by the session cookie and changes something must do so from a page of this very origin, or of one that is listed: \
`Origin` is held against them.

Requests are counted by subject, or by address where nobody is signed in; sign-in, registration, mails and second factors \
have tighter limits of their own. `X-RateLimit-*` tell what is left.";

/// The document, with what is wrong if it cannot be made.
///
/// # Errors
/// An endpoint without a description, or a description without an endpoint.
pub fn document() -> Result<Value, String> {
    let mut schemas = Schemas::new();
    let mut described: Vec<_> = AREAS.into_iter().flat_map(|area| area(&mut schemas)).collect();
    let mut paths = Map::new();
    let endpoints = ENDPOINTS.iter().map(|endpoint| (endpoint, false));
    let sometimes = DOCS_ENDPOINTS.iter().chain(DEVELOPMENT_ENDPOINTS).map(|endpoint| (endpoint, true));
    for ((method, path), is_sometimes) in endpoints.chain(sometimes) {
        let place = described.iter().position(|operation| operation.is_of(method, path));
        let place = place.ok_or_else(|| format!("{method} {path} has no description in src/api/openapi"))?;
        let operation = described.swap_remove(place).render(is_sometimes);
        let item = paths.entry(path.replace("{prefix}", PREFIX)).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert((*method).to_owned(), operation);
        }
    }
    if let Some(stray) = described.first() {
        return Err(format!("{stray} is described, but there is no such endpoint"));
    }
    let problem = schemas.of::<crate::error::Problem<'_>>();
    let responses = problem::responses(&problem);
    Ok(json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Edgewarden",
            "summary": "An auth gateway for the edge.",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Where this is served." }],
        "tags": TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": paths,
        "components": {
            "schemas": schemas.take(),
            "responses": responses,
            "headers": operation::headers(),
            "securitySchemes": operation::security_schemes(),
        },
    }))
}

/// The document as the file has it.
///
/// # Errors
/// As [`document`].
pub fn text() -> Result<String, String> {
    let text = serde_json::to_string_pretty(&document()?).map_err(|error| error.to_string())?;
    Ok(format!("{text}\n"))
}
