//! What is decided, apart from where it runs: pure and synchronous.
//!
//! Nothing here does I/O, reads a clock or draws randomness; time and random bytes are arguments.
//! So every rule of the product can be tested on the host in microseconds.

pub mod api_key;
pub mod attempts;
pub mod audit;
pub mod bundle;
pub mod certificate;
pub mod cookies;
pub mod dashboard;
pub mod device;
pub mod host;
pub mod id;
pub mod mail;
pub mod mfa;
pub mod net;
pub mod password;
pub mod rate_limit;
pub mod rbac;
pub mod revocation;
pub mod row_token;
pub mod scope;
pub mod sealed;
pub mod secret;
pub mod session;
pub mod strict_json;
pub mod time;
pub mod token;
pub mod user;
pub mod user_agent;
pub mod versions;
pub mod vouched;
