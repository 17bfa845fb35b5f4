//! What is at the root of the auth host.

use serde_json::{Value, json};

use super::{
    operation::{BEARER, Operation},
    schema::{self, Schemas, items, object, required},
};
use crate::app::Health;

pub const TAG: &str = "Open to all";

/// The headers of what may be kept.
const KEPT: &[&str] = &["ETag", "Cache-Control"];

/// Something that may be kept, and is asked for again by its tag.
fn kept(path: &str, id: &'static str, summary: &'static str, kind: &str, schema: Value) -> Operation {
    Operation::at_root("get", path, id, summary)
        .header("If-None-Match", "Tags of what is there already (RFC 9110, §13.1.2).")
        .answers_with(200, "It.", &[(kind, schema)], KEPT)
        .answers_with(304, "It is what is there already.", &[], KEPT)
}

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let member = |about: &str| json!({ "type": "string", "description": about });
    let key = json!({
        "type": "object",
        "required": ["kty", "kid", "alg", "use"],
        "properties": {
            "kty": member("Its type."), "kid": member("Its id, which tokens name."), "alg": member("What it verifies."),
            "use": { "const": "sig" }, "crv": member("Its curve."), "x": member("A coordinate."), "y": member("Another."),
            "n": member("A modulus."), "e": member("An exponent."),
        },
    });
    let keys = object([required("keys", "Public keys, those included that sign next.", schema::list(&key))]);
    let plain = object([
        required("status", "", json!({ "const": "ok" })),
        required("version", "Which Worker this is.", schema::text()),
    ]);
    let deep = schemas.of::<Health>();
    let mail = object(["to", "subject", "text", "html"].map(|name| required(name, "", schema::text())));
    let all = [
        kept(
            "/.well-known/jwks.json",
            "readKeySet",
            "The keys that tokens are checked with (RFC 7517)",
            "application/jwk-set+json",
            keys,
        ),
        Operation::at_root("get", "/health", "health", "Whether it runs")
            .about("With `deep=1`, for who has `system:manage`, or anyone in development: how each store answers.")
            .knows(&[BEARER])
            .query([("deep", "`1` for everything.", schema::text())])
            .answers(200, "It runs; and, if that was asked, all stores answer.", json!({ "anyOf": [plain, deep] }))
            .answers(503, "A store does not answer.", deep)
            .refuses(&[401, 403]),
        kept(
            "/openapi.json",
            "readDescription",
            "This description",
            "application/vnd.oai.openapi+json",
            json!({ "type": "object" }),
        )
        .about("There where `DOCS` says so."),
        kept("/docs", "readPage", "This description, for people", "text/html", schema::text())
            .about("There where `DOCS` says so."),
        kept("/docs/page.css", "readPageStyle", "How that page looks", "text/css", schema::text()),
        kept("/docs/page.js", "readPageScript", "What that page does", "text/javascript", schema::text()),
        Operation::at_root("get", "/dev/outbox", "readOutbox", "The newest mails, the last one first")
            .about("In development only.")
            .answers(200, "As they are sent.", items(&mail)),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
