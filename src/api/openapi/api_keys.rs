//! `api-keys`.

use serde_json::json;

use super::{
    operation::Operation,
    schema::{self, Schemas, items, only, optional, required},
};
use crate::api::api_keys::{KeyView, MadeKey};

pub const TAG: &str = "API keys";

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let (key, made) = (schemas.of::<KeyView>(), schemas.of::<MadeKey>());
    let scopes = json!({ "type": "array", "maxItems": 100, "items": schema::permission_name() });
    let blocks = json!({ "type": "array", "maxItems": 20, "items": schema::some_text() });
    let number = |least: u32, most: u32| json!({ "type": "integer", "minimum": least, "maximum": most });
    let all = [
        Operation::new("post", "/api-keys", "makeApiKey", "Make a key")
            .about("The key is shown this once. It gives its scopes, as far as its owner has them when it is used. Who has a second factor must have shown it lately.")
            .signed_in()
            .json(only([
                required("name", "What it is called.", json!({ "type": "string", "minLength": 1, "maxLength": 100 })),
                optional("scopes", "What it may do at most. Those are granted that one has; if it is left out, all that one has now.", scopes),
                optional("expires_at", "When it ends; as late as the installation lets it, if nothing is said.", schema::time()),
                optional("allowed_ips", "From where it may be used: addresses, or blocks such as 192.0.2.0/24 (RFC 4632; RFC 4291, §2.3).", blocks),
                optional("per_minute", "How often in a minute it may be used, if less than every key.", number(1, 10_000)),
            ]))
            .answers(201, "The key.", made.clone())
            .refuses(&[409]),
        Operation::new("get", "/api-keys", "listApiKeys", "One's own keys")
            .about("The newest first, without what was ended.")
            .signed_in()
            .answers(200, "All of them.", items(&key)),
        Operation::new("post", "/api-keys/{id}/rotate", "rotateApiKey", "Make a key in the place of another")
            .about("It has another id, and name, scopes, addresses and limit of the old one, which ends at once or some time later.")
            .signed_in()
            .optional_json(only([
                optional("overlap_seconds", "So much longer the old one goes on.", number(0, 604_800)),
                optional("expires_at", "When the new one ends; if nothing is said, it lives as long as the old one was to.", schema::time()),
            ]))
            .answers(200, "The new key.", made)
            .refuses(&[409]),
        Operation::new("delete", "/api-keys/{id}", "endApiKey", "End a key")
            .about("To do it twice is to do it once.")
            .signed_in()
            .done("It is over."),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
