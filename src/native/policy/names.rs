//! The roles and permissions that a policy may name, and what they come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use rusqlite::Connection;

use crate::{
    domain::rbac::{RoleGraph, RoleRecord},
    gateway::policy::Names,
    native::{audit, sqlite},
};

/// What is known of roles.
pub(super) struct Known {
    /// Which names there are.
    pub names: Names,
    /// What roles give.
    pub roles: RoleGraph,
}

/// Those that every installation has.
pub(super) fn built_in() -> io::Result<Known> {
    sqlite::migrated().and_then(|connection| read(&connection)).map_err(io::Error::other)
}

/// Those in a copy of the database.
pub(super) fn of(copy: &Path) -> io::Result<Known> {
    read(&audit::open(copy)?).map_err(io::Error::other)
}

fn read(connection: &Connection) -> Result<Known, rusqlite::Error> {
    let all = |sql| -> Result<BTreeSet<String>, rusqlite::Error> {
        let mut statement = connection.prepare(sql)?;
        let names = statement.query_map([], |row| row.get(0))?;
        names.collect()
    };
    let roles = all("SELECT name FROM roles")?;
    let list = |sql, role: &String| -> Result<Vec<String>, rusqlite::Error> {
        let mut statement = connection.prepare(sql)?;
        let names = statement.query_map([role], |row| row.get(0))?;
        names.collect()
    };
    let mut records = BTreeMap::new();
    for role in &roles {
        let require_mfa =
            connection.query_row("SELECT require_mfa FROM roles WHERE name = ?1", [role], |row| row.get(0))?;
        let record = RoleRecord {
            inherits: list("SELECT inherits FROM role_inherits WHERE role = ?1", role)?,
            permissions: list("SELECT permission FROM role_permissions WHERE role = ?1", role)?,
            require_mfa,
        };
        records.insert(role.clone(), record);
    }
    let names = Names { roles, permissions: all("SELECT name FROM permissions")? };
    Ok(Known { names, roles: RoleGraph::new(&records) })
}
