//! Reading the parameters of a query so that every bad one is named at once.
//!
//! Each is given once or not at all, and none is overlooked: what nobody has asked for when all is read is refused. So a
//! filter that is misspelt is told, and never an answer without it.

use crate::{
    domain::user::FieldProblem,
    error::{ApiError, FieldError},
};

/// So many characters of a name that is not known are said back.
const MAX_ECHO: usize = 40;

/// A query's parameters, and what was wrong with those read so far.
pub struct Query {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Of what follows the question mark of a request, if anything does.
    pub fn new(text: Option<&str>) -> Self {
        let given = form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect();
        Self { given, known: Vec::new(), errors: Vec::new() }
    }

    /// A parameter that may be left out. `None` if it is, or is not valid; that is noted.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, FieldProblem>,
    ) -> Option<T> {
        self.known.push(name);
        let mut values = self.given.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
        let parsed = match (values.next(), values.next()) {
            (None, _) => return None,
            (Some(value), None) => parse(value),
            (Some(_), Some(_)) => Err("must be given once"),
        };
        parsed.map_err(|problem| self.errors.push(FieldError::new(name, problem))).ok()
    }

    /// `true` or `false`, which may be left out.
    pub fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        self.optional(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false"),
        })
    }

    /// What was wrong, if anything was; also that there is what was not asked for.
    pub fn refuse(self) -> Result<(), ApiError> {
        let Self { given, known, mut errors } = self;
        let unknown = given.iter().map(|(name, _)| name).filter(|name| !known.contains(&name.as_str()));
        errors.extend(unknown.map(|name| {
            let name: String = name.chars().take(MAX_ECHO).collect();
            FieldError::new("parameters", format!("may not hold {name:?}, only {}", known.join(", ")))
        }));
        errors.dedup();
        if errors.is_empty() { Ok(()) } else { Err(ApiError::Invalid(errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = Vec<(&'static str, String)>;

    /// What is read of a query that may hold a number and a flag, or which parameters are bad.
    fn read(text: &str) -> Result<(Option<u8>, Option<bool>), Told> {
        let mut query = Query::new(Some(text));
        let number = query.optional("number", |text| text.parse().map_err(|_| "must be a number"));
        let flag = query.optional_flag("flag");
        match query.refuse() {
            Ok(()) => Ok((number, flag)),
            Err(ApiError::Invalid(errors)) => {
                Err(errors.into_iter().map(|error| (error.field, error.message)).collect())
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_given_once_is_read() {
        assert_eq!(read(""), Ok((None, None)));
        assert_eq!(read("number=7&flag=true"), Ok((Some(7), Some(true))));
        assert_eq!(read("flag=fals%65&"), Ok((None, Some(false))));
        assert!(Query::new(None).refuse().is_ok());
    }

    #[test]
    fn every_bad_one_is_named_at_once() {
        let problem = |text: &str| read(text).unwrap_err();
        let names = |text: &str| problem(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("number=x&flag=1"), ["number", "flag"]);
        assert_eq!(problem("number=1&number=1"), [("number", "must be given once".to_owned())]);
        for text in ["number", "number=", "number=256", "flag", "flag=TRUE", "flag=true&flag=false"] {
            assert_eq!(names(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_refused_and_told() {
        let told = read("Number=1&other=2&flag=no").unwrap_err();
        assert_eq!(told.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["flag", "parameters", "parameters"]);
        assert_eq!(told[1].1, "may not hold \"Number\", only number, flag");
        // However much of it there is.
        assert_eq!(read(&"x=1&".repeat(50)).unwrap_err().len(), 1);
        assert!(read(&"x".repeat(5000)).unwrap_err()[0].1.len() < 100);
    }
}
