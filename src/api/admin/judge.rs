//! Who may do something to whose account.

use std::{sync::Arc, time::Duration};

use super::users::READ;
use crate::{
    api::{Connection, extract::Principal},
    app::{App, Publication},
    domain::{
        audit::{Act, Entry, Event},
        bundle::Bundle,
        id::UserId,
        rbac::{Editor, Missing, Requirement, RoleGraph},
        token::verify::Refusal,
        user::User,
    },
    error::ApiError,
    stores::{
        audit,
        judged::{Actor, Administered, Judged},
        users,
    },
};

/// So often it is looked again whether the caller may, if the account, or what roles give, changes under way …
pub const TRIES: u32 = 12;
/// … after a pause of so much at first, twice as much each time, up to [`LONGEST_PAUSE`]; each of many a part of it.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// All of them together are shorter than anyone waits.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Lets those go first who change it at the same time.
pub async fn give_way(app: &App, tries: u32) {
    let [random] = app.ports.random::<1>();
    let longest = FIRST_PAUSE.saturating_mul(1 << tries.min(8)).min(LONGEST_PAUSE);
    app.ports.timer.pause(longest.mul_f64(f64::from(random) / 255.0)).await;
}

/// Whose account something is to be done to, which `takes` permissions: not the caller's own, which is told in `oneself`. What
/// the caller must have is looked at before anything is told of accounts.
pub async fn admit(
    app: &App,
    principal: &Principal,
    id: &str,
    takes: &[&str],
    oneself: &'static str,
) -> Result<UserId, ApiError> {
    permit(app, principal, takes).await?;
    let id = UserId::parse(id).map_err(|_| ApiError::NotFound)?;
    if id == principal.user()? { Err(ApiError::Malformed(oneself)) } else { Ok(id) }
}

/// What the caller must have who does something to accounts: they are told of it, and be it that there is one.
pub async fn permit(app: &App, principal: &Principal, takes: &[&str]) -> Result<(), ApiError> {
    let permissions = takes.iter().chain([&READ]).map(ToString::to_string).collect();
    principal.require(app, &Requirement { permissions, ..Requirement::default() }).await?;
    principal.require_recent_factor(app).await
}

/// An account that the caller may do something to.
pub struct Case {
    /// As it was read.
    pub user: User,
    /// What the caller may do.
    pub editor: Editor,
    /// What roles give.
    pub bundle: Arc<Bundle>,
}

/// What the caller may do by what roles give now, which is no more than their token gives; if that is what it `takes`.
pub fn editor(app: &App, principal: &Principal, roles: &RoleGraph, takes: &[&str]) -> Result<Editor, ApiError> {
    /// What origins know everywhere.
    const BUILT_IN: [&str; 2] = ["moderator", "admin"];
    let holdings = principal.0.caller().holdings();
    let mut permissions = roles.permissions(holdings.roles);
    permissions.retain(|permission| holdings.permissions.contains(permission));
    let lacking: Vec<_> = takes.iter().filter(|name| !permissions.contains(**name)).map(ToString::to_string).collect();
    if !lacking.is_empty() {
        return Err(ApiError::Forbidden(Missing::Permissions(lacking)));
    }
    if holdings.second_factor_at.is_none() && roles.require_mfa(holdings.roles) {
        return Err(ApiError::StepUp(None));
    }
    let named = app.roles_of_policies();
    Ok(Editor::new(permissions, holdings.roles, roles, BUILT_IN.into_iter().chain(named.iter().map(String::as_str))))
}

/// The account, if the caller may administer it, and do what that `takes`: nobody does so above themselves. By roles as the
/// record has them: a copy may be as old as the bound.
pub async fn judge(app: &App, principal: &Principal, id: UserId, takes: &[&str]) -> Result<Case, ApiError> {
    let user = users::by_id(app.ports.database.as_ref(), id).await?.ok_or(ApiError::NotFound)?;
    let bundle = app.read_bundle().await?;
    let editor = editor(app, principal, &bundle.roles, takes)?;
    bundle.roles.may_administer(&editor, &user.roles(app.ports.clock.now())).map_err(ApiError::Forbidden)?;
    Ok(Case { user, editor, bundle })
}

/// As it was judged, for the batch that does it.
pub fn judged<'a>(principal: &Principal, case: &'a Case) -> Result<Judged<'a>, ApiError> {
    Ok(Judged { user: &case.user, by: actor(principal, case.bundle.versions.roles)? })
}

/// The caller, as they were judged by a version of the role graph.
pub fn actor(principal: &Principal, roles_version: i64) -> Result<Actor, ApiError> {
    let (user, session, version) = (principal.user()?, principal.session(), principal.0.version());
    Ok(Actor { user, session, version, roles_version })
}

/// Logs what was written of these acts, and has everyone told, if it is done. It is not if the account changed under way: then
/// it is to be judged anew.
pub async fn settle(app: &App, administered: Administered, acts: &[&Act]) -> Result<bool, ApiError> {
    let (written, revoked) = match administered {
        Administered::Done { written, revoked } => (written, revoked),
        Administered::Gone => return Err(ApiError::NotFound),
        Administered::NotStanding => return Err(ApiError::InvalidToken(Refusal::Revoked)),
        Administered::Overtaken => return Ok(false),
    };
    for act in acts.iter().filter(|act| written.contains(&act.entry.id.to_string())) {
        audit::log_act(app.ports.log.as_ref(), act);
    }
    // What was revoked by an earlier act may have been told; and a copy is not written twice in a second.
    let is_new = |act: &&Act| revoked.iter().any(|entry| entry.at == act.entry.at);
    let is_first = !written.is_empty() && acts.iter().any(is_new);
    let publication = if is_first { Publication::First } else { Publication::Again };
    if !revoked.is_empty() {
        app.publish(&revoked, None, publication).await?;
    }
    Ok(true)
}

/// What is answered when it changed each time.
pub fn overtaken() -> ApiError {
    ApiError::Unavailable("an account changed again and again".to_owned())
}

/// A row for the log about what the caller does to another's account.
pub fn act(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    user: &User,
    event: Event,
) -> Result<Act, ApiError> {
    let entry = Entry {
        subject: Some(user.id),
        session: Some(principal.session()),
        ..connection.entry(app, event, app.ports.clock.now())
    };
    Ok(Act { entry, actor: principal.user()?, detail: None })
}
