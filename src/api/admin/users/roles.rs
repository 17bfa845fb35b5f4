//! `PUT admin/users/{id}/roles`: what another may do.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::Value;

use super::{
    WRITE,
    administer::{Doing, Planned},
    view::{WholeUser, read},
};
use crate::{
    api::{
        Connection,
        admin::judge::Case,
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::{
        audit::{Act, Event},
        rbac::{Editor, RoleGraph, RoleName},
        time::Timestamp,
        user::{FieldProblem, RoleGrant},
    },
    error::{ApiError, FieldError},
    stores::users::Deed,
};

/// Nobody has more roles: a token names each.
const MAX: usize = 20;

/// Takes `{roles: […]}`, each a name, or `{role, expires_at}`. Nobody grants what they do not have, nor changes what above
/// them somebody holds, nor their own roles. Tokens that say something else end. To do it twice is to do it once.
pub async fn set(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Json<WholeUser>, ApiError> {
    let oneself = "Nobody changes their own roles.";
    let doing = Doing::new(&app, &connection, &principal, &id, &[WRITE], oneself).await?;
    let mut fields = Fields::new(body);
    fields.only(&["roles"]);
    let grants = fields.required_items("roles", |item| grant(item, app.ports.clock.now()));
    refuse_many(&mut fields, grants.as_deref());
    let grants = fields.complete(grants)?;
    let plan = |case: &Case| {
        may_grant(&case.bundle.roles, &case.editor, &grants)?;
        let act = Act { detail: told(&case.user.grants, &grants), ..doing.act(case, Event::RoleChanged)? };
        // Where it is so already, who was not told of it is told.
        let deed = if act.detail.is_some() { Deed::Roles(grants.clone()) } else { Deed::Nothing };
        Ok(Planned { act, more: Vec::new(), deed })
    };
    read(&app, doing.administer(plan).await?).await.map(Json)
}

/// Whether there are such roles, and the caller may give what they give.
pub(super) fn may_grant(roles: &RoleGraph, editor: &Editor, grants: &[RoleGrant]) -> Result<(), ApiError> {
    let names: Vec<_> = grants.iter().map(|grant| grant.role.clone()).collect();
    let unknown: Vec<_> = names.iter().filter(|name| !roles.has(name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        let problem = format!("names what there is not: {}", unknown.join(" "));
        return Err(ApiError::Invalid(vec![FieldError::new("roles", problem)]));
    }
    roles.may_administer(editor, &names).map_err(ApiError::Forbidden)
}

/// Notes if roles are more than anyone has, or one is there twice.
pub(super) fn refuse_many(fields: &mut Fields, grants: Option<&[RoleGrant]>) {
    let grants = grants.unwrap_or_default();
    if grants.len() > MAX {
        fields.reject("roles", format!("must be at most {MAX}"));
    }
    if grants.windows(2).any(|pair| matches!(pair, [one, other] if one.role == other.role)) {
        fields.reject("roles", "must name each role once");
    }
}

/// One of the roles that a body names.
pub(super) fn grant(item: &Value, now: Timestamp) -> Result<RoleGrant, FieldProblem> {
    const PROBLEM: FieldProblem = "must be names of roles, or {role, expires_at}";
    let object = match item {
        Value::String(name) => return Ok(RoleGrant { role: RoleName::parse(name)?.to_string(), expires_at: None }),
        Value::Object(object) if object.keys().all(|key| key == "role" || key == "expires_at") => object,
        _ => return Err(PROBLEM),
    };
    let role = RoleName::parse(object.get("role").and_then(Value::as_str).ok_or(PROBLEM)?)?.to_string();
    let expires_at = match object.get("expires_at") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => {
            Some(Timestamp::parse_rfc3339(text).ok_or("must expire at an RFC 3339 time, before 2100")?)
        }
        Some(_) => return Err("must expire at an RFC 3339 time, before 2100"),
    };
    if expires_at.is_some_and(|at| at <= now) {
        return Err("must not be over already");
    }
    Ok(RoleGrant { role, expires_at })
}

/// What the log says of a change, if it is one.
pub(super) fn told(before: &[RoleGrant], after: &[RoleGrant]) -> Option<String> {
    let name = |grant: &RoleGrant| match grant.expires_at {
        None => grant.role.clone(),
        Some(at) => format!("{} until {}", grant.role, at.rfc3339()),
    };
    let gained = after.iter().filter(|grant| !before.contains(grant)).map(|grant| format!("+{}", name(grant)));
    let lost = before.iter().filter(|grant| !after.contains(grant)).map(|grant| format!("-{}", name(grant)));
    let changes: Vec<_> = gained.chain(lost).collect();
    if changes.is_empty() { None } else { Some(changes.join(" ")) }
}
