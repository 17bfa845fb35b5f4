//! Our own endpoints, one action per file.

mod accounts;
mod auth;
mod extract;
mod form;
mod layers;
mod well_known;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::{app::App, error::ApiError};

pub use layers::Connection;

/// Every endpoint, and what every answer goes through.
pub fn router(app: &Arc<App>) -> Router {
    let api = Router::new()
        .route("/users/register", post(accounts::register::register))
        .route("/users/me", get(accounts::me::me))
        .route("/auth/token", post(auth::token::token))
        .route("/auth/refresh", post(auth::refresh::refresh))
        .route("/auth/logout", post(auth::logout::logout));
    Router::new()
        .nest(&app.config.api_prefix, api)
        .route("/.well-known/jwks.json", get(well_known::jwks))
        .route("/health", get(well_known::health))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(app.clone(), layers::outermost))
        .with_state(app.clone())
}

/// Every endpoint as (method, path), for tests that must cover all of them. `{prefix}` stands for
/// `API_PREFIX`.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("POST", "{prefix}/users/register"),
    ("GET", "{prefix}/users/me"),
    ("POST", "{prefix}/auth/token"),
    ("POST", "{prefix}/auth/refresh"),
    ("POST", "{prefix}/auth/logout"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/health"),
];
