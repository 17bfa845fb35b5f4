//! Tokens of trusted issuers: by which keys, how old those may be, and who a token makes its bearer.

mod known;

use std::{collections::BTreeSet, sync::Arc};

use self::known::OLD;
pub use self::known::{FRESH, Issuers, KEPT, was_within};
use super::{
    World,
    authenticate::{Basis, MAX_WAITS, Outcome},
    knowledge::{Knowledge, TokenDigest, digest},
    outsider::{Proven, Taken},
};
use crate::{
    domain::{
        bundle::Bundle,
        rbac::Missing,
        token::{
            issuer::Issuer,
            jws::{MAX_TOKEN_BYTES, Untrusted},
            verify::{Claimed, Refusal},
        },
    },
    error::ApiError,
    gateway::Want,
};

/// A token that says it is of a trusted issuer.
#[derive(Debug)]
pub struct Theirs<'a, 'w> {
    token: Untrusted<'a>,
    digest: TokenDigest,
    place: usize,
    issuer: &'w Issuer,
}

/// Whose a bearer token says it is, if that is a trusted issuer's. One that names a key of ours is ours to judge.
pub(super) fn theirs<'a, 'w>(token: &'a str, world: &World<'w>, knowledge: &Knowledge) -> Option<Theirs<'a, 'w>> {
    let issuers = world.policy.issuers();
    if issuers.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let untrusted = Untrusted::parse_theirs(token).ok()?;
    let is_ours = |bundle: &Arc<Bundle>| bundle.keyring.has(untrusted.key_id());
    if knowledge.bundle.as_ref().is_some_and(is_ours) {
        return None;
    }
    // One that was verified before says the same again: its claims are not read.
    let digest = digest(token);
    let claimed = || {
        let iss = untrusted.claimed_issuer()?;
        issuers.iter().position(|issuer| issuer.issuer == iss)
    };
    let place = knowledge.taken(&digest).map(|known| known.issuer).or_else(claimed)?;
    Some(Theirs { token: untrusted, digest, place, issuer: issuers.get(place)? })
}

/// A token of an issuer, beside the key that it names: whether it is that key's is to be asked.
#[derive(Debug)]
pub struct ToVerify<'a> {
    /// The token and its key.
    pub token: Claimed<'a>,
    /// Its digest.
    pub digest: TokenDigest,
    /// Which issuer's, by its place in the policy.
    pub issuer: usize,
}

/// Authenticates by such a token.
///
/// # Errors
/// A token that is not believed, or that gives no role here. Or what cannot be told, because its issuer does not answer.
pub(super) fn bearer<'a>(theirs: Theirs<'a, '_>, basis: Basis<'_>) -> Result<Outcome<'a, Proven>, ApiError> {
    let Theirs { token, digest, place, issuer } = theirs;
    let Basis { knowledge, found, now, .. } = basis;
    let refuse = |why| Err(ApiError::InvalidToken(why));
    if let Some(why) = found.token_refused {
        return refuse(why);
    }
    if !issuer.algorithms.contains(&token.algorithm()) {
        return refuse(Refusal::Unsupported);
    }
    let known = knowledge.issuers.of(place);
    // (1) Keys, as the issuer had them a day ago at the most. Who cannot go on without waits for another's question, if there is one.
    let ask = || match known {
        Some(known) if known.is_being_asked(now) && found.waits_for_issuer < MAX_WAITS => {
            Ok(Outcome::Need(Want::WaitForIssuer(place)))
        }
        Some(known) if known.is_being_asked(now) || !known.may_ask(now) => unavailable(issuer),
        _ => Ok(Outcome::Need(Want::IssuerKeys(place))),
    };
    let Some((known, keys)) = known.and_then(|known| Some((known, known.usable(now)?))) else { return ask() };
    if known.is_older_than(OLD, now) {
        return ask();
    }
    // (2) A token that was verified before, by a key that is still published: its time is asked again, nothing else.
    let is_published = |taken: &&Arc<Taken>| {
        let (key, algorithm) = taken.claims.key();
        keys.has(key, algorithm)
    };
    if let Some(taken) = knowledge.taken(&digest).filter(is_published) {
        taken.claims.check_time(now).map_err(ApiError::InvalidToken)?;
        return settled(taken, issuer).map(Outcome::Known);
    }
    // (3) Otherwise its signature. A key that is not known may have been added since; who cannot tell does not say that it was not.
    match keys.claim(token) {
        Ok(token) => Ok(Outcome::Need(Want::TheirVerification(ToVerify { token, digest, issuer: place }))),
        Err(Refusal::UnknownKey) if known.is_being_asked(now) || known.may_ask(now) => ask(),
        Err(Refusal::UnknownKey) if known.has_failed => unavailable(issuer),
        Err(why) => refuse(why),
    }
}

