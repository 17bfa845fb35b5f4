//! Proving a password, as an attempt that counts: for a sign-in, or to confirm what a session alone must not do.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::device;
use crate::{
    api::Connection,
    app::App,
    domain::{
        audit::{Entry, Event},
        device::Device,
        id::{RowId, UserId},
        mail::Kind,
        mfa::TotpSecret,
        password::{Checked, Stale},
        user::Identifier,
    },
    error::ApiError,
    stores::{
        audit,
        mfa::Factor,
        sign_in::{self, Attempt, Failed},
        users::Account,
    },
};

/// What the MAC that stands for an unknown account is for.
const UNKNOWN_ACCOUNT: &str = "edgewarden unknown account v1";

/// An account whose password was given, and the attempt that it was given in.
pub struct Proven {
    /// The account.
    pub account: Account,
    /// Its hash is not as one is made now.
    pub stale: Option<Stale>,
    /// The attempt.
    pub attempt: RowId,
    /// The browser, if somebody has signed in from it before.
    pub device: Option<Device>,
    /// The version of the signing keys.
    pub keys_version: i64,
}

/// An attempt that may be made.
struct Reserved {
    account: Option<Account>,
    attempt: RowId,
    device: Option<Device>,
    keys_version: i64,
}

/// One batch reserves the attempt, if there were not too many, and reads the account.
async fn reserve(app: &App, connection: &Connection, identifier: &Identifier) -> Result<Reserved, ApiError> {
    let (rules, now) = (&app.config.attempts, app.ports.clock.now());
    let device = device::read(connection, &app.config, now);
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
    match sign_in::reserve(app.ports.database.as_ref(), &attempt, &blocked).await? {
        sign_in::Reserved::Attempt { account, keys_version } => {
            let (account, attempt) = (account.map(|account| *account), attempt.id);
            Ok(Reserved { account, attempt, device, keys_version })
        }
        sign_in::Reserved::Blocked(obstacles) => {
            audit::log(app.ports.log.as_ref(), &blocked);
            Err(ApiError::TooManyFailures(rules.retry_after(obstacles, now)))
        }
    }
}

/// (1) The attempt is reserved, and the account read. (2) The password is hashed,
/// against a decoy where there is no account, so that both cost the same. (3) A failure is recorded, and closes the
/// account if it is one too many.
pub async fn prove(
    app: &App,
    connection: &Connection,
    identifier: &Identifier,
    typed: &str,
) -> Result<Proven, ApiError> {
    // (1)
    let Reserved { account, attempt, device, keys_version } = reserve(app, connection, identifier).await?;
    // (2)
    let stored = account.as_ref().map(|account| account.password_hash.as_str());
    let checked = app.config.hasher.check(stored, typed)?;
    // (3)
    let known = account.as_ref().map(|account| account.user.id);
    if let (Some(account), Checked::Right { stale }) = (account.filter(|account| account.user.is_active), checked) {
        return Ok(Proven { account, stale, attempt, device, keys_version });
    }
    Err(fail(app, connection, attempt, known, Wrong::Password).await)
}

/// What was wrong with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The password.
    Password,
    /// The second factor, after a password that was right.
    Code,
}

/// Records a failure, and what it may have closed, and is what is answered then.
pub async fn fail(
    app: &App,
    connection: &Connection,
    attempt: RowId,
    subject: Option<UserId>,
    wrong: Wrong,
) -> ApiError {
    let now = app.ports.clock.now();
    let entry = |event| Entry { subject, ..connection.entry(app, event, now) };
    let (event, answer) = match wrong {
        Wrong::Password => (Event::LoginFailure, ApiError::BadCredentials),
        Wrong::Code => (Event::MfaFailure, ApiError::WrongCode),
    };
    let (failed, locked) = (entry(event), entry(Event::AccountLocked));
    let closed = app.letter(Kind::SignInClosed, &failed.origin, failed.at);
    let rules = &app.config.attempts;
    let what = Failed { attempt, rules, failed: &failed, locked: &locked, closed: &closed };
    match sign_in::record_failure(app.ports.database.as_ref(), what, wrong == Wrong::Code).await {
        Ok(written) => tell_failure(app, written),
        Err(error) => return error,
    }
    answer
}

/// Logs what was written of a failure; more than one row if that closed the account.
pub fn tell_failure<'e>(app: &App, written: impl IntoIterator<Item = &'e Entry>) {
    for (number, entry) in written.into_iter().enumerate() {
        if number > 0 {
            app.note_mail();
        }
        audit::log(app.ports.log.as_ref(), entry);
    }
}

/// Records that the password was right but nobody signed in, and is what is answered then: it is in the log like any
/// failure, and counts as none.
pub async fn refuse(app: &App, connection: &Connection, attempt: RowId, user: UserId, why: ApiError) -> ApiError {
    let now = app.ports.clock.now();
    let failed = Entry { subject: Some(user), ..connection.entry(app, Event::LoginFailure, now) };
    match sign_in::record_refused(app.ports.database.as_ref(), attempt, &failed).await {
        Ok(()) => audit::log(app.ports.log.as_ref(), &failed),
        Err(error) => return error,
    }
    why
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

/// The account of somebody who is signed in, and an attempt to show a second factor alone.
pub async fn try_factor(app: &App, connection: &Connection, username: &str) -> Result<Confirmed, ApiError> {
    let Reserved { account, attempt, .. } = reserve(app, connection, &Identifier::new(username)).await?;
    let account = account.filter(|account| account.user.is_active).ok_or(ApiError::Unauthenticated);
    Ok(Confirmed { account: excused(app, attempt, account).await?, attempt })
}

/// The secret of a second factor. That it does not open is a fault of ours.
pub async fn open_factor(app: &App, user: UserId, factor: &Factor, attempt: RowId) -> Result<TotpSecret, ApiError> {
    let opened = app.ports.crypto.open_totp(user, &factor.sealed).await;
    excused(app, attempt, opened.map_err(ApiError::from)).await
}

/// What came of something that is no fault of whose password was right: if it failed, the attempt counts no more.
pub async fn excused<T>(app: &App, attempt: RowId, outcome: Result<T, ApiError>) -> Result<T, ApiError> {
    if outcome.is_err()
        && let Err(error) = sign_in::resolve(app.ports.database.as_ref(), attempt).await
    {
        app.log_fault("sign-in attempt", &error.cause());
    }
    outcome
}

/// An account that something was confirmed of, or is to be.
pub struct Confirmed {
    /// The account.
    pub account: Account,
    /// The attempt that it is done in.
    pub attempt: RowId,
}
