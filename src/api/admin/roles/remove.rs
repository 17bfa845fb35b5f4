//! `DELETE admin/roles/{name}`: remove a role; with `?force=true` also one that is used.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    response::NoContent,
};

use super::rule::{Asked, Plan, unfit};
use crate::{
    api::{Connection, extract::Principal, query::Query},
    app::App,
    domain::{
        audit::Event,
        rbac::{Editor, Missing, OUT_OF_REACH, RoleName, judge},
    },
    error::ApiError,
    stores::roles::{Change, Force, Roles},
};

/// Nobody removes a role that gives what they do not have, nor one that is built in. Tokens and sessions that name it have
/// nothing of it from then on, and no other is called so for as long as any of them could live.
pub async fn remove(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<NoContent, ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal, event: Event::RoleDeleted };
    asked.admit().await?;
    let force = force(query.as_deref())?;
    let name = RoleName::parse(&name).map_err(|_| ApiError::NotFound)?;
    let plan = |roles: &Roles, editor: &Editor| {
        let about = roles.roles.get(name.as_str()).ok_or(ApiError::NotFound)?;
        judge(&roles.records, name.as_str(), None, editor, |_| true).map_err(|problem| unfit(&problem))?;
        if about.built_in != 0 {
            return Err(ApiError::BuiltIn);
        }
        may_force(force, editor)?;
        let until = app.revoked_until(app.ports.clock.now());
        let heirs = roles.records.iter().filter(|(_, record)| record.inherits.iter().any(|role| role == name.as_str()));
        let detail = heirs.fold(name.to_string(), |detail, (heir, _)| format!("{detail} -{heir}"));
        Ok(Some(Plan { detail, change: Change::RemoveRole(name.clone(), force, until) }))
    };
    asked.rule(plan).await?;
    Ok(NoContent)
}

/// What is used is others' as well: of roles and accounts that may be above whoever asks.
pub(super) fn may_force(force: Force, editor: &Editor) -> Result<(), ApiError> {
    if force == Force::No || editor.is_unbounded {
        return Ok(());
    }
    Err(ApiError::Forbidden(Missing::MinRole(OUT_OF_REACH.to_owned())))
}

/// Whether what is used goes as well.
pub(super) fn force(query: Option<&str>) -> Result<Force, ApiError> {
    let mut query = Query::new(query);
    let force = query.optional_flag("force").unwrap_or_default();
    query.refuse()?;
    Ok(if force { Force::Yes } else { Force::No })
}
