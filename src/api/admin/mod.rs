//! Looking after the installation.

pub mod keys;
pub mod remove_user;
