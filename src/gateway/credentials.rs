//! By what a request shows who is calling: each of the route's credentials, in its order. A bad token or key ends it, an absent one
//! moves on, and so does a session that does not stand.

use std::sync::Arc;

use super::{
    Findings, World, api_key,
    authenticate::{self, Basis, Freshness, Outcome},
    caller::{Caller, Vouched},
    head::Head,
    issuers,
    knowledge::{Knowledge, credential, digest},
    outsider::{Outsider, Proven},
    policy::{Access, Credential, Route},
    same_origin, session,
};
use crate::{
    domain::{
        api_key::ApiKey, certificate::Shown, net::ClientIp, rbac::Missing, revocation::Revocation, time::Timestamp,
    },
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
) -> Result<Outcome<'a, Proven>, ApiError> {
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
            Credential::Mtls => by_certificate(head, route, basis)?,
        };
        if !matches!(outcome, Outcome::NotResponsible) {
            return Ok(outcome);
        }
    }
    Ok(Outcome::NotResponsible)
}

fn by_token<'a>(head: &Head<'a>, route: &Route, basis: Basis<'_>) -> Result<Outcome<'a, Proven>, ApiError> {
    // Where keys are taken, one that comes as a bearer token is not held against what tokens are.
    let is_key = |token: &str| ApiKey::is_meant_by(token) && route.credentials.contains(&Credential::ApiKey);
    match head.header("authorization").and_then(authenticate::bearer_token) {
        Some(token) if !is_key(token) => match issuers::theirs(token, basis.world, basis.knowledge) {
            Some(theirs) => issuers::bearer(theirs, basis),
            None => authenticate::bearer(token, basis).map(of_an_account),
        },
        _ => Ok(Outcome::NotResponsible),
    }
}

fn by_key<'a>(head: &Head<'a>, basis: Basis<'_>) -> Result<Outcome<'a, Proven>, ApiError> {
    match authenticate::api_key(head.header("x-api-key"), head.header("authorization")) {
        Some(key) => api_key::api_key(key, client_ip(head), basis).map(of_an_account),
        None => Ok(Outcome::NotResponsible),
    }
}

fn by_cookie<'a>(head: &Head<'_>, route: &Route, basis: Basis<'_>) -> Result<Outcome<'a, Proven>, ApiError> {
    let Some(cookie) = session::session_cookie(head, basis.world) else { return Ok(Outcome::NotResponsible) };
    let outcome = session::session(cookie, basis)?;
    if matches!(outcome, Outcome::Known(_)) {
        require_own_page(head, route, basis.world)?;
    }
    Ok(of_an_account(outcome))
}

fn of_an_account(outcome: Outcome<'_>) -> Outcome<'_, Proven> {
    match outcome {
        Outcome::Known(who) => Outcome::Known(Proven::Account(who)),
        Outcome::NotResponsible => Outcome::NotResponsible,
        Outcome::Need(want) => Outcome::Need(want),
    }
}

/// A certificate of nobody whom the policy names may be for something else; one that is not good is an attempt.
fn by_certificate<'a>(head: &Head<'_>, route: &Route, basis: Basis<'_>) -> Result<Outcome<'a, Proven>, ApiError> {
    let Basis { world, knowledge, .. } = basis;
    let (Some(text), Some(bundle)) = (head.certificate, &knowledge.bundle) else { return Ok(Outcome::NotResponsible) };
    let shown = Shown::read(text);
    if !shown.is_good() {
        return Err(ApiError::InvalidCertificate);
    }
    let Some(client) = shown.of(world.policy.clients()) else { return Ok(Outcome::NotResponsible) };
    require_own_page_of_browsers(head, route, world)?;
    let (subject, issuer, roles) = (client.subject.as_str(), world.issuer, client.roles.as_slice());
    let caller = Caller::outsider(Vouched { subject, issuer, roles, credential: Credential::Mtls }, &bundle.roles);
    if caller.roles.is_empty() {
        return Err(ApiError::Forbidden(Missing::AnyRole(client.roles.clone())));
    }
    let credential = credential(&digest(text));
    Ok(Outcome::Known(Proven::Outsider(Arc::new(Outsider { caller, credential }))))
}

/// The same of a certificate, which a browser shows by itself as well; but a program says nothing of pages.
pub(super) fn require_own_page_of_browsers(head: &Head<'_>, route: &Route, world: &World<'_>) -> Result<(), ApiError> {
    let is_pages = head.header("origin").is_some() || head.header("sec-fetch-site").is_some();
    if is_pages { require_own_page(head, route, world) } else { Ok(()) }
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
