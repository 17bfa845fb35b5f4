//! `admin/users`: looking after accounts.

mod administer;
pub mod create;
pub mod deeds;
pub mod list;
pub mod remove;
pub mod reset_mfa;
pub mod roles;
pub mod update;
pub mod view;

/// What seeing accounts takes; and so does whatever is done to one.
pub(super) const READ: &str = "users:read";
/// What changing them takes.
const WRITE: &str = "users:write";
/// What closing them, and opening them again, takes.
const DELETE: &str = "users:delete";
