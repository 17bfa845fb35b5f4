//! Looking after the installation.

mod judge;
pub mod keys;
pub mod remove_user;
pub mod reset_mfa;
pub mod roles;
