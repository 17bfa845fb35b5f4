//! The real router and the real gateway on the host adapters: SQLite with the real migrations,
//! and stores that count calls and fail on demand.

#![allow(missing_docs, reason = "test names say what they show")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets the unexpected should stop there"
)]

#[path = "../common/mod.rs"]
mod common;

mod admin_create;
mod admin_search;
mod admin_users;
mod api_key_ends;
mod api_key_routes;
mod api_keys;
mod api_limit;
mod assertion;
mod attempts;
mod audit;
mod audit_export;
mod audit_plans;
mod audit_seal;
mod audit_verify;
mod browser;
mod budget;
mod change_password;
mod cleanup;
mod contract;
mod cookie;
mod cors_routes;
mod dashboard;
mod devices;
mod emergency;
mod erase;
mod fault_sweep;
mod fault_sweep_admin;
mod fault_sweep_mfa;
mod feed;
mod forward_auth;
mod gateway;
mod harness;
mod hashes;
mod health;
mod import;
mod imported;
mod interrupted;
mod issuer;
mod issuers;
mod issuers_slow;
mod key_changes;
mod key_copy;
mod key_reading;
mod keys;
mod live_policy;
mod login;
mod logout;
mod logout_all;
mod mail;
mod mail_delivery;
mod mail_reset;
mod mail_sign_in;
mod mail_told;
mod mail_verify;
mod mfa;
mod mfa_admin;
mod mfa_enrol;
mod mfa_guess;
mod mfa_sign_in;
mod mfa_step_up;
mod navigation;
mod openapi;
mod outage;
mod perimeter;
mod plans;
mod policy_check;
mod policy_explain;
mod policy_trial;
mod profile;
mod refresh;
mod register;
mod revocation;
mod roles;
mod scopes;
mod sessions;
mod sign_in;
mod status_table;
mod story;
mod story_cookies;
mod sweep;
mod timeline;
mod tokens;
