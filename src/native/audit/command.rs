//! The command line: `edgewarden audit verify DATABASE [--head HEX]`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{Against, Report, open, verify};
use crate::{
    domain::{secret::SecretList, time::Timestamp},
    duration,
    native::commands::Outcome,
};

/// How it is called.
pub const USAGE: &str = "usage: edgewarden audit verify DATABASE [--head HEX]

Holds the audit log in a copy of the database (an SQLite file, or the SQL of `wrangler d1 export`)
against its seals, and names each range that was touched. TOKEN_MAC_KEY is read from the environment,
and AUDIT_RETENTION where it is not 365d. --head names a head that was kept elsewhere: the
chain must hold it. The exit code is 1 if something was touched, and 2 if nothing could be done.";

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    database: PathBuf,
    head: Option<String>,
}

impl Arguments {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Self> {
        let (mut database, mut head, mut arguments) = (None, None, arguments.into_iter());
        if (arguments.next()?.as_str(), arguments.next()?.as_str()) != ("audit", "verify") {
            return None;
        }
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--head" if head.is_none() => {
                    head = Some(arguments.next().filter(|head| is_head(head))?.to_lowercase());
                }
                other if other.starts_with('-') => return None,
                other if database.is_none() => database = Some(other.into()),
                _ => return None,
            }
        }
        Some(Self { database: database?, head })
    }
}

fn is_head(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Runs it, with the words after the program's name; `lookup` reads the environment.
pub fn run(
    arguments: impl IntoIterator<Item = String>,
    lookup: &dyn Fn(&str) -> Option<String>,
    now: Timestamp,
    output: &mut dyn Write,
    errors: &mut dyn Write,
) -> Outcome {
    let Some(arguments) = Arguments::parse(arguments) else {
        // Who cannot be told sees the exit code.
        let _ = writeln!(errors, "{USAGE}");
        return Outcome::Failed;
    };
    let told = report(&arguments, lookup, now).and_then(|report| {
        tell(&report, output)?;
        Ok(if report.faults.is_empty() { Outcome::Good } else { Outcome::Faulty })
    });
    told.unwrap_or_else(|error| {
        let _ = writeln!(errors, "edgewarden: {error}");
        Outcome::Failed
    })
}

fn report(arguments: &Arguments, lookup: &dyn Fn(&str) -> Option<String>, now: Timestamp) -> io::Result<Report> {
    let secret = lookup("TOKEN_MAC_KEY").ok_or_else(|| io::Error::other("TOKEN_MAC_KEY is not in the environment"))?;
    let keys = SecretList::parse(&secret).map_err(|problem| io::Error::other(format!("TOKEN_MAC_KEY {problem}")))?;
    let retention = lookup("AUDIT_RETENTION").unwrap_or_else(|| "365d".to_owned());
    let retention =
        duration::parse(&retention).map_err(|problem| io::Error::other(format!("AUDIT_RETENTION {problem}")))?;
    let of = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", arguments.database.display()));
    let connection = open(&arguments.database).map_err(|error| of(&error))?;
    let against = Against { keys: &keys, retention, head: arguments.head.as_deref(), now };
    verify(&connection, &against).map_err(|error| of(&error))
}

fn tell(report: &Report, output: &mut dyn Write) -> io::Result<()> {
    for fault in &report.faults {
        writeln!(output, "{fault}")?;
    }
    let Report { ranges, rows, covered, leaving, not_sealed, faults } = report;
    write!(output, "ranges: {ranges}, rows in them: {rows}")?;
    if let Some((from, to)) = covered {
        write!(output, ", from {} to {}", from.rfc3339(), to.rfc3339())?;
    }
    if let Some((count, since)) = not_sealed {
        write!(output, "; not sealed yet: {count}, since {}", since.rfc3339())?;
    }
    if *leaving > 0 {
        write!(output, "; about to be forgotten, and not vouched for: {leaving}")?;
    }
    writeln!(output, "; faults: {}", faults.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let parse = |text: &str| Arguments::parse(text.split_whitespace().map(ToOwned::to_owned));
        let head = "AB".repeat(32);
        let plain = Arguments { database: "a".into(), head: None };
        assert_eq!(parse("audit verify a"), Some(plain));
        let kept = Some(Arguments { database: "a".into(), head: Some(head.to_lowercase()) });
        assert_eq!(parse(&format!("audit verify a --head {head}")), kept);
        assert_eq!(parse(&format!("audit verify --head {head} a")), kept);
        for wrong in
            ["", "audit", "audit verify", "audit seal a", "verify a", "audit verify a b", "audit verify a --head ab"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
