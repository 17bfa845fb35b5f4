//! The host's own commands, by the first word.

use std::io::{Read, Write};

use super::{audit, import, openapi, policy};
use crate::domain::time::Timestamp;

/// What a command came to: the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Good = 0,
    /// It was done, and something is not: it is told what.
    Faulty = 1,
    /// Nothing was done.
    Failed = 2,
}

/// What a command is given of the world.
pub struct World<'w> {
    /// The environment.
    pub lookup: &'w dyn Fn(&str) -> Option<String>,
    /// Now.
    pub now: Timestamp,
    /// Standard input.
    pub input: &'w mut dyn Read,
    /// Standard output.
    pub output: &'w mut dyn Write,
    /// Standard error.
    pub errors: &'w mut dyn Write,
}

/// Runs one, with the words after the program's name: its exit code.
pub fn run(arguments: Vec<String>, world: World<'_>) -> u8 {
    let World { lookup, now, input, output, errors } = world;
    match arguments.first().map(String::as_str) {
        Some("import") => import::command::run(arguments, input, output, errors) as u8,
        Some("audit") => audit::command::run(arguments, lookup, now, output, errors) as u8,
        Some("policy") => policy::run(arguments, lookup, output, errors) as u8,
        Some("openapi") => openapi::run(output, errors),
        _ => {
            // Who cannot be told sees the exit code.
            let _ = write!(
                errors,
                "{}\n\n{}\n\n{}\n\n{}\n",
                import::command::USAGE,
                audit::command::USAGE,
                policy::USAGE,
                openapi::USAGE
            );
            2
        }
    }
}
