//! Signing in with a password, whatever is given for it: tokens or a cookie.

use axum::http::{HeaderMap, header};
use base64ct::{Base64UrlUnpadded, Encoding};

use super::{Opened, device};
use crate::{
    api::{Connection, extract::OauthForm, form::Fields, limits},
    app::{App, Grant, Publication},
    domain::{
        audit::{Entry, Event},
        device::{Device, Known},
        id::{RowId, UserId},
        mail::Kind,
        password::{Checked, Stale},
        scope::Scope,
        session::{Holding, NewSession},
        user::Identifier,
    },
    error::ApiError,
    stores::{
        audit,
        sign_in::{self, Attempt, Opening, Reserved, VerifiedHash},
        users::Account,
    },
};

/// How a password sign-in is told in `amr` (RFC 8176, §2).
const PASSWORD: &str = "pwd";
/// What the MAC that stands for an unknown account is for.
const UNKNOWN_ACCOUNT: &str = "edgewarden unknown account v1";

/// What somebody signs in with.
pub struct Credentials {
    /// A username or an address, as typed.
    identifier: String,
    /// The password, as typed.
    password: String,
    /// What the session is to be narrowed to.
    scope: Option<String>,
}

impl Credentials {
    /// Of a JSON object; what is wrong with it, `fields` know.
    pub fn of_json(fields: &mut Fields) -> Self {
        let [identifier, password] =
            ["username", "password"].map(|name| fields.required_text(name).unwrap_or_default());
        Self { identifier, password, scope: fields.optional_text("scope") }
    }

    /// Of a form.
    pub fn of_form(form: &OauthForm) -> Result<Self, ApiError> {
        Ok(Self {
            identifier: form.required("username")?.to_owned(),
            password: form.required("password")?.to_owned(),
            scope: form.value("scope").map(ToOwned::to_owned),
        })
    }
}

/// (1) The limit by address, before any work; if it cannot answer, nobody signs in. (2) What is asked for. (3) Who it
/// is. (4) The session is opened.
///
/// `headers` are those of the answer, successful or not: what the limit has left, and by which the browser is known
/// again.
pub async fn sign_in(
    app: &App,
    connection: &Connection,
    credentials: &Credentials,
    holding: Holding,
    headers: &mut HeaderMap,
) -> Result<Opened, ApiError> {
    // (1)
    limits::admit(app, connection, &app.config.sign_in_limit, headers).await?;
    // (2)
    let scope = match &credentials.scope {
        Some(text) => Some(Scope::parse(text, &app.bundle().await?.roles)?),
        None => None,
    };
    // (3)
    let identifier = Identifier::new(&credentials.identifier);
    let proven = prove(app, connection, &identifier, &credentials.password).await?;
    require_verified(app, connection, &proven).await?;
    // (4)
    open(app, connection, proven, scope.as_ref(), holding, headers).await
}

/// An account whose password was given, and the attempt that it was given in.
pub struct Proven {
    account: Account,
    /// Its hash is not as one is made now.
    stale: Option<Stale>,
    attempt: RowId,
    device: Option<Device>,
    keys_version: i64,
}

/// (1) One batch reserves the attempt, if there were not too many, and reads the account. (2) The password is hashed,
/// against a decoy where there is no account, so that both cost the same. (3) A failure is recorded, and closes the
/// account if it is one too many.
async fn prove(app: &App, connection: &Connection, identifier: &Identifier, typed: &str) -> Result<Proven, ApiError> {
    let (database, rules, now) = (app.ports.database.as_ref(), &app.config.attempts, app.ports.clock.now());
    let device = device::read(connection, &app.config, now);
    // (1)
    let mac = app.config.token_mac_key.current().mac(UNKNOWN_ACCOUNT, &[identifier.as_str().as_bytes()]);
    let attempt = Attempt {
        id: app.ports.new_row_id(),
        identifier,
        unknown_account: Base64UrlUnpadded::encode_string(&mac),
        device: device.as_ref(),
        rules,
        at: now,
    };
    let blocked = connection.entry(app, Event::LoginBlocked, now);
    let (account, keys_version) = match sign_in::reserve(database, &attempt, &blocked).await? {
        Reserved::Attempt { account, keys_version } => (account, keys_version),
        Reserved::Blocked(obstacles) => {
            audit::log(app.ports.log.as_ref(), &blocked);
            return Err(ApiError::TooManyFailures(rules.retry_after(obstacles, now)));
        }
    };
    // (2)
    let attempt = attempt.id;
    let stored = account.as_ref().map(|account| account.password_hash.as_str());
    let checked = app.config.hasher.check(stored, typed)?;
    // (3)
    let known = account.as_ref().map(|account| account.user.id);
    if let (Some(account), Checked::Right { stale }) = (account.filter(|account| account.user.is_active), checked) {
        return Ok(Proven { account, stale, attempt, device, keys_version });
    }
    Err(fail(app, connection, attempt, known).await)
}

