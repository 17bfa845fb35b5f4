//! Limits on proxied requests: which are asked, and what their answers come to.

use super::{
    Want,
    policy::{OnLimiterError, Route},
};
use crate::{
    domain::{
        rate_limit::{Decision, Limit, LimitKey},
        time::Timestamp,
    },
    error::ApiError,
};

/// What came of asking a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAnswer {
    /// It decided.
    Decided(Decision),
    /// It did not answer.
    NoAnswer,
    /// It is not asked: nothing comes of the request.
    NotAsked,
}

/// Which limit is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// By address, before authentication.
    Ip,
    /// By subject, after authorisation.
    Subject,
    /// By API key, after authorisation.
    ApiKey,
}

/// What a limit lets be done.
pub(super) enum Limited {
    /// It goes on; what was decided, if anything was.
    Passed(Option<Decision>),
    /// The limiter is to be asked.
    Ask(Want<'static>),
}

/// What the limits of a kind come to, by the limiter's answer if there is one.
///
/// # Errors
/// That there is nothing left, or that the limiter does not answer where the route will not go on then.
pub(super) fn limit(
    route: &Route,
    limits: &[Limit],
    (kind, answer): (LimitKind, Option<LimitAnswer>),
    key: impl FnOnce() -> LimitKey,
    now: Timestamp,
) -> Result<Limited, ApiError> {
    match answer {
        _ if limits.is_empty() => Ok(Limited::Passed(None)),
        Some(LimitAnswer::NotAsked) => Ok(Limited::Passed(None)),
        None => Ok(Limited::Ask(Want::Limit { kind, key: key(), limits: limits.to_vec() })),
        Some(LimitAnswer::Decided(decision)) if decision.admitted => Ok(Limited::Passed(Some(decision))),
        Some(LimitAnswer::Decided(decision)) => Err(ApiError::RateLimited(decision, now)),
        Some(LimitAnswer::NoAnswer) => match route.on_limiter_error {
            OnLimiterError::Allow => Ok(Limited::Passed(None)),
            OnLimiterError::Deny => Err(ApiError::Unavailable("limiter did not answer".to_owned())),
        },
    }
}
