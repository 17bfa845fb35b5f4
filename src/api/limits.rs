//! Limits on our own endpoints, by address.

use axum::http::HeaderMap;

use super::Connection;
use crate::{
    app::App,
    domain::rate_limit::Limit,
    error::{ApiError, limit_headers},
};

/// Counts a request under its address. An answer's `headers` say what is left; where there is nothing
/// left, or the limiter does not answer, the request ends here.
pub async fn admit(app: &App, connection: &Connection, limit: &Limit, headers: &mut HeaderMap) -> Result<(), ApiError> {
    let key = connection.ip.limit_key();
    let decision = app.ports.limiter.admit(&key, std::slice::from_ref(limit)).await?;
    let now = app.ports.clock.now();
    if !decision.admitted {
        return Err(ApiError::RateLimited(decision, now));
    }
    headers.extend(limit_headers(&decision, now));
    Ok(())
}
