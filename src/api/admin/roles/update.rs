//! `PATCH admin/roles/{name}`: change what a role is.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};

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
        rbac::{PermissionName, RoleName, RoleRecord, judge},
    },
    error::ApiError,
    stores::roles::{Change, Role, Roles},
};

/// What is asked for; what is left out stays as it is.
struct Wish {
    description: Option<String>,
    inherits: Option<Vec<String>>,
    permissions: Option<Vec<String>>,
    require_mfa: Option<bool>,
}

/// Takes `{description?, inherits?, permissions?, require_mfa?}`. Nobody changes a role that gives what they do not have,
/// nor makes it give that. To do it twice is to do it once.
pub async fn update(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(name): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Json<WholeRole>, ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal, event: Event::RoleUpdated };
    asked.admit().await?;
    let name = RoleName::parse(&name).map_err(|_| ApiError::NotFound)?;
    let mut fields = Fields::new(body);
    fields.only(&["description", "inherits", "permissions", "require_mfa"]);
    let permissions = fields.optional_list("permissions", PermissionName::parse);
    let wish = Wish {
        description: fields.optional("description", description),
        inherits: fields.optional_list("inherits", RoleName::parse).map(|names| texts(&names)),
        permissions: permissions.map(|names| texts(&names)),
        require_mfa: fields.optional_flag("require_mfa"),
    };
    fields.refuse()?;
    let plan = |roles: &Roles, editor: &_| {
        let before = RoleView::of(roles, name.as_str()).ok_or(ApiError::NotFound)?;
        let (description, after) = wish.upon(&before);
        let exists = |permission: &str| roles.permissions.contains_key(permission);
        judge(&roles.records, name.as_str(), Some(&after), editor, exists).map_err(|problem| unfit(&problem))?;
        let detail = told(&before, &description, &after);
        let change = Change::UpdateRole(Role { name: name.clone(), description, record: after });
        Ok(detail.map(|detail| Plan { detail, change }))
    };
    let (roles, bundle) = asked.rule(plan).await?;
    let before = RoleView::of(&roles, name.as_str()).ok_or(ApiError::NotFound)?;
    let (description, record) = wish.upon(&before);
    Ok(Json(RoleView::new(name.as_str(), &description, before.built_in, &record).whole(&bundle.roles)))
}

impl Wish {
    /// What a role is by it.
    fn upon(&self, before: &RoleView) -> (String, RoleRecord) {
        let description = self.description.clone().unwrap_or_else(|| before.description.clone());
        let record = RoleRecord {
            inherits: self.inherits.clone().unwrap_or_else(|| before.inherits.clone()),
            permissions: self.permissions.clone().unwrap_or_else(|| before.permissions.clone()),
            require_mfa: self.require_mfa.unwrap_or(before.require_mfa),
        };
        (description, record)
    }
}

/// What the log says of a change, if it is one: `clerk: +orders:read -orders:write +inherits staff`.
fn told(before: &RoleView, description: &str, after: &RoleRecord) -> Option<String> {
    let mut changes = Vec::new();
    for (kind, before, after) in
        [("", &before.permissions, &after.permissions), ("inherits ", &before.inherits, &after.inherits)]
    {
        changes.extend(after.iter().filter(|name| !before.contains(name)).map(|name| format!("+{kind}{name}")));
        changes.extend(before.iter().filter(|name| !after.contains(name)).map(|name| format!("-{kind}{name}")));
    }
    if before.require_mfa != after.require_mfa {
        changes.push(format!("{}require_mfa", if after.require_mfa { '+' } else { '-' }));
    }
    if before.description != description {
        changes.push("description".to_owned());
    }
    if changes.is_empty() { None } else { Some(format!("{}: {}", before.name, changes.join(" "))) }
}
