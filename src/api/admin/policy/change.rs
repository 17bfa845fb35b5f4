//! `PUT admin/policy`, `POST admin/policy/rollback` and `DELETE admin/policy/candidate`: another policy decides, or is tried
//! beside the one that does. Everyone hears of it before it is answered.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::StatusCode,
};

use super::{MANAGE, PolicyView, names, view};
use crate::{
    api::{
        Connection,
        admin::{
            judge::{TRIES, actor, editor, give_way},
            roles::description,
        },
        extract::{JsonObject, LargeJsonObject, Principal},
        form::Fields,
    },
    app::{App, Publication},
    domain::{
        audit::{Act, Entry, Event},
        bundle::Bundle,
        rbac::Requirement,
        token::verify::Refusal,
        user::FieldProblem,
        versions,
    },
    error::{ApiError, FieldError},
    gateway::policy::{Names, Ours, Policy},
    stores::{
        audit,
        policies::{self, Kind, New, Outcome},
        roles::{self, By},
    },
};

/// A larger policy is refused, in bytes.
const MAX_POLICY_BYTES: usize = 1024 * 1024;

/// What is to be put.
struct Wanted {
    kind: Kind,
    event: Event,
    text: Option<String>,
    copy_of: Option<i64>,
    note: String,
    after: Option<i64>,
}

/// Who asks for it.
struct Asked<'a> {
    app: &'a App,
    connection: &'a Connection,
    principal: &'a Principal,
}

/// Takes `{policy, mode?, based_on?, note?}`: the policy decides from now on, or with the mode `shadow` is tried.
pub async fn put(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    request: Request,
) -> Result<Json<PolicyView>, ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal };
    // Nobody's policy is read who may not put one.
    asked.admit().await?;
    let LargeJsonObject(body) = LargeJsonObject::from_request(request, &app).await?;
    let mut fields = Fields::new(body);
    fields.only(&["policy", "mode", "based_on", "note"]);
    let policy = fields.required("policy", policy_text);
    let kind = fields.optional("mode", |text| match text {
        "live" => Ok(Kind::Live),
        "shadow" => Ok(Kind::Candidate),
        _ => Err("must be live or shadow"),
    });
    let (after, note) = (based_on(&mut fields), note(&mut fields));
    let text = Some(fields.complete(policy)?);
    let kind = kind.unwrap_or(Kind::Live);
    let bundle = asked.put(Wanted { kind, event: Event::PolicyChanged, text, copy_of: None, note, after }).await?;
    Ok(Json(view(&app, &bundle)))
}

/// Takes `{version, based_on?, note?}`: an earlier version, or the candidate, decides from now on; 0 is the file that is
/// deployed.
pub async fn roll_back(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<Json<PolicyView>, ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal };
    asked.admit().await?;
    let mut fields = Fields::new(body);
    fields.only(&["version", "based_on", "note"]);
    if !fields.is_given("version") {
        fields.reject("version", "is missing");
    }
    let version = fields.optional_number("version", 0..=u32::MAX).map(i64::from);
    let (after, note) = (based_on(&mut fields), note(&mut fields));
    let version = fields.complete(version)?;
    let (copy_of, text) = if version == 0 {
        (None, None)
    } else {
        let known = policies::by_number(app.ports.database.as_ref(), version).await?;
        // That no candidate was tried any more is no policy.
        let known = known.filter(|known| known.text.is_some() || known.kind == Kind::Live.name());
        (Some(version), known.ok_or(ApiError::NotFound)?.text)
    };
    let (kind, event) = (Kind::Live, Event::PolicyRolledBack);
    let bundle = asked.put(Wanted { kind, event, text, copy_of, note, after }).await?;
    Ok(Json(view(&app, &bundle)))
}

