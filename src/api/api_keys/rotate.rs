//! `POST api-keys/{id}/rotate`: make a key in the place of another.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};

use super::{CHANGE, KeyView, MadeKey, Making, expiry, full, names};
use crate::{
    api::{
        Connection,
        extract::{OptionalJsonObject, Principal},
        form::Fields,
    },
    app::{App, Publication},
    domain::{audit::Event, id::ApiKeyId, rbac::Missing, token::verify::Refusal},
    error::ApiError,
    stores::{
        api_keys::{self, Change, Changed},
        audit,
    },
};

/// For so long, in seconds, the old key may go on: time to bring the new one to where the old one is.
const LONGEST_OVERLAP: u32 = 7 * 86_400;

/// Takes `{overlap_seconds?, expires_at?}`, or nothing: the old key ends at once, or so many seconds later, and the new one lives
/// for as long as the old one was to, from now. It has another id, and else what the old one has: name, scopes, addresses and limit.
pub async fn rotate(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Json<MadeKey>, ApiError> {
    principal.require_if_narrowed(CHANGE)?;
    let old = ApiKeyId::parse(&id).map_err(|_| ApiError::NotFound)?;
    let making = Making::begin(&app, &connection, &principal, Event::ApiKeyRotated, &format!("{old} ")).await?;
    let now = making.at();
    let mut fields = Fields::new(body);
    fields.only(&["overlap_seconds", "expires_at"]);
    let latest = now.plus(app.config.key_ttl);
    let expires_at = fields.optional("expires_at", |text| expiry(text, now, latest));
    let overlap = fields.optional_number("overlap_seconds", 0..=LONGEST_OVERLAP).unwrap_or(0);
    fields.refuse()?;
    let listed = api_keys::one(app.ports.database.as_ref(), making.by.user, old).await?;
    let listed = listed.ok_or(ApiError::NotFound)?;
    // Who is narrowed gets nothing by a new key that they have not.
    if principal.0.is_narrowed() {
        let has = &principal.0.caller().permissions;
        let lacking: Vec<_> = names(&listed.scopes).into_iter().filter(|name| !has.contains(name)).collect();
        if !lacking.is_empty() {
            return Err(ApiError::Forbidden(Missing::Permissions(lacking)));
        }
    }
    // Whoever did not get the answer learns which one that is.
    if let Some(other) = listed.replaced_by {
        return Err(ApiError::InUse(format!("The key has another in its place already, {other}.")));
    }
    if listed.expires_at <= now {
        return Err(ApiError::InUse("The key is over.".to_owned()));
    }
    let life = listed.expires_at.since(listed.created_at);
    let expires_at = expires_at.unwrap_or_else(|| now.plus(life).min(latest));
    let until = (expires_at, now.plus(Duration::from_secs(overlap.into())), app.revoked_until(now));
    let change = Change { by: making.by, act: &making.act, told: (&making.letter, app.config.mails_an_hour) };
    let revoked = match api_keys::rotate(app.ports.database.as_ref(), old, &making.new_key(), until, &change).await? {
        Changed::Done { revoked } => revoked,
        Changed::NotStanding => return Err(ApiError::InvalidToken(Refusal::Revoked)),
        Changed::TooMany => return Err(full()),
        _ => return Err(ApiError::HasChanged),
    };
    audit::log_act(app.ports.log.as_ref(), &making.act);
    app.note_mail();
    let told = app.publish(&revoked, None, Publication::First).await;
    if overlap == 0 {
        told?;
    } else if let Err(error) = told {
        // The old key goes on for now, so nobody has to know at once: they hear it from the record.
        app.log_fault("rotated key", &error.cause());
    }
    let view = KeyView {
        id: making.id,
        prefix: making.prefix,
        created_at: now.rfc3339(),
        expires_at: expires_at.rfc3339(),
        last_used_at: None,
        ..KeyView::try_from(listed)?
    };
    Ok(Json(MadeKey { view, key: making.text }))
}
