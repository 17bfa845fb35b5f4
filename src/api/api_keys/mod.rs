//! `api-keys`: what the caller's programs show where they would sign in themselves. A key looks after no keys: all of it
//! takes a person who is signed in.

pub mod create;
pub mod list;
pub mod remove;
pub mod rotate;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Connection, extract::Principal};
use crate::{
    app::App,
    domain::{
        api_key::{ApiKey, addresses::Addresses},
        audit::{Act, Entry, Event},
        id::ApiKeyId,
        mail::Kind,
        time::Timestamp,
        user::FieldProblem,
    },
    error::ApiError,
    stores::{
        api_keys::{Listed, MAX, NewKey},
        judged::Actor,
        outbox::NewLetter,
    },
};

/// What looking after one's own keys takes, of who is narrowed: it is about how one is known.
const CHANGE: &str = "profile:write";

/// A key as the API shows one: never its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct KeyView {
    id: ApiKeyId,
    name: String,
    /// The beginning of the key, by which its owner knows it.
    prefix: String,
    /// What it may do at most.
    scopes: Vec<String>,
    /// From where it may be used; from anywhere, if none is named.
    allowed_ips: Vec<String>,
    /// How often in a minute, if that is less than for every key.
    per_minute: Option<u32>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    /// About when it was last used.
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
    /// The key that was made in its place.
    replaced_by: Option<ApiKeyId>,
}

/// A key that was made just now: the only time that it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeApiKey")]
pub struct MadeKey {
    #[serde(flatten)]
    view: KeyView,
    /// The key itself.
    key: String,
}

impl TryFrom<Listed> for KeyView {
    type Error = ApiError;
    fn try_from(listed: Listed) -> Result<Self, ApiError> {
        let addresses: Addresses =
            serde_json::from_str(&listed.addresses).map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(Self {
            id: listed.id,
            name: listed.name,
            prefix: listed.prefix,
            scopes: names(&listed.scopes),
            allowed_ips: addresses.texts(),
            per_minute: listed.per_minute,
            created_at: listed.created_at.rfc3339(),
            expires_at: listed.expires_at.rfc3339(),
            last_used_at: listed.last_used_at.map(Timestamp::rfc3339),
            replaced_by: listed.replaced_by,
        })
    }
}

/// Names with spaces between, one by one.
fn names(scopes: &str) -> Vec<String> {
    scopes.split(' ').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

/// A new key, and all that is written down beside it.
struct Making {
    id: ApiKeyId,
    text: String,
    prefix: String,
    secret_hash: String,
    with_factor: bool,
    by: Actor,
    act: Act,
    letter: NewLetter,
}

impl Making {
    /// For a caller who may change how they are known. `detail` is told by the log, beside the key's id.
    async fn begin(
        app: &App,
        connection: &Connection,
        principal: &Principal,
        event: Event,
        detail: &str,
    ) -> Result<Self, ApiError> {
        principal.require_recent_factor(app).await?;
        let now = app.ports.clock.now();
        let key = ApiKey::new(ApiKeyId::new(now, &app.ports.random()), app.ports.random());
        let text = key.encode(&app.config.token_mac_key);
        let (user, session, version) = (principal.user()?, principal.session(), principal.0.version());
        // What roles give is looked at whenever the key is used.
        let by = Actor { user, session, version, roles_version: 0 };
        let act = act(app, connection, principal, event, now, format!("{detail}{}", key.id))?;
        Ok(Self {
            id: key.id,
            prefix: key.prefix(&app.config.token_mac_key),
            text,
            secret_hash: key.secret_hash(),
            with_factor: principal.0.caller().second_factor_at.is_some(),
            by,
            act,
            letter: app.letter(Kind::ApiKeyMade, &connection.origin, now),
        })
    }

    fn new_key(&self) -> NewKey<'_> {
        let Self { id, prefix, secret_hash, with_factor, .. } = self;
        NewKey { id: *id, prefix, secret_hash, with_factor: *with_factor }
    }

    fn at(&self) -> Timestamp {
        self.act.entry.at
    }
}

/// A row for the log about what the caller does to a key of theirs.
fn act(
    app: &App,
    connection: &Connection,
    principal: &Principal,
    event: Event,
    now: Timestamp,
    detail: String,
) -> Result<Act, ApiError> {
    let user = principal.user()?;
    let entry = Entry { subject: Some(user), session: Some(principal.session()), ..connection.entry(app, event, now) };
    Ok(Act { entry, actor: user, detail: Some(detail) })
}

/// That there can be no more.
fn full() -> ApiError {
    ApiError::InUse(format!("There are {MAX} API keys; there can be no more. Delete one."))
}

/// When a key is to end: a time to come, and no later than `latest`.
fn expiry(text: &str, now: Timestamp, latest: Timestamp) -> Result<Timestamp, FieldProblem> {
    let at = Timestamp::parse_rfc3339(text).ok_or("must be an RFC 3339 time, before 2100")?;
    match at {
        at if at <= now => Err("must not be over already"),
        at if at > latest => Err("is later than a key of this installation may end"),
        at => Ok(at),
    }
}
