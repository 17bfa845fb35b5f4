//! The API's description is true: every answer that any test gets from an endpoint of ours is held against the document as it
//! is served, and every body that was taken against what it says is taken.
//!
//! What is answered may grow, and clients must bear that; here it may not, so that nothing is answered that is not described.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use edgewarden::api::docs;
use http::{HeaderMap, HeaderName, Method, header};
use jsonschema::Validator;
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(docs::DOCUMENT).unwrap();
    close(&mut document);
    document
});
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// What was sent, as far as the document speaks of it.
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub kind: Option<String>,
    /// The body, if it was there as a whole.
    pub body: Option<Vec<u8>>,
}

/// Nothing but what is described is answered. What is taken is as open as it says.
fn close(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.iter_mut().filter(|(name, _)| *name != "requestBody").for_each(|(_, inner)| close(inner));
            let is_closed = object.contains_key("additionalProperties") || !object.contains_key("properties");
            if object.get("type") == Some(&json!("object")) && !is_closed {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// What the document says at a place, with a reference followed.
fn at(pointer: &str) -> Option<&'static Value> {
    let found = DOCUMENT.pointer(pointer)?;
    match found.get("$ref").and_then(Value::as_str) {
        Some(reference) if !pointer.ends_with("/schema") => at(reference.strip_prefix('#').unwrap()),
        _ => Some(found),
    }
}

fn escape(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

/// The path of the document that a request's is one of.
fn template(path: &str) -> Option<&'static str> {
    let fits = |template: &str| {
        let (mut one, mut other) = (template.split('/'), path.split('/'));
        one.by_ref().zip(other.by_ref()).all(|(one, other)| one == other || (one.starts_with('{') && !other.is_empty()))
            && template.split('/').count() == path.split('/').count()
    };
    let mut all: Vec<_> = DOCUMENT["paths"].as_object().unwrap().keys().filter(|template| fits(template)).collect();
    // `/users/me` is none of `/users/{id}`.
    all.sort_by_key(|template| template.contains('{'));
    all.first().map(|template| template.as_str())
}

/// Holds a value against the schema at a place.
#[track_caller]
fn hold(pointer: &str, value: &Value, about: &str) {
    let compiled = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner).get(pointer).cloned();
    let validator = compiled.unwrap_or_else(|| {
        let mut schema = DOCUMENT.pointer(pointer).unwrap().clone();
        schema["components"] = json!({ "schemas": DOCUMENT["components"]["schemas"] });
        let made = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let made = Arc::new(made);
        VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner).insert(pointer.to_owned(), made.clone());
        made
    });
    let problems: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(problems.is_empty(), "{about} is not as described: {problems:?}\n{value}");
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap();
    Some(value.split(';').next().unwrap().trim().to_owned())
}

/// Holds an answer against the document.
#[track_caller]
pub fn check(asked: &Asked, prefix: &str, status: u16, headers: &HeaderMap, body: &[u8]) {
    let path = match asked.path.strip_prefix(prefix) {
        Some(rest) if rest.starts_with('/') => format!("{}{rest}", docs::PREFIX),
        _ => asked.path.clone(),
    };
    let (method, is_head) = match &asked.method {
        &Method::HEAD => ("get".to_owned(), true),
        &Method::OPTIONS => return,
        method => (method.as_str().to_owned(), false),
    };
    let about = format!("{} {path}: {status}", asked.method);
    let Some(template) = template(&path) else { return assert_eq!(status, 404, "{about}: nothing is described here") };
    let pointer = format!("/paths/{}/{}", escape(template), method.to_lowercase());
    let is_described = at(&pointer).filter(|_| method.to_lowercase() != method || is_head);
    let Some(operation) = is_described else {
        return assert!(matches!(status, 404 | 405), "{about}: no such method is described");
    };
    let is_sometimes = operation.get("x-sometimes").is_some();
    if is_sometimes && status == 404 {
        return;
    }
    // (1) The status.
    let place = format!("{pointer}/responses/{status}");
    let response = at(&place).unwrap_or_else(|| panic!("{about} is not described: {}", String::from_utf8_lossy(body)));
    // (2) The headers that are always there, and what those hold that are.
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let header =
            header.get("$ref").map_or(Some(header), |reference| at(&reference.as_str().unwrap()[1..])).unwrap();
        let value = headers.get(HeaderName::try_from(name.as_str()).unwrap());
        assert!(value.is_some() || header["required"] == false, "{about} has no {name}");
        if header["schema"]["type"] == "integer"
            && let Some(value) = value
        {
            assert!(value.to_str().unwrap().parse::<u64>().is_ok(), "{about}: {name}: {value:?}");
        }
    }
    // (3) The body.
    let content = response.get("content").and_then(Value::as_object);
    let Some(content) = content else { return assert!(body.is_empty(), "{about} has a body") };
    let mut kind = media_type(headers).unwrap_or_else(|| panic!("{about} has no content type"));
    if is_sometimes {
        kind = kind.split(';').next().unwrap().to_owned();
    }
    assert!(content.contains_key(&kind), "{about} is {kind}, which is not described");
    if is_head {
        return;
    }
    if kind.ends_with("json") && !kind.ends_with("ndjson") {
        let value = serde_json::from_slice(body).unwrap_or_else(|_| panic!("{about} is no JSON"));
        // Where it hangs: a response may be one that all share.
        let response = DOCUMENT.pointer(&place).unwrap();
        let place = response.get("$ref").map_or(place.clone(), |shared| shared.as_str().unwrap()[1..].to_owned());
        hold(&format!("{place}/content/{}/schema", escape(&kind)), &value, &about);
    }
    // (4) What was taken.
    if status < 400 {
        taken(asked, &pointer, &about);
    }
}

/// Holds a body that was taken against what is described as taken.
#[track_caller]
fn taken(asked: &Asked, pointer: &str, about: &str) {
    let Some(body) = asked.body.as_ref().filter(|body| !body.is_empty()) else { return };
    let kind = asked.kind.as_deref().unwrap_or_default().split(';').next().unwrap().trim().to_ascii_lowercase();
    let Some(content) = at(&format!("{pointer}/requestBody/content")) else { return };
    assert!(content.get(&kind).is_some(), "{about} took {kind}, which is not described");
    let value = match kind.as_str() {
        "application/json" => serde_json::from_slice(body).unwrap(),
        _ => form_urlencoded::parse(body)
            .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
            .collect(),
    };
    hold(
        &format!("{pointer}/requestBody/content/{}/schema", escape(&kind)),
        &value,
        &format!("{about}, what it took,"),
    );
}
