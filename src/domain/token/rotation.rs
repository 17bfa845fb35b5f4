//! When the next key is made, seen and used, so that nobody ever meets a key that they cannot know.
//!
//! Times are on the keys' rows, and every isolate reads them by its own clock. A key is published
//! for longer than anyone may hold an older key set ([`Schedule::lead`]) before it signs, and kept
//! for longer than anything it signed may live ([`Schedule::tail`]) after the next one signs.

use std::time::Duration;

use super::{algorithm::Algorithm, keyring::KeyRing, verify::LEEWAY};
use crate::domain::time::Timestamp;

/// An isolate does not go on with keys that it read longer ago, while it can read them again.
pub const VIEW_AGE: Duration = Duration::from_mins(5);
/// By how much clocks may differ, and questions may take.
const SKEW: Duration = Duration::from_mins(1);
/// How long before a key is needed it is made at the most, so that many runs of the cron may fail.
const MAX_HEADROOM: Duration = Duration::from_hours(24);

/// The algorithms that always have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What access tokens are signed with.
    pub access: Algorithm,
    /// What assertions for origins are signed with: never a shared key.
    pub assertions: Algorithm,
}

impl Wanted {
    /// Each of them, once.
    pub fn each(self) -> impl Iterator<Item = Algorithm> {
        let other = (self.assertions != self.access).then_some(self.assertions);
        std::iter::once(self.access).chain(other)
    }
}

/// How keys follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    signs_for: Duration,
    lead: Duration,
    tail: Duration,
}

impl Schedule {
    /// Each key signs for `signs_for`; key sets are held for up to `jwks_max_age`, tokens live for up
    /// to `max_token_life`.
    #[must_use]
    pub fn new(signs_for: Duration, jwks_max_age: Duration, max_token_life: Duration) -> Self {
        let unseen = VIEW_AGE + SKEW;
        Self { signs_for, lead: jwks_max_age + unseen, tail: max_token_life + LEEWAY + unseen }
    }

    /// How long a key is published before it signs: what others may hold a key set for, what our own
    /// isolates may, and the clocks' difference.
    #[must_use]
    pub const fn lead(&self) -> Duration {
        self.lead
    }

    /// How long a key is kept after the next one signs: the longest life of a token, what isolates
    /// that do not know of the next one may sign meanwhile, and the clocks' difference.
    #[must_use]
    pub const fn tail(&self) -> Duration {
        self.tail
    }

    /// How long before a key is to sign it is made.
    fn ahead(&self) -> Duration {
        self.lead + MAX_HEADROOM.min(self.signs_for / 4)
    }

    /// Whether keys can follow one another like this: each is made after the one before has begun to
    /// sign.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.ahead() < self.signs_for
    }
}

/// A key that should be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addition {
    /// For which algorithm.
    pub algorithm: Algorithm,
    /// From when the newest key of that algorithm signs whose end is not decided: if there is a newer
    /// one by the time that this one is added, someone else was faster.
    pub after: Option<Timestamp>,
    /// From when it signs. It is published at once.
    pub sign_from: Timestamp,
}

/// Why keys are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// To see whether it is time.
    Regular,
    /// Somebody asks for a next key now.
    Asked,
}

/// What should be added at `now`, so that each wanted algorithm has a key, and a next one in time.
#[must_use]
pub fn due(ring: &KeyRing, wanted: Wanted, schedule: &Schedule, now: Timestamp, occasion: Occasion) -> Vec<Addition> {
    let sign_from = |algorithm| match newest(ring, algorithm) {
        // (1) There is none that stays: it signs at once if nothing else does meanwhile.
        None => {
            let signing = ring.signing(algorithm, now, now.plus(schedule.lead));
            Some(if signing.is_some() { now.plus(schedule.lead) } else { now })
        }
        // (2) The next one waits already.
        Some(newest) if newest > now => None,
        // (3) The next one follows when this one has signed for long enough.
        Some(newest) => {
            let ends = if occasion == Occasion::Asked { now } else { newest.plus(schedule.signs_for) };
            (now.plus(schedule.ahead()) >= ends).then(|| now.plus(schedule.lead).max(ends))
        }
    };
    let addition =
        |algorithm| Some(Addition { algorithm, after: newest(ring, algorithm), sign_from: sign_from(algorithm)? });
    wanted.each().filter_map(addition).collect()
}

