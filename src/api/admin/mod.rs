//! Looking after the installation.

pub mod keys;
