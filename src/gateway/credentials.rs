//! By what a request shows who is calling: each of the route's credentials, in its order. A bad token or key ends it, an absent one
//! moves on, and so does a session that does not stand.

use super::{
    Findings, World, api_key,
    authenticate::{self, Basis, Freshness, Outcome},
    head::Head,
    knowledge::Knowledge,
    policy::{Access, Credential, Route},
    same_origin, session,
};
use crate::{
    domain::{api_key::ApiKey, net::ClientIp, revocation::Revocation, time::Timestamp},
    error::ApiError,
};

/// From where the client connects.
pub(super) fn client_ip(head: &Head<'_>) -> ClientIp {
    ClientIp::parse(head.header("cf-connecting-ip"))
}

/// Who is calling, if anybody shows it and the route looks.
///
/// # Errors
/// What is shown and not believed, or may not be shown here; or what cannot be told, because nobody answers.
pub(super) fn authenticate<'a>(
    head: &Head<'a>,
    world: &World<'_>,
    knowledge: &Knowledge,
    found: &Findings,
    route: &Route,
    now: Timestamp,
) -> Result<Outcome<'a>, ApiError> {
    if route.access == Access::Public {
        return Ok(Outcome::NotResponsible);
    }
    let freshness = match (world.revocation, route.revocation) {
        (Revocation::Bounded, Revocation::Bounded) => Freshness::Bounded,
        _ => Freshness::Strict,
    };
    let basis = Basis { world, knowledge, found, freshness, now };
    for credential in &route.credentials {
        let outcome = match credential {
            Credential::Bearer => by_token(head, route, basis)?,
            Credential::ApiKey => by_key(head, basis)?,
            Credential::Session => by_cookie(head, route, basis)?,
        };
        if !matches!(outcome, Outcome::NotResponsible) {
            return Ok(outcome);
        }
    }
    Ok(Outcome::NotResponsible)
}

fn by_token<'a>(head: &Head<'a>, route: &Route, basis: Basis<'_>) -> Result<Outcome<'a>, ApiError> {
    // Where keys are taken, one that comes as a bearer token is not held against what tokens are.
    let is_key = |token: &str| ApiKey::is_meant_by(token) && route.credentials.contains(&Credential::ApiKey);
    match head.header("authorization").and_then(authenticate::bearer_token) {
        Some(token) if !is_key(token) => authenticate::bearer(token, basis),
        _ => Ok(Outcome::NotResponsible),
    }
}

fn by_key<'a>(head: &Head<'a>, basis: Basis<'_>) -> Result<Outcome<'a>, ApiError> {
    match authenticate::api_key(head.header("x-api-key"), head.header("authorization")) {
        Some(key) => api_key::api_key(key, client_ip(head), basis),
        None => Ok(Outcome::NotResponsible),
    }
}

fn by_cookie<'a>(head: &Head<'_>, route: &Route, basis: Basis<'_>) -> Result<Outcome<'a>, ApiError> {
    let Some(cookie) = session::session_cookie(head, basis.world) else { return Ok(Outcome::NotResponsible) };
    let outcome = session::session(cookie, basis)?;
    if matches!(outcome, Outcome::Known(_)) {
        require_own_page(head, route, basis.world)?;
    }
    Ok(outcome)
}

/// A browser sends the cookie along whoever's page makes the request: what matters must come from one that may act for its user.
pub(super) fn require_own_page(head: &Head<'_>, route: &Route, world: &World<'_>) -> Result<(), ApiError> {
    let may_act = |origin| route.cors.as_ref().is_some_and(|cors| cors.lets_act(origin, head.method));
    let is_ours = |origin| world.same_origin.is(origin, head.scheme, &head.authority) || may_act(origin);
    if same_origin::matters(head) && !head.header("origin").is_some_and(is_ours) {
        return Err(ApiError::ForeignOrigin);
    }
    Ok(())
}
