//! What handlers ask of a request: who is calling, and a body of the right kind and size.

use std::{ops::Deref, pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, Method, header, request::Parts},
};
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use serde_json::{Map, Value};

use super::{Connection, limits};
use crate::{
    app::App,
    domain::{
        api_key::ApiKey,
        id::{SessionId, UserId},
        rate_limit::LimitKey,
        rbac::{Missing, Requirement},
        session::cookie::SessionCookie,
        strict_json,
        token::verify::Refusal,
    },
    error::ApiError,
    gateway::{
        authenticate::{Authenticated, Freshness, api_key, bearer_token},
        same_origin::is_safe,
    },
    stores::users,
};

/// A larger body is refused, in bytes. No endpoint of ours needs more …
const MAX_BODY_BYTES: usize = 64 * 1024;
/// … but those that take a policy.
const MAX_LARGE_BODY_BYTES: usize = 2 * 1024 * 1024;
/// So much more of a body that is too large is still read before the answer, in bytes.
const MAX_DISCARDED_BYTES: usize = 1024 * 1024;
/// RFC 8259, §11.
const JSON: &str = "application/json";
/// A body has this long to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

impl FromRequestParts<Arc<App>> for Connection {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, ApiError> {
        let known = parts.extensions.get::<Self>().cloned();
        known.ok_or_else(|| ApiError::Internal("no connection".to_owned()))
    }
}

/// The bearer token of a request, if there is one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    bearer_token(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// Somebody who is known, and may look: a person who is signed in, by access token or by session cookie, or a program by
/// API key. Revocations count from the next request on: the record is asked.
pub struct Reader(pub Authenticated);

impl Reader {
    /// The user's id.
    pub fn user(&self) -> Result<UserId, ApiError> {
        UserId::parse(&self.0.caller().subject).map_err(|error| ApiError::Internal(error.to_string()))
    }

    /// Holds the caller against a requirement.
    pub async fn require(&self, app: &App, requirement: &Requirement) -> Result<(), ApiError> {
        let bundle = app.bundle().await?;
        let now = app.ports.clock.now();
        requirement.check(self.0.caller().holdings(), &bundle.roles, |_| None, now).map_err(ApiError::lacking)
    }

    /// For what everyone may do with their own account: who comes with a narrowed scope needs a permission for it.
    pub fn require_if_narrowed(&self, permission: &str) -> Result<(), ApiError> {
        if !self.0.is_narrowed() || self.0.caller().permissions.contains(permission) {
            return Ok(());
        }
        Err(ApiError::Forbidden(Missing::Permissions(vec![permission.to_owned()])))
    }
}

/// The person who is signed in: an API key changes nothing, and looks after neither credentials nor sessions.
pub struct Principal {
    reader: Reader,
    session: SessionId,
}

impl Deref for Principal {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Principal {
    /// Their session.
    pub const fn session(&self) -> SessionId {
        self.session
    }
}

/// The session cookie of a request, if we gave it out. One that changes something must come from a page of ours.
pub fn session_cookie(app: &App, connection: &Connection, method: &Method) -> Result<Option<SessionCookie>, ApiError> {
    let Some(cookie) = connection.session_cookie(app) else { return Ok(None) };
    if !is_safe(method.as_str()) {
        connection.require_own_page()?;
    }
    Ok(Some(cookie))
}

/// How lately who has a second factor must have shown it, to change something about the installation or about others.
const RECENT: Duration = Duration::from_mins(30);

impl Principal {
    /// For what changes the installation or others' accounts: who has a second factor must have shown it lately.
    pub async fn require_recent_factor(&self, app: &App) -> Result<(), ApiError> {
        let shown_at = self.0.caller().second_factor_at;
        if shown_at.is_some_and(|at| app.ports.clock.now().since(at) <= RECENT) {
            return Ok(());
        }
        let user = users::by_id(app.ports.database.as_ref(), self.user()?).await?;
        if user.ok_or(ApiError::Unauthenticated)?.mfa_enabled {
            return Err(ApiError::StepUp(Some(RECENT)));
        }
        Ok(())
    }
}

/// The same, also if their roles want a second factor that they have not shown: for enrolling and showing one, and for ending
/// what may be in the wrong hands.
pub struct Enrolling(pub Principal);

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let known = known(parts, app).await?;
        known.caller().holdings().require_factor_of_roles().map_err(ApiError::lacking)?;
        Ok(Self(known))
    }
}