/// (1) Whatever the session is held by is made; and a new hash, where the stored one is not as one is made now. (2) One
/// batch records it, and ends the session that the browser had, and the one that was used longest ago where there are too
/// many; only then is anything given out. (3) What that ended is told. (4) The browser gets a cookie
/// by which it is known again.
async fn open(
    app: &App,
    connection: &Connection,
    proven: Proven,
    scope: Option<&Scope>,
    holding: Holding,
    headers: &mut HeaderMap,
) -> Result<Opened, ApiError> {
    let Proven { account: Account { user, password_hash, password_version }, stale, attempt, device, keys_version } =
        proven;
    let renewed = stale.map(|stale| app.config.hasher.renew(&stale)).transpose()?;
    let now = app.ports.clock.now();
    // (1)
    let session = NewSession::open(app.ports.new_session_id(), holding, app.ports.random(), &app.config.lifetimes, now);
    let scope = match scope {
        None => None,
        Some(scope) => match scope.granted(&user.roles, &app.bundle().await?.roles) {
            Ok(scope) => Some(scope),
            Err(problem) => return Err(refuse(app, connection, attempt, user.id, problem.into()).await),
        },
    };
    let amr = [PASSWORD.to_owned()];
    let grant = Grant {
        user: &user,
        session: session.id,
        amr: &amr,
        scope: scope.as_deref(),
        signed_in_at: now,
        session_expires_at: session.expires_at,
    };
    let opened = Opened::new(app, &session, grant, keys_version, now).await?;
    // (2)
    let entry =
        |event| Entry { subject: Some(user.id), session: Some(session.id), ..connection.entry(app, event, now) };
    let (success, ended) = (entry(Event::LoginSuccess), entry(Event::SessionEnded));
    let known = Known { user: user.id, password_version };
    let is_known = device.as_ref().is_some_and(|device| device.users().contains(&known));
    // What was known to whoever used this browser before is worth nothing after.
    let replaced = match holding {
        Holding::Cookie { .. } => connection.session_cookie(app),
        Holding::Tokens => None,
    };
    // The first sign-in of all is no news.
    let tells = !is_known && user.last_login_at.is_some();
    let new_device = app.letter(Kind::NewDevice, &connection.origin, now);
    let opening = Opening {
        attempt,
        user: &user,
        hash: VerifiedHash { stored: &password_hash, renewed: renewed.as_deref() },
        session: &session,
        amr: &amr,
        scope: scope.as_deref(),
        replaced,
        max_sessions: app.config.session_limit,
        revoked_until: app.revoked_until(now),
        success: &success,
        ended: &ended,
        new_device: tells.then_some((&new_device, app.config.mails_an_hour)),
    };
    let record = sign_in::record_success(app.ports.database.as_ref(), opening);
    let (recorded, ()) = futures_util::future::join(record, opened.spread(app)).await;
    let Some(revoked) = recorded? else {
        // It changed under way, so that nobody signed in: a failure like any other.
        opened.withdraw(app).await;
        return Err(fail(app, connection, attempt, Some(user.id)).await);
    };
    audit::log(app.ports.log.as_ref(), &success);
    // (3)
    if !revoked.is_empty() {
        audit::log(app.ports.log.as_ref(), &ended);
        // The feed finds it in the record by itself; who signs in need not wait for that.
        if let Err(error) = app.publish(&revoked, None, Publication::First).await {
            app.log_fault("revocation", &error.cause());
        }
    }
    // (4)
    if tells {
        app.note_mail();
    }
    let device = device.unwrap_or_else(|| Device::new(app.ports.random())).with_user(known);
    headers.extend(device::set_cookie(&device, &app.config, now).map(|line| (header::SET_COOKIE, line)));
    Ok(opened)
}

/// Under `REQUIRE_VERIFIED_EMAIL`, ends a sign-in to an account whose address is not proven. Whoever is told so has shown
/// the password.
async fn require_verified(app: &App, connection: &Connection, proven: &Proven) -> Result<(), ApiError> {
    let user = &proven.account.user;
    if user.email_verified || !app.config.require_verified_email {
        return Ok(());
    }
    Err(refuse(app, connection, proven.attempt, user.id, ApiError::EmailNotVerified).await)
}

/// Records that the password was right but nobody signed in, and is what is answered then: it is in the log like any
/// failure, and counts as none.
async fn refuse(app: &App, connection: &Connection, attempt: RowId, user: UserId, why: ApiError) -> ApiError {
    let now = app.ports.clock.now();
    let failed = Entry { subject: Some(user), ..connection.entry(app, Event::LoginFailure, now) };
    match sign_in::record_refused(app.ports.database.as_ref(), attempt, &failed).await {
        Ok(()) => audit::log(app.ports.log.as_ref(), &failed),
        Err(error) => return error,
    }
    why
}

/// Records a failure, and what it may have closed, and is what is answered then.
async fn fail(app: &App, connection: &Connection, attempt: RowId, subject: Option<UserId>) -> ApiError {
    let now = app.ports.clock.now();
    let entry = |event| Entry { subject, ..connection.entry(app, event, now) };
    let (failed, locked) = (entry(Event::LoginFailure), entry(Event::AccountLocked));
    let (database, rules) = (app.ports.database.as_ref(), &app.config.attempts);
    let closed = app.letter(Kind::SignInClosed, &failed.origin, failed.at);
    match sign_in::record_failure(database, attempt, rules, &failed, &locked, &closed).await {
        Ok(written) => {
            if written.len() > 1 {
                app.note_mail();
            }
            for entry in written {
                audit::log(app.ports.log.as_ref(), entry);
            }
        }
        Err(error) => return error,
    }
    ApiError::BadCredentials
}

/// Confirms the password of somebody who is signed in already, for what a session alone must not do. It counts as an
/// attempt to sign in: who holds a session cannot guess more than who does not. The change that it is for is to resolve
/// the attempt with [`sign_in::succeeded`].
pub async fn confirm(app: &App, connection: &Connection, username: &str, typed: &str) -> Result<Confirmed, ApiError> {
    match prove(app, connection, &Identifier::new(username), typed).await {
        Ok(Proven { account, attempt, .. }) => Ok(Confirmed { account, attempt }),
        Err(ApiError::BadCredentials) => Err(ApiError::WrongPassword),
        Err(error) => Err(error),
    }
}

/// An account whose password was confirmed.
pub struct Confirmed {
    /// The account.
    pub account: Account,
    /// The attempt that it was given in.
    pub attempt: RowId,
}
