//! Roles and permissions, as they are looked after. Whether somebody may change them is judged by all of them as they were
//! read; the batch that does it looks once more whether they are still those, by their version.

mod change;
mod permissions;

pub use change::Role;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    audit,
    bundle::{Keeper, records},
    judged::Actor,
    revocations, run,
};
use crate::{
    domain::{
        audit::{Act, Entry},
        bundle::Bundle,
        rbac::{PermissionName, RoleGraph, RoleName, RoleRecord},
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Statement, Value},
};

/// What stands beside a role's or a permission's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct About {
    name: String,
    /// What it is for.
    pub description: String,
    /// Whether every installation has it.
    pub built_in: i64,
}

/// All roles and permissions, as of one version.
#[derive(Debug)]
pub struct Roles {
    /// What roles say.
    pub records: BTreeMap<String, RoleRecord>,
    /// What is told of roles.
    pub roles: BTreeMap<String, About>,
    /// What is told of permissions.
    pub permissions: BTreeMap<String, About>,
    /// The version.
    pub version: i64,
}

impl Roles {
    /// What roles come to.
    #[must_use]
    pub fn graph(&self) -> RoleGraph {
        RoleGraph::new(&self.records)
    }
}

/// Reads them.
pub async fn read(database: &dyn Database) -> Result<Roles, ApiError> {
    let batch = vec![
        revocations::read_versions(),
        super::bundle::read_roles(),
        Statement::new("SELECT name, description, built_in FROM roles", []),
        Statement::new("SELECT name, description, built_in FROM permissions", []),
    ];
    let mut rows = run(database, batch).await?.into_iter();
    let version = revocations::versions(rows.next().unwrap_or_default())?.roles;
    let records = records(rows.next().unwrap_or_default())?;
    let mut named = || -> Result<BTreeMap<_, _>, ApiError> {
        let all = rows.next().unwrap_or_default().all::<About>()?;
        Ok(all.into_iter().map(|about| (about.name.clone(), about)).collect())
    };
    Ok(Roles { version, records, roles: named()?, permissions: named()? })
}

/// What came of a change.
#[derive(Debug)]
pub enum Ruled {
    /// It is so now; with keys and roles after it.
    Done(Box<Bundle>),
    /// There is one of that name.
    Taken,
    /// There was one of that name lately: none is called so again before then.
    Retired(Timestamp),
    /// It is used: by so many accounts (counted up to 1,001), and by these roles.
    InUse(i64, Vec<String>),
    /// The actor's own session is over.
    NotStanding,
    /// Roles changed since it was judged.
    Overtaken,
}

/// Who makes a change, and the row in the log.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// Who.
    pub actor: Actor,
    /// The row.
    pub act: &'a Act,
}

/// Reads what came of it, at the end of a batch. Parameters of `state` are the name, the actor's session, their id and
/// token version, and the time.
fn reads(by: By<'_>, name: &str, state: &'static str) -> [Statement; 2] {
    let Entry { at, .. } = by.act.entry;
    let params = [
        name.into(),
        by.actor.session.to_string().into(),
        by.actor.user.to_string().into(),
        by.actor.version.into(),
        at.millis().into(),
    ];
    [audit::read_written(&by.act.entry), Statement::new(state, params)]
}

/// What [`reads`] reads of a role; `$in_use` is SQL for whether it is used.
macro_rules! state {
    ($table:literal, $holders:literal, $roles:literal, $retired:literal) => {
        concat!(
            "SELECT ",
            stands!("?2", "?3", "?4"),
            " AS stands, EXISTS (SELECT 1 FROM ",
            $table,
            " WHERE name = ?1) AS is_there, (SELECT COUNT(*) FROM (",
            $holders,
            " LIMIT 1001)) AS holders, (SELECT json_group_array(role) FROM (",
            $roles,
            " ORDER BY role)) AS roles, (",
            $retired,
            ") AS retired_until"
        )
    };
}
use state;

#[derive(Deserialize)]
struct State {
    stands: i64,
    is_there: i64,
    holders: i64,
    roles: String,
    retired_until: Option<i64>,
}

/// A change, as it was judged.
#[derive(Debug)]
pub enum Change {
    /// A role is made.
    CreateRole(Role),
    /// A role becomes this.
    UpdateRole(Role),
    /// A role goes, unless it is built in; one that is used only by force. Nothing else is called so before then.
    RemoveRole(RoleName, Force, Timestamp),
    /// A permission is made, for this.
    CreatePermission(PermissionName, String),
    /// A permission is said to be for this.
    DescribePermission(PermissionName, String),
    /// A permission goes, unless it is built in; one that a role gives, other than `super_admin`, only by force.
    RemovePermission(PermissionName, Force),
}

/// Whether what is used is removed as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is not.
    No,
    /// It is, and from wherever it is used.
    Yes,
}

impl From<Force> for Value {
    fn from(force: Force) -> Self {
        i64::from(force == Force::Yes).into()
    }
}

impl Change {
    /// What makes it, and reads what came of it.
    fn batch(&self, by: By<'_>) -> Vec<Statement> {
        match self {
            Self::CreateRole(role) => change::create(by, role),
            Self::UpdateRole(role) => change::update(by, role),
            Self::RemoveRole(name, force, until) => change::remove(by, name, *force, *until),
            Self::CreatePermission(name, description) => permissions::create(by, name, description),
            Self::DescribePermission(name, description) => permissions::describe(by, name, description),
            Self::RemovePermission(name, force) => permissions::remove(by, name, *force),
        }
    }

    const fn creates(&self) -> bool {
        matches!(self, Self::CreateRole(_) | Self::CreatePermission(..))
    }
}

/// Makes a change, if roles are still as it was judged by.
pub async fn make(keeper: &Keeper<'_>, by: By<'_>, change: &Change) -> Result<Ruled, ApiError> {
    let (mut rows, bundle) = keeper.change(change.batch(by)).await?;
    let state = rows.pop().unwrap_or_default().first::<State>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    if written.contains(&by.act.entry.id.to_string()) {
        return Ok(Ruled::Done(Box::new(bundle)));
    }
    let Some(state) = state else { return Ok(Ruled::Overtaken) };
    let used_by: Vec<String> =
        serde_json::from_str(&state.roles).map_err(|error| ApiError::Internal(error.to_string()))?;
    let removes = matches!(change, Change::RemoveRole(..) | Change::RemovePermission(..));
    Ok(match state.retired_until {
        _ if state.stands == 0 => Ruled::NotStanding,
        _ if change.creates() && state.is_there == 1 => Ruled::Taken,
        Some(until) if change.creates() => Ruled::Retired(Timestamp::from_millis(until)),
        _ if bundle.versions.roles != by.actor.roles_version => Ruled::Overtaken,
        _ if removes && (state.holders > 0 || !used_by.is_empty()) => Ruled::InUse(state.holders, used_by),
        _ => Ruled::Overtaken,
    })
}
