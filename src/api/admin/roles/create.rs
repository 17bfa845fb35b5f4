//! `POST admin/roles`: make a role.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};

use super::{
    RoleView, WholeRole, description,
    rule::{Asked, Plan, unfit},
    texts,
};
use crate::{
    api::{
        Connection,
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::{
        audit::Event,
        rbac::{MAX_ROLES, PermissionName, RoleName, RoleRecord, judge},
    },
    error::{ApiError, FieldError},
    stores::roles::{Change, Role, Roles},
};

/// Takes `{name, description?, inherits?, permissions?, require_mfa?}`. Nobody makes a role that gives what they do not have.
pub async fn create(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, Json<WholeRole>), ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal, event: Event::RoleCreated };
    asked.admit().await?;
    let mut fields = Fields::new(body);
    fields.only(&["name", "description", "inherits", "permissions", "require_mfa"]);
    let name = fields.required("name", RoleName::parse);
    let description = fields.optional("description", description).unwrap_or_default();
    let inherits = fields.optional_list("inherits", RoleName::parse).unwrap_or_default();
    let permissions = fields.optional_list("permissions", PermissionName::parse).unwrap_or_default();
    let record = RoleRecord {
        inherits: texts(&inherits),
        permissions: texts(&permissions),
        require_mfa: fields.optional_flag("require_mfa").unwrap_or_default(),
    };
    let role = Role { name: fields.complete(name)?, description, record };
    let plan = |roles: &Roles, editor: &_| {
        if roles.roles.contains_key(role.name.as_str()) {
            return Err(ApiError::Conflict(vec![FieldError::new("name", "is taken")]));
        }
        if roles.roles.len() >= MAX_ROLES {
            return Err(ApiError::InUse(format!("There are {MAX_ROLES} roles; there can be no more.")));
        }
        let exists = |permission: &str| roles.permissions.contains_key(permission);
        judge(&roles.records, role.name.as_str(), Some(&role.record), editor, exists)
            .map_err(|problem| unfit(&problem))?;
        Ok(Some(Plan { detail: role.name.to_string(), change: Change::CreateRole(role.clone()) }))
    };
    let (_, bundle) = asked.rule(plan).await?;
    let view = RoleView::new(role.name.as_str(), &role.description, false, &role.record).whole(&bundle.roles);
    Ok((StatusCode::CREATED, Json(view)))
}
