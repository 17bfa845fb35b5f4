//! A build for tests and benchmarks only (feature `probe`): asks this build's own verifier, on Web
//! Crypto in workerd, about signatures and tokens that are handed to it, and how long it takes to find a route. Never deployed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{PlatformClock, web_crypto::WebCrypto};
use crate::{
    domain::{
        bundle::Bundle,
        rbac::{RoleGraph, RoleRecord},
        revocation::{feed, set::Known},
        secret::SecretList,
        time::Timestamp,
        token::{
            algorithm::Algorithm,
            jwk::{NotAKey, PublicKey},
            jws::Untrusted,
            keyring::{RingKey, VerifyingKey},
            shared_key::SharedKey,
            verify::{Expected, verify},
        },
    },
    gateway::{
        Findings,
        authenticate::{Outcome, recognise},
        caller::Caller,
        canonical::Path,
        knowledge::{Knowledge, Remembered, digest},
        policy::Policy,
        view::ViewAge,
    },
    ports::{Clock, Crypto, prove},
};

/// A key: the required members of a public one, or the base64url of a shared one.
#[derive(Deserialize)]
struct Key {
    algorithm: String,
    members: Option<String>,
    secret: Option<String>,
}

impl Key {
    fn parse(&self) -> Result<VerifyingKey, NotAKey> {
        let algorithm = Algorithm::parse(&self.algorithm).ok_or(NotAKey)?;
        match (&self.members, &self.secret) {
            (Some(members), None) => PublicKey::from_members(algorithm, members).map(VerifyingKey::Public),
            (None, Some(secret)) => SharedKey::new(algorithm, &decode(secret)).map(VerifyingKey::Shared),
            _ => Err(NotAKey),
        }
    }
}

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    key: Key,
    message: String,
    signature: String,
}

/// Answers a list of cases with a list of `good`, `bad`, `no key`, or what went wrong.
#[wasm_bindgen]
pub async fn probe_signatures(cases: String) -> String {
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap_or_default();
    let crypto = crypto();
    let mut answers = Vec::with_capacity(cases.len());
    for case in cases {
        answers.push(match case.key.parse() {
            Err(NotAKey) => "no key".to_owned(),
            Ok(key) => judge(&crypto, &key, &decode(&case.message), &decode(&case.signature)).await,
        });
    }
    serde_json::to_string(&answers).unwrap_or_default()
}

