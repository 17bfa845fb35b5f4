//! Who may do something to whose account.

use crate::{
    api::{Connection, extract::Principal},
    app::App,
    domain::{
        audit::{Act, Entry, Event},
        user::User,
    },
    error::ApiError,
};

/// So often it is looked again whether the caller may, if the account changes under way.
pub const TRIES: usize = 3;

/// Nobody administers above themselves. By roles as the record has them: a copy may be as old as the bound. The caller
/// counts with no more than their token gives.
pub async fn may_administer(app: &App, principal: &Principal, user: &User) -> Result<(), ApiError> {
    let roles = &app.read_bundle().await?.roles;
    let holdings = principal.0.caller().holdings();
    let mut own = roles.permissions(holdings.roles);
    own.retain(|permission| holdings.permissions.contains(permission));
    roles.may_administer(&own, &user.roles).map_err(ApiError::Forbidden)
}

/// A row for the log about what the caller does to another's account.
pub fn act(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    user: &User,
    event: Event,
) -> Result<Act, ApiError> {
    let entry = Entry {
        subject: Some(user.id),
        session: Some(principal.session()),
        ..connection.entry(app, event, app.ports.clock.now())
    };
    Ok(Act { entry, actor: principal.user()? })
}