fn unavailable<T>(issuer: &Issuer) -> Result<T, ApiError> {
    Err(ApiError::Unavailable(format!("the keys of the issuer {} cannot be read", issuer.id)))
}

/// Nobody comes in without a role.
fn settled(taken: &Taken, issuer: &Issuer) -> Result<Proven, ApiError> {
    if taken.who.caller.roles.is_empty() {
        let roles: BTreeSet<_> = issuer.roles.map.values().chain(&issuer.roles.default).cloned().collect();
        return Err(ApiError::Forbidden(Missing::AnyRole(roles.into_iter().collect())));
    }
    Ok(Proven::Outsider(taken.who.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn whose_a_token_is_goes_by_what_it_says_and_one_that_names_our_key_is_ours() {
        use base64ct::{Base64UrlUnpadded, Encoding};

        use crate::{
            config::Config,
            domain::token::{
                jwk::PublicKey,
                keyring::{RingKey, VerifyingKey},
            },
            gateway::{hosts::AllowedHosts, policy::Policy},
        };

        let issuer = |id: &str| {
            format!(
                "[[issuer]]\nid = \"{id}\"\nissuer = \"https://{id}.example\"\njwks_uri = \"https://{id}.example/k\"\n\
                 audience = [\"us\"]\nalgorithms = [\"EdDSA\"]\nsubject_prefix = \"{id}|\"\nroles = {{ default = \"user\" }}\n"
            )
        };
        let policy = Policy::parse(&format!("version = 1\n{}{}", issuer("a"), issuer("b")), &|_| None).unwrap();
        let lookup = |name: &str| match name {
            "PUBLIC_URL" => Some("https://auth.example".to_owned()),
            "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY" => Some("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_owned()),
            _ => None,
        };
        let config = Config::parse(&lookup).unwrap();
        let hosts = AllowedHosts::new(&config, &policy);
        let world = World::new(&config, &policy, &hosts);
        let own = PublicKey::ed25519(&[7; 32]).unwrap();
        let kid = own.key_id().as_str().to_owned();
        let own =
            RingKey { key: VerifyingKey::Public(own), publish_at: at(0), sign_from: at(0), retire_at: Some(at(1)) };
        let mut knowledge = Knowledge::default();
        knowledge.take_over(Bundle { keyring: [own].into_iter().collect(), ..Bundle::default() });
        let whose = |kid: &str, iss: &str| {
            let encode = |text: String| Base64UrlUnpadded::encode_string(text.as_bytes());
            let (header, claims) = (format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#), format!(r#"{{"iss":"{iss}"}}"#));
            let text = format!("{}.{}.AA", encode(header), encode(claims));
            theirs(&text, &world, &knowledge).map(|theirs| theirs.place)
        };
        // Both may use one name for their keys, and it is asked whose it is all the same.
        assert_eq!(whose("k", "https://a.example"), Some(0));
        assert_eq!(whose("k", "https://b.example"), Some(1));
        for other in ["https://auth.example", "https://c.example", "https://A.example", "https://a.example/", ""] {
            assert_eq!(whose("k", other), None, "{other}");
        }
        assert_eq!(whose(&kid, "https://a.example"), None, "of a key of ours, though its time is over");
    }
}
