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

    /// A text that must be there, whatever it is.
    pub fn required_text(&mut self, name: &'static str) -> Option<String> {
        self.required(name, |text| Ok(text.to_owned()))
    }

    /// A text that may be left out or null.
    pub fn optional_text(&mut self, name: &'static str) -> Option<String> {
        self.optional(name, |text| Ok(text.to_owned()))
    }

    /// `true` or `false`, which may be left out or null.
    pub fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        match self.object.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => {
                self.errors.push(FieldError::new(name, "must be true or false"));
                None
            }
        }
    }

    /// What was read, if nothing was wrong.
    pub fn complete<T>(self, read: Option<T>) -> Result<T, ApiError> {
        self.refuse()?;
        read.ok_or_else(|| ApiError::Internal("a field is neither there nor refused".to_owned()))
    }

    /// What was wrong, if anything was.
    pub fn refuse(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.errors)) }
    }
}
