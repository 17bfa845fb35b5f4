//! One line: one user, as the other system knew them.

use serde_json::{Map, Value};

use super::digest;
use crate::domain::{
    id::{RowId, UserId},
    password::ImportedHash,
    rbac::{OUT_OF_REACH, RoleName},
    strict_json,
    time::Timestamp,
    user::{Email, FieldProblem, FullName, Username},
};

/// What a line may say.
const FIELDS: &[&str] =
    &["username", "email", "password_hash", "full_name", "email_verified", "roles", "is_active", "created_at"];
/// No line is longer, in bytes.
const MAX_LENGTH: usize = 16 * 1024;
/// The role of who has no other.
const FIRST_ROLE: &str = "user";
/// Nobody has more roles.
const MAX_ROLES: usize = 20;

/// A user to be.
#[derive(Debug)]
pub(super) struct Line {
    pub number: usize,
    pub username: Username,
    pub email: Email,
    pub password_hash: ImportedHash,
    pub full_name: Option<FullName>,
    pub email_verified: bool,
    /// Sorted, without repetition, never empty.
    pub roles: Vec<String>,
    pub is_active: bool,
    pub created_at: Option<Timestamp>,
}

impl Line {
    /// Reads one line; every fault of it is named.
    pub(super) fn parse(number: usize, bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_LENGTH {
            return Err(format!("is longer than {MAX_LENGTH} bytes"));
        }
        let object = strict_json::object(bytes).map_err(|error| {
            let error = error.to_string();
            format!("is not one JSON object: {}", error.split(" at line").next().unwrap_or_default())
        })?;
        let mut fields = Fields { object, faults: Vec::new() };
        let unknown: Vec<_> = fields.object.keys().filter(|name| !FIELDS.contains(&name.as_str())).collect();
        fields.faults = unknown.into_iter().map(|name| format!("{name:?} is not a field")).collect();
        let username = fields.text("username", Username::parse);
        let email = fields.text("email", Email::parse);
        let password_hash = fields.text("password_hash", ImportedHash::parse);
        let full_name = fields.optional("full_name", |value| FullName::parse(value.as_str().ok_or("must be text")?));
        let email_verified = fields.optional("email_verified", flag);
        let roles = fields.optional("roles", roles);
        let is_active = fields.optional("is_active", flag);
        let created_at = fields.optional("created_at", time);
        match (username, email, password_hash) {
            (Some(username), Some(email), Some(password_hash)) if fields.faults.is_empty() => Ok(Self {
                number,
                username,
                email,
                password_hash,
                full_name,
                email_verified: email_verified.unwrap_or(false),
                roles: roles.unwrap_or_else(|| vec![FIRST_ROLE.to_owned()]),
                is_active: is_active.unwrap_or(true),
                created_at,
            }),
            _ => Err(fields.faults.join("; ")),
        }
    }

    /// The same each time: from when the user was created, if the line says, and the username.
    pub(super) fn id(&self) -> UserId {
        UserId::new(self.created_at.unwrap_or_default(), &digest("user", self.username.as_str().as_bytes()))
    }

    /// That of the audit row.
    pub(super) fn audit_id(&self) -> RowId {
        RowId::new(self.created_at.unwrap_or_default(), &digest("audit", self.id().bytes()))
    }
}

struct Fields {
    object: Map<String, Value>,
    faults: Vec<String>,
}

impl Fields {
    fn text<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, FieldProblem>) -> Option<T> {
        let found = self.optional(name, |value| parse(value.as_str().ok_or("must be text")?));
        if matches!(self.object.get(name), None | Some(Value::Null)) {
            self.faults.push(format!("{name} is missing"));
        }
        found
    }

    /// `null` is as good as nothing.
    fn optional<T>(&mut self, name: &'static str, parse: impl Fn(&Value) -> Result<T, FieldProblem>) -> Option<T> {
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        parse(value).map_err(|problem| self.faults.push(format!("{name} {problem}"))).ok()
    }
}

fn flag(value: &Value) -> Result<bool, FieldProblem> {
    value.as_bool().ok_or("must be true or false")
}

fn time(value: &Value) -> Result<Timestamp, FieldProblem> {
    const PROBLEM: FieldProblem = "must be a time of RFC 3339 between 1970 and 2100";
    value.as_str().and_then(Timestamp::parse_rfc3339).ok_or(PROBLEM)
}

