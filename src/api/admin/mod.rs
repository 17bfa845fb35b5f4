//! Looking after the installation.

mod judge;
pub mod keys;
pub mod roles;
pub mod users;
