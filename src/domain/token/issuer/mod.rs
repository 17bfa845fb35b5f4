//! Issuers other than ourselves whose tokens are taken: what of them is believed, and what it gives here.
//!
//! Their callers are nobody of ours: they have no account and no session, their subjects have a prefix that no id of ours can
//! begin with, and they have those roles only that the policy gives them.

mod keys;
mod verify;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;

pub use self::{
    keys::{MAX_KEY_SET_BYTES, NoKeySet, TheirKeys},
    verify::{MAX_SUBJECT_BYTES, TheirClaims, verify_theirs},
};

/// An issuer that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its name in the policy.
    pub id: String,
    /// What it calls itself in `iss`, character by character.
    pub issuer: String,
    /// Where its keys are: a JWK Set (RFC 7517, §5).
    pub jwks_uri: String,
    /// What of `aud` means us: one of these must be in it.
    pub audience: Vec<String>,
    /// What its tokens may be signed with; never a shared key.
    pub algorithms: Vec<Algorithm>,
    /// What stands before each of its subjects here; it ends with `|`.
    pub subject_prefix: String,
    /// Which roles its callers have.
    pub roles: RoleMap,
}

/// Which of our roles a claim of theirs gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleMap {
    /// Which claim: one of that name, or one in an object in it, with dots between.
    pub claim: String,
    /// Our roles, by its values. What is not named gives none.
    pub map: BTreeMap<String, String>,
    /// The role of whom it gives none, if there is one.
    pub default: Option<String>,
}

impl RoleMap {
    /// The roles that claims give, each once. None, if nothing of what they say is mapped and there is no default.
    fn of(&self, claims: &Map<String, Value>) -> Vec<String> {
        let values = match self.claimed(claims) {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut roles: Vec<_> = values.into_iter().filter_map(|value| self.map.get(value)).cloned().collect();
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() { self.default.iter().cloned().collect() } else { roles }
    }

    /// Names may hold dots themselves, as URLs do: such a claim comes first.
    fn claimed<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let in_objects = || {
            self.claim.split('.').try_fold(None, |value: Option<&Value>, part| {
                let within = value.map_or(Some(claims), Value::as_object)?;
                within.get(part).map(Some)
            })
        };
        claims.get(&self.claim).or_else(|| in_objects().flatten())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roles(claim: &str, default: Option<&str>, claims: &Value) -> Vec<String> {
        let map = [("eng", "moderator"), ("ops", "admin"), ("all", "moderator")];
        let map = map.into_iter().map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned())).collect();
        let map = RoleMap { claim: claim.to_owned(), map, default: default.map(ToOwned::to_owned) };
        map.of(claims.as_object().unwrap())
    }

    #[test]
    fn a_claim_gives_what_is_mapped_and_nothing_else() {
        let of = |claims: Value| roles("groups", Some("user"), &claims);
        assert_eq!(of(json!({ "groups": ["eng", "all", "ops", "root"] })), ["admin", "moderator"]);
        assert_eq!(of(json!({ "groups": "eng" })), ["moderator"]);
        for none in [
            json!({}),
            json!({ "groups": null }),
            json!({ "groups": [] }),
            json!({ "groups": {} }),
            json!({ "groups": 7 }),
            json!({ "groups": ["admin", "Eng", "eng ", 7, ["eng"], { "eng": "eng" }] }),
            json!({ "groups": "eng ops" }),
            json!({ "groups": "eng,ops" }),
        ] {
            assert_eq!(of(none.clone()), ["user"], "{none}");
            assert!(roles("groups", None, &none).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_claim_may_be_within_another_or_have_dots_in_its_name() {
        let of = |claim: &str, claims: Value| roles(claim, None, &claims);
        assert_eq!(of("realm_access.roles", json!({ "realm_access": { "roles": ["ops"] } })), ["admin"]);
        assert_eq!(of("https://a.example/roles", json!({ "https://a.example/roles": ["ops"] })), ["admin"]);
        let both = json!({ "a.b": "ops", "a": { "b": "eng" } });
        assert_eq!(of("a.b", both), ["admin"]);
        for odd in [json!({ "a": "ops" }), json!({ "a": { "c": "ops" } }), json!({ "a": [{ "b": "ops" }] })] {
            assert!(of("a.b", odd.clone()).is_empty(), "{odd}");
        }
    }
}
