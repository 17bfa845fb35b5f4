//! Limits on our own endpoints. A request asks one limiter, once: the one of its subject, or of its address where nobody
//! is signed in. One that shows an API key asks that key's as well. What has a tighter limit of its own does not count to `API_LIMIT` as well: whoever makes others' browsers
//! ask for something else in vain does not keep them from signing in.
//!
//! Not counted beforehand is what costs nothing, and what asks no store before a MAC or a signature of ours vouches for it:
//! the key set, health, refresh, logout, proving an address. A token that is used up is counted once that shows, before
//! anyone is told of it again.

use axum::http::HeaderMap;
use futures_util::future::try_join;

use super::Connection;
use crate::{
    app::App,
    domain::rate_limit::{Decision, Limit, LimitKey},
    error::{ApiError, limit_headers},
    gateway::api_key::LiveKey,
};

/// Counts a request of nobody in particular under its address, by a limit of its endpoint's own. An answer's `headers` say what is left; where there is nothing left, or the limiter does not answer, the
/// request ends here.
pub async fn admit(app: &App, connection: &Connection, limit: &Limit, headers: &mut HeaderMap) -> Result<(), ApiError> {
    let decision = ask(app, &connection.ip.limit_key(), std::slice::from_ref(limit)).await?;
    headers.extend(limit_headers(&decision, app.ports.clock.now()));
    Ok(())
}

/// Counts a request by `API_LIMIT`, unless it was counted before; [`layers`](super::layers) tells what is left.
pub async fn count(app: &App, connection: &Connection, key: &LimitKey) -> Result<(), ApiError> {
    if connection.counted().is_none() {
        connection.note_count(ask(app, key, std::slice::from_ref(&app.config.api_limit)).await?);
    }
    Ok(())
}

/// The same of a request that shows an API key, unless it was counted before: for its owner, however many keys they have, and
/// by the key's own limit. Two limiters, side by side; the tighter of them is told of.
pub async fn count_key(app: &App, connection: &Connection, key: &LiveKey) -> Result<(), ApiError> {
    if connection.counted().is_none() {
        let (owner, limit) = (LimitKey::subject(&key.caller.subject), key.limit(&app.config.key_limit));
        let by_owner = ask(app, &owner, std::slice::from_ref(&app.config.api_limit));
        let itself = key.limit_key();
        let by_key = ask(app, &itself, std::slice::from_ref(&limit));
        let (by_owner, by_key) = try_join(by_owner, by_key).await?;
        connection.note_count(if by_key.remaining < by_owner.remaining { by_key } else { by_owner });
    }
    Ok(())
}

async fn ask(app: &App, key: &LimitKey, limits: &[Limit]) -> Result<Decision, ApiError> {
    let decision = app.ports.limiter.admit(key, limits).await?;
    if decision.admitted { Ok(decision) } else { Err(ApiError::RateLimited(decision, app.ports.clock.now())) }
}