/// Whether there are such roles, the database says.
fn roles(value: &Value) -> Result<Vec<String>, FieldProblem> {
    let names: Option<Vec<&str>> = value.as_array().and_then(|names| names.iter().map(Value::as_str).collect());
    let names =
        names.filter(|names| (1..=MAX_ROLES).contains(&names.len())).ok_or("must be a list of 1 to 20 names")?;
    if names.contains(&OUT_OF_REACH) {
        return Err("must not hold super_admin, which is granted by make admin only");
    }
    if !names.iter().all(|name| RoleName::parse(name).is_ok()) {
        return Err("must be names of roles");
    }
    let mut names: Vec<_> = names.into_iter().map(ToOwned::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS";

    fn with(changes: &[(&str, Value)]) -> Result<Line, String> {
        let mut line = json!({ "username": "Ada", "email": "Ada@Example.org", "password_hash": HASH });
        for (name, value) in changes {
            line[*name] = value.clone();
        }
        Line::parse(7, line.to_string().as_bytes())
    }

    #[test]
    fn what_a_line_does_not_say_has_a_default() {
        let line = with(&[("full_name", Value::Null)]).unwrap();
        assert_eq!((line.username.as_str(), line.email.as_str()), ("ada", "Ada@example.org"));
        assert_eq!(
            (line.roles.as_slice(), line.is_active, line.email_verified),
            (&["user".to_owned()][..], true, false)
        );
        assert_eq!((line.full_name.is_none(), line.created_at), (true, None));
    }

    #[test]
    fn ids_are_the_same_each_time_and_sort_by_creation() {
        let at = |time: &str| with(&[("created_at", json!(time))]).unwrap();
        assert_eq!(at("2020-01-01T00:00:00Z").id(), at("2020-01-01T01:00:00+01:00").id());
        assert!(at("2020-01-01T00:00:00Z").id() < at("2020-01-01T00:00:00.001Z").id());
        assert_eq!(with(&[]).unwrap().id().to_string().chars().nth(14), Some('7'));
        assert_ne!(with(&[]).unwrap().id().to_string(), with(&[]).unwrap().audit_id().to_string());
    }

    #[test]
    fn what_is_wrong_is_named_all_of_it() {
        for (name, value, why) in [
            ("username", json!("a!"), "username must have 3 to 50"),
            ("username", Value::Null, "username is missing"),
            ("username", json!(7), "username must be text"),
            ("email", json!("nowhere"), "email is not an email address"),
            ("password_hash", json!("secret"), "password_hash is of no kind"),
            ("password_hash", json!("$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAAA$AAAA"), "would take over 64 MiB"),
            ("full_name", json!("a\u{0}b"), "control characters"),
            ("full_name", json!(7), "full_name must be text"),
            ("email_verified", json!("yes"), "must be true or false"),
            ("is_active", json!(1), "must be true or false"),
            ("roles", json!("user"), "roles must be a list"),
            ("roles", json!([]), "roles must be a list"),
            ("roles", json!(["user", 7]), "roles must be a list"),
            ("roles", json!(["user", "super_admin"]), "super_admin"),
            ("roles", json!(["Super_Admin"]), "names of roles"),
            ("roles", json!(["user'); DROP TABLE users; --"]), "names of roles"),
            ("created_at", json!("yesterday"), "RFC 3339"),
            ("created_at", json!(1_577_836_800), "RFC 3339"),
            ("created_at", json!("1969-12-31T23:59:59Z"), "RFC 3339"),
            ("created_at", json!("9999-12-31T23:59:59Z"), "RFC 3339"),
            ("is_admin", json!(true), "\"is_admin\" is not a field"),
            ("id", json!("x"), "\"id\" is not a field"),
            ("x\n", json!(1), "\"x\\n\" is not a field"),
        ] {
            let reason = with(&[(name, value.clone())]).unwrap_err();
            assert!(reason.contains(why), "{name} {value}: {reason}");
        }
        let reason = with(&[("username", json!("a")), ("email", json!("b")), ("role", json!("c"))]).unwrap_err();
        assert_eq!(reason.matches("; ").count(), 2, "{reason}");
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in
            ["", "x", "[]", "{}{}", "{\"username\":\"ada\",\"username\":\"bob\"}", "{\"username\":", "\u{feff}{}"]
        {
            let reason = Line::parse(1, text.as_bytes()).unwrap_err();
            assert!(reason.contains("is not one JSON object"), "{text}: {reason}");
        }
        assert!(Line::parse(1, b"{\"username\":\"\xff\"}").is_err());
        assert!(Line::parse(1, &vec![b' '; 20_000]).unwrap_err().contains("longer"));
        assert!(!Line::parse(1, b"{\"password_hash\":\"$secret$\"}").unwrap_err().contains("secret"));
    }
}
