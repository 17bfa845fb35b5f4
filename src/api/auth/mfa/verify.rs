//! `POST auth/mfa/verify`: the other half of a sign-in.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    http::HeaderMap,
    response::Response,
};

use crate::{
    api::{
        Connection,
        auth::{
            Opened, device,
            prove::tell_failure,
            return_to::ReturnTo,
            sign_in::{know, tell_ended},
        },
        extract::{JsonObject, OauthForm, is_json},
        form::Fields,
        limits,
    },
    app::{App, Grant},
    domain::{
        audit::{Entry, Event},
        device::Known,
        mail::Kind,
        mfa::{Code, MfaToken},
        secret::Secret,
        session::{Holding, NewSession},
    },
    error::{ApiError, FieldError},
    stores::{
        audit,
        mfa::{self, Try, Verified},
        sign_in::{Failed, Opening},
    },
};

/// What was sent, as JSON or as a form.
struct Sent {
    token: String,
    code: Code,
    /// Where a form leads to; JSON is answered.
    return_to: Option<ReturnTo>,
}

/// Takes `{mfa_token, code}` and answers what the sign-in was for, as `auth/token` and `auth/login` do.
pub async fn verify(
    State(app): State<Arc<App>>,
    connection: Connection,
    request: Request,
) -> (HeaderMap, Result<Response, ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = complete(&app, &connection, request, &mut headers).await;
    (headers, answer)
}

/// (1) What was sent; the token's MAC, before any I/O. A cookie is given to our own pages only. (2) The limit by address.
/// (3) That we can sign: nothing is used up by a fault of ours. (4) One batch. (5) What came of it.
async fn complete(
    app: &Arc<App>,
    connection: &Connection,
    request: Request,
    headers: &mut HeaderMap,
) -> Result<Response, ApiError> {
    // (1)
    connection.refuse_foreign_pages()?;
    let sent = Sent::read(app, request).await?;
    let token = MfaToken::decode(&sent.token, &app.config.token_mac_key).ok_or(ApiError::InvalidMfaToken)?;
    if token.0.holding != Holding::Tokens {
        connection.require_own_page()?;
    }
    // (2)
    limits::admit(app, connection, &app.config.mfa_limit, headers).await?;
    // (3)
    match token.0.holding {
        Holding::Tokens => app.ready_to_issue().await?,
        Holding::Cookie { .. } => drop(app.bundle().await?),
    }
    // (4), (5)
    let opened = open(app, connection, token, &sent.code, headers).await?;
    opened.respond(app, sent.return_to, headers)
}

async fn open(
    app: &App,
    connection: &Connection,
    (token, key): (MfaToken, &Secret),
    code: &Code,
    headers: &mut HeaderMap,
) -> Result<Opened, ApiError> {
    let (now, holding, attempt) = (app.ports.clock.now(), token.holding, app.ports.new_row_id());
    let session = NewSession::open(app.ports.new_session_id(), holding, app.ports.random(), &app.config.lifetimes, now);
    let entry = |event| connection.entry(app, event, now);
    let letter = |kind| app.letter(kind, &connection.origin, now);
    let of_session = |event| Entry { session: Some(session.id), ..entry(event) };
    let (mut success, ended) = (of_session(Event::LoginSuccess), of_session(Event::SessionEnded));
    let blocked = entry(Event::LoginBlocked);
    let (failed, locked, recovery) =
        (entry(Event::MfaFailure), entry(Event::AccountLocked), entry(Event::MfaRecoveryUsed));
    let [closed, new_device, recovered] = [Kind::SignInClosed, Kind::NewDevice, Kind::RecoveryUsed].map(letter);
    let what = Try {
        challenge: token.row,
        key,
        code,
        failed: Failed { attempt, rules: &app.config.attempts, failed: &failed, locked: &locked, closed: &closed },
        blocked: &blocked,
        opening: Opening {
            attempt,
            session: &session,
            replaced: connection.replaced_session(app, holding),
            max_sessions: app.config.session_limit,
            revoked_until: app.revoked_until(now),
            success: &success,
            ended: &ended,
            new_device: Some((&new_device, app.config.mails_an_hour)),
        },
        recovery: (&recovery, &recovered),
    };
    let verified = match mfa::verify(app.ports.database.as_ref(), what).await? {
        Verified::Good(verified) => verified,
        Verified::Wrong(user, written) => {
            let written: Vec<_> =
                written.into_iter().map(|entry| Entry { subject: Some(user), ..entry.clone() }).collect();
            tell_failure(app, &written);
            return Err(ApiError::BadCode);
        }
        Verified::Blocked(user, obstacles) => {
            audit::log(app.ports.log.as_ref(), &Entry { subject: Some(user), ..blocked });
            return Err(ApiError::TooManyFailures(app.config.attempts.retry_after(obstacles, now)));
        }
        Verified::Over => return Err(ApiError::InvalidMfaToken),
    };
    let user = &verified.user;
    success.subject = Some(user.id);
    audit::log(app.ports.log.as_ref(), &success);
    if verified.used_recovery {
        audit::log(app.ports.log.as_ref(), &Entry { subject: Some(user.id), ..recovery });
    }
    app.note_mail();
    let grant = Grant {
        user,
        session: session.id,
        amr: &["pwd".to_owned(), code.method().to_owned()],
        scope: verified.scope.as_deref(),
        signed_in_at: now,
        session_expires_at: session.expires_at,
    };
    let opened = Opened::new(app, &session, grant, verified.keys_version, now).await?;
    opened.spread(app).await;
    tell_ended(app, &verified.revoked, &Entry { subject: Some(user.id), ..ended }).await;
    let known = Known { user: user.id, password_version: verified.password_version };
    know(app, device::read(connection, &app.config, now), known, headers);
    Ok(opened)
}

impl Sent {
    async fn read(app: &Arc<App>, request: Request) -> Result<Self, ApiError> {
        if is_json(&request) {
            let JsonObject(body) = JsonObject::from_request(request, app).await?;
            let mut fields = Fields::new(body);
            let both = fields.required_text("mfa_token").zip(fields.required("code", Code::parse));
            let (token, code) = fields.complete(both)?;
            return Ok(Self { token, code, return_to: None });
        }
        let form = OauthForm::from_request(request, app).await?;
        let code = Code::parse(form.required("code")?);
        Ok(Self {
            token: form.required("mfa_token")?.to_owned(),
            code: code.map_err(|problem| ApiError::Invalid(vec![FieldError::new("code", problem)]))?,
            return_to: Some(ReturnTo::parse(form.value("return_to"))?),
        })
    }
}
