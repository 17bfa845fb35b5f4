//! Seals: the log in ranges of time that are closed, each hashed, and its hash chained to the one before it.
//!
//! A head is a hash of everything up to the end of its range, so one head that somebody else has kept vouches for all before
//! it. Beside it stands a MAC under a key derived from `TOKEN_MAC_KEY`, which is not in the database. It is a MAC and no
//! signature: signing keys end after weeks, rows are kept for a year, and the keys lie in the same database as the rows. The
//! MAC is over the head and no part of it, so that under another secret the heads, and what was kept of them, stay the same.

use std::{fmt::Write, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::record::{Record, put};
use crate::domain::{
    secret::{Secret, SecretList},
    time::{Timestamp, millis},
};

/// A range holds no more rows than this, but for those of its last millisecond.
pub const MAX_ROWS: i64 = 20_000;
/// A range is sealed so long after its end: rows are dated before they are written.
pub const SETTLED_AFTER: Duration = Duration::from_hours(1);
/// A range ends with a day (UTC) at the latest.
const DAY: Duration = Duration::from_hours(24);
/// What the key of the MAC is derived for.
const PURPOSE: &str = "edgewarden audit seal v1";

/// Hashes rows one after the other, in the order of time and id.
#[derive(Clone)]
pub struct RowsDigest {
    digest: Sha256,
    rows: i64,
}

impl Default for RowsDigest {
    fn default() -> Self {
        Self { digest: Sha256::new().chain_update("edgewarden audit rows v1"), rows: 0 }
    }
}

impl RowsDigest {
    /// The next row.
    pub fn add(&mut self, row: &Record) {
        row.put(&mut self.digest);
        self.rows += 1;
    }

    /// How many rows there were, and their digest.
    #[must_use]
    pub fn finish(self) -> (i64, String) {
        (self.rows, hex(&self.digest.finalize()))
    }
}

/// Where the range ends that begins with a row of this time, and whose row beyond [`MAX_ROWS`] on that day, if there is one,
/// is of that time.
#[must_use]
pub fn end_of_range(first: Timestamp, beyond: Option<Timestamp>) -> Timestamp {
    let (day, after) = (millis(DAY), first.millis() + 1);
    let midnight = (first.millis().div_euclid(day) + 1) * day;
    Timestamp::from_millis(beyond.map_or(midnight, |beyond| beyond.millis().max(after)))
}

/// A range that is closed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Range {
    /// Its place in the chain, from 1.
    pub number: i64,
    /// The end of the one before it, or the beginning of time.
    pub from_at: Timestamp,
    /// Its end, which is not in it.
    pub to_at: Timestamp,
    /// How many rows are in it.
    pub rows: i64,
    /// Their digest, in hexadecimal digits.
    pub digest: String,
    /// The head before it; empty for the first.
    pub previous: String,
}

impl Range {
    /// Its head, in hexadecimal digits.
    #[must_use]
    pub fn head(&self) -> String {
        let mut digest = Sha256::new().chain_update("edgewarden audit head v1");
        for number in [self.number, self.from_at.millis(), self.to_at.millis(), self.rows] {
            digest.update(number.to_be_bytes());
        }
        put(&mut digest, Some(&self.digest));
        put(&mut digest, Some(&self.previous));
        hex(&digest.finalize())
    }
}

/// A range with what vouches for it, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Seal {
    /// The range.
    #[serde(flatten)]
    pub range: Range,
    /// Its head.
    pub head: String,
    /// The id of the secret whose key vouches for it.
    pub key_id: String,
    /// How: the MAC over the head, base64url.
    pub mac: String,
}

impl Seal {
    /// Seals a range.
    #[must_use]
    pub fn new(range: Range, key: &Secret) -> Self {
        let head = range.head();
        let mac = Base64UrlUnpadded::encode_string(&key.mac(PURPOSE, &[head.as_bytes()]));
        Self { range, head, key_id: key.id().to_owned(), mac }
    }

