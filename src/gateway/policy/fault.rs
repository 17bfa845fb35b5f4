//! What is wrong with a policy, and where.

use std::fmt;

use crate::config::ConfigError;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {place}: {problem}")]
pub struct Fault {
    /// The line of the file, from 1.
    pub line: usize,
    /// A route, an origin, or the file.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// Everything that is wrong with a policy, in the order of the file: at least one fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError(pub Vec<Fault>);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{fault}")?;
        }
        Ok(())
    }
}

impl From<PolicyError> for ConfigError {
    fn from(error: PolicyError) -> Self {
        Self { name: "policy.toml", problem: error.to_string() }
    }
}
