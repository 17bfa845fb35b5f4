//! `POST admin/policy/explain`: what would become of a request, and why.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, Request, State},
};
use serde_json::Value;

use super::{
    READ,
    change::{check, policy_text},
    names,
};
use crate::{
    api::{
        extract::{LargeJsonObject, Reader},
        form::Fields,
    },
    app::App,
    domain::rbac::Requirement,
    duration,
    error::{ApiError, FieldError},
    gateway::{
        Moment,
        caller::Caller,
        explain::{Explanation, explain as explained},
        head::Head,
        policy::Credential,
        question::{Question, Whom},
        rules::Ruling,
    },
    stores::roles,
};

/// Under which policy.
enum Under {
    /// The one that decides.
    Live,
    /// The one that is tried.
    Candidate,
    /// That of the file that is deployed.
    File,
}

/// Takes `{method, url, headers?}`, who is supposed to make the request, `{roles?, subject?, scope?, credential?, mfa?}`, and
/// `{under?}` or a `{policy?}` that was put nowhere yet.
pub async fn explain(
    State(app): State<Arc<App>>,
    reader: Reader,
    request: Request,
) -> Result<Json<Explanation>, ApiError> {
    reader.require(&app, &Requirement::permission(READ)).await?;
    let LargeJsonObject(body) = LargeJsonObject::from_request(request, &app).await?;
    let mut fields = Fields::new(body);
    fields.only(&["method", "url", "headers", "roles", "subject", "scope", "credential", "mfa", "under", "policy"]);
    let (method, url) = (fields.required_text("method"), fields.required_text("url"));
    let question =
        Question { method: method.unwrap_or_default(), url: url.unwrap_or_default(), headers: headers(&mut fields) };
    let whom = Whom {
        roles: fields.optional_list("roles", |role| Ok(role.to_owned())),
        subject: fields.optional_text("subject"),
        scope: fields.optional_text("scope"),
        credential: fields
            .optional("credential", |text| Credential::parse(text).ok_or("must be bearer, session, api_key or mtls")),
        mfa: fields.optional("mfa", |text| duration::parse(text).map_err(|_| "must be a time such as 5m")),
    };
    let policy = fields.optional("policy", policy_text);
    let under = fields.optional("under", |text| match text {
        "live" => Ok(Under::Live),
        "candidate" => Ok(Under::Candidate),
        "file" => Ok(Under::File),
        _ => Err("must be live, candidate or file"),
    });
    if policy.is_some() && under.is_some() {
        fields.reject("under", "is not said where a policy is given");
    }
    let head = question.head().map_err(|(what, problem)| fields.reject(what, problem)).unwrap_or_default();
    fields.refuse()?;

    // As everything is now, not as it was a while ago.
    let bundle = app.read_bundle().await?;
    let unknown = whom.roles.iter().flatten().find(|role| !bundle.roles.has(role));
    if let Some(role) = unknown {
        return Err(ApiError::Invalid(vec![FieldError::new("roles", format!("there is no role {role:?}"))]));
    }
    let ruling = ruling(&app, policy.as_deref(), &under.unwrap_or(Under::Live)).await?;
    let head = Head::parse(&head).ok_or_else(|| ApiError::Internal("no head".to_owned()))?;
    let now = app.ports.clock.now();
    let issuer = app.config.public_url.as_str();
    let caller = whom.supposed().map(|supposed| Caller::supposed(&supposed, issuer, &bundle.roles, now));
    let world = app.world().under(ruling.as_deref());
    let moment = Moment { request: app.ports.new_request_id(), now };
    Ok(Json(explained(&head, caller.as_ref(), &world, &bundle.roles, moment)))
}

/// What decides; nothing is the file that is deployed.
async fn ruling(app: &App, policy: Option<&str>, under: &Under) -> Result<Option<Arc<Ruling>>, ApiError> {
    let Some(text) = policy else {
        return match under {
            Under::File => Ok(None),
            Under::Live => Ok(app.live()),
            Under::Candidate => app.candidate().map(Some).ok_or_else(|| {
                ApiError::Invalid(vec![FieldError::new("under", "cannot be candidate: no policy is tried")])
            }),
        };
    };
    let roles = roles::read(app.ports.database.as_ref()).await?;
    let policy = check(app, text, &names(&roles))?;
    Ok(Some(Arc::new(app.ruling(policy))))
}

fn headers(fields: &mut Fields) -> Vec<(String, String)> {
    let text = |(name, value): (&String, &Value)| value.as_str().map(|value| (name.clone(), value.to_owned()));
    let read = match fields.value("headers") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Object(headers)) => headers.iter().map(text).collect(),
        Some(_) => None,
    };
    if read.is_none() {
        fields.reject("headers", "must be an object of strings");
    }
    read.unwrap_or_default()
}
