//! `POST api-keys`: make a key. It is shown this once.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::Value;

use super::{CHANGE, KeyView, MadeKey, Making, expiry, full, names};
use crate::{
    api::{
        Connection,
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::{
        api_key::addresses::{self, Addresses, Block},
        audit::Event,
        rbac::{PermissionName, RoleGraph},
        scope::{Scope, ScopeProblem},
        token::verify::Refusal,
        user::{FieldProblem, line_of_text},
    },
    error::ApiError,
    stores::{
        api_keys::{self, Change, Changed, Terms},
        audit,
    },
};

/// A key names no more: who wants one for all that they may, of very much, says which.
const MAX_SCOPES: usize = 100;

/// Takes `{name, scopes?, expires_at?, allowed_ips?, per_minute?}`. Of the scopes asked for those are granted that the caller
/// has; if nothing is said of them, all that the caller has now. It never gives more than its owner has when it is used.
pub async fn create(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, Json<MadeKey>), ApiError> {
    principal.require_if_narrowed(CHANGE)?;
    let making = Making::begin(&app, &connection, &principal, Event::ApiKeyCreated, "").await?;
    let (bundle, now) = (app.bundle().await?, making.at());
    let mut fields = Fields::new(body);
    fields.only(&["name", "scopes", "expires_at", "allowed_ips", "per_minute"]);
    let name = fields.required("name", key_name);
    let scopes = scopes(&mut fields, &principal, &bundle.roles);
    let latest = now.plus(app.config.key_ttl);
    let expires_at = fields.optional("expires_at", |text| expiry(text, now, latest)).unwrap_or(latest);
    let addresses = fields.optional_list("allowed_ips", Block::parse).unwrap_or_default();
    if addresses.len() > addresses::MAX {
        fields.reject("allowed_ips", format!("must be at most {}", addresses::MAX));
    }
    let most = app.config.key_limit.rules.iter().map(|rule| rule.limit).min().unwrap_or(1);
    let per_minute = fields.optional_number("per_minute", 1..=most);
    let (name, scopes) = fields.complete(name.zip(scopes))?;
    let terms = Terms { name, scopes, addresses: Addresses::new(addresses), per_minute, expires_at };
    let change = Change { by: making.by, act: &making.act, told: (&making.letter, app.config.mails_an_hour) };
    match api_keys::create(app.ports.database.as_ref(), &making.new_key(), &terms, &change).await? {
        Changed::Done { .. } => {}
        Changed::TooMany => return Err(full()),
        _ => return Err(ApiError::InvalidToken(Refusal::Revoked)),
    }
    audit::log_act(app.ports.log.as_ref(), &making.act);
    app.note_mail();
    let view = KeyView {
        id: making.id,
        name: terms.name,
        prefix: making.prefix,
        scopes: names(&terms.scopes),
        allowed_ips: terms.addresses.texts(),
        per_minute,
        created_at: now.rfc3339(),
        expires_at: expires_at.rfc3339(),
        last_used_at: None,
        replaced_by: None,
    };
    Ok((StatusCode::CREATED, Json(MadeKey { view, key: making.text })))
}

/// What a key is called: 1 to 100 characters.
fn key_name(text: &str) -> Result<String, FieldProblem> {
    match line_of_text(text, 100, "must have 1 to 100 characters")? {
        name if name.is_empty() => Err("must have 1 to 100 characters"),
        name => Ok(name),
    }
}

/// What is granted of what is asked for, with spaces between; `None` if that is not well said, which is noted.
fn scopes(fields: &mut Fields, principal: &Principal, roles: &RoleGraph) -> Option<String> {
    let has = &principal.0.caller().permissions;
    let is_named = !matches!(fields.value("scopes"), None | Some(Value::Null));
    if !is_named {
        if has.len() > MAX_SCOPES {
            fields.reject("scopes", format!("must be named, and at most {MAX_SCOPES}"));
            return None;
        }
        return Some(has.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    }
    let asked = fields.optional_list("scopes", PermissionName::parse)?;
    let asked: Vec<_> = asked.iter().map(ToString::to_string).collect();
    if asked.len() > MAX_SCOPES {
        fields.reject("scopes", format!("must be at most {MAX_SCOPES}"));
        return None;
    }
    let granted = Scope::of(asked.iter().map(String::as_str), roles).and_then(|scope| scope.granted_of(has));
    let problem = |problem| match problem {
        ScopeProblem::Unknown(names) => format!("names what there is not: {names}"),
        ScopeProblem::Nothing | ScopeProblem::Shape | ScopeProblem::Beyond => "names nothing that is yours".to_owned(),
    };
    granted.map_err(|why| fields.reject("scopes", problem(why))).ok()
}
