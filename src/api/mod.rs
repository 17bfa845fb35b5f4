//! Our own endpoints, one action per file.

mod accounts;
mod admin;
mod api_keys;
mod auth;
mod connection;
mod cors;
mod cursor;
pub mod docs;
mod extract;
mod form;
mod kept;
mod layers;
mod limits;
mod mail;
mod mfa;
#[cfg(not(target_arch = "wasm32"))]
pub mod openapi;
mod page;
mod query;
mod well_known;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{delete, get, patch, post, put},
};

use crate::{
    app::App,
    config::{Config, Environment},
    error::ApiError,
};

pub use connection::Connection;

/// Every endpoint stands here once: what is routed is what [`ENDPOINTS`] lists.
macro_rules! endpoints {
    (
        under prefix { $($method:ident $path:literal => $handler:path,)* }
        at root { $($root_method:ident $root_path:literal => $root_handler:path,)* }
        as documentation { $($docs_method:ident $docs_path:literal => $docs_handler:path,)* }
        in development { $($dev_method:ident $dev_path:literal => $dev_handler:path,)* }
    ) => {
        /// Every endpoint as (method, path), for tests that must cover all of them. `{prefix}`
        /// stands for `API_PREFIX`.
        pub const ENDPOINTS: &[(&str, &str)] = &[
            $((stringify!($method), concat!("{prefix}", $path)),)*
            $((stringify!($root_method), $root_path),)*
        ];

        /// Those that there are where `DOCS` says so.
        pub const DOCS_ENDPOINTS: &[(&str, &str)] = &[$((stringify!($docs_method), $docs_path),)*];

        /// Those that there are in development only.
        pub const DEVELOPMENT_ENDPOINTS: &[(&str, &str)] = &[$((stringify!($dev_method), $dev_path),)*];

        fn routes(config: &Config) -> Router<Arc<App>> {
            let api = Router::new()$(.route($path, $method($handler)))*;
            let mut all = Router::new().nest(&config.api_prefix, api)$(.route($root_path, $root_method($root_handler)))*;
            if config.docs {
                all = all$(.route($docs_path, $docs_method($docs_handler)))*;
            }
            match config.environment {
                Environment::Production => all,
                Environment::Development => all$(.route($dev_path, $dev_method($dev_handler)))*,
            }
        }
    };
}

endpoints! {
    under prefix {
        post "/users/register" => accounts::register::register,
        get "/users/me" => accounts::me::me,
        put "/users/me" => accounts::profile::update,
        delete "/users/me" => accounts::deactivate::deactivate,
        post "/auth/token" => auth::token::token,
        post "/auth/login" => auth::login::login,
        post "/auth/refresh" => auth::refresh::refresh,
        post "/auth/verify-email" => mail::verify::verify,
        post "/auth/verify-email/resend" => mail::verify::resend,
        post "/auth/password-reset" => mail::reset::request,
        post "/auth/password-reset/confirm" => mail::reset::confirm,
        post "/auth/mfa/verify" => auth::mfa::verify::verify,
        post "/auth/mfa/step-up" => auth::mfa::step_up::step_up,
        get "/mfa" => mfa::status::status,
        post "/mfa/setup" => mfa::setup::setup,
        post "/mfa/confirm" => mfa::confirm::confirm,
        post "/mfa/disable" => mfa::disable::disable,
        post "/mfa/recovery-codes" => mfa::codes::renew,
        post "/auth/logout" => auth::logout::logout,
        post "/auth/logout-all" => auth::logout::logout_all,
        post "/auth/change-password" => auth::password::change,
        get "/auth/verify" => auth::forward::verify,
        get "/auth/sessions" => auth::sessions::list,
        delete "/auth/sessions" => auth::sessions::end_others,
        delete "/auth/sessions/{id}" => auth::sessions::end_one,
        post "/api-keys" => api_keys::create::create,
        get "/api-keys" => api_keys::list::list,
        post "/api-keys/{id}/rotate" => api_keys::rotate::rotate,
        delete "/api-keys/{id}" => api_keys::remove::remove,
        get "/admin/users" => admin::users::list::list,
        post "/admin/users" => admin::users::create::create,
        get "/admin/users/{id}" => admin::users::view::view,
        patch "/admin/users/{id}" => admin::users::update::update,
        put "/admin/users/{id}/roles" => admin::users::roles::set,
        post "/admin/users/{id}/unlock" => admin::users::deeds::unlock,
        post "/admin/users/{id}/verify-email" => admin::users::deeds::verify_email,
        delete "/admin/users/{id}/sessions" => admin::users::deeds::end_sessions,
        delete "/admin/users/{id}" => admin::users::remove::remove,
        post "/admin/users/{id}/reset-mfa" => admin::users::reset_mfa::reset,
        get "/admin/roles" => admin::roles::list::list,
        post "/admin/roles" => admin::roles::create::create,
        get "/admin/roles/{name}" => admin::roles::list::view,
        patch "/admin/roles/{name}" => admin::roles::update::update,
        delete "/admin/roles/{name}" => admin::roles::remove::remove,
        get "/admin/permissions" => admin::roles::permissions::list,
        post "/admin/permissions" => admin::roles::permissions::create,
        patch "/admin/permissions/{name}" => admin::roles::permissions::describe,
        delete "/admin/permissions/{name}" => admin::roles::permissions::remove,
        get "/admin/dashboard" => admin::dashboard::show,
        get "/admin/audit" => admin::audit::list,
        get "/admin/audit/export" => admin::audit::export::export,
        get "/admin/keys" => admin::keys::list,
        post "/admin/keys/rotate" => admin::keys::rotate,
        get "/admin/policy" => admin::policy::show,
        put "/admin/policy" => admin::policy::change::put,
        delete "/admin/policy/candidate" => admin::policy::change::end_trial,
        post "/admin/policy/rollback" => admin::policy::change::roll_back,
        post "/admin/policy/explain" => admin::policy::explain::explain,
        get "/admin/policy/versions" => admin::policy::versions::list,
        get "/admin/policy/versions/{version}" => admin::policy::versions::view,
    }
    at root {
        get "/.well-known/jwks.json" => well_known::jwks,
        get "/health" => well_known::health,
    }
    as documentation {
        get "/openapi.json" => docs::openapi,
        get "/docs" => docs::page,
        get "/docs/page.css" => docs::style,
        get "/docs/page.js" => docs::script,
    }
    in development {
        get "/dev/outbox" => mail::outbox::list,
    }
}

/// Every endpoint, and what every answer goes through. It goes around the endpoints' own router, which says last what
/// methods there are.
pub fn router(app: &Arc<App>) -> Router {
    let endpoints = routes(&app.config)
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(app.clone());
    Router::new().fallback_service(endpoints).layer(middleware::from_fn_with_state(app.clone(), layers::outermost))
}
