//! `GET admin/users`: find accounts.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
};

use super::READ;
use crate::{
    api::{
        accounts::UserView,
        cursor,
        extract::Reader,
        page::{Page, Paging},
        query::Query,
    },
    app::App,
    domain::{
        rbac::{Requirement, RoleName},
        user::{FieldProblem, line_of_text},
    },
    error::ApiError,
    stores::users::{self, Place, Search},
};

/// Takes `query` (how username, address or name begin; the letters a to z without regard to case), `role`, `active`,
/// `limit` and `cursor`. Without a query the newest come first. A page may have fewer than it could, or none, and another
/// after it.
pub async fn list(
    State(app): State<Arc<App>>,
    reader: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<UserView>>, ApiError> {
    reader.require(&app, &Requirement::permission(READ)).await?;
    let mut query = Query::new(query.as_deref());
    let text = query.optional("query", |text| line_of_text(text, 200, "must have at most 200 characters"));
    let role = query.optional("role", RoleName::parse);
    let active = query.optional_flag("active");
    let text = text.map(|text| text.to_ascii_lowercase()).filter(|text| !text.is_empty());
    let paging = Paging::read(&mut query, |word| parse(word, text.as_deref()));
    query.refuse()?;
    let now = app.ports.clock.now();
    let search = Search {
        query: text.as_deref(),
        role: role.as_ref().map(RoleName::as_str),
        active,
        after: paging.after.as_ref(),
        limit: paging.limit,
        now,
    };
    let found = users::search(app.ports.database.as_ref(), &search).await?;
    let items = found.users.into_iter().map(|user| UserView::new(user, now)).collect();
    Ok(Json(Page::ending(items, found.next.map(|place| encode(&place)))))
}

/// An id is of so many bytes.
const ID: usize = 36;

fn encode(place: &Place) -> String {
    cursor::encode(place.phase, &format!("{}{}", place.id, place.key))
}

/// Of a list of all, or of one by what was searched for.
fn parse(word: &str, query: Option<&str>) -> Result<Place, FieldProblem> {
    const PROBLEM: FieldProblem = "must be a next_cursor of this list";
    let (phase, text) = cursor::parse(word)?;
    let (id, key) = text.split_at_checked(ID).ok_or(PROBLEM)?;
    let is_of_this = match query {
        None => phase == 0 && key.is_empty(),
        Some(query) => (1..=3).contains(&phase) && key.starts_with(query),
    };
    if is_of_this { Ok(Place { phase, key: key.to_owned(), id: id.to_owned() }) } else { Err(PROBLEM) }
}
