//! What can go wrong, and the only place that picks a status.
//!
//! A client's fault is told so that it can be mended. A fault of ours is one bland sentence with
//! the request's id; the log has the rest under that id.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    domain::{
        id::RequestId,
        password::HashFailure,
        rate_limit::Decision,
        rbac::Missing,
        scope::ScopeProblem,
        time::{Timestamp, millis},
        token::{jws::Unwritable, verify::Refusal},
    },
    gateway::original::Unclear,
    ports::{BadRow, DatabaseError, Unavailable},
};

/// The protection space that challenges name (RFC 9110, §11.5).
const REALM: &str = "edgewarden";

/// One bad field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// What is wrong with which field.
    #[must_use]
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Everything that ends a request early.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// The body or a header cannot be read.
    #[error("{0}")]
    Malformed(&'static str),
    /// The host is none of ours (RFC 9110, §15.5.20).
    #[error("This host is not served here.")]
    Misdirected,
    /// It came over plain http; where it should come to.
    #[error("This is served over https only.")]
    PlainHttp(String),
    /// Nobody is signed in, and somebody looks at it: where they can be.
    #[error("Authentication is needed.")]
    SignIn(String),
    /// The path could be taken in two ways.
    #[error("The path is ambiguous.")]
    AmbiguousPath,
    /// An OAuth request lacks a parameter or repeats one (RFC 6749, §5.2).
    #[error("{0}")]
    InvalidRequest(String),
    /// A grant that is not offered (RFC 6749, §5.2).
    #[error("The grant type is not supported.")]
    UnsupportedGrant,
    /// Fields that do not hold what they should, all of them.
    #[error("Some fields are not valid.")]
    Invalid(Vec<FieldError>),
    /// What should be unique is taken.
    #[error("Some fields do not go with what is there.")]
    Conflict(Vec<FieldError>),
    /// Unknown, wrong and inactive alike.
    #[error("The username or the password is not right.")]
    BadCredentials,
    /// The password that confirms what somebody signed in does.
    #[error("The password is not right.")]
    WrongPassword,
    /// No credentials where some are needed.
    #[error("Authentication is needed.")]
    Unauthenticated,
    /// An access token that is not believed; why is for the log.
    #[error("The access token is not valid.")]
    InvalidToken(Refusal),
    /// An API key that is not believed; why is for the log.
    #[error("The API key is not valid.")]
    InvalidKey(Refusal),
    /// A client's certificate that was not verified, or is revoked.
    #[error("The client certificate is not valid.")]
    InvalidCertificate,
    /// A refresh token that is not honoured.
    #[error("The refresh token is not valid.")]
    InvalidRefresh,
    /// A refresh token that had been replaced: the session is over.
    #[error("Refresh token reuse was detected; the session has been ended.")]
    RefreshReuse,
    /// The request does not come from a page of ours, as one that relies on a cookie must.
    #[error("The request must come from this site's own pages: its Origin is not one that is allowed.")]
    ForeignOrigin,
    /// A scope that names what nobody can have, or nothing that the user has (RFC 6749, §5.2).
    #[error("{0}")]
    InvalidScope(String),
    /// A token of a mail that is not one, or is over.
    #[error("The link is not valid, or not any more. Have another sent.")]
    InvalidMailToken,
    /// The password is right, but the address is to be proven first.
    #[error("The email address must be confirmed first. Open the link in the mail, or have another sent.")]
    EmailNotVerified,
    /// Known, but not allowed.
    #[error("{0}")]
    Forbidden(Missing),
    /// Known, but a second factor is to be shown first (RFC 9470); how long ago it may have been, if that is stated.
    #[error("{}", Missing::SecondFactor(*.0))]
    StepUp(Option<Duration>),
    /// A second factor that is not right, of who is signed in already.
    #[error("The code is not right, or was used before.")]
    WrongCode,
    /// A second factor that is not right, at sign-in.
    #[error("The code is not right, or was used before.")]
    BadCode,
    /// A token of half a sign-in that is not one, or is over.
    #[error("This sign-in is over. Begin again with the password.")]
    InvalidMfaToken,
    /// There is no second factor.
    #[error("There is no second factor.")]
    NoSecondFactor,
    /// There is a second factor already.
    #[error("There is a second factor already.")]
    HasSecondFactor,
    /// There is no enrolment to be confirmed.
    #[error("There is no enrolment to confirm, or not any more. Begin again.")]
    NoSetup,
    /// The account or the session changed while it was looked at.
    #[error("Something about the account changed meanwhile. Look again.")]
    HasChanged,
    /// What every installation has, and cannot be removed.
    #[error("It is built in, and cannot be removed.")]
    BuiltIn,
    /// It is used, and was not to be removed by force.
    #[error("{0}")]
    InUse(String),
    /// No proxy may ask here.
    #[error("Forward auth is not set up.")]
    NoForwardAuth,
    /// Whoever asks about a request shows no secret that a proxy has.
    #[error("The secret that a proxy shows is missing or wrong.")]
    NotTheProxy,
    /// It cannot be told, or not in one way, what a proxy asks about.
    #[error("{0}")]
    Unclear(Unclear),
    /// A request that a proxy asks about is refused, for this.
    #[error("{}", .0.detail())]
    Denied(Box<Self>),
    /// Nothing is there.
    #[error("There is nothing here.")]
    NotFound,
    /// It does not do that.
    #[error("The method is not allowed here.")]
    MethodNotAllowed,
    /// The body is larger than anything we read.
    #[error("The body is too large.")]
    TooLarge,
    /// The body did not arrive.
    #[error("The body did not arrive in time.")]
    BodyTimeout,
    /// The body is of a kind that is not read here.
    #[error("The content type must be {0}.")]
    UnsupportedMediaType(&'static str),
    /// Too often.
    #[error("Too many requests.")]
    RateLimited(Decision, Timestamp),
    /// Too many sign-ins of one account failed; how long to wait.
    #[error("There were too many failed sign-ins. Try again later.")]
    TooManyFailures(Duration),
    /// Too many mails went out for an account lately.
    #[error("There were too many mails for this account. Try again in an hour.")]
    TooManyMails,
    /// One administrator made too many accounts lately.
    #[error("You made too many accounts lately. Try again in an hour.")]
    TooManyAccounts,
    /// The origin cannot be reached or broke off.
    #[error("The origin could not be reached.")]
    BadGateway,
    /// The origin took too long.
    #[error("The origin did not answer in time.")]
    GatewayTimeout,
    /// A store that we need does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// What was asked is recorded, but cannot be promised to be in force everywhere.
    #[error("{0}")]
    RevocationPending(String),
    /// The signing keys are replaced, but not everyone was told yet.
    #[error("{0}")]
    KeysPending(String),
    /// An access token would be too long to be sent everywhere.
    #[error("{0}")]
    TokenTooLong(String),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl From<Unavailable> for ApiError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Lost(_) => Self::Unavailable(error.to_string()),
            DatabaseError::Refused(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<BadRow> for ApiError {
    fn from(error: BadRow) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<ScopeProblem> for ApiError {
    fn from(problem: ScopeProblem) -> Self {
        Self::InvalidScope(problem.to_string())
    }
}

impl From<HashFailure> for ApiError {
    fn from(failure: HashFailure) -> Self {
        match failure {
            HashFailure::UnknownPepper(_) => Self::Unavailable(failure.to_string()),
            HashFailure::Unusable(_) | HashFailure::Failed(_) => Self::Internal(failure.to_string()),
        }
    }
}

impl From<Unwritable> for ApiError {
    fn from(error: Unwritable) -> Self {
        match error {
            Unwritable::Claims(_) => Self::Internal(error.to_string()),
            Unwritable::TooLong(..) => Self::TokenTooLong(error.to_string()),
        }
    }
}

/// An answer that is complete but for how it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers beside those that every answer has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The problem document as JSON.
    pub body: String,
}

/// A problem (RFC 9457).
#[derive(Serialize, JsonSchema)]
pub struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    request_id: RequestId,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl ApiError {
    /// What is answered to a caller who lacks something.
    #[must_use]
    pub fn lacking(missing: Missing) -> Self {
        match missing {
            Missing::SecondFactor(max_age) => Self::StepUp(max_age),
            missing => Self::Forbidden(missing),
        }
    }

    /// What it is, whoever is told of it.
    #[must_use]
    pub fn itself(&self) -> &Self {
        if let Self::Denied(why) = self { why } else { self }
    }

    /// What a proxy is told that asks about a request: proxies know 401 and 403, and that nobody can tell.
    #[must_use]
    pub fn for_proxies(self) -> Self {
        match self {
            Self::SignIn(_) => Self::Unauthenticated,
            Self::NoForwardAuth => Self::NoForwardAuth,
            other => match other.status_code() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => other,
                status if status.is_server_error() => other,
                _ => Self::Denied(Box::new(other)),
            },
        }
    }

    /// The status, and the RFC 6749 or 6750 code if there is one.
    const fn status(&self) -> (StatusCode, Option<&'static str>) {
        match self {
            Self::Malformed(_)
            | Self::AmbiguousPath
            | Self::WrongPassword
            | Self::InvalidMailToken
            | Self::WrongCode
            | Self::NoSetup => (StatusCode::BAD_REQUEST, None),
            Self::Misdirected => (StatusCode::MISDIRECTED_REQUEST, None),
            // The method and the body stay what they are (RFC 9110, §15.4.9).
            Self::PlainHttp(_) => (StatusCode::PERMANENT_REDIRECT, None),
            Self::SignIn(_) => (StatusCode::FOUND, None),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, Some("invalid_request")),
            Self::UnsupportedGrant => (StatusCode::BAD_REQUEST, Some("unsupported_grant_type")),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, None),
            Self::Conflict(_)
            | Self::NoSecondFactor
            | Self::HasSecondFactor
            | Self::HasChanged
            | Self::BuiltIn
            | Self::InUse(_) => (StatusCode::CONFLICT, None),
            Self::BadCredentials
            | Self::InvalidRefresh
            | Self::RefreshReuse
            | Self::BadCode
            | Self::InvalidMfaToken => (StatusCode::UNAUTHORIZED, Some("invalid_grant")),
            Self::Unauthenticated | Self::InvalidCertificate => (StatusCode::UNAUTHORIZED, None),
            Self::InvalidToken(_) | Self::InvalidKey(_) => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Self::StepUp(_) => (StatusCode::UNAUTHORIZED, Some("insufficient_user_authentication")),
            Self::ForeignOrigin | Self::EmailNotVerified | Self::NotTheProxy | Self::Unclear(_) | Self::Denied(_) => {
                (StatusCode::FORBIDDEN, None)
            }
            Self::InvalidScope(_) => (StatusCode::BAD_REQUEST, Some("invalid_scope")),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            Self::NotFound | Self::NoForwardAuth => (StatusCode::NOT_FOUND, None),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, None),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, None),
            Self::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
            Self::RateLimited(..) | Self::TooManyFailures(_) | Self::TooManyMails | Self::TooManyAccounts => {
                (StatusCode::TOO_MANY_REQUESTS, None)
            }
            Self::BadGateway => (StatusCode::BAD_GATEWAY, None),
            Self::GatewayTimeout => (StatusCode::GATEWAY_TIMEOUT, None),
            Self::Unavailable(_) | Self::RevocationPending(_) | Self::KeysPending(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, None)
            }
            Self::TokenTooLong(_) | Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
        }
    }

    /// The status.
    #[must_use]
    pub const fn status_code(&self) -> StatusCode {
        self.status().0
    }

    /// What the client is told.
    fn detail(&self) -> String {
        match self {
            Self::Unavailable(_) => "Something this needs is not answering. Try again.".to_owned(),
            Self::RevocationPending(_) => {
                "This is recorded, but may not be in force everywhere yet. Try again.".to_owned()
            }
            Self::KeysPending(_) => {
                "The keys are replaced; that is recorded, but may not be in force everywhere yet. It is seen to. \
                 Sign in again to look at them; asking again would replace them once more."
                    .to_owned()
            }
            Self::TokenTooLong(_) => {
                "This account holds more than a token can say. An administrator can give it fewer roles.".to_owned()
            }
            Self::Internal(_) => "Something went wrong on our side.".to_owned(),
            other => other.to_string(),
        }
    }

    /// What only the log is told: for a fault of ours what happened, for a refusal the closed reason.
    #[must_use]
    pub fn log_reason(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Unavailable(what) => Some(("unavailable", what.clone())),
            Self::RevocationPending(what) => Some(("revocation_pending", what.clone())),
            Self::KeysPending(what) => Some(("keys_pending", what.clone())),
            Self::TokenTooLong(what) => Some(("token_too_long", what.clone())),
            Self::Internal(what) => Some(("internal", what.clone())),
            Self::BadGateway => Some(("bad_gateway", String::new())),
            Self::GatewayTimeout => Some(("gateway_timeout", String::new())),
            Self::InvalidToken(why) => Some(("invalid_token", why.to_string())),
            Self::InvalidKey(why) => Some(("invalid_api_key", why.to_string())),
            Self::Forbidden(missing) => Some(("forbidden", missing.to_string())),
            Self::StepUp(_) => Some(("second_factor", self.to_string())),
            Self::InvalidCertificate => Some(("invalid_certificate", String::new())),
            Self::Unauthenticated => Some(("unauthenticated", String::new())),
            Self::SignIn(_) => Some(("sign_in", String::new())),
            Self::ForeignOrigin => Some(("foreign_origin", String::new())),
            Self::RateLimited(..) => Some(("rate_limited", String::new())),
            Self::TooManyFailures(_) => Some(("too_many_failures", String::new())),
            Self::TooManyMails => Some(("too_many_mails", String::new())),
            Self::TooManyAccounts => Some(("too_many_accounts", String::new())),
            Self::InvalidMfaToken => Some(("invalid_mfa_token", String::new())),
            Self::InvalidMailToken => Some(("invalid_mail_token", String::new())),
            Self::EmailNotVerified => Some(("email_not_verified", String::new())),
            Self::Misdirected => Some(("misdirected", String::new())),
            Self::AmbiguousPath => Some(("ambiguous_path", String::new())),
            Self::NotTheProxy => Some(("not_the_proxy", String::new())),
            Self::Unclear(why) => Some(("unclear", why.to_string())),
            Self::Denied(why) => why.log_reason(),
            _ => None,
        }
    }

    /// What happened, for the log of a request that it did not end.
    #[must_use]
    pub fn cause(&self) -> String {
        self.log_reason().map_or_else(|| self.to_string(), |(_, what)| what)
    }

    /// The answer.
    #[must_use]
    pub fn reply(&self, request_id: RequestId) -> Reply {
        let (status, code) = self.status();
        let errors: &[FieldError] = match self {
            Self::Invalid(errors) | Self::Conflict(errors) => errors,
            _ => &[],
        };
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail(),
            request_id,
            errors,
            error: code,
        };
        let mut headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        headers.extend(self.challenge().map(|value| (header::WWW_AUTHENTICATE, value)));
        if let Self::RateLimited(decision, now) = self.itself() {
            headers.extend(limit_headers(decision, *now));
        }
        let wait = match self {
            Self::TooManyFailures(wait) => Some(*wait),
            Self::TooManyMails | Self::TooManyAccounts => Some(Duration::from_hours(1)),
            _ => None,
        };
        headers.extend(wait.map(|wait| (header::RETRY_AFTER, whole_seconds(millis(wait)))));
        if let Self::PlainHttp(to) | Self::SignIn(to) = self {
            headers.extend(HeaderValue::try_from(to).ok().map(|value| (header::LOCATION, value)));
        }
        let body = serde_json::to_string(&problem).unwrap_or_default();
        Reply { status, headers, body }
    }

    /// `WWW-Authenticate` (RFC 6750, §3): it says what is missing.
    fn challenge(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Unauthenticated
            | Self::InvalidCertificate
            | Self::BadCredentials
            | Self::InvalidRefresh
            | Self::RefreshReuse
            | Self::BadCode
            | Self::InvalidMfaToken => {
                format!("Bearer realm=\"{REALM}\"")
            }
            Self::InvalidToken(_) | Self::InvalidKey(_) => format!("Bearer realm=\"{REALM}\", error=\"invalid_token\""),
            Self::Forbidden(Missing::Permissions(missing)) => {
                let scope = missing.join(" ");
                format!("Bearer realm=\"{REALM}\", error=\"insufficient_scope\", scope=\"{scope}\"")
            }
            Self::Forbidden(_) => format!("Bearer realm=\"{REALM}\", error=\"insufficient_scope\""),
            // RFC 9470, §3.
            Self::StepUp(max_age) => {
                let max_age = max_age.map(|age| format!(", max_age=\"{}\"", age.as_secs())).unwrap_or_default();
                format!(
                    "Bearer realm=\"{REALM}\", error=\"insufficient_user_authentication\", \
                     error_description=\"A second factor is required\"{max_age}"
                )
            }
            _ => return None,
        };
        HeaderValue::try_from(text).ok()
    }
}