/// From when the newest key of an algorithm signs whose end is not decided.
fn newest(ring: &KeyRing, algorithm: Algorithm) -> Option<Timestamp> {
    let staying = ring.keys().filter(|key| key.algorithm() == algorithm && key.retire_at.is_none());
    staying.map(|key| key.sign_from).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::{
        jwk::PublicKey,
        keyring::{RingKey, VerifyingKey},
    };

    const HOUR: Duration = Duration::from_hours(1);
    const EDDSA: Wanted = Wanted { access: Algorithm::EdDsa, assertions: Algorithm::EdDsa };

    const fn at(mins: i64) -> Timestamp {
        Timestamp::from_secs(mins * 60)
    }

    /// Lead: 10 + 5 + 1 minutes. Made ahead: as long, and 6 hours.
    fn schedule() -> Schedule {
        Schedule::new(HOUR * 24, Duration::from_mins(10), HOUR)
    }

    fn ring(keys: &[(i64, Option<i64>)]) -> KeyRing {
        let key = |(seed, (sign, retire)): (u8, &(i64, Option<i64>))| RingKey {
            key: VerifyingKey::Public(PublicKey::ed25519(&[seed; 32]).unwrap()),
            publish_at: at(0),
            sign_from: at(*sign),
            retire_at: retire.map(at),
        };
        (1..).zip(keys).map(key).collect()
    }

    fn signs_from(keys: &[(i64, Option<i64>)], now: i64, occasion: Occasion) -> Option<i64> {
        let due = due(&ring(keys), EDDSA, &schedule(), at(now), occasion);
        due.first().map(|addition| addition.sign_from.secs() / 60)
    }

    #[test]
    fn the_first_signs_at_once_and_the_next_when_its_time_has_come() {
        let day = 24 * 60;
        assert_eq!(signs_from(&[], 7, Occasion::Regular), Some(7));
        assert_eq!(signs_from(&[(0, None)], day - 6 * 60 - 17, Occasion::Regular), None);
        assert_eq!(signs_from(&[(0, None)], day - 6 * 60 - 16, Occasion::Regular), Some(day));
        assert_eq!(
            signs_from(&[(0, None)], day - 10, Occasion::Regular),
            Some(day + 6),
            "late, and published all the same"
        );
        assert_eq!(signs_from(&[(0, Some(day * 2)), (day, None)], day - 1, Occasion::Regular), None, "it waits");
    }

    #[test]
    fn who_asks_gets_a_next_key_unless_one_waits() {
        assert_eq!(signs_from(&[(0, None)], 1, Occasion::Asked), Some(17));
        assert_eq!(signs_from(&[(0, Some(90)), (17, None)], 2, Occasion::Asked), None);
        assert_eq!(signs_from(&[(0, Some(90)), (17, None)], 18, Occasion::Asked), Some(34));
    }

    #[test]
    fn an_algorithm_that_is_new_waits_for_everyone_to_know_its_key() {
        let due = |now| {
            due(
                &ring(&[(0, None)]),
                Wanted { access: Algorithm::Es256, assertions: Algorithm::EdDsa },
                &schedule(),
                at(now),
                Occasion::Regular,
            )
        };
        let expected = Addition { algorithm: Algorithm::Es256, after: None, sign_from: at(116) };
        assert_eq!(due(100), [expected]);
    }

    #[test]
    fn a_key_that_is_ending_is_replaced_as_if_there_were_none() {
        let due = due(&ring(&[(0, Some(200))]), EDDSA, &schedule(), at(100), Occasion::Regular);
        assert_eq!(due, [Addition { algorithm: Algorithm::EdDsa, after: None, sign_from: at(116) }]);
    }

    #[test]
    fn a_schedule_needs_room() {
        assert!(Schedule::new(HOUR, Duration::from_mins(10), HOUR).is_possible());
        assert!(!Schedule::new(HOUR, HOUR, HOUR).is_possible());
    }
}
