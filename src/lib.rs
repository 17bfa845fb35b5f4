//! Edgewarden: an auth gateway that runs as one Cloudflare Worker.
//!
//! Follow a request. `src/edge.js` takes it and asks [`gateway::decide`], synchronously, through
//! the exported function in [`entry`]. The verdict is one of:
//!
//! * *forward*: `edge.js` sends it on to its origin, rewritten;
//! * *answer*: it ends here with a problem;
//! * *need*: [`app`] asks what is missing and decides again;
//! * *own*: it is for our endpoints, and goes through [`api::router`].
//!
//! What is decided stands in [`domain`] (pure), what is kept in [`stores`] (SQL beside each kind),
//! what the world must offer in [`ports`], and how it does in [`platform`] (Workers) and `native`
//! (the host, for tests and tools).

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)
)]

pub mod api;
pub mod app;
pub mod config;
pub mod domain;
pub mod duration;
pub mod entry;
pub mod error;
pub mod gateway;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
pub mod platform;
pub mod ports;
pub mod security_headers;
pub mod stores;
