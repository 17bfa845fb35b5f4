//! `GET admin/users`: find accounts.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::json;

use super::READ;
use crate::{
    api::{
        accounts::UserView,
        extract::Principal,
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
    principal: Principal,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<UserView>>, ApiError> {
    principal.require(&app, &Requirement::permission(READ)).await?;
    let mut query = Query::new(query.as_deref());
    let text = query.optional("query", |text| line_of_text(text, 200, "must have at most 200 characters"));
    let role = query.optional("role", RoleName::parse);
    let active = query.optional_flag("active");
    let paging = Paging::read(&mut query, parse);
    query.refuse()?;
    let text = text.map(|text| text.to_ascii_lowercase()).filter(|text| !text.is_empty());
    let now = app.ports.clock.now();
    let search = Search {
        query: text.as_deref(),
        role: role.as_ref().map(RoleName::as_str),
        active,
        // One of another list begins again, and ends as well.
        after: paging.after.as_ref(),
        limit: paging.limit,
        now,
    };
    let found = users::search(app.ports.database.as_ref(), &search).await?;
    let items = found.users.into_iter().map(|user| UserView::new(user, now)).collect();
    Ok(Json(Page::ending(items, found.next.map(|place| encode(&place)))))
}

fn encode(place: &Place) -> String {
    let text = json!([place.phase, place.key, place.id]).to_string();
    Base64UrlUnpadded::encode_string(text.as_bytes())
}

fn parse(text: &str) -> Result<Place, FieldProblem> {
    const PROBLEM: FieldProblem = "must be a next_cursor of this list";
    let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| PROBLEM)?;
    let (phase, key, id) = serde_json::from_slice(&bytes).map_err(|_| PROBLEM)?;
    Ok(Place { phase, key, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let place = Place { phase: 3, key: "ada \"é\"".to_owned(), id: "x".to_owned() };
        assert_eq!(parse(&encode(&place)), Ok(place));
        for bad in ["", "!", "e30", "WzFd", "WzEsIiIsIiIsIiJd", "WyIxIiwiIiwiIl0"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
