//! Tokens of trusted issuers: by which keys, how old those may be, and who a token makes its bearer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

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
        time::Timestamp,
        token::{
            issuer::{Issuer, TheirKeys},
            jws::{MAX_TOKEN_BYTES, Untrusted},
            verify::{Claimed, Refusal},
        },
    },
    error::ApiError,
    gateway::Want,
};

/// Keys that were read longer ago are read again beside an answer …
const FRESH: Duration = Duration::from_mins(10);
/// … longer ago than this by one request first, while the others go on with them …
const OLD: Duration = Duration::from_hours(1);
/// … and they are used so long after they were last read: an issuer that does not answer ends nobody at once.
pub const KEPT: Duration = Duration::from_hours(24);
/// An issuer is asked for a key that is not known at most this often, whatever tokens say.
const PAUSE: Duration = Duration::from_mins(1);
/// Where nothing is known of an issuer and it did not answer, it is asked again at most this often.
const RETRY: Duration = Duration::from_secs(10);
/// No question takes longer; one whose request was broken off does not count for longer, either.
const LONGEST_QUESTION: Duration = Duration::from_secs(15);

/// What an isolate knows of issuers' keys, by their place in the policy.
#[derive(Debug, Default)]
pub struct Issuers {
    known: BTreeMap<usize, Known>,
    claimed_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<(Arc<TheirKeys>, Timestamp)>,
    asked_at: Option<Timestamp>,
    asking_since: Option<Timestamp>,
    has_failed: bool,
}

/// Whether something was less than `duration` ago. What lies in the future, as clocks go, was not.
#[must_use]
pub fn was_within(duration: Duration, at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| now >= at && now.since(at) < duration)
}

impl Known {
    fn read_at(&self) -> Option<Timestamp> {
        self.keys.as_ref().map(|(_, read_at)| *read_at)
    }

    fn usable(&self, now: Timestamp) -> Option<&Arc<TheirKeys>> {
        self.keys.as_ref().filter(|(_, read_at)| was_within(KEPT, Some(*read_at), now)).map(|(keys, _)| keys)
    }

    fn is_being_asked(&self, now: Timestamp) -> bool {
        was_within(LONGEST_QUESTION, self.asking_since, now)
    }

    /// Whether the issuer may be asked for what is not among its keys as they are known.
    fn may_ask(&self, now: Timestamp) -> bool {
        let pause = if self.usable(now).is_some() { PAUSE } else { RETRY };
        !was_within(pause, self.asked_at, now) && !was_within(PAUSE, self.read_at(), now)
    }

    /// Whether they are so old that they should be read again, and nobody does that yet.
    fn is_older_than(&self, age: Duration, now: Timestamp) -> bool {
        let is_old = self.usable(now).is_some() && !was_within(age, self.read_at(), now);
        is_old && self.may_ask(now) && !self.is_being_asked(now)
    }
}

impl Issuers {
    fn of(&self, place: usize) -> Option<&Known> {
        self.known.get(&place)
    }

    fn entry(&mut self, place: usize) -> &mut Known {
        self.known.entry(place).or_default()
    }

    /// Whether somebody asks an issuer just now.
    #[must_use]
    pub fn is_being_asked(&self, place: usize, now: Timestamp) -> bool {
        self.of(place).is_some_and(|known| known.is_being_asked(now))
    }

    /// Notes that somebody is about to. How old keys may be that another isolate has read, to be taken instead.
    pub fn asking(&mut self, place: usize, now: Timestamp) -> Duration {
        let known = self.entry(place);
        known.asking_since = Some(now);
        match known.usable(now) {
            // Who has none goes on with those, and has them read again beside the answer.
            None => OLD,
            // Who has fresh ones asks for a key that is not among them.
            Some(_) if was_within(FRESH, known.read_at(), now) => PAUSE,
            Some(_) => FRESH,
        }
    }

    /// Notes that the issuer itself is asked.
    pub fn asked(&mut self, place: usize, now: Timestamp) {
        self.entry(place).asked_at = Some(now);
    }

    /// Takes keys that were read at `read_at`, unless later ones are known.
    pub fn learn(&mut self, place: usize, (keys, read_at): (TheirKeys, Timestamp), now: Timestamp) {
        let known = self.entry(place);
        // What lies in the future was read by a clock that is not right, here or elsewhere.
        let has_later = known.read_at().is_some_and(|at| at >= read_at && at <= now);
        if read_at <= now && !has_later {
            known.keys = Some((Arc::new(keys), read_at));
        }
    }

    /// Notes that the question put at `since` has its answer, or that it has none.
    pub fn end_question(&mut self, place: usize, since: Timestamp, has_failed: bool) {
        let known = self.entry(place);
        known.has_failed = has_failed;
        if known.asking_since == Some(since) {
            known.asking_since = None;
        }
    }

