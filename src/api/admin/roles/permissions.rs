//! `admin/permissions`: what there is to be permitted. A new one is a `super_admin`'s, who can give it to other roles.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::NoContent,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    PERMISSION, description,
    list::{page, paging},
    remove::{force, may_force},
    rule::{Asked, Plan},
};
use crate::{
    api::{
        Connection,
        extract::{JsonObject, Principal, Reader},
        form::Fields,
        page::Page,
    },
    app::App,
    domain::{
        audit::Event,
        rbac::{Editor, MAX_PERMISSIONS, Missing, PermissionName, Requirement},
    },
    error::{ApiError, FieldError},
    stores::roles::{self, Change, Roles},
};

/// A permission as the API shows one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Permission")]
pub struct PermissionView {
    name: String,
    description: String,
    built_in: bool,
}

fn view(roles: &Roles, name: &str) -> Option<PermissionView> {
    let about = roles.permissions.get(name)?;
    Some(PermissionView {
        name: name.to_owned(),
        description: about.description.clone(),
        built_in: about.built_in != 0,
    })
}

/// Answers with permissions in the order of their names.
pub async fn list(
    State(app): State<Arc<App>>,
    reader: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<PermissionView>>, ApiError> {
    reader.require(&app, &Requirement::permission(PERMISSION)).await?;
    let paging = paging(query.as_deref(), |text| PermissionName::parse(text).map(|name| name.to_string()))?;
    let roles = roles::read(app.ports.database.as_ref()).await?;
    Ok(Json(page(&roles.permissions, paging, |name| view(&roles, name))))
}

/// Takes `{name, description?}`.
pub async fn create(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, Json<PermissionView>), ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal, event: Event::PermissionCreated };
    asked.admit().await?;
    let mut fields = Fields::new(body);
    fields.only(&["name", "description"]);
    let name = fields.required("name", PermissionName::parse);
    let description = fields.optional("description", description).unwrap_or_default();
    let name = fields.complete(name)?;
    let plan = |roles: &Roles, _: &Editor| {
        if roles.permissions.contains_key(name.as_str()) {
            return Err(ApiError::Conflict(vec![FieldError::new("name", "is taken")]));
        }
        if roles.permissions.len() >= MAX_PERMISSIONS {
            return Err(ApiError::InUse(format!("There are {MAX_PERMISSIONS} permissions; there can be no more.")));
        }
        let change = Change::CreatePermission(name.clone(), description.clone());
        Ok(Some(Plan { detail: format!("{name} created"), change }))
    };
    asked.rule(plan).await?;
    let view = PermissionView { name: name.to_string(), description: description.clone(), built_in: false };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Takes `{description}`. Nobody says of what they do not have what it is for.
pub async fn describe(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(name): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Json<PermissionView>, ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal, event: Event::PermissionUpdated };
    asked.admit().await?;
    let name = PermissionName::parse(&name).map_err(|_| ApiError::NotFound)?;
    let mut fields = Fields::new(body);
    fields.only(&["description"]);
    let description = fields.required("description", description);
    let description = fields.complete(description)?;
    let plan = |roles: &Roles, editor: &Editor| {
        let about = held(roles, &name, editor)?;
        let change = Change::DescribePermission(name.clone(), description.clone());
        let changes = about.description != description;
        Ok(changes.then(|| Plan { detail: format!("{name} described"), change }))
    };
    let (roles, _) = asked.rule(plan).await?;
    let built_in = roles.permissions.get(name.as_str()).is_some_and(|about| about.built_in != 0);
    Ok(Json(PermissionView { name: name.to_string(), description: description.clone(), built_in }))
}

/// Nobody removes what they do not have, nor what is built in; what a role gives (other than `super_admin`) only with
/// `?force=true`.
pub async fn remove(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<NoContent, ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal, event: Event::PermissionDeleted };
    asked.admit().await?;
    let force = force(query.as_deref())?;
    let name = PermissionName::parse(&name).map_err(|_| ApiError::NotFound)?;
    let plan = |roles: &Roles, editor: &Editor| {
        if held(roles, &name, editor)?.built_in != 0 {
            return Err(ApiError::BuiltIn);
        }
        may_force(force, editor)?;
        Ok(Some(Plan { detail: format!("{name} removed"), change: Change::RemovePermission(name.clone(), force) }))
    };
    asked.rule(plan).await?;
    Ok(NoContent)
}

/// What is told of a permission, to who has it.
fn held<'a>(roles: &'a Roles, name: &PermissionName, editor: &Editor) -> Result<&'a roles::About, ApiError> {
    let about = roles.permissions.get(name.as_str()).ok_or(ApiError::NotFound)?;
    if editor.permissions.contains(name.as_str()) {
        return Ok(about);
    }
    Err(ApiError::Forbidden(Missing::Permissions(vec![name.to_string()])))
}
