//! A copy of the database: SQLite's own file, or the SQL that `wrangler d1 export` writes.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use rusqlite::{Connection, OpenFlags, limits::Limit};

/// What a file of SQLite's begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Opens a copy, which stays as it is. What it holds may be anyone's doing: it can neither call functions with effects, nor
/// reach other files.
///
/// # Errors
/// What cannot be read, or is neither.
pub fn open(path: &Path) -> io::Result<Connection> {
    let mut beginning = Vec::new();
    fs::File::open(path)?.take(16).read_to_end(&mut beginning)?;
    let is_database = beginning == MAGIC;
    let connection = if is_database {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(told)?
    } else {
        Connection::open_in_memory().map_err(told)?
    };
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0).map_err(told)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(told)?;
    if !is_database {
        let script = fs::read_to_string(path)?;
        connection.pragma_update(None, "foreign_keys", false).map_err(told)?;
        connection.execute_batch(&script).map_err(told)?;
    }
    // All that is asked is asked of one state.
    connection.execute_batch("BEGIN").map_err(told)?;
    Ok(connection)
}

/// What is told of an error: not the SQL, which is the copy itself, with everything that it holds.
fn told(error: rusqlite::Error) -> io::Error {
    match error {
        rusqlite::Error::SqlInputError { msg, offset, .. } => {
            let what = msg.split(['"', ':']).next().unwrap_or_default();
            io::Error::other(format!("the SQL cannot be read, {offset} bytes into a statement: {}", what.trim_end()))
        }
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_copy_is_told_that_cannot_be_read() {
        let path = std::env::temp_dir().join(format!("edgewarden-told-{}.sql", std::process::id()));
        for script in [
            "INSRT INTO users VALUES ('ada', '$argon2id$x');",
            "root:secret:0",
            "INSERT INTO users VALUES ('$argon2id$x",
        ] {
            fs::write(&path, script).unwrap();
            let told = open(&path).map(drop).unwrap_err().to_string();
            assert!(told.starts_with("the SQL cannot be read"), "{told}");
            for secret in ["argon2id", "secret", "ada", "root"] {
                assert!(!told.contains(secret), "{told}");
            }
        }
        fs::remove_file(&path).unwrap();
    }
}
