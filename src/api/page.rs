//! Lists, a page at a time: `{items, next_cursor?}`. A cursor says where the page before ended, so what comes and goes
//! meanwhile neither moves the next one nor is seen twice.

use schemars::JsonSchema;
use serde::Serialize;

use super::query::Query;
use crate::domain::user::FieldProblem;

/// So many items a page has if nothing is said.
const USUAL: u32 = 50;
/// So many it has at most.
const MOST: u32 = 100;

/// Which page is asked for.
pub struct Paging<C> {
    /// After what.
    pub after: Option<C>,
    /// Of how many.
    pub limit: u32,
}

impl<C> Paging<C> {
    /// Reads `limit` and `cursor` of a query.
    pub fn read(query: &mut Query, cursor: impl FnOnce(&str) -> Result<C, FieldProblem>) -> Self {
        let limit = query.optional("limit", |text| match text.parse() {
            Ok(limit @ 1..=MOST) => Ok(limit),
            _ => Err("must be a number from 1 to 100"),
        });
        Self { limit: limit.unwrap_or(USUAL), after: query.optional("cursor", cursor) }
    }
}

/// One page.
#[derive(Serialize, JsonSchema)]
pub struct Page<T> {
    items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Of what was found, where one more than `limit` was looked for: if that is there, there is another page.
    pub fn of(mut found: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| is_more).map(cursor);
        Self { items: found, next_cursor }
    }

    /// Of what was found, and where that ends if there may be more.
    pub const fn ending(items: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { items, next_cursor }
    }

    /// The same of what each item is shown as, if it is.
    pub fn map<V>(self, view: impl FnMut(T) -> Option<V>) -> Page<V> {
        Page { items: self.items.into_iter().filter_map(view).collect(), next_cursor: self.next_cursor }
    }
}
