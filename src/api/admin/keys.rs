//! `GET admin/keys` and `POST admin/keys/rotate`: signing keys and their life.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        Connection,
        extract::{JsonObject, Principal, Reader},
        form::Fields,
    },
    app::{App, Rotation},
    domain::{
        bundle::Bundle,
        rbac::Requirement,
        sealed::Sealed,
        time::Timestamp,
        token::{jwk::KeyId, keyring::RingKey},
    },
    error::ApiError,
};

/// What looking after keys takes.
const PERMISSION: &str = "keys:manage";

/// All keys that are not over, in the order in which they sign.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SigningKeys")]
pub struct Keys {
    items: Vec<Key>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
struct Key {
    kid: KeyId,
    algorithm: &'static str,
    status: Status,
    #[schemars(extend("format" = "date-time"))]
    publish_at: String,
    sign_from: String,
    #[schemars(extend("format" = "date-time"))]
    retire_at: Option<String>,
    /// Which secret of `KEY_ENCRYPTION_KEY` it is sealed under.
    sealed_under: Option<String>,
}

/// What a key does at the moment.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Status {
    /// It is published, and waits.
    Next,
    /// New tokens are signed with it.
    Signing,
    /// It only verifies what it signed before.
    Verifying,
}

/// Answers with the keys.
pub async fn list(State(app): State<Arc<App>>, reader: Reader) -> Result<Json<Keys>, ApiError> {
    reader.require(&app, &Requirement::permission(PERMISSION)).await?;
    // From the record: an operator wants to see what is, not what was five minutes ago.
    let bundle = app.read_bundle().await?;
    Ok(Json(show(&app, &bundle)))
}

/// Takes `{mode}`: `graceful` publishes a next key, which signs as soon as everyone can know it;
/// `emergency` puts new keys in the place of all others, at once.
pub async fn rotate(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<Json<Keys>, ApiError> {
    principal.require(&app, &Requirement::permission(PERMISSION)).await?;
    principal.require_recent_factor(&app).await?;
    let mut fields = Fields::new(body);
    fields.only(&["mode"]);
    let mode = fields.required("mode", |text| match text {
        "graceful" => Ok(Rotation::Graceful),
        "emergency" => Ok(Rotation::Emergency),
        _ => Err("must be graceful or emergency"),
    });
    fields.refuse()?;
    let mode = mode.unwrap_or(Rotation::Graceful);
    let bundle = app.rotate_keys(mode, principal.user()?, &connection.origin).await?;
    Ok(Json(show(&app, &bundle)))
}

fn show(app: &App, bundle: &Bundle) -> Keys {
    let now = app.ports.clock.now();
    let until = now.plus(app.config.lifetimes.access);
    let wanted = app.config.wanted_algorithms().each();
    let signing: Vec<_> = wanted.filter_map(|algorithm| bundle.keyring.signing(algorithm, now, until)).collect();
    let status = |key: &RingKey| {
        if key.sign_from > now {
            Status::Next
        } else if signing.iter().any(|other| other.kid() == key.kid()) {
            Status::Signing
        } else {
            Status::Verifying
        }
    };
    let mut keys: Vec<_> = bundle.keyring.keys().filter(|key| key.is_live(now)).collect();
    keys.sort_by_key(|key| (key.sign_from, key.kid().clone()));
    let key = |key: &RingKey| Key {
        kid: key.kid().clone(),
        algorithm: key.algorithm().name(),
        status: status(key),
        publish_at: key.publish_at.rfc3339(),
        sign_from: key.sign_from.rfc3339(),
        retire_at: key.retire_at.map(Timestamp::rfc3339),
        sealed_under: bundle.sealed.get(key.kid().as_str()).and_then(|text| Sealed::key_id_of(text)),
    };
    Keys { items: keys.into_iter().map(key).collect() }
}
