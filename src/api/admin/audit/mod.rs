//! `GET admin/audit`: the log, newest first, page by page.

pub mod export;
mod filter;
pub mod item;

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
};

use self::item::Item;
use crate::{
    api::{
        cursor,
        extract::Reader,
        page::{Page, Paging},
        query::Query,
    },
    app::App,
    domain::{rbac::Requirement, time::Timestamp},
    error::ApiError,
    stores::audit::list::{self, Place},
};

/// What reading it takes.
const PERMISSION: &str = "audit:read";

/// Answers with a page. There may be fewer items than were asked for, or none, and yet more: where few rows match, one
/// request looks at a bounded number of them.
pub async fn list(
    State(app): State<Arc<App>>,
    reader: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Item>>, ApiError> {
    reader.require(&app, &Requirement::permission(PERMISSION)).await?;
    let mut query = Query::new(query.as_deref());
    let filter = filter::read(&mut query);
    let Paging { after, limit } = Paging::read(&mut query, cursor::parse);
    query.refuse()?;
    let before = after.map(|(at, id)| Place { at: Timestamp::from_millis(at), id });
    let before = before.unwrap_or_else(|| filter.start());
    let page = list::page(app.ports.database.as_ref(), &filter, &before, limit.into()).await?;
    let next_cursor = page.next.map(|place| cursor::encode(place.at.millis(), &place.id));
    Ok(Json(Page::ending(page.rows.into_iter().map(Item::from).collect(), next_cursor)))
}
