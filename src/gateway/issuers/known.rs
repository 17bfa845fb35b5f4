//! What an isolate knows of trusted issuers' keys: how old they are, and whether anybody may ask for them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::domain::{time::Timestamp, token::issuer::TheirKeys};

/// Keys that were read longer ago are read again beside an answer …
pub const FRESH: Duration = Duration::from_mins(10);
/// … longer ago than this by one request first, while the others go on with them …
pub(super) const OLD: Duration = Duration::from_hours(1);
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

/// What it knows of one's.
#[derive(Debug, Default)]
pub(super) struct Known {
    keys: Option<(Arc<TheirKeys>, Timestamp)>,
    asked_at: Option<Timestamp>,
    asking_since: Option<Timestamp>,
    pub(super) has_failed: bool,
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

    pub(super) fn usable(&self, now: Timestamp) -> Option<&Arc<TheirKeys>> {
        self.keys.as_ref().filter(|(_, read_at)| was_within(KEPT, Some(*read_at), now)).map(|(keys, _)| keys)
    }

    pub(super) fn is_being_asked(&self, now: Timestamp) -> bool {
        was_within(LONGEST_QUESTION, self.asking_since, now)
    }

    /// Whether the issuer may be asked for what is not among its keys as they are known.
    pub(super) fn may_ask(&self, now: Timestamp) -> bool {
        let pause = if self.usable(now).is_some() { PAUSE } else { RETRY };
        !was_within(pause, self.asked_at, now) && !was_within(PAUSE, self.read_at(), now)
    }

    /// Whether they are so old that they should be read again, and nobody does that yet.
    pub(super) fn is_older_than(&self, age: Duration, now: Timestamp) -> bool {
        let is_old = self.usable(now).is_some() && !was_within(age, self.read_at(), now);
        is_old && self.may_ask(now) && !self.is_being_asked(now)
    }
}

impl Issuers {
    pub(super) fn of(&self, place: usize) -> Option<&Known> {
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

    /// Notes that the issuer itself is asked. Until there is an answer, nobody can tell what it has not got.
    pub fn asked(&mut self, place: usize, now: Timestamp) {
        let known = self.entry(place);
        (known.asked_at, known.has_failed) = (Some(now), true);
    }

    /// Takes keys that were read at `read_at`, unless later ones are known.
    pub fn learn(&mut self, place: usize, (keys, read_at): (TheirKeys, Timestamp), now: Timestamp) {
        let known = self.entry(place);
        // What lies in the future was read by a clock that is not right, here or elsewhere.
        let has_later = known.read_at().is_some_and(|at| at >= read_at && at <= now);
        if read_at <= now && !has_later {
            known.keys = Some((Arc::new(keys), read_at));
            known.has_failed = false;
        }
    }

    /// Notes that the question put at `since` has its answer, or that it has none; unless somebody has taken over from it.
    pub fn end_question(&mut self, place: usize, since: Timestamp, has_failed: bool) {
        let known = self.entry(place);
        if known.asking_since == Some(since) {
            (known.asking_since, known.has_failed) = (None, has_failed);
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
        assert!(!issuers.of(0).unwrap().has_failed, "nor tells what came of it");
        issuers.end_question(0, at(15), false);
        assert!(!issuers.is_being_asked(0, at(16)));
        // One that was broken off has told nothing.
        issuers.asking(0, at(60));
        issuers.asked(0, at(60));
        assert!(issuers.of(0).unwrap().has_failed && !issuers.is_being_asked(0, at(75)));
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
