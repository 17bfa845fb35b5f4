//! Signing in with a password, whatever is given for it: tokens or a cookie, or the question for a second factor.

use axum::http::{HeaderMap, header};

use super::{
    Opened, challenge, device,
    prove::{Proven, Wrong, excused, fail, prove, refuse},
};
use crate::{
    api::{Connection, extract::OauthForm, form::Fields, limits},
    app::{App, Grant, Publication},
    domain::{
        audit::{Entry, Event},
        device::{Device, Known},
        mail::Kind,
        revocation,
        scope::Scope,
        session::{Holding, NewSession},
        user::Identifier,
    },
    error::ApiError,
    stores::{
        audit,
        sign_in::{self, ByPassword, Opening, VerifiedHash},
        users::Account,
    },
};

/// How a password sign-in is told in `amr` (RFC 8176, §2).
const PASSWORD: &str = "pwd";

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
/// is. (4) The session is opened, or a second factor is asked for.
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
    let scope = granted(app, connection, &proven, scope.as_ref()).await?;
    // (4)
    if proven.account.user.mfa_enabled {
        return challenge::ask(app, connection, proven, scope.as_deref(), holding).await.map(Opened::Challenged);
    }
    open(app, connection, proven, scope.as_deref(), holding, headers).await
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

/// What of a scope is theirs.
async fn granted(
    app: &App,
    connection: &Connection,
    proven: &Proven,
    scope: Option<&Scope>,
) -> Result<Option<String>, ApiError> {
    let Some(scope) = scope else { return Ok(None) };
    let user = &proven.account.user;
    let bundle = excused(app, proven.attempt, app.bundle().await).await?;
    match scope.granted(&user.roles(app.ports.clock.now()), &bundle.roles) {
        Ok(scope) => Ok(Some(scope)),
        Err(problem) => Err(refuse(app, connection, proven.attempt, user.id, problem.into()).await),
    }
}

/// (1) Whatever the session is held by is made; and a new hash, where the stored one is not as one is made now. (2) One
/// batch records it, and ends the session that the browser had, and the one that was used longest ago where there are too
/// many; only then is anything given out. (3) What that ended is told. (4) The browser gets a cookie
/// by which it is known again.
async fn open(
    app: &App,
    connection: &Connection,
    proven: Proven,
    scope: Option<&str>,
    holding: Holding,
    headers: &mut HeaderMap,
) -> Result<Opened, ApiError> {
    let Proven { account, stale, attempt, device, keys_version } = proven;
    let Account { user, password_hash, password_version, .. } = account;
    let renewed = stale.map(|stale| app.config.hasher.renew(&stale)).transpose()?;
    let now = app.ports.clock.now();
    // (1)
    let session = NewSession::open(app.ports.new_session_id(), holding, app.ports.random(), &app.config.lifetimes, now);
    let amr = [PASSWORD.to_owned()];
    let grant = Grant {
        user: &user,
        session: session.id,
        amr: &amr,
        scope,
        signed_in_at: now,
        session_expires_at: session.expires_at,
    };
    let opened = excused(app, attempt, Opened::new(app, &session, grant, keys_version, now).await).await?;
    // (2)
    let entry =
        |event| Entry { subject: Some(user.id), session: Some(session.id), ..connection.entry(app, event, now) };
    let (success, ended) = (entry(Event::LoginSuccess), entry(Event::SessionEnded));
    let known = Known { user: user.id, password_version };
    let is_known = device.as_ref().is_some_and(|device| device.users().contains(&known));
    // The first sign-in of all is no news.
    let tells = !is_known && user.last_login_at.is_some();
    let new_device = app.letter(Kind::NewDevice, &connection.origin, now);
    let opening = Opening {
        attempt,
        session: &session,
        replaced: connection.replaced_session(app, holding),
        max_sessions: app.config.session_limit,
        revoked_until: app.revoked_until(now),
        success: &success,
        ended: &ended,
        new_device: tells.then_some((&new_device, app.config.mails_an_hour)),
    };
    let hash = VerifiedHash { stored: &password_hash, renewed: renewed.as_deref() };
    let by = ByPassword { user: &user, hash, amr: &amr, scope };
    let record = sign_in::record_success(app.ports.database.as_ref(), opening, by);
    let (recorded, ()) = futures_util::future::join(record, opened.spread(app)).await;
    let Some(revoked) = recorded? else {
        // It changed under way, so that nobody signed in: a failure like any other.
        opened.withdraw(app).await;
        return Err(fail(app, connection, attempt, Some(user.id), Wrong::Password).await);
    };
    audit::log(app.ports.log.as_ref(), &success);
    // (3)
    tell_ended(app, &revoked, &ended).await;
    // (4)
    if tells {
        app.note_mail();
    }
    know(app, device, known, headers);
    Ok(opened)
}

/// Makes known which sessions a sign-in has ended, if it has.
pub async fn tell_ended(app: &App, revoked: &[revocation::Entry], ended: &Entry) {
    if revoked.is_empty() {
        return;
    }
    audit::log(app.ports.log.as_ref(), ended);
    // The feed finds it in the record by itself; who signs in need not wait for that.
    if let Err(error) = app.publish(revoked, None, Publication::First).await {
        app.log_fault("revocation", &error.cause());
    }
}

/// Has a browser keep who has signed in from it.
pub fn know(app: &App, device: Option<Device>, known: Known, headers: &mut HeaderMap) {
    let device = device.unwrap_or_else(|| Device::new(app.ports.random())).with_user(known);
    let line = device::set_cookie(&device, &app.config, app.ports.clock.now());
    headers.extend(line.map(|line| (header::SET_COOKIE, line)));
}
