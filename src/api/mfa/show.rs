//! A second factor is shown by who is signed in, for something that one request does.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::{
    api::{
        Connection,
        auth::{
            prove::{Confirmed, Wrong, confirm, fail, open_factor, try_factor},
            renewal::Renewal,
        },
        extract::Principal,
        form::Fields,
    },
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        id::SessionId,
        mail::Kind,
        mfa::{Code, RecoveryCodes},
    },
    error::ApiError,
    stores::{
        audit,
        mfa::{self, Change, Changed, NewCodes, Shown, Shows, What},
        sign_in, users,
    },
};

/// What it is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To have shown it.
    StepUp,
    /// To have none any more.
    Disable,
    /// To have other recovery codes.
    Codes,
}

impl Purpose {
    const fn event(self) -> Event {
        match self {
            Self::StepUp => Event::MfaSteppedUp,
            Self::Disable => Event::MfaDisabled,
            Self::Codes => Event::MfaRecoveryRenewed,
        }
    }

    const fn mail(self) -> Option<Kind> {
        match self {
            Self::StepUp => None,
            Self::Disable => Some(Kind::MfaDisabled),
            Self::Codes => Some(Kind::RecoveryRenewed),
        }
    }
}

/// What is shown, and for what.
pub struct Showing<'a> {
    /// The code.
    pub code: &'a Code,
    /// The password, where that is wanted as well.
    pub password: Option<&'a str>,
    /// For what.
    pub purpose: Purpose,
}

/// How it is after it.
pub struct Outcome {
    /// Session and user.
    pub changed: Changed,
    /// The session, which may be under another id.
    pub session: SessionId,
    /// New recovery codes, if they were wanted.
    pub codes: Option<RecoveryCodes>,
}

/// What `{password, code}` is sent for; nothing less will do, and of a narrowed token only one that may change its owner's
/// profile. Then as [`show`].
pub async fn show_both(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    body: Map<String, Value>,
    purpose: Purpose,
    headers: &mut HeaderMap,
) -> Result<Outcome, ApiError> {
    principal.require_if_narrowed("profile:write")?;
    let mut fields = Fields::new(body);
    let both = fields.required_text("password").zip(fields.required("code", Code::parse));
    let (password, code) = fields.complete(both)?;
    let showing = Showing { code: &code, password: Some(&password), purpose };
    show(app, connection, principal, showing, headers).await
}

/// (1) That there is one. (2) An attempt that counts, with the password where it is wanted. (3) The code, as far as it can be
/// looked at beforehand. (4) One batch uses it up and does what it is shown for; one that was shown for the same before, here
/// and just now, is told the same again, since the answer may have been lost. (5) A browser gets its new cookie, whatever
/// comes after. (6) Everyone is told of what ended.
pub async fn show(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    showing: Showing<'_>,
    headers: &mut HeaderMap,
) -> Result<Outcome, ApiError> {
    let Showing { code, password, purpose } = showing;
    // (1)
    let user = users::by_id(app.ports.database.as_ref(), principal.user()?).await?;
    let user = user.ok_or(ApiError::Unauthenticated)?;
    if !user.mfa_enabled {
        return Err(ApiError::NoSecondFactor);
    }
    // (2)
    let Confirmed { account, attempt } = match password {
        Some(password) => confirm(app, connection, &user.username, password).await?,
        None => try_factor(app, connection, &user.username).await?,
    };
    // (3)
    let now = app.ports.clock.now();
    let Some(factor) = &account.factor else {
        // Taken off meanwhile.
        sign_in::resolve(app.ports.database.as_ref(), attempt).await?;
        return Err(ApiError::HasChanged);
    };
    let shown = match code {
        Code::Totp(code) => open_factor(app, user.id, factor, attempt).await?.step_of(code, now).map(Shown::Totp),
        // Whether it is one of theirs is for the database to know.
        Code::Recovery(typed) => Some(Shown::Recovery(typed.digest())),
    };
    let Some(shown) = shown else {
        return Err(fail(app, connection, attempt, Some(user.id), Wrong::Code).await);
    };
    // (4)
    let renewal = (purpose != Purpose::Codes).then(|| Renewal::of(app, principal, now));
    let session = renewal.as_ref().map_or(principal.session(), Renewal::id);
    let entry = |event| Entry { subject: Some(user.id), session: Some(session), ..connection.entry(app, event, now) };
    let (entry, recovery) = (entry(purpose.event()), entry(Event::MfaRecoveryUsed));
    let told = purpose.mail().map(|kind| app.letter(kind, &connection.origin, now));
    let (key, set) = (app.config.key_encryption_key.current(), app.ports.new_row_id());
    let codes = (purpose == Purpose::Codes).then(|| RecoveryCodes::of_set(set, key));
    let digests = codes.as_ref().map(RecoveryCodes::digests).unwrap_or_default();
    let what = match (purpose, &shown) {
        (Purpose::StepUp, _) => What::StepUp,
        (Purpose::Disable, _) => What::Disable,
        (Purpose::Codes, shown) => {
            let step = match shown {
                Shown::Totp(step) => step.number(),
                // Of no step.
                Shown::Recovery(_) => -1,
            };
            What::Codes(NewCodes { digests: &digests, set, key: key.id(), step })
        }
    };
    let change = Change {
        what,
        user: user.id,
        factor: factor.id,
        session: principal.session(),
        renewed: renewal.as_ref().and_then(Renewal::renewed),
        shown: &shown,
        attempt,
        password_hash: password.map(|_| account.password_hash.as_str()),
        revoked_until: app.revoked_until(now),
        entry: &entry,
        told: told.as_ref().map(|letter| (letter, app.config.mails_an_hour)),
        recovery: (&recovery, &app.letter(Kind::RecoveryUsed, &connection.origin, now)),
    };
    let changed = match mfa::change(app.ports.database.as_ref(), change).await? {
        Shows::Done(changed) => changed,
        Shows::Again(changed, again) => {
            sign_in::resolve(app.ports.database.as_ref(), attempt).await?;
            let codes = again.and_then(|again| {
                let key = app.config.key_encryption_key.find(&again.key)?;
                Some(RecoveryCodes::of_set(again.set, key))
            });
            return Ok(Outcome { changed: *changed, session: principal.session(), codes });
        }
        Shows::Over => {
            sign_in::resolve(app.ports.database.as_ref(), attempt).await?;
            return Err(ApiError::HasChanged);
        }
        Shows::Wrong => return Err(fail(app, connection, attempt, Some(user.id), Wrong::Code).await),
    };
    for entry in [&entry, &recovery].into_iter().filter(|entry| changed.written.contains(&entry.id.to_string())) {
        audit::log(app.ports.log.as_ref(), entry);
    }
    app.note_mail();
    // (5)
    headers.extend(renewal.and_then(|renewal| renewal.set_cookie(app)).map(|line| (header::SET_COOKIE, line)));
    // (6)
    if !changed.revoked.is_empty() {
        app.publish(&changed.revoked, None, Publication::First).await?;
    }
    Ok(Outcome { changed: *changed, session, codes })
}
