//! Reading the fields of a JSON body so that every bad one is named at once.

use std::{collections::BTreeSet, ops::RangeInclusive};

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

    /// Whether there is such a field, and be it a bad one.
    pub fn is_given(&self, name: &str) -> bool {
        !matches!(self.object.get(name), None | Some(Value::Null))
    }

    /// A text that must be there, whatever it is.
    pub fn required_text(&mut self, name: &'static str) -> Option<String> {
        self.required(name, |text| Ok(text.to_owned()))
    }

    /// A text that may be left out or null.
    pub fn optional_text(&mut self, name: &'static str) -> Option<String> {
        self.optional(name, |text| Ok(text.to_owned()))
    }

    /// A list of texts, which may be left out or null. Each is once in it, and they are in order.
    pub fn optional_list<T: Ord>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, FieldProblem>,
    ) -> Option<Vec<T>> {
        self.optional_items(name, |item| item.as_str().ok_or("must be a list of strings").and_then(&parse))
    }

    /// A list that must be there, of whatever it holds.
    pub fn required_items<T: Ord>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&Value) -> Result<T, FieldProblem>,
    ) -> Option<Vec<T>> {
        if matches!(self.object.get(name), None | Some(Value::Null)) {
            self.reject(name, "is missing");
        }
        self.optional_items(name, parse)
    }

    /// The same, which may be left out or null.
    pub fn optional_items<T: Ord>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&Value) -> Result<T, FieldProblem>,
    ) -> Option<Vec<T>> {
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return None,
            Some(Value::Array(items)) => items.iter().map(parse).collect::<Result<BTreeSet<_>, _>>(),
            Some(_) => Err("must be a list"),
        };
        let refused = parsed.map_err(|problem| self.errors.push(FieldError::new(name, problem)));
        refused.ok().map(|items| items.into_iter().collect())
    }

    /// Refuses fields other than these: who misspells one is told, and does not find that nothing has come of it.
    pub fn only(&mut self, names: &[&str]) {
        if self.object.keys().any(|name| !names.contains(&name.as_str())) {
            self.errors.push(FieldError::new("body", format!("may hold only {}", names.join(", "))));
        }
    }

    /// Notes what is wrong with a field beyond how it is spelled.
    pub fn reject(&mut self, name: &'static str, problem: impl Into<String>) {
        self.errors.push(FieldError::new(name, problem));
    }

    /// A field as it came.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    /// A whole number, which may be left out or null.
    pub fn optional_number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.object.get(name) {
            None | Some(Value::Null) => return None,
            Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.reject(name, format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
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
