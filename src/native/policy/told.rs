//! An explanation, as it is told on a terminal.

use std::io::{self, Write};

use crate::gateway::explain::Explanation;

/// Tells it.
pub(super) fn tell(explanation: &Explanation, output: &mut dyn Write) -> io::Result<()> {
    for check in &explanation.checks {
        let passes = if check.passes { "passes" } else { "REFUSES" };
        writeln!(output, "{passes:<8} {}: {}", check.check, check.detail)?;
    }
    match (explanation.status, explanation.outcome) {
        (Some(status), _) => writeln!(output, "refused with {status}")?,
        (None, "own") => writeln!(output, "for the gateway's own endpoints")?,
        (None, "preflight") => writeln!(output, "a preflight that is answered: the page may ask")?,
        (None, _) => {}
    }
    let Some(forwarded) = &explanation.forwarded else { return Ok(()) };
    writeln!(output, "forwarded to {}: {} {}", forwarded.origin, forwarded.method, forwarded.url)?;
    for (name, value) in &forwarded.set {
        writeln!(output, "  {name}: {value}")?;
    }
    for name in &forwarded.removed {
        writeln!(output, "  {name} is removed")?;
    }
    Ok(())
}