async fn judge(crypto: &WebCrypto, key: &VerifyingKey, message: &[u8], signature: &[u8]) -> String {
    let good = match key {
        VerifyingKey::Shared(key) => Ok(key.verify(message, signature)),
        // As for every token: a signature of another length is not even asked about.
        VerifyingKey::Public(key) if signature.len() != key.signature_bytes() => Ok(false),
        VerifyingKey::Public(key) => crypto.verify(key, message, signature).await,
    };
    match good {
        Ok(true) => "good".to_owned(),
        Ok(false) => "bad".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[derive(Deserialize)]
struct Run {
    #[serde(flatten)]
    key: Key,
    token: String,
    issuer: String,
    audience: String,
    count: u32,
    remembered: bool,
}

/// Believes one token `count` times, each time as if it were seen for the first time, or as a
/// remembered one; gives how many times it did.
#[wasm_bindgen]
pub async fn probe_tokens(run: String) -> u32 {
    match serde_json::from_str::<Run>(&run) {
        Ok(run) => believe(&run).await,
        Err(_) => 0,
    }
}

async fn believe(run: &Run) -> u32 {
    let Ok(key) = run.key.parse() else { return 0 };
    let now = PlatformClock.now();
    let ring_key = RingKey { key, publish_at: Timestamp::default(), sign_from: Timestamp::default(), retire_at: None };
    let bundle = Bundle { keyring: [ring_key].into_iter().collect(), as_of: now, ..Bundle::default() };
    let mut knowledge = Knowledge::default();
    knowledge.bundle = Some(Arc::new(bundle));
    knowledge.hear(feed::Feed::new(String::new()).since(None, now), now, now);
    let crypto = crypto();
    let mut believed = 0;
    if run.remembered {
        first_time(&mut knowledge, &crypto, run, now).await;
        for _ in 0..run.count {
            believed += u32::from(again(&knowledge, run, now));
        }
    } else {
        for _ in 0..run.count {
            believed += u32::from(first_time(&mut knowledge, &crypto, run, now).await);
        }
    }
    believed
}

/// A role: what it inherits, and what it gives itself.
#[derive(Deserialize)]
struct Role {
    inherits: Vec<String>,
    permissions: Vec<String>,
}

/// Roles by name, as the edge bundle has them written down.
#[wasm_bindgen]
pub fn probe_roles_written(roles: String) -> String {
    let roles: BTreeMap<String, Role> = serde_json::from_str(&roles).unwrap_or_default();
    let record = |Role { inherits, permissions }| RoleRecord { inherits, permissions, require_mfa: false };
    let records = roles.into_iter().map(|(name, role)| (name, record(role))).collect();
    serde_json::to_string(&RoleGraph::new(&records)).unwrap_or_default()
}

/// Works out `count` times what roles come to, from what is written down of them, as a fresh isolate does; gives how many
/// times it could.
#[wasm_bindgen]
pub fn probe_roles_read(written: String, count: u32) -> u32 {
    (0..count).map(|_| u32::from(serde_json::from_str::<RoleGraph>(&written).is_ok())).sum()
}

/// Policies that were read before, by their texts.
static POLICIES: Mutex<BTreeMap<String, Policy>> = Mutex::new(BTreeMap::new());

#[derive(Deserialize)]
struct Matches {
    policy: String,
    /// Host and path of each request.
    requests: Vec<(String, String)>,
    count: u32,
}

/// Finds the route of requests, `count` times altogether; gives how many times there was one.
#[wasm_bindgen]
pub fn probe_routes(run: String) -> u32 {
    let Ok(Matches { policy: text, requests, count }) = serde_json::from_str(&run) else { return 0 };
    let mut policies = POLICIES.lock().unwrap_or_else(PoisonError::into_inner);
    if !policies.contains_key(&text) {
        let Ok(policy) = Policy::parse(&text, &|_| None) else { return 0 };
        policies.insert(text.clone(), policy);
    }
    let Some(policy) = policies.get(&text) else { return 0 };
    let found =
        |(host, path): &(String, String)| Path::parse(path).is_ok_and(|path| policy.find("GET", host, &path).is_some());
    requests
        .iter()
        .cycle()
        .take(usize::try_from(count).unwrap_or_default())
        .map(|request| u32::from(found(request)))
        .sum()
}

/// As [`crate::app`] does with a token that it has not seen.
async fn first_time(knowledge: &mut Knowledge, crypto: &WebCrypto, run: &Run, now: Timestamp) -> bool {
    let Some(bundle) = knowledge.bundle.clone() else { return false };
    let digest = digest(&run.token);
    let Ok(claimed) =
        Untrusted::parse(&run.token).map_err(Into::into).and_then(|token| bundle.keyring.claim(token, now))
    else {
        return false;
    };
    let Ok(Ok(signed)) = prove(crypto, claimed).await else { return false };
    let audience = [run.audience.clone()];
    let Ok(claims) = verify(signed, Expected { issuer: &run.issuer, audience: &audience }, now) else { return false };
    knowledge.remember(digest, Arc::new(Remembered { caller: Caller::from_claims(&claims, &bundle.roles), claims }));
    true
}

/// As the gateway does with one that it has.
fn again(knowledge: &Knowledge, run: &Run, now: Timestamp) -> bool {
    match recognise(&run.token, knowledge, &Findings::default(), now) {
        Ok(Outcome::Known(token)) => {
            let view = &knowledge.view;
            view.knows(&token.claims.grounds(), now) == Known::Clear
                && view.age(now, std::time::Duration::from_secs(10)) != ViewAge::Old
        }
        _ => false,
    }
}

fn decode(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap_or_default()
}

/// Nothing is sealed here; any secret will do.
fn crypto() -> WebCrypto {
    let master = SecretList::parse("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
    master.map_or_else(|_| std::process::abort(), WebCrypto::new)
}