impl FromRequestParts<Arc<App>> for Principal {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Enrolling(principal) = Enrolling::from_request_parts(parts, app).await?;
        principal.0.caller().holdings().require_factor_of_roles().map_err(ApiError::lacking)?;
        Ok(principal)
    }
}

impl FromRequestParts<Arc<App>> for Enrolling {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let known = known(parts, app).await?;
        let session = known.caller().session.ok_or(ApiError::Forbidden(Missing::Person))?;
        Ok(Self(Principal { reader: Reader(known), session }))
    }
}

/// Who is calling. What is shown on purpose is looked at first: a browser sends its cookie along by itself.
async fn known(parts: &mut Parts, app: &Arc<App>) -> Result<Authenticated, ApiError> {
    let connection = Connection::from_request_parts(parts, app).await?;
    let key = parts.headers.get("x-api-key").map(|value| value.to_str().unwrap_or_default());
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization.and_then(bearer_token).filter(|token| !ApiKey::is_meant_by(token));
    let known = match (token, api_key(key, authorization)) {
        (Some(token), _) => by_token(app, &connection, token).await,
        (None, Some(key)) => by_key(app, &connection, key).await,
        (None, None) => by_cookie(app, &connection, &parts.method).await,
    };
    // Whoever is nobody, or nobody from there, counts by address; whom the record alone knows to be nobody has counted.
    if let Err(
        ApiError::Unauthenticated
        | ApiError::InvalidToken(_)
        | ApiError::InvalidKey(_)
        | ApiError::Forbidden(Missing::Address),
    ) = known
    {
        limits::count(app, &connection, &connection.ip.limit_key()).await?;
    }
    known
}

/// Whose an API key is. It counts by its own limit, before the record is asked where it is known here; a forged one uses up
/// nobody's limit but the sender's, and costs no question.
async fn by_key(app: &App, connection: &Connection, key: &str) -> Result<Authenticated, ApiError> {
    match app.known_key(key) {
        // Whether it stands is asked all the same: of one that does not, it is not told from where it could be used.
        Some(known) if !known.snapshot.addresses.admit(connection.ip) => {
            limits::count(app, connection, &connection.ip.limit_key()).await?;
        }
        Some(known) => limits::count_key(app, connection, &known).await?,
        None if ApiKey::decode(key, &app.config.token_mac_key).is_none() => {
            return Err(ApiError::InvalidKey(Refusal::BadSignature));
        }
        None => {}
    }
    app.keep_up().await;
    let live = app.authenticate_key(key, connection.ip).await?;
    limits::count_key(app, connection, &live).await?;
    app.note_key_use(live.snapshot.key, live.snapshot.used_at);
    Ok(Authenticated::Key(live))
}

/// Who the bearer of a token is. It counts for its subject once it is proven to be ours and not known to be revoked, and
/// before the record is asked: a forged token, or one that was taken away, uses up nobody's limit but the sender's.
async fn by_token(app: &App, connection: &Connection, token: &str) -> Result<Authenticated, ApiError> {
    // What is no token of ours costs no question; for one that is, roles must not be older than the bound.
    let remembered = app.believe(token).await?;
    app.keep_up().await;
    app.require_not_revoked(&remembered)?;
    limits::count(app, connection, &LimitKey::subject(&remembered.caller.subject)).await?;
    app.authenticate(token, Freshness::Record).await
}