    /// Whether this is a seal that we made.
    #[must_use]
    pub fn is_genuine(&self, keys: &SecretList) -> bool {
        let key = keys.find(&self.key_id);
        self.head == self.range.head() && key.is_some_and(|key| mac_matches(key, &self.head, &self.mac))
    }
}

fn mac_matches(key: &Secret, head: &str, told: &str) -> bool {
    let tag = Base64UrlUnpadded::decode_vec(told);
    tag.is_ok_and(|tag| key.mac_matches(PURPOSE, &[head.as_bytes()], &tag))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A text takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::domain::audit::record::tests::record;

    const HOUR: i64 = 3_600_000;

    fn keys(text: &str) -> SecretList {
        SecretList::parse(text).unwrap()
    }

    fn range() -> Range {
        let (number, rows) = (2, 3);
        let (from_at, to_at) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        Range { number, from_at, to_at, rows, digest: "d".to_owned(), previous: "p".to_owned() }
    }

    #[test]
    fn a_range_ends_with_its_day_or_with_its_fill_but_never_empty() {
        let end = |first, beyond: Option<i64>| {
            end_of_range(Timestamp::from_millis(first), beyond.map(Timestamp::from_millis)).millis()
        };
        assert_eq!((end(0, None), end(24 * HOUR - 1, None), end(24 * HOUR, None)), (24 * HOUR, 24 * HOUR, 48 * HOUR));
        assert_eq!((end(7, Some(9)), end(7, Some(7))), (9, 8));
    }

    #[test]
    fn every_part_of_a_row_and_its_place_are_in_the_digest() {
        let digest = |rows: &[Record]| {
            let mut digest = RowsDigest::default();
            for row in rows {
                digest.add(row);
            }
            digest.finish()
        };
        let own = record();
        let text = || "x".to_owned();
        let others = [
            Record { id: text(), ..own.clone() },
            Record { at: Timestamp::from_millis(8), ..own.clone() },
            Record { event: text(), ..own.clone() },
            Record { severity: text(), ..own.clone() },
            Record { actor: Some(String::new()), ..own.clone() },
            Record { subject: None, ..own.clone() },
            Record { subject: None, actor: own.subject.clone(), ..own.clone() },
            Record { session_id: Some(text()), ..own.clone() },
            Record { request_id: text(), ..own.clone() },
            Record { origin_hash: Some(text()), ..own.clone() },
        ];
        for other in &others {
            assert_ne!(digest(from_ref(&own)).1, digest(from_ref(other)).1, "{other:?}");
        }
        let other = others[0].clone();
        assert_ne!(digest(&[own.clone(), other.clone()]), digest(&[other, own.clone()]));
        assert_eq!(digest(&[own.clone(), own]).0, 2);
    }

    #[test]
    fn a_seal_is_genuine_under_its_own_secret_and_as_it_was_made() {
        const ONE: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
        const OTHER: &str = "k1:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
        let seal = Seal::new(range(), keys(ONE).current());
        assert!(seal.is_genuine(&keys(ONE)) && !seal.is_genuine(&keys(OTHER)));
        let under_another = Seal::new(range(), keys(OTHER).current());
        assert_eq!(under_another.head, seal.head, "what was kept of a head stays good");
        let edited = [
            Range { number: 3, ..range() },
            Range { from_at: Timestamp::from_millis(4), ..range() },
            Range { to_at: Timestamp::from_millis(10), ..range() },
            Range { rows: 2, ..range() },
            Range { digest: "e".to_owned(), ..range() },
            Range { previous: "q".to_owned(), ..range() },
        ];
        for range in edited {
            // Who edits the range can work out its head, and not the MAC.
            let told = Seal { head: range.head(), range: range.clone(), ..seal.clone() };
            assert!(!told.is_genuine(&keys(ONE)), "{range:?}");
            assert!(!Seal { range, ..seal.clone() }.is_genuine(&keys(ONE)));
        }
        for mac in ["", "0", "zz", "é0"] {
            assert!(!Seal { mac: mac.to_owned(), ..seal.clone() }.is_genuine(&keys(ONE)), "{mac}");
        }
    }
}
