//! Recovery codes, for who has lost their app: ten, each good once.
//!
//! A code is 120 random bits, so that a plain hash of it can be kept (ASVS 5.0, V6.5.2; NIST SP 800-63B-4, §3.1.2.2). A set
//! is made from a key and the id of the set: whoever did not get the answer that told it is told the same again, though
//! no store holds what could be used.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::domain::{id::RowId, secret::Secret};

/// So many codes are in a set.
pub const CODES: u8 = 10;

const PURPOSE: &str = "edgewarden recovery codes v1";
const CODE_BYTES: usize = 15;
/// In base32.
const CODE_CHARS: usize = 24;
/// Characters between two hyphens.
const GROUP: usize = 6;

/// A set of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryCodes(Vec<[u8; CODE_BYTES]>);

/// What is kept of a code: its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryDigest(String);

impl RecoveryCodes {
    /// The codes of a set; always the same.
    #[must_use]
    pub fn of_set(set: RowId, key: &Secret) -> Self {
        let code = |number: u8| {
            let mac = key.mac(PURPOSE, &[set.bytes(), &[number]]);
            mac.first_chunk().copied().unwrap_or_default()
        };
        Self((0..CODES).map(code).collect())
    }

    /// As people keep them: `7k2mq9-xd4hna-0p3tv8-wec5rj`.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let text = |code: &[u8; CODE_BYTES]| base32::encode(base32::Alphabet::Crockford, code).to_ascii_lowercase();
        self.0.iter().map(|code| grouped(&text(code))).collect()
    }

    /// What is kept of them.
    #[must_use]
    pub fn digests(&self) -> Vec<RecoveryDigest> {
        self.0.iter().map(RecoveryDigest::of).collect()
    }
}

impl RecoveryDigest {
    fn of(code: &[u8; CODE_BYTES]) -> Self {
        Self(Base64UrlUnpadded::encode_string(&Sha256::digest(code)))
    }

    /// As stores keep it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code that somebody typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedRecovery([u8; CODE_BYTES]);

impl TypedRecovery {
    /// Reads it in capitals or not, with or without hyphens, and with letters that look like digits for those (Crockford's
    /// base32). `None` of what is no recovery code at all.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != CODE_CHARS || !text.is_ascii() {
            return None;
        }
        base32::decode(base32::Alphabet::Crockford, text)?.try_into().ok().map(Self)
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> RecoveryDigest {
        RecoveryDigest::of(&self.0)
    }
}

fn grouped(text: &str) -> String {
    let mut grouped = String::with_capacity(text.len() + text.len() / GROUP);
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % GROUP == 0 {
            grouped.push('-');
        }
        grouped.push(c);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{secret::SecretList, time::Timestamp};

    fn codes(set: u8) -> RecoveryCodes {
        let keys = SecretList::parse("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG").unwrap();
        RecoveryCodes::of_set(RowId::new(Timestamp::from_secs(9), &[set; 10]), keys.current())
    }

    #[test]
    fn a_set_is_always_the_same_and_no_other_has_a_code_of_it() {
        assert_eq!(codes(1), codes(1));
        let all: BTreeSet<_> = (1..=20).flat_map(|set| codes(set).texts()).collect();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn what_is_typed_is_read_as_people_write() {
        for (text, digest) in codes(3).texts().iter().zip(codes(3).digests()) {
            assert_eq!((text.len(), text.matches('-').count()), (27, 3), "{text}");
            let plain = text.replace('-', "");
            let alike = plain.replace('0', "o").replace('1', "l");
            for typed in [plain.clone(), plain.to_uppercase(), alike.clone(), alike.to_uppercase()] {
                assert_eq!(TypedRecovery::parse(&typed).unwrap().digest(), digest, "{typed}");
            }
        }
        for bad in ["", "123456", &"u".repeat(24), &"0".repeat(23), &"0".repeat(25), &"é".repeat(12), &"\0".repeat(24)]
        {
            assert_eq!(TypedRecovery::parse(bad), None, "{bad}");
        }
    }
}
