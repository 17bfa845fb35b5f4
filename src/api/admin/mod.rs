//! Looking after the installation.

pub mod audit;
pub mod dashboard;
mod judge;
pub mod keys;
pub mod policy;
pub mod roles;
pub mod users;
