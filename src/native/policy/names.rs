//! The roles and permissions that a policy may name.

use std::{collections::BTreeSet, io, path::Path};

use rusqlite::Connection;

use crate::{
    gateway::policy::Names,
    native::{audit, sqlite},
};

/// Those that every installation has.
pub(super) fn built_in() -> io::Result<Names> {
    sqlite::migrated().and_then(|connection| read(&connection)).map_err(io::Error::other)
}

/// Those in a copy of the database.
pub(super) fn of(copy: &Path) -> io::Result<Names> {
    read(&audit::open(copy)?).map_err(io::Error::other)
}

fn read(connection: &Connection) -> Result<Names, rusqlite::Error> {
    let all = |sql| -> Result<BTreeSet<String>, rusqlite::Error> {
        let mut statement = connection.prepare(sql)?;
        let names = statement.query_map([], |row| row.get(0))?;
        names.collect()
    };
    Ok(Names { roles: all("SELECT name FROM roles")?, permissions: all("SELECT name FROM permissions")? })
}
