//! `POST mfa/confirm`: an enrolment is finished by the first code.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};
use serde_json::{Value, json};

use crate::{
    api::{
        Connection,
        auth::renewal::Renewal,
        extract::{Enrolling, JsonObject, Principal},
        form::Fields,
    },
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        mail::Kind,
        mfa::{Code, RecoveryCodes, Step},
    },
    error::ApiError,
    stores::{
        audit,
        mfa::{self, Enrolment, NewCodes, Setup},
    },
};

/// Takes `{code}` and answers `{recovery_codes}`. Sign-in takes a code from now on, and every other session is over; this one
/// counts as having shown one.
pub async fn confirm(
    State(app): State<Arc<App>>,
    connection: Connection,
    Enrolling(principal): Enrolling,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<Json<Value>, ApiError>) {
    let mut headers = HeaderMap::new();
    let mut fields = Fields::new(body);
    let code = fields.required("code", Code::parse);
    let codes = match fields.complete(code) {
        Ok(code) => finish(&app, &connection, &principal, &code, &mut headers).await,
        Err(error) => Err(error),
    };
    (headers, codes.map(|codes| Json(json!({ "recovery_codes": codes.texts() }))))
}

/// (1) The enrolment that was begun in this session. (2) The code. (3) One that was confirmed by this very code is told again:
/// the answer may have been lost. (4) One batch. (5) A browser gets its new cookie. (6) Everyone is told of what ended.
async fn finish(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    code: &Code,
    headers: &mut HeaderMap,
) -> Result<RecoveryCodes, ApiError> {
    principal.require_if_narrowed("profile:write")?;
    let (database, user, now) = (app.ports.database.as_ref(), principal.user()?, app.ports.clock.now());
    // (1)
    let (setup, revoked) = mfa::read_setup(database, user, now).await?;
    let is_theirs = |setup: &Setup| {
        let session = setup.codes_session.unwrap_or(setup.session_id);
        session == principal.session() && setup.expires_at > now
    };
    let setup = setup.filter(is_theirs).ok_or(ApiError::NoSetup)?;
    // (2)
    let step = match code {
        Code::Totp(code) => app.ports.crypto.open_totp(user, &setup.secret).await?.step_of(code, now),
        Code::Recovery(_) => None,
    };
    // (3) Whatever else is shown gets one answer, right or not: here nobody counts.
    if setup.is_confirmed == 1 {
        let codes = told_again(app, &setup, step).ok_or(ApiError::HasSecondFactor)?;
        app.publish(&revoked, None, Publication::Again).await?;
        return Ok(codes);
    }
    let step = step.ok_or(ApiError::WrongCode)?;
    // (4)
    let renewal = Renewal::of(app, principal, now);
    let entry =
        Entry { subject: Some(user), session: Some(renewal.id()), ..connection.entry(app, Event::MfaEnabled, now) };
    let (key, set) = (app.config.key_encryption_key.current(), app.ports.new_row_id());
    let codes = RecoveryCodes::of_set(set, key);
    let enrolment = Enrolment {
        user,
        setup: setup.id,
        session: principal.session(),
        renewed: renewal.renewed(),
        codes: NewCodes { digests: &codes.digests(), set, key: key.id(), step: step.number() },
        revoked_until: app.revoked_until(now),
        entry: &entry,
        told: (&app.letter(Kind::MfaEnabled, &connection.origin, now), app.config.mails_an_hour),
    };
    let ended = mfa::enrol(database, enrolment).await?.ok_or(ApiError::HasChanged)?;
    audit::log(app.ports.log.as_ref(), &entry);
    app.note_mail();
    // (5)
    headers.extend(renewal.set_cookie(app).map(|line| (header::SET_COOKIE, line)));
    // (6)
    if !ended.lately.is_empty() {
        app.publish_ended(&ended).await?;
    }
    Ok(codes)
}

/// The codes of an enrolment that was confirmed by a code of this step.
fn told_again(app: &App, setup: &Setup, step: Option<Step>) -> Option<RecoveryCodes> {
    let (made_with, set) = (setup.codes_step?, setup.codes_set?);
    let key = app.config.key_encryption_key.find(setup.codes_key.as_deref()?)?;
    (made_with == step?.number()).then(|| RecoveryCodes::of_set(set, key))
}
