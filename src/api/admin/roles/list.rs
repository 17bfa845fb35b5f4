//! `GET admin/roles` and `GET admin/roles/{name}`: what roles there are.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};

use super::{PERMISSION, RoleView, WholeRole};
use crate::{
    api::{
        extract::Reader,
        page::{Page, Paging},
        query::Query,
    },
    app::App,
    domain::{
        rbac::{Requirement, RoleName},
        user::FieldProblem,
    },
    error::ApiError,
    stores::roles::{self, Roles},
};

/// Answers with roles in the order of their names.
pub async fn list(
    State(app): State<Arc<App>>,
    reader: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<RoleView>>, ApiError> {
    reader.require(&app, &Requirement::permission(PERMISSION)).await?;
    let paging = paging(query.as_deref(), |text| RoleName::parse(text).map(|name| name.to_string()))?;
    let roles = roles::read(app.ports.database.as_ref()).await?;
    Ok(Json(page(&roles.roles, paging, |name| RoleView::of(&roles, name))))
}

/// Answers with one role, and everything that it comes to.
pub async fn view(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(name): Path<String>,
) -> Result<Json<WholeRole>, ApiError> {
    reader.require(&app, &Requirement::permission(PERMISSION)).await?;
    let roles: Roles = roles::read(app.ports.database.as_ref()).await?;
    let role = RoleView::of(&roles, &name).ok_or(ApiError::NotFound)?;
    Ok(Json(role.whole(&roles.graph())))
}

/// Which page is asked for: after a name, which need not be there any more.
pub(super) fn paging(
    query: Option<&str>,
    name: impl FnOnce(&str) -> Result<String, FieldProblem>,
) -> Result<Paging<String>, ApiError> {
    let mut query = Query::new(query);
    let paging = Paging::read(&mut query, |text| name(text).map_err(|_| "must be a next_cursor of this list"));
    query.refuse()?;
    Ok(paging)
}

/// Such a page.
pub(super) fn page<T, V>(
    all: &BTreeMap<String, T>,
    paging: Paging<String>,
    view: impl Fn(&str) -> Option<V>,
) -> Page<V> {
    let from = paging.after.map_or(Bound::Unbounded, Bound::Excluded);
    let names = all.range((from, Bound::Unbounded)).map(|(name, _)| name.as_str());
    Page::of(names.collect(), paging.limit, |name| (*name).to_owned()).map(view)
}
