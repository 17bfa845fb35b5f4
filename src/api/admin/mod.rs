//! Looking after the installation.

pub mod audit;
mod judge;
pub mod keys;
pub mod remove_user;
pub mod reset_mfa;