/// `X-RateLimit-*` for the tightest rule, and `Retry-After` in whole seconds on a refusal.
#[must_use]
pub fn limit_headers(decision: &Decision, now: Timestamp) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(decision.limit)),
        (HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(decision.remaining)),
        (HeaderName::from_static("x-ratelimit-reset"), whole_seconds(decision.reset_ms.max(now.millis()))),
    ];
    if !decision.admitted {
        headers.push((header::RETRY_AFTER, whole_seconds(decision.retry_after_ms.max(1))));
    }
    headers
}

/// Milliseconds as seconds, rounded up: who waits so long has waited long enough.
fn whole_seconds(ms: i64) -> HeaderValue {
    HeaderValue::from((ms.max(0) + 999) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(error: &ApiError) -> (u16, serde_json::Value, Vec<String>) {
        let id = RequestId::new(Timestamp::from_secs(1), &[0; 10]);
        let reply = error.reply(id);
        let headers = reply.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        (reply.status.as_u16(), serde_json::from_str(&reply.body).unwrap(), headers.collect())
    }

    #[test]
    fn our_faults_are_bland_and_carry_the_request_id() {
        for error in [ApiError::Internal("SELECT x".into()), ApiError::Unavailable("d1 at 10.0.0.1".into())] {
            let (status, body, _) = reply(&error);
            assert!(status >= 500);
            assert!(!body.to_string().contains("SELECT") && !body.to_string().contains("10.0.0.1"));
            assert!(body["request_id"].is_string());
            assert!(error.log_reason().is_some());
        }
    }

    #[test]
    fn a_challenge_says_what_is_missing() {
        let (status, body, headers) = reply(&ApiError::Forbidden(Missing::Permissions(vec!["users:write".into()])));
        assert_eq!((status, body["error"].as_str()), (403, Some("insufficient_scope")));
        assert!(headers.iter().any(|h| h.ends_with("scope=\"users:write\"")), "{headers:?}");
        let (status, body, headers) = reply(&ApiError::InvalidToken(Refusal::Expired));
        assert_eq!((status, body["error"].as_str()), (401, Some("invalid_token")));
        assert!(headers.iter().any(|h| h.contains("error=\"invalid_token\"")));
        assert!(!body.to_string().contains("expired"), "why is for the log");
    }

    #[test]
    fn a_limit_says_when_to_come_back_rounded_up() {
        let decision = Decision { admitted: false, limit: 5, remaining: 0, reset_ms: 61_001, retry_after_ms: 1_001 };
        let (status, _, headers) = reply(&ApiError::RateLimited(decision, Timestamp::from_secs(60)));
        assert_eq!(status, 429);
        for wanted in ["retry-after: 2", "x-ratelimit-limit: 5", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 62"] {
            assert!(headers.iter().any(|h| h == wanted), "{headers:?}");
        }
    }
}