    /// Whether keys of any should be read again beside an answer. Whoever is told so does it; nobody else is told for a while.
    pub fn claim_ageing(&mut self, now: Timestamp) -> bool {
        let may = !was_within(RETRY, self.claimed_at, now) && !self.ageing(now).is_empty();
        if may {
            self.claimed_at = Some(now);
        }
        may
    }

    /// Those whose keys should be.
    #[must_use]
    pub fn ageing(&self, now: Timestamp) -> Vec<usize> {
        self.known.iter().filter(|(_, known)| known.is_older_than(FRESH, now)).map(|(place, _)| *place).collect()
    }
}

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
    let claimed = untrusted.claimed_issuer()?;
    let (place, issuer) = issuers.iter().enumerate().find(|(_, issuer)| issuer.issuer == claimed)?;
    Some(Theirs { token: untrusted, digest: digest(token), place, issuer })
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
    use crate::domain::token::algorithm::Algorithm;

    const SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600).plus(Duration::from_secs(secs))
    }

    fn read(secs: u64) -> (TheirKeys, Timestamp) {
        (TheirKeys::parse(SET.as_bytes(), &[Algorithm::EdDsa]).unwrap(), at(secs))
    }

    /// Whether keys can be used, whether the issuer may be asked for another, and whether they are ageing or old.
    fn state(issuers: &Issuers, secs: u64) -> (bool, bool, bool, bool) {
        let (known, now) = (issuers.of(0).unwrap(), at(secs));
        let is_older = |age| known.is_older_than(age, now);
        (known.usable(now).is_some(), known.may_ask(now), is_older(FRESH), is_older(OLD))
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

    #[test]
    fn keys_age_and_end() {
        let mut issuers = Issuers::default();
        assert_eq!(issuers.asking(0, at(0)), OLD, "with nothing in hand, what another has read will do");
        assert!(issuers.is_being_asked(0, at(14)) && !issuers.is_being_asked(0, at(15)));
        issuers.asked(0, at(0));
        issuers.learn(0, read(0), at(0));
        issuers.end_question(0, at(0), false);
        assert!(!issuers.is_being_asked(0, at(1)));
        for (secs, expected) in [
            (0, (true, false, false, false)),
            (59, (true, false, false, false)),
            (60, (true, true, false, false)),
            (599, (true, true, false, false)),
            (600, (true, true, true, false)),
            (3599, (true, true, true, false)),
            (3600, (true, true, true, true)),
            (86_399, (true, true, true, true)),
            (86_400, (false, true, false, false)),
        ] {
            assert_eq!(state(&issuers, secs), expected, "{secs}");
        }
        assert_eq!(issuers.asking(0, at(61)), PAUSE, "for a key that is not among these");
        assert_eq!(issuers.asking(0, at(600)), FRESH);
        assert!(issuers.ageing(at(601)).is_empty(), "somebody asks already");
        issuers.end_question(0, at(600), true);
        assert_eq!(issuers.ageing(at(601)), [0]);
        assert!(issuers.claim_ageing(at(601)) && !issuers.claim_ageing(at(610)) && issuers.claim_ageing(at(611)));
    }

    #[test]
    fn one_that_does_not_answer_is_asked_again_after_a_pause() {
        let mut issuers = Issuers::default();
        issuers.asking(0, at(0));
        issuers.asked(0, at(0));
        issuers.end_question(0, at(0), true);
        assert_eq!(state(&issuers, 9), (false, false, false, false), "nothing is known, and nothing can be had");
        assert_eq!(state(&issuers, 10), (false, true, false, false));
        issuers.learn(0, read(10), at(10));
        issuers.asked(0, at(700));
        assert_eq!(state(&issuers, 759), (true, false, false, false), "what is known is used on");
        assert_eq!(state(&issuers, 760), (true, true, true, false));
    }

    #[test]
    fn a_question_that_was_taken_over_does_not_end_the_one_that_goes_on() {
        let mut issuers = Issuers::default();
        issuers.asking(0, at(0));
        issuers.asking(0, at(15));
        issuers.end_question(0, at(0), true);
        assert!(issuers.is_being_asked(0, at(16)));
        issuers.end_question(0, at(15), false);
        assert!(!issuers.is_being_asked(0, at(16)));
    }

    #[test]
    fn later_keys_take_the_place_of_earlier_ones_whatever_clocks_say() {
        let mut issuers = Issuers::default();
        let read_at = |issuers: &Issuers| issuers.of(0).and_then(Known::read_at);
        issuers.learn(0, read(50), at(60));
        issuers.learn(0, read(40), at(60));
        assert_eq!(read_at(&issuers), Some(at(50)));
        issuers.learn(0, read(70), at(60));
        assert_eq!(read_at(&issuers), Some(at(50)), "of a clock that is ahead nothing is taken");
        // Ours is set back: what was read by then is not used, and what is read now takes its place.
        assert!(!state(&issuers, 30).0);
        issuers.learn(0, read(30), at(30));
        assert_eq!(read_at(&issuers), Some(at(30)));
        assert!(state(&issuers, 30).0);
    }
}
