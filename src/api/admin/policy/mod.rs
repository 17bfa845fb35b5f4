//! `admin/policy`: which routes there are, put live without a deploy. Origins come from the file that is deployed alone.

pub mod change;
pub mod explain;
pub mod versions;

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::extract::Reader,
    app::{App, Trial},
    domain::{bundle::Bundle, rbac::Requirement, versions::Version},
    error::ApiError,
    gateway::{
        policy::Names,
        rules::{Finding, Ruling},
    },
    stores::roles::Roles,
};

/// What reading it takes.
const READ: &str = "policy:read";
/// What changing it takes.
const MANAGE: &str = "policy:manage";

/// The policy that decides, and what is tried beside it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub struct PolicyView {
    /// Where it comes from.
    source: Source,
    /// Its version, if it was put live.
    version: Option<i64>,
    /// The policy, in TOML.
    policy: String,
    /// The newest version that was put live, whether it decides or not: what a change may be based on. 0 if there is none.
    latest: i64,
    /// What is tried beside it.
    candidate: Option<CandidateView>,
    /// What was put and does not decide, and why.
    problems: Vec<String>,
}

/// Where a policy comes from.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Source {
    /// The file that is deployed.
    File,
    /// It was put live.
    Live,
}

/// A policy that decides beside the one that does, and of which only the log hears. Counted in the isolate that answers.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct CandidateView {
    /// Its version.
    version: i64,
    /// The policy, in TOML.
    policy: String,
    #[serde(flatten)]
    trial: Trial,
}

/// Answers with what decides.
pub async fn show(State(app): State<Arc<App>>, reader: Reader) -> Result<Json<PolicyView>, ApiError> {
    reader.require(&app, &Requirement::permission(READ)).await?;
    // From the record: an operator wants to see what is.
    let bundle = app.read_bundle().await?;
    Ok(Json(view(&app, &bundle)))
}

fn view(app: &App, bundle: &Bundle) -> PolicyView {
    let (live, candidate, problems) = {
        let knowledge = app.knowledge();
        let rules = &knowledge.rules;
        let version = |ruling: Option<&Arc<Ruling>>| ruling.and_then(|ruling| ruling.version);
        (version(rules.live()), version(rules.candidate()), rules.findings().iter().map(told).collect())
    };
    let put = &bundle.policies;
    let text = |version: &Version| version.text.clone().unwrap_or_default();
    let decides = put.live.iter().find(|version| Some(version.number) == live);
    let tried = put.candidate.as_ref().filter(|version| Some(version.number) == candidate);
    PolicyView {
        source: if decides.is_some() { Source::Live } else { Source::File },
        version: decides.map(|version| version.number),
        policy: decides.map_or_else(|| app.deployed().text().to_owned(), text),
        latest: put.live.first().map_or(0, |version| version.number),
        candidate: tried.map(|version| CandidateView {
            version: version.number,
            policy: text(version),
            trial: app.trial_of(version.number),
        }),
        problems,
    }
}

/// The roles and permissions that there are.
fn names(roles: &Roles) -> Names {
    Names { roles: roles.roles.keys().cloned().collect(), permissions: roles.permissions.keys().cloned().collect() }
}

fn told(finding: &Finding) -> String {
    match finding {
        Finding::Unreadable(version, why) => format!("Version {version} cannot be read: {why}"),
        Finding::Untried(version, why) => format!("Version {version} cannot be read, and is not tried: {why}"),
        Finding::Superseded(version) => {
            format!(
                "Version {version} was put live beside another policy file than the one that is deployed, which decides."
            )
        }
    }
}
