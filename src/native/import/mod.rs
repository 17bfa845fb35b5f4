//! Users of another system, line by line (NDJSON), as SQL for D1: what `edgewarden import` does.
//!
//! What a line says is held against the same rules as what a person types; what is not understood is refused with its
//! number, and the others go on. The same lines give the same SQL: ids are made of what a user is, not drawn, and
//! times that a line does not say are the database's own. So the SQL may be put twice, and the second time changes nothing.

pub mod command;
mod line;
mod script;
mod sql;

use std::{collections::HashMap, fmt};

use sha2::{Digest, Sha256};

use self::line::Line;
use crate::domain::{id::RequestId, time::Timestamp};

/// What came of a file.
#[derive(Debug)]
pub struct Import {
    /// What to put into the database, in order. Each can be put by itself; to be put together, in one transaction.
    pub statements: Vec<String>,
    /// How many users are in it.
    pub users: usize,
    /// What is not.
    pub refused: Vec<Refused>,
    /// What the audit rows name as their request: another for another file.
    pub run: RequestId,
}

/// A line that is not imported.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its number, from 1.
    pub line: usize,
    /// Why, as the rest of a sentence about it.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Import {
    /// Reads a file; lines of blanks only are skipped.
    #[must_use]
    pub fn read(file: &[u8]) -> Self {
        let mut seen = Seen::default();
        let (mut users, mut refused) = (Vec::new(), Vec::new());
        for (number, bytes) in (1..).zip(file.split(|&b| b == b'\n')) {
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match Line::parse(number, bytes).and_then(|user| seen.admit(user)) {
                Ok(user) => users.push(user),
                Err(reason) => refused.push(Refused { line: number, reason }),
            }
        }
        let run = RequestId::new(Timestamp::default(), &digest("run", file));
        Self { statements: script::write(&users, run), users: users.len(), refused, run }
    }

    /// The statements as one text.
    #[must_use]
    pub fn sql(&self) -> String {
        self.statements.iter().flat_map(|statement| [statement, ";\n"]).collect()
    }
}

/// Which line had a name or an address first.
#[derive(Default)]
struct Seen(HashMap<String, usize>);

impl Seen {
    fn admit(&mut self, user: Line) -> Result<Line, String> {
        // A name holds no `@`, an address does.
        for (what, key) in [("username", user.username.as_str()), ("email", &user.email.key())] {
            if let Some(line) = self.0.get(key) {
                return Err(format!("{what} is that of line {line}, too"));
            }
        }
        self.0.extend([(user.username.as_str().to_owned(), user.number), (user.email.key(), user.number)]);
        Ok(user)
    }
}

/// The random part of an id that is the same each time.
fn digest(what: &str, of: &[u8]) -> [u8; 10] {
    let digest =
        Sha256::new().chain_update("edgewarden import v1 ").chain_update(what).chain_update([0]).chain_update(of);
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_line_is_a_user_or_refused_whatever_it_is(file in prop::collection::vec(any::<u8>(), 0..400)) {
            let lines = file.split(|&b| b == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace)).count();
            let import = Import::read(&file);
            prop_assert_eq!(import.users + import.refused.len(), lines);
        }
    }

    #[test]
    fn line_ends_of_another_system_and_blank_lines_are_no_matter() {
        let line = r#"{"username":"ada","email":"ada@example.org","password_hash":"$2b$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS"}"#;
        let import = Import::read(format!("\r\n{line}\r\n  \nx\n").as_bytes());
        assert_eq!((import.users, import.refused.len()), (1, 1));
        assert!(import.refused.iter().all(|refused| refused.to_string().starts_with("line 4: is not one JSON object")));
    }
}
