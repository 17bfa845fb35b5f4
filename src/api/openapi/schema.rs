//! What bodies and parameters hold. What is answered is derived from its type; what is taken is put together here, as the
//! parsers in `domain/` have it, which a test holds the patterns against.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The types that the document tells of so far.
pub struct Schemas(SchemaGenerator);

impl Schemas {
    pub(super) fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12().for_serialize();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        Self(settings.into_generator())
    }

    /// A reference to what a type is written as.
    pub fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().into()
    }

    /// All of them.
    pub(super) fn take(mut self) -> Map<String, Value> {
        let mut schemas = self.0.take_definitions(true);
        let detail = object([required("detail", "What was done, for people.", json!({ "type": "string" }))]);
        schemas.insert("Detail".to_owned(), detail);
        schemas
    }
}

/// Puts something into an object.
pub(super) fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value.into());
    }
}

/// One field of a body.
pub struct Field {
    name: &'static str,
    schema: Value,
    is_required: bool,
}

/// One that must be there.
pub fn required(name: &'static str, description: &str, mut schema: Value) -> Field {
    put(&mut schema, "description", description);
    Field { name, schema, is_required: true }
}

/// One that may be left out, or null.
pub fn optional(name: &'static str, description: &str, mut schema: Value) -> Field {
    if let Some(kind) = schema.get("type").cloned() {
        put(&mut schema, "type", json!([kind, "null"]));
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    put(&mut schema, "description", description);
    Field { name, schema, is_required: false }
}

/// One of a form, which has no null, that may be left out.
pub fn left_out(name: &'static str, description: &str, schema: Value) -> Field {
    Field { is_required: false, ..required(name, description, schema) }
}

/// A body with these fields. Others are overlooked.
pub fn object(fields: impl IntoIterator<Item = Field>) -> Value {
    let (mut properties, mut names) = (Map::new(), Vec::new());
    for Field { name, schema, is_required } in fields {
        properties.insert(name.to_owned(), schema);
        if is_required {
            names.push(name);
        }
    }
    let mut object = json!({ "type": "object", "properties": properties });
    if !names.is_empty() {
        put(&mut object, "required", names);
    }
    object
}

/// A body with these fields and no others.
pub fn only(fields: impl IntoIterator<Item = Field>) -> Value {
    let mut object = object(fields);
    put(&mut object, "additionalProperties", false);
    object
}

/// A list that is answered whole.
pub fn items(schema: &Value) -> Value {
    object([required("items", "All of them.", json!({ "type": "array", "items": schema }))])
}

/// A list of these, each once in it.
pub fn list(schema: &Value) -> Value {
    json!({ "type": "array", "items": schema })
}

/// Which page of a list is asked for.
pub fn paging() -> [(&'static str, &'static str, Value); 2] {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 });
    let cursor = "The `next_cursor` of the page before.";
    [("limit", "So many items at most.", limit), ("cursor", cursor, json!({ "type": "string", "minLength": 1 }))]
}

/// Any text.
pub fn text() -> Value {
    json!({ "type": "string" })
}

/// A text that is not empty.
pub fn some_text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

/// Texts by names that the client chooses.
pub fn texts_by_name() -> Value {
    json!({ "type": "object", "additionalProperties": { "type": "string" } })
}

/// A version's number, or 0.
pub fn number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
}

/// `true` or `false`.
pub fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// One of these.
pub fn one_of(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

/// An id.
pub fn id() -> Value {
    json!({ "type": "string", "format": "uuid", "pattern": "^[0-9a-f-]{36}$" })
}

/// A time.
pub fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// [`Username`](crate::domain::user::Username).
pub fn username() -> Value {
    json!({ "type": "string", "minLength": 3, "maxLength": 50, "pattern": "^[A-Za-z0-9_-]+$" })
}

/// [`Email`](crate::domain::user::Email).
pub fn email() -> Value {
    json!({ "type": "string", "format": "email", "minLength": 5, "maxLength": 254, "pattern": "^[!-~]+@[!-~]+\\.[!-~]+$" })
}

/// [`FullName`](crate::domain::user::FullName), or another [`line_of_text`](crate::domain::user::line_of_text): what controls anything
/// is refused, but at its ends, where it is trimmed.
pub fn line(max: u32) -> Value {
    json!({ "type": "string", "maxLength": max })
}

/// A password that is chosen; how it must be mixed is configured.
pub fn new_password() -> Value {
    json!({ "type": "string", "format": "password", "minLength": 8, "maxLength": 128 })
}

/// A password that there is.
pub fn password() -> Value {
    json!({ "type": "string", "format": "password" })
}

/// [`Code`](crate::domain::mfa::Code).
pub fn code() -> Value {
    json!({ "type": "string", "minLength": 6, "maxLength": 64 })
}

/// A scope (RFC 6749, §3.3).
pub fn scope() -> Value {
    json!({ "type": "string", "description": "Names of permissions with blanks between (RFC 6749, §3.3)." })
}

/// [`RoleName`](crate::domain::rbac::RoleName).
pub fn role_name() -> Value {
    json!({ "type": "string", "minLength": 2, "maxLength": 50, "pattern": "^[a-z][a-z0-9_-]{1,49}$" })
}

/// [`PermissionName`](crate::domain::rbac::PermissionName).
pub fn permission_name() -> Value {
    json!({ "type": "string", "maxLength": 101, "pattern": "^[a-z][a-z0-9_-]{1,49}:[a-z][a-z0-9_-]{1,49}$" })
}