/// Who the holder of the session cookie is. A cookie says which session it is of, not whose; where this isolate does not
/// know that, it counts when the record has told.
async fn by_cookie(app: &App, connection: &Connection, method: &Method) -> Result<Authenticated, ApiError> {
    let cookie = session_cookie(app, connection, method)?.ok_or(ApiError::Unauthenticated)?;
    app.keep_up().await;
    if let Some(subject) = app.known_holder(cookie) {
        limits::count(app, connection, &LimitKey::subject(&subject)).await?;
    }
    let who = app.authenticate_session(cookie).await?;
    limits::count(app, connection, &LimitKey::subject(&who.caller().subject)).await?;
    app.note_use(cookie.session);
    Ok(who)
}

fn content_type(request: &Request) -> &str {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

/// Whether a body is said to be JSON.
pub fn is_json(request: &Request) -> bool {
    content_type(request).eq_ignore_ascii_case(JSON)
}

/// Reads a body. One that is too large is read on for a while and thrown away: who is still sending
/// would not see the answer.
async fn body(app: &App, request: Request, max: usize) -> Result<Vec<u8>, ApiError> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // One that is no number that we know is larger than any.
    let announced = announced.map_or(0, |text| text.parse().unwrap_or(usize::MAX));
    let mut chunks = request.into_body().into_data_stream();
    let (mut body, mut size, mut too_large) = (Vec::new(), 0, announced > max);
    let read = async {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| ApiError::Malformed("The body could not be read."))?;
            size += chunk.len();
            too_large |= size > max;
            if size > max.saturating_add(MAX_DISCARDED_BYTES) {
                break;
            }
            if !too_large {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(())
    };
    let in_time = match select(pin!(read), app.ports.timer.pause(BODY_TIMEOUT)).await {
        Either::Left((read, _)) => read.map(|()| true),
        Either::Right(_) => Ok(false),
    };
    match in_time {
        _ if too_large => Err(ApiError::TooLarge),
        Ok(true) => Ok(body),
        Ok(false) => Err(ApiError::BodyTimeout),
        Err(error) => Err(error),
    }
}

/// A JSON object.
pub struct JsonObject(pub Map<String, Value>);

impl FromRequest<Arc<App>> for JsonObject {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        json_object(app, request, MAX_BODY_BYTES).await.map(Self)
    }
}

/// A JSON object that may hold a policy.
pub struct LargeJsonObject(pub Map<String, Value>);

impl FromRequest<Arc<App>> for LargeJsonObject {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        json_object(app, request, MAX_LARGE_BODY_BYTES).await.map(Self)
    }
}

async fn json_object(app: &App, request: Request, max: usize) -> Result<Map<String, Value>, ApiError> {
    if !is_json(&request) {
        return Err(ApiError::UnsupportedMediaType(JSON));
    }
    let body = body(app, request, max).await?;
    strict_json::object(&body).map_err(|_| ApiError::Malformed("The body is not a JSON object."))
}

/// A JSON object, or nothing at all.
pub struct OptionalJsonObject(pub Map<String, Value>);

impl FromRequest<Arc<App>> for OptionalJsonObject {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        if !content_type(&request).is_empty() {
            return JsonObject::from_request(request, app).await.map(|object| Self(object.0));
        }
        if body(app, request, MAX_BODY_BYTES).await?.is_empty() {
            return Ok(Self(Map::new()));
        }
        Err(ApiError::UnsupportedMediaType(JSON))
    }
}

/// The parameters of an `application/x-www-form-urlencoded` body. None may come twice (RFC 6749,
/// §3.2); one without a value counts as left out.
pub struct OauthForm(Vec<(String, String)>);

impl OauthForm {
    /// The value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.value(name).ok_or_else(|| ApiError::InvalidRequest(format!("The parameter {name} is missing.")))
    }
}

impl FromRequest<Arc<App>> for OauthForm {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        if !content_type(&request).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(ApiError::UnsupportedMediaType("application/x-www-form-urlencoded"));
        }
        let body = body(app, request, MAX_BODY_BYTES).await?;
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(&body) {
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(ApiError::InvalidRequest("A parameter appears twice.".to_owned()));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }
}
