//! `edgewarden policy check FILE`: everything that is wrong with a policy, before it is deployed.

mod names;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::PathBuf,
};

use crate::{
    config::Config,
    gateway::policy::{Ours, Policy, Surroundings},
    native::commands::Outcome,
};

/// How it is called.
pub const USAGE: &str = "usage: edgewarden policy check FILE [--database COPY] [NAME=VALUE …]

Tells everything that is wrong with a policy, each fault with its line. Roles and permissions are those
that every installation has, or those in a copy of the database (an SQLite file, or the SQL of `wrangler d1
export`). Variables that the policy names are read from the environment, or are given here; so are
PUBLIC_URL, ALLOWED_HOSTS and API_PREFIX: with PUBLIC_URL, routes that no request comes to are told
as well. The exit code is 1 if something is wrong, and 2 if nothing could be done.";

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    file: PathBuf,
    database: Option<PathBuf>,
    vars: BTreeMap<String, String>,
}

impl Arguments {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Self> {
        let (mut file, mut database, mut vars) = (None, None, BTreeMap::new());
        let mut arguments = arguments.into_iter();
        if (arguments.next()?.as_str(), arguments.next()?.as_str()) != ("policy", "check") {
            return None;
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        while let Some(argument) = arguments.next() {
            match argument.split_once('=') {
                Some((name, value)) if is_name(name) => drop(vars.insert(name.to_owned(), value.to_owned())),
                _ if argument == "--database" && database.is_none() => database = Some(arguments.next()?.into()),
                _ if argument.starts_with('-') => return None,
                _ if file.is_none() => file = Some(argument.into()),
                _ => return None,
            }
        }
        Some(Self { file: file?, database, vars })
    }
}

/// Runs it, with the words after the program's name; `lookup` reads the environment.
pub fn run(
    arguments: impl IntoIterator<Item = String>,
    lookup: &dyn Fn(&str) -> Option<String>,
    output: &mut dyn Write,
    errors: &mut dyn Write,
) -> Outcome {
    let Some(arguments) = Arguments::parse(arguments) else {
        // Who cannot be told sees the exit code.
        let _ = writeln!(errors, "{USAGE}");
        return Outcome::Failed;
    };
    check(&arguments, lookup, output).unwrap_or_else(|error| {
        let _ = writeln!(errors, "edgewarden: {error}");
        Outcome::Failed
    })
}

fn check(
    arguments: &Arguments,
    lookup: &dyn Fn(&str) -> Option<String>,
    output: &mut dyn Write,
) -> io::Result<Outcome> {
    let of = |path: &PathBuf, error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(&arguments.file).map_err(|error| of(&arguments.file, &error))?;
    let names = match &arguments.database {
        None => names::built_in()?,
        Some(copy) => names::of(copy).map_err(|error| of(copy, &error))?,
    };
    let vars = |name: &str| arguments.vars.get(name).cloned().or_else(|| lookup(name));
    let ours = match vars("PUBLIC_URL") {
        None => None,
        Some(_) => {
            Some(Ours::new(&Config::parse(&|name| vars(name).or_else(|| made_up(name))).map_err(io::Error::other)?))
        }
    };
    let surroundings = Surroundings { vars: &vars, names: Some(&names), ours: ours.as_ref() };
    let faults = match Policy::parse_in(&text, surroundings) {
        Ok(policy) => {
            writeln!(output, "routes: {}, origins: {}; faults: 0", policy.routes().len(), policy.origins().len())?;
            return Ok(Outcome::Good);
        }
        Err(error) => error.0,
    };
    for fault in &faults {
        writeln!(output, "{}: {fault}", arguments.file.display())?;
    }
    writeln!(output, "faults: {}", faults.len())?;
    Ok(Outcome::Faulty)
}

/// Secrets decide nothing here, and are not asked for.
fn made_up(name: &str) -> Option<String> {
    let is_secret = matches!(name, "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY");
    is_secret.then(|| "k1:abcdefghijklmnopqrstuvwxyz0123456789".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let parse = |text: &str| Arguments::parse(text.split_whitespace().map(ToOwned::to_owned));
        let plain = || Arguments { file: "p.toml".into(), ..Arguments::default() };
        assert_eq!(parse("policy check p.toml"), Some(plain()));
        let vars = BTreeMap::from([("A_1".to_owned(), "b=c".to_owned())]);
        let all = Arguments { database: Some("d".into()), vars, ..plain() };
        assert_eq!(parse("policy check A_1=b=c --database d p.toml"), Some(all));
        for wrong in [
            "policy",
            "policy check",
            "policy p.toml",
            "policy check a b",
            "policy check a --database",
            "policy check a -x",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
