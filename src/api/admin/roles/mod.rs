//! `admin/roles` and `admin/permissions`: what accounts may do, and how that is put together.

pub mod create;
pub mod list;
pub mod permissions;
pub mod remove;
mod rule;
pub mod update;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    domain::{
        rbac::{RoleGraph, RoleRecord},
        user::{FieldProblem, line_of_text},
    },
    stores::roles::Roles,
};

/// What looking after roles takes.
const PERMISSION: &str = "roles:manage";

/// What a role, a permission or a policy is for: at most 200 characters.
pub(super) fn description(text: &str) -> Result<String, FieldProblem> {
    line_of_text(text, 200, "must have at most 200 characters")
}

/// A role as the API shows one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Role")]
pub struct RoleView {
    name: String,
    description: String,
    built_in: bool,
    require_mfa: bool,
    inherits: Vec<String>,
    permissions: Vec<String>,
}

/// A role with everything that it comes to.
#[derive(Serialize, JsonSchema)]
pub struct WholeRole {
    #[serde(flatten)]
    role: RoleView,
    /// The role itself and all that it inherits.
    effective_roles: Vec<String>,
    /// What those give together.
    effective_permissions: Vec<String>,
}

impl RoleView {
    fn new(name: &str, description: &str, built_in: bool, record: &RoleRecord) -> Self {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            built_in,
            require_mfa: record.require_mfa,
            inherits: sorted(&record.inherits),
            permissions: sorted(&record.permissions),
        }
    }

    /// One that is there.
    fn of(roles: &Roles, name: &str) -> Option<Self> {
        let (about, record) = roles.roles.get(name).zip(roles.records.get(name))?;
        Some(Self::new(name, &about.description, about.built_in != 0, record))
    }

    fn whole(self, graph: &RoleGraph) -> WholeRole {
        let effective_roles = graph.inherited(&self.name).into_iter().map(ToOwned::to_owned).collect();
        let effective_permissions = graph.permissions(std::slice::from_ref(&self.name)).into_iter().collect();
        WholeRole { role: self, effective_roles, effective_permissions }
    }
}

/// Names as a record has them.
fn texts<T: ToString>(names: &[T]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
