//! The tokens in mails: of a row of the outbox, so that a mail that is sent again holds the same one, and the database
//! holds nothing that could be used.

use crate::domain::{
    id::RowId,
    password::SALT_BYTES,
    row_token::Sort,
    secret::{Secret, SecretList},
    vouched::Vouched,
};

const SORT: Sort = Sort(Vouched { prefix: "ewm_", purpose: "edgewarden mail token v1" });
const SALT_PURPOSE: &str = "edgewarden reset salt v1";

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To prove an address.
    VerifyEmail,
    /// To choose a new password.
    ResetPassword,
}

impl Purpose {
    const fn byte(self) -> u8 {
        match self {
            Self::VerifyEmail => 1,
            Self::ResetPassword => 2,
        }
    }
}

/// A token to be put into a mail.
#[derive(Clone, Copy, Debug)]
pub struct MailToken {
    /// What it is for.
    pub purpose: Purpose,
    /// The mail's row.
    pub row: RowId,
}

/// A token that a key of ours vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    row: RowId,
    salt: [u8; SALT_BYTES],
}

/// A text that no MAC key of ours vouches for, or that is for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not such a mail token")]
pub struct NotAMailToken;

impl MailToken {
    /// The token as it stands in a link, under the current MAC key.
    #[must_use]
    pub fn encode(&self, keys: &SecretList) -> String {
        SORT.encode(self.purpose.byte(), self.row, keys)
    }
}

impl Proven {
    /// Reads a token that must be for this purpose, and checks its MAC, in constant time.
    pub fn decode(text: &str, purpose: Purpose, keys: &SecretList) -> Result<Self, NotAMailToken> {
        match SORT.decode(text, keys) {
            Some((kind, row, key)) if kind == purpose.byte() => Ok(Self { row, salt: salt(key, row) }),
            _ => Err(NotAMailToken),
        }
    }

    /// The mail's row.
    #[must_use]
    pub const fn row(&self) -> RowId {
        self.row
    }

    /// The salt of a password that is chosen with this token. It is always the same, so that whoever tries again because
    /// an answer was lost is known by their hash; and no other token has it.
    #[must_use]
    pub const fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }
}

fn salt(key: &Secret, row: RowId) -> [u8; SALT_BYTES] {
    let mac = key.mac(SALT_PURPOSE, &[row.bytes()]);
    mac.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    const OLD: &str = "k_0:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
    const NEW: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn keys(text: &str) -> SecretList {
        SecretList::parse(text).unwrap()
    }

    fn token(purpose: Purpose) -> MailToken {
        MailToken { purpose, row: RowId::new(Timestamp::from_secs(9), &[3; 10]) }
    }

    #[test]
    fn it_is_read_back_for_its_own_purpose_only() {
        let keys = keys(OLD);
        for (purpose, other) in
            [(Purpose::VerifyEmail, Purpose::ResetPassword), (Purpose::ResetPassword, Purpose::VerifyEmail)]
        {
            let text = token(purpose).encode(&keys);
            assert!(text.starts_with("ewm_k_0_"), "{text}");
            assert_eq!(text, token(purpose).encode(&keys), "a mail that is sent again says the same");
            let read = Proven::decode(&text, purpose, &keys).unwrap();
            assert_eq!(read.row(), token(purpose).row);
            assert_eq!(Proven::decode(&text, other, &keys), Err(NotAMailToken));
        }
    }

    #[test]
    fn mac_keys_rotate_and_the_salt_stays_the_tokens_own() {
        let text = token(Purpose::ResetPassword).encode(&keys(OLD));
        let read = |text: &str, list: &str| Proven::decode(text, Purpose::ResetPassword, &keys(list));
        let before = read(&text, OLD).unwrap();
        assert_eq!(read(&text, &format!("{NEW},{OLD}")).unwrap().salt(), before.salt());
        assert_eq!(read(&text, NEW), Err(NotAMailToken));
        let other = MailToken { row: RowId::new(Timestamp::from_secs(9), &[4; 10]), ..token(Purpose::ResetPassword) };
        assert_ne!(read(&other.encode(&keys(OLD)), OLD).unwrap().salt(), before.salt());
    }

    #[test]
    fn any_changed_character_is_refused() {
        let keys = keys(NEW);
        let text = token(Purpose::VerifyEmail).encode(&keys);
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', 'é'] {
                let changed: String = text.char_indices().map(|(i, c)| if i == at { new } else { c }).collect();
                let read = Proven::decode(&changed, Purpose::VerifyEmail, &keys);
                assert!(old == new || read.is_err(), "{changed}");
            }
        }
        for bad in ["", "ewm_", "ewm_k1_", &text[..text.len() - 1], &format!("{text}A"), &"é".repeat(60)] {
            assert_eq!(Proven::decode(bad, Purpose::VerifyEmail, &keys), Err(NotAMailToken));
        }
    }
}
