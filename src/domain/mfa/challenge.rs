//! Between password and second factor: who has given the one gets a token that opens nothing but the question for the other.
//!
//! What code will be right until the token is over is worked out when it is given out, and kept as MACs: so the code that is
//! typed is held against them in the very transaction that uses it up, and the secret need not be read again.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::totp::{Step, TotpSecret};
use crate::domain::{
    id::RowId,
    row_token::Sort,
    secret::{Secret, SecretList},
    session::Holding,
    time::Timestamp,
    vouched::Vouched,
};

/// So many codes may be tried with one token.
pub const MAX_TRIES: u32 = 5;

const SORT: Sort = Sort(Vouched { prefix: "ewmfa_", purpose: "edgewarden mfa token v1" });
const CODE_PURPOSE: &str = "edgewarden expected code v1";
/// The clock that gives a token out may be behind or before the one that takes it back by so many steps.
const CLOCKS: u64 = 1;

/// Half a sign-in: which, and what it is to be held by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MfaToken {
    /// The challenge.
    pub row: RowId,
    /// What the session will be held by.
    pub holding: Holding,
}

impl MfaToken {
    /// The token under the current MAC key.
    #[must_use]
    pub fn encode(&self, keys: &SecretList) -> String {
        let kind = match self.holding {
            Holding::Tokens => 1,
            Holding::Cookie { remember: false } => 2,
            Holding::Cookie { remember: true } => 3,
        };
        SORT.encode(kind, self.row, keys)
    }

    /// Reads a token and checks its MAC; with the key that vouches for it. `None` of what none of ours does.
    #[must_use]
    pub fn decode<'k>(text: &str, keys: &'k SecretList) -> Option<(Self, &'k Secret)> {
        let (kind, row, key) = SORT.decode(text, keys)?;
        let holding = match kind {
            1 => Holding::Tokens,
            2 => Holding::Cookie { remember: false },
            3 => Holding::Cookie { remember: true },
            _ => return None,
        };
        Some((Self { row, holding }, key))
    }
}

/// What will be right, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Of which step.
    pub step: Step,
    /// The MAC of its code, for this challenge only.
    pub mac: String,
}

impl Expected {
    /// The codes that will be taken between two times.
    #[must_use]
    pub fn between(
        secret: &TotpSecret,
        challenge: RowId,
        key: &Secret,
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<Self> {
        let steps = Step::taken_at(from).start().before(CLOCKS)..=Step::taken_at(to).end().after(CLOCKS);
        let expected = |step| Self { step, mac: Self::mac(&secret.code(step), challenge, key) };
        Step::each(steps).map(expected).collect()
    }

    /// The MAC of a code. 128 bits of it: who could guess that could guess the code.
    #[must_use]
    pub fn mac(code: &str, challenge: RowId, key: &Secret) -> String {
        let mac = key.mac(CODE_PURPOSE, &[challenge.bytes(), code.as_bytes()]);
        let half: [u8; 16] = mac.first_chunk().copied().unwrap_or_default();
        Base64UrlUnpadded::encode_string(&half)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OLD: &str = "k_0:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
    const NEW: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const NOW: Timestamp = Timestamp::from_secs(1_767_225_615);

    fn keys(text: &str) -> SecretList {
        SecretList::parse(text).unwrap()
    }

    fn row(number: u8) -> RowId {
        RowId::new(NOW, &[number; 10])
    }

    #[test]
    fn a_token_says_what_it_was_made_for_and_mac_keys_rotate() {
        for holding in [Holding::Tokens, Holding::Cookie { remember: false }, Holding::Cookie { remember: true }] {
            let token = MfaToken { row: row(3), holding };
            let text = token.encode(&keys(OLD));
            let both = keys(&format!("{NEW},{OLD}"));
            let (read, key) = MfaToken::decode(&text, &both).unwrap();
            assert_eq!((read, key.id()), (token, "k_0"));
            assert!(MfaToken::decode(&text, &keys(NEW)).is_none());
        }
    }

    #[test]
    fn any_changed_character_is_refused() {
        let keys = keys(NEW);
        let text = MfaToken { row: row(3), holding: Holding::Tokens }.encode(&keys);
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', 'é'] {
                let changed: String = text.char_indices().map(|(i, c)| if i == at { new } else { c }).collect();
                assert!(old == new || MfaToken::decode(&changed, &keys).is_none(), "{changed}");
            }
        }
        let mail = Sort(Vouched { prefix: "ewmfa_", purpose: "edgewarden mail token v1" }).encode(1, row(3), &keys);
        assert!(MfaToken::decode(&mail, &keys).is_none(), "what was signed for something else");
        assert!(MfaToken::decode(&SORT.encode(4, row(3), &keys), &keys).is_none());
    }

    #[test]
    fn every_code_until_the_end_is_expected_and_only_here() {
        let (secret, keys) = (TotpSecret::new([7; 20]), keys(NEW));
        let end = NOW.plus(Duration::from_mins(5));
        let expected = Expected::between(&secret, row(1), keys.current(), (NOW, end));
        assert_eq!(expected.len(), 10 + 1 + 2 + 2);
        for secs in 0..=300 {
            for step in Step::each(Step::taken_at(NOW.plus(Duration::from_secs(secs)))) {
                let mac = Expected::mac(&secret.code(step), row(1), keys.current());
                assert!(expected.contains(&Expected { step, mac }));
            }
        }
        assert_ne!(Expected::mac("123456", row(1), keys.current()), Expected::mac("123456", row(2), keys.current()));
    }
}
