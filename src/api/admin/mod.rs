//! Looking after the installation.

pub mod audit;
mod judge;
pub mod keys;
pub mod roles;
pub mod users;
