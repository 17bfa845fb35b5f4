//! `edgewarden openapi`: the API's description, made from the code. See [`crate::api::openapi`].

use std::io::Write;

use crate::api::openapi;

/// How it is called.
pub const USAGE: &str = "edgewarden openapi: write the API's description to standard output";

/// Writes it: the exit code.
pub fn run(output: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let written = openapi::text().and_then(|text| output.write_all(text.as_bytes()).map_err(|error| error.to_string()));
    match written {
        Ok(()) => 0,
        Err(problem) => {
            // Who cannot be told sees the exit code.
            let _ = writeln!(errors, "{problem}");
            1
        }
    }
}
