//! The command line: `edgewarden import [FILE] [--output SQL]`.

use std::{
    fs,
    io::{self, Read, Write},
    path::PathBuf,
};

use super::Import;
use crate::native::commands::Outcome;

/// How it is called.
pub const USAGE: &str = "usage: edgewarden import [USERS.ndjson] [--output USERS.sql]

Reads users of another system, one JSON object a line, from the file or from standard input, and
writes SQL for D1 to the output or to standard output. Refused lines are told on standard error;
the exit code is 1 if there is one, and 2 if nothing could be done.";

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    input: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Arguments {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Self> {
        let (mut found, mut arguments) = (Self::default(), arguments.into_iter());
        if arguments.next()? != "import" {
            return None;
        }
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--output" if found.output.is_none() => found.output = Some(arguments.next()?.into()),
                other if other.starts_with('-') => return None,
                other if found.input.is_none() => found.input = Some(other.into()),
                _ => return None,
            }
        }
        Some(found)
    }
}

/// Runs it, with the words after the program's name.
pub fn run(
    arguments: impl IntoIterator<Item = String>,
    input: &mut dyn Read,
    output: &mut dyn Write,
    errors: &mut dyn Write,
) -> Outcome {
    let Some(arguments) = Arguments::parse(arguments) else {
        // Who cannot be told sees the exit code.
        let _ = writeln!(errors, "{USAGE}");
        return Outcome::Failed;
    };
    match import(&arguments, input, output, errors) {
        Ok(outcome) => outcome,
        Err(error) => {
            let _ = writeln!(errors, "edgewarden: {error}");
            Outcome::Failed
        }
    }
}

fn import(
    arguments: &Arguments,
    input: &mut dyn Read,
    output: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut file = Vec::new();
    if let Some(path) = &arguments.input {
        file = fs::read(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    } else {
        input.read_to_end(&mut file)?;
    }
    let import = Import::read(&file);
    for refused in &import.refused {
        writeln!(errors, "{refused}")?;
    }
    match &arguments.output {
        Some(path) => private(path)?.write_all(import.sql().as_bytes())?,
        None => output.write_all(import.sql().as_bytes())?,
    }
    let Import { users, refused, run, .. } = &import;
    writeln!(
        errors,
        "edgewarden: users written: {users}, lines refused: {}, request_id of their audit rows: {run}",
        refused.len()
    )?;
    Ok(if refused.is_empty() { Outcome::Good } else { Outcome::Faulty })
}

/// A file that holds password hashes is for its owner only.
fn private(path: &PathBuf) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let parse = |text: &str| Arguments::parse(text.split_whitespace().map(ToOwned::to_owned));
        assert_eq!(parse("import"), Some(Arguments::default()));
        let both = Arguments { input: Some("a".into()), output: Some("b".into()) };
        assert_eq!(
            (parse("import a --output b"), parse("import --output b a")),
            (Some(both), parse("import a --output b"))
        );
        for wrong in ["", "export", "import --output", "import a b", "import --force a", "import --output a --output b"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
