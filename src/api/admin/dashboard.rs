//! `GET admin/dashboard`: how many there are of what, and what the last thirty days brought.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::extract::Reader,
    app::App,
    domain::{
        dashboard::{Accounts, DayView, days},
        rbac::Requirement,
    },
    error::ApiError,
    stores::dashboard,
};

/// What seeing it takes.
const PERMISSION: &str = "reports:view";

/// Counts, and of nobody more than that.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Dashboard")]
pub struct DashboardView {
    #[serde(flatten)]
    accounts: Accounts,
    /// How many hold a role directly, closed accounts too; of roles that somebody holds.
    users_by_role: BTreeMap<String, i64>,
    /// How many accounts are closed to whoever is not known, after too many failures.
    locked: i64,
    /// How many sessions stand.
    live_sessions: i64,
    /// Thirty days, the oldest first, today last; UTC.
    daily: Vec<DayView>,
}

/// Answers with it.
pub async fn show(State(app): State<Arc<App>>, reader: Reader) -> Result<Json<DashboardView>, ApiError> {
    reader.require(&app, &Requirement::permission(PERMISSION)).await?;
    let now = app.ports.clock.now();
    let found = dashboard::read(app.ports.database.as_ref(), now).await?;
    Ok(Json(DashboardView {
        accounts: Accounts::new(&found.totals),
        users_by_role: found.holders.into_iter().map(|role| (role.role, role.holders)).collect(),
        locked: found.locked,
        live_sessions: found.live_sessions,
        daily: days(&found.days, now.day()),
    }))
}
