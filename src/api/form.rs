//! Reading the fields of a JSON body so that every bad one is named at once.

use serde_json::{Map, Value};

use crate::{
    domain::user::FieldProblem,
    error::{ApiError, FieldError},
};

/// A body's fields, and what was wrong with those read so far.
pub struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Of a JSON object.
    pub const fn new(object: Map<String, Value>) -> Self {
        Self { object, errors: Vec::new() }
    }

    /// A field that must be there. `None` if it is not, or not valid; that is noted.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, FieldProblem>,
    ) -> Option<T> {
        if matches!(self.object.get(name), None | Some(Value::Null)) {
            self.errors.push(FieldError::new(name, "is missing"));
            return None;
        }
        self.optional(name, parse)
    }

    /// A field that may be left out or null.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, FieldProblem>,
    ) -> Option<T> {
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => parse(text),
            Some(_) => Err("must be a string"),
        };
        parsed.map_err(|problem| self.errors.push(FieldError::new(name, problem))).ok()
    }

    /// What was wrong, if anything was.
    pub fn refuse(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.errors)) }
    }
}
