//! `POST auth/token`: the OAuth2 password and refresh grants (RFC 6749, §4.3 and §6).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{TokenAnswer, device, refresh};
use crate::{
    api::{Connection, extract::OauthForm, limits},
    app::{App, Grant},
    domain::{
        audit::{Entry, Event},
        device::{Device, Known},
        id::RowId,
        password::{self, Password},
        session::NewSession,
        token::refresh::RefreshToken,
        user::Identifier,
    },
    error::ApiError,
    stores::{
        audit,
        sign_in::{self, Attempt, Reserved},
        users::Account,
    },
};

/// How a password sign-in is told in `amr` (RFC 8176, §2).
const PASSWORD: &str = "pwd";
/// What the MAC that stands for an unknown account is for.
const UNKNOWN_ACCOUNT: &str = "edgewarden unknown account v1";

/// Answers either grant; a sign-in, successful or not, says what its limit has left, and a successful
/// one leaves a cookie by which the browser is known again.
pub async fn token(
    State(app): State<Arc<App>>,
    connection: Connection,
    sent: HeaderMap,
    form: OauthForm,
) -> (HeaderMap, Result<Json<TokenAnswer>, ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = grant(&app, connection, &sent, &form, &mut headers).await;
    (headers, answer.map(Json))
}

async fn grant(
    app: &App,
    connection: Connection,
    sent: &HeaderMap,
    form: &OauthForm,
    headers: &mut HeaderMap,
) -> Result<TokenAnswer, ApiError> {
    match form.value("grant_type") {
        None | Some("password") => {
            let (identifier, password) = (form.required("username")?, form.required("password")?);
            let device = device::read(sent, &app.config.token_mac_key, app.ports.clock.now());
            sign_in(app, connection, device, &Identifier::new(identifier), password, headers).await
        }
        Some("refresh_token") => refresh::exchange(app, connection, form.required("refresh_token")?).await,
        Some(_) => Err(ApiError::UnsupportedGrant),
    }
}

/// (1) The limit by address, before any work; if it cannot answer, nobody signs in. (2) One batch
/// reserves the attempt, if there were not too many, and reads the account. (3) The password is
/// hashed, against a decoy where there is no account, so that both cost the same. (4) The tokens are
/// made. (5) One batch records what came of it; only then are they given out.
async fn sign_in(
    app: &App,
    connection: Connection,
    device: Option<Device>,
    identifier: &Identifier,
    password: &str,
    headers: &mut HeaderMap,
) -> Result<TokenAnswer, ApiError> {
    let (database, rules) = (app.ports.database.as_ref(), &app.config.attempts);
    // (1)
    limits::admit(app, &connection, &app.config.sign_in_limit, headers).await?;
    let now = app.ports.clock.now();
    // (2)
    let mac = app.config.token_mac_key.current().mac(UNKNOWN_ACCOUNT, &[identifier.as_str().as_bytes()]);
    let attempt = Attempt {
        id: app.ports.new_row_id(),
        identifier,
        unknown_account: Base64UrlUnpadded::encode_string(&mac),
        device: device.as_ref(),
        rules,
        at: now,
    };
    let entry = |event, subject, session| Entry {
        id: app.ports.new_row_id(),
        at: now,
        event,
        subject,
        session,
        origin: connection.origin.clone(),
    };
    let blocked = entry(Event::LoginBlocked, None, None);
    let (account, keys_version) = match sign_in::reserve(database, &attempt, &blocked).await? {
        Reserved::Attempt { account, keys_version } => (account, keys_version),
        Reserved::Blocked(obstacles) => {
            audit::log(app.ports.log.as_ref(), &blocked);
            return Err(ApiError::TooManyFailures(rules.retry_after(obstacles, now)));
        }
    };
    // (3)
    let right = check_password(app, account.as_ref(), password)?;
    let subject = account.as_ref().map(|account| account.user.id);
    let failed = || [Event::LoginFailure, Event::AccountLocked].map(|event| entry(event, subject, None));
    let Some(account) = account.filter(|account| right && account.user.is_active) else {
        return Err(fail(app, attempt.id, failed()).await);
    };
    let Account { user, password_hash, password_version } = account;
    // (4)
    let session = NewSession::open(app.ports.new_session_id(), app.ports.random(), &app.config.lifetimes, now);
    let amr = [PASSWORD.to_owned()];
    let grant = Grant {
        user: &user,
        session: session.id,
        amr: &amr,
        signed_in_at: now,
        session_expires_at: session.expires_at,
    };
    let access = app.issue_access(grant, keys_version).await?;
    let refresh = app.encode_refresh(&RefreshToken::first(session.id, session.salt));
    // (5)
    let success = entry(Event::LoginSuccess, subject, Some(session.id));
    if !sign_in::record_success(database, attempt.id, &user, &password_hash, &session, &amr, &success).await? {
        // It changed under way, so that nobody signed in: a failure like any other.
        return Err(fail(app, attempt.id, failed()).await);
    }
    audit::log(app.ports.log.as_ref(), &success);
    let known = Known { user: user.id, password_version };
    let device = device.unwrap_or_else(|| Device::new(app.ports.random())).with_user(known);
    headers.extend(device::set_cookie(&device, &app.config.token_mac_key, now).map(|line| (header::SET_COOKIE, line)));
    Ok(TokenAnswer::new(access, refresh, session.id))
}

/// Records a failure, and what it may have closed, and is what is answered then.
async fn fail(app: &App, attempt: RowId, [failed, locked]: [Entry; 2]) -> ApiError {
    let recorded =
        sign_in::record_failure(app.ports.database.as_ref(), attempt, &app.config.attempts, &failed, &locked).await;
    match recorded {
        Ok(written) => written.into_iter().for_each(|entry| audit::log(app.ports.log.as_ref(), entry)),
        Err(error) => return error,
    }
    ApiError::BadCredentials
}

/// Hashes once, whatever there is to hash against.
fn check_password(app: &App, account: Option<&Account>, typed: &str) -> Result<bool, ApiError> {
    let decoy = app.config.password_cost.decoy();
    let hash = account.map_or(decoy.as_str(), |account| account.password_hash.as_str());
    // A text that is too long to be a password is not hashed; an empty one in its place is, so
    // that the cost is the same.
    let (password, possible) = match Password::presented(typed) {
        Some(password) => (Some(password), true),
        None => (Password::presented(""), false),
    };
    let password = password.ok_or_else(|| ApiError::Internal("no password".to_owned()))?;
    let matches = password::verify(hash, &password).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(matches && possible && account.is_some())
}
