//! `GET admin/policy/versions` and `GET admin/policy/versions/{version}`: what was put, by whom, and when.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::READ;
use crate::{
    api::{
        extract::Reader,
        page::{Page, Paging},
        query::Query,
    },
    app::App,
    domain::rbac::Requirement,
    error::ApiError,
    stores::policies::{self, About, Kind},
};

/// A version that was put over the API. The last hundred are kept, and those that are in force.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PolicyVersion")]
pub struct VersionView {
    version: i64,
    /// `live`, or `shadow` for one that is only tried.
    mode: &'static str,
    /// Whether nothing was put but that the file that is deployed decides, or that nothing is tried any more.
    is_end: bool,
    /// Whether it was put beside the policy file that is deployed: another takes its place.
    is_current: bool,
    /// Which version it is a copy of.
    copy_of: Option<i64>,
    note: String,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// The id of whoever put it.
    created_by: String,
}

/// The same, with the policy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WholePolicyVersion")]
pub struct WholeVersion {
    #[serde(flatten)]
    version: VersionView,
    /// The policy, in TOML.
    policy: Option<String>,
}

impl VersionView {
    fn new(app: &App, about: About) -> Self {
        Self {
            version: about.version,
            mode: if about.kind == Kind::Live.name() { "live" } else { "shadow" },
            is_end: about.is_file != 0,
            is_current: about.base == app.deployed().digest(),
            copy_of: about.copy_of,
            note: about.note,
            created_at: about.created_at.rfc3339(),
            created_by: about.created_by,
        }
    }
}

/// Answers with a page, the newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    reader: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<VersionView>>, ApiError> {
    reader.require(&app, &Requirement::permission(READ)).await?;
    let mut query = Query::new(query.as_deref());
    let Paging { after, limit } =
        Paging::read(&mut query, |text| number(text).ok_or("must be a next_cursor of this list"));
    query.refuse()?;
    let found = policies::list(app.ports.database.as_ref(), after, limit).await?;
    let page = Page::of(found, limit, |about| about.version.to_string());
    Ok(Json(page.map(|about| Some(VersionView::new(&app, about)))))
}

/// Answers with one.
pub async fn view(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(version): Path<String>,
) -> Result<Json<WholeVersion>, ApiError> {
    reader.require(&app, &Requirement::permission(READ)).await?;
    let number = number(&version).ok_or(ApiError::NotFound)?;
    let mut about = policies::by_number(app.ports.database.as_ref(), number).await?.ok_or(ApiError::NotFound)?;
    let policy = about.text.take();
    Ok(Json(WholeVersion { version: VersionView::new(&app, about), policy }))
}

fn number(text: &str) -> Option<i64> {
    text.parse::<u32>().ok().map(i64::from)
}
