//! Refusals: one answer for each status, whatever it is that refuses. What `error.rs` says is a closed set, and this is the
//! set.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{operation, schema::put};

/// Each status, when it is answered, and the codes of RFC 6749, 6750 and 9470 that `error` may hold then.
const REFUSALS: [(u16, &str, &[&str]); 12] = [
    (
        400,
        "The request cannot be understood, or what it shows is not right.",
        &["invalid_request", "invalid_scope", "unsupported_grant_type"],
    ),
    (
        401,
        "It takes somebody who is known, and nobody is; or what was shown is not right.",
        &["invalid_token", "invalid_grant", "insufficient_user_authentication"],
    ),
    (
        403,
        "Whoever is known may not; what they lack is named. Or the page that asks is not one of ours.",
        &["insufficient_scope"],
    ),
    (404, "There is nothing here.", &[]),
    (408, "The body did not arrive in time.", &[]),
    (409, "It does not go with what is there.", &[]),
    (413, "The body is too large.", &[]),
    (415, "The body is of a kind that is not read here.", &[]),
    (422, "Some fields are not valid; each is named.", &[]),
    (429, "Too many requests, failures, or mails.", &[]),
    (500, "Something went wrong on our side.", &[]),
    (503, "Something this needs is not answering; or it is done, but not in force everywhere yet.", &[]),
];

/// A refusal, by its status.
pub fn reference(status: u16) -> Value {
    json!({ "$ref": format!("#/components/responses/{}", name(status)) })
}

/// All of them. `problem` is what they have in common.
pub fn responses(problem: &Value) -> Map<String, Value> {
    let response = |(status, description, codes): (u16, &str, &[&str])| {
        let mut schema = problem.clone();
        put(
            &mut schema,
            "properties",
            json!({
                "type": { "const": "about:blank" },
                "title": { "const": title(status) },
                "status": { "const": status },
                "error": if codes.is_empty() { json!(false) } else { json!({ "enum": codes }) },
                "errors": if matches!(status, 409 | 422) { json!(true) } else { json!(false) },
            }),
        );
        let always: &[&str] = match status {
            401 => &["WWW-Authenticate", "X-Request-Id"],
            429 => &["Retry-After", "X-Request-Id"],
            _ => &["X-Request-Id"],
        };
        let headers: Map<_, _> = always.iter().map(|name| operation::reference(name)).collect();
        let content = json!({ "application/problem+json": { "schema": schema } });
        (name(status), json!({ "description": description, "headers": headers, "content": content }))
    };
    REFUSALS.into_iter().map(response).collect()
}

fn title(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// `NotFound`, as generated clients call it.
fn name(status: u16) -> String {
    title(status).chars().filter(char::is_ascii_alphanumeric).collect()
}
