//! `edgewarden policy check`, `explain` and `test`: what is wrong with a policy, what would become of a request under it, and
//! whether that is what its cases say, before it is deployed.

mod arguments;
mod cases;
mod installation;
mod names;
mod told;

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use self::{
    arguments::{Arguments, Task},
    cases::Case,
    installation::Installation,
};
use crate::{config::Config, gateway::policy::PolicyError, native::commands::Outcome};

/// How it is called.
pub const USAGE: &str = "usage: edgewarden policy check FILE [--database COPY] [NAME=VALUE …]
       edgewarden policy test FILE [--database COPY] [NAME=VALUE …]
       edgewarden policy explain FILE METHOD URL [--role ROLE …] [--subject ID] [--scope SCOPE] [--mfa AGE]
         [--credential bearer|session|api_key] [--header NAME:VALUE …] [--database COPY] [NAME=VALUE …]

check tells everything that is wrong with a policy, each fault with its line. test holds it against the cases
that stand beside it: those of policy.toml in policy.cases.toml. explain tells what would become of a request,
step by step; nobody makes it if nothing is said of them. Roles and permissions are those that every
installation has, or those in a copy of the database (an SQLite file, or the SQL of `wrangler d1 export`).
Variables that the policy names are read from the environment, or are given here; so are PUBLIC_URL,
ALLOWED_HOSTS and API_PREFIX: with PUBLIC_URL, routes that no request comes to are told as well, and
without it test and explain go by http://127.0.0.1:8787 in development. The exit code is 1 if something is
wrong, and 2 if nothing could be done.";

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
    go(&arguments, lookup, output).unwrap_or_else(|error| {
        let _ = writeln!(errors, "edgewarden: {error}");
        Outcome::Failed
    })
}

fn go(arguments: &Arguments, lookup: &dyn Fn(&str) -> Option<String>, output: &mut dyn Write) -> io::Result<Outcome> {
    let file = &arguments.file;
    let text = read(file)?;
    let vars = |name: &str| arguments.vars.get(name).cloned().or_else(|| lookup(name));
    let known = match &arguments.database {
        None => names::built_in()?,
        Some(copy) => names::of(copy).map_err(|error| about(copy, &error))?,
    };
    if arguments.task == Task::Check {
        let config = vars("PUBLIC_URL").map(|_| configured(&vars)).transpose()?;
        return match installation::parse(&text, &vars, &known.names, config.as_ref()) {
            Ok(policy) => {
                writeln!(output, "routes: {}, origins: {}; faults: 0", policy.routes().len(), policy.origins().len())?;
                Ok(Outcome::Good)
            }
            Err(error) => faulty(file, &error, output),
        };
    }
    let installed = |name: &str| vars(name).or_else(|| in_development(&vars, name));
    let config = configured(&installed)?;
    let installation = match installation::parse(&text, &vars, &known.names, Some(&config)) {
        Ok(policy) => Installation::new(config, policy, known.roles),
        Err(error) => return faulty(file, &error, output),
    };
    match &arguments.task {
        Task::Explain(question, whom) => {
            let head = question.head().map_err(|(what, problem)| io::Error::other(format!("{what} {problem}")))?;
            told::tell(&installation.explain(&head, whom), output)?;
            Ok(Outcome::Good)
        }
        _ => test(file, &installation, output),
    }
}

/// Holds a policy against its cases.
fn test(file: &Path, installation: &Installation, output: &mut dyn Write) -> io::Result<Outcome> {
    let beside = file.with_extension("cases.toml");
    let cases = cases::read(&read(&beside)?).map_err(|error| about(&beside, &error))?;
    let failed = cases.iter().map(|case| case.failure(installation));
    let failed: Vec<_> = cases.iter().zip(failed).filter_map(|(case, failure)| Some((case, failure?))).collect();
    for (Case { line, .. }, failure) in &failed {
        writeln!(output, "{}: line {line}: {failure}", beside.display())?;
    }
    writeln!(output, "cases: {}, failed: {}", cases.len(), failed.len())?;
    Ok(if failed.is_empty() { Outcome::Good } else { Outcome::Faulty })
}

fn faulty(file: &Path, error: &PolicyError, output: &mut dyn Write) -> io::Result<Outcome> {
    for fault in &error.0 {
        writeln!(output, "{}: {fault}", file.display())?;
    }
    writeln!(output, "faults: {}", error.0.len())?;
    Ok(Outcome::Faulty)
}

fn read(file: &Path) -> io::Result<String> {
    fs::read_to_string(file).map_err(|error| about(file, &error))
}

fn about(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

fn configured(vars: &dyn Fn(&str) -> Option<String>) -> io::Result<Config> {
    Config::parse(&|name| vars(name).or_else(|| made_up(name))).map_err(io::Error::other)
}

/// Secrets decide nothing here, and are not asked for.
fn made_up(name: &str) -> Option<String> {
    let is_secret = matches!(name, "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY");
    is_secret.then(|| "k1:abcdefghijklmnopqrstuvwxyz0123456789".to_owned())
}

/// Where nothing is said of the installation, it is the one that `make dev` serves.
fn in_development(vars: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    let said = vars("PUBLIC_URL").is_some();
    match name {
        "PUBLIC_URL" if !said => Some("http://127.0.0.1:8787".to_owned()),
        "ENVIRONMENT" if !said => Some("development".to_owned()),
        _ => None,
    }
}