/// Nothing is tried any more.
pub async fn end_trial(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
) -> Result<StatusCode, ApiError> {
    let asked = Asked { app: &app, connection: &connection, principal: &principal };
    asked.admit().await?;
    let known = app.read_bundle().await?;
    let (newest, candidate) = (known.policies.live.first(), known.policies.candidate.as_ref());
    let newest = newest.map_or(0, |version| version.number);
    if candidate.is_none_or(|candidate| candidate.text.is_none() || candidate.number < newest) {
        // It may be so by a request that could not tell everyone.
        app.publish(&[], Some(known.versions), Publication::Again).await?;
    } else {
        let (kind, event, note) = (Kind::Candidate, Event::PolicyChanged, String::new());
        asked.put(Wanted { kind, event, text: None, copy_of: None, note, after: None }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A policy that is not too large.
pub(super) fn policy_text(text: &str) -> Result<String, FieldProblem> {
    if text.len() <= MAX_POLICY_BYTES { Ok(text.to_owned()) } else { Err("must have at most 1 MiB") }
}

fn based_on(fields: &mut Fields) -> Option<i64> {
    fields.optional_number("based_on", 0..=u32::MAX).map(i64::from)
}

fn note(fields: &mut Fields) -> String {
    fields.optional("note", description).unwrap_or_default()
}

impl Asked<'_> {
    /// Refuses who may not, before anything is told.
    async fn admit(&self) -> Result<(), ApiError> {
        self.principal.require(self.app, &Requirement::permission(MANAGE)).await?;
        self.principal.require_recent_factor(self.app).await
    }

    /// (1) Reads all roles, and holds the caller and the policy against them. (2) Puts it, if they are still those.
    /// (3) Everyone is told.
    async fn put(&self, wanted: Wanted) -> Result<Arc<Bundle>, ApiError> {
        let Self { app, connection, principal } = *self;
        for tries in 0..TRIES {
            // (1)
            let roles = roles::read(app.ports.database.as_ref()).await?;
            editor(app, principal, &roles.graph(), &[MANAGE])?;
            if let Some(text) = &wanted.text {
                check(app, text, &names(&roles))?;
            }
            // (2)
            let keeper = app.keeper();
            let entry = Entry { session: Some(principal.session()), ..connection.entry(app, wanted.event, keeper.now) };
            let act = Act { entry, actor: principal.user()?, detail: Some(wanted.detail()) };
            let by = By { actor: actor(principal, roles.version)?, act: &act };
            match policies::add(&keeper, by, &wanted.version(app.deployed().digest())).await? {
                // (3)
                Outcome::Done(bundle) => {
                    audit::log_act(app.ports.log.as_ref(), &act);
                    return app.publish_bundle(*bundle).await;
                }
                Outcome::Overtaken => give_way(app, tries).await,
                Outcome::Moved(latest) => {
                    let problem = format!("is not the newest version that was put live: that is {latest}");
                    return Err(ApiError::Conflict(vec![FieldError::new("based_on", problem)]));
                }
                Outcome::NotStanding => return Err(ApiError::InvalidToken(Refusal::Revoked)),
            }
        }
        Err(ApiError::Unavailable("roles changed again and again".to_owned()))
    }
}

impl Wanted {
    /// What the log says of it: what for, and which policy by its digest. What was noted is a person's own words, and stands
    /// with the version.
    fn detail(&self) -> String {
        let what = self.text.as_ref().map_or_else(|| "none".to_owned(), |text| versions::digest(text));
        let copy = self.copy_of.map(|version| format!(" copy of {version}")).unwrap_or_default();
        format!("{} sha256:{what}{copy}", self.kind.name())
    }

    fn version<'a>(&'a self, base: &'a str) -> New<'a> {
        let Self { kind, copy_of, after, .. } = *self;
        New { kind, base, text: self.text.as_deref(), copy_of, note: &self.note, after }
    }
}

/// Tells everything that is wrong with a policy that is to be put, each fault with its line.
pub(super) fn check(app: &App, text: &str, names: &Names) -> Result<Policy, ApiError> {
    app.deployed().check(text, names, &Ours::new(&app.config)).map_err(|error| {
        ApiError::Invalid(error.0.iter().map(|fault| FieldError::new("policy", fault.to_string())).collect())
    })
}
