//! Refresh tokens: [vouched for](crate::domain::vouched), and useless from a database.
//!
//! Their parts are session, generation and salt. A session's tokens differ only in their
//! generation; each use raises it by one. The database keeps the newest generation and the salt:
//! with both but without the MAC key nobody can make a token, and with the MAC key but without
//! the database nobody knows the salt.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::domain::{id::SessionId, secret::SecretList, vouched::Vouched};

const SORT: Vouched = Vouched { prefix: "ewr_", purpose: "edgewarden refresh token v1" };
/// Of session, generation and salt.
const SIZES: [usize; 3] = [16, 4, 16];

/// What a refresh token names: the `generation`-th of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session it renews.
    pub session: SessionId,
    /// Which of the session's tokens it is, from 1.
    pub generation: u32,
    /// The session's salt.
    pub salt: [u8; 16],
}

/// A text that no MAC key of ours vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub struct NotARefreshToken;

impl RefreshToken {
    /// The first token of a session.
    #[must_use]
    pub const fn first(session: SessionId, salt: [u8; 16]) -> Self {
        Self { session, generation: 1, salt }
    }

    /// The token that replaces this one; `None` after four billion of them.
    #[must_use]
    pub fn successor(self) -> Option<Self> {
        Some(Self { generation: self.generation.checked_add(1)?, ..self })
    }

    /// The token as the client keeps it, under the current MAC key. The same input gives the
    /// same text, which is how a lost answer can be given again.
    #[must_use]
    pub fn encode(&self, keys: &SecretList) -> String {
        SORT.encode(&[self.session.bytes(), &self.generation.to_be_bytes(), &self.salt], keys)
    }

    /// Reads a token and checks its MAC, in constant time.
    pub fn decode(text: &str, keys: &SecretList) -> Result<Self, NotARefreshToken> {
        Self::read(text, keys).ok_or(NotARefreshToken)
    }

    fn read(text: &str, keys: &SecretList) -> Option<Self> {
        let (parts, _) = SORT.decode(text, &SIZES, keys)?;
        let (session, rest) = parts.split_first_chunk()?;
        let (generation, salt) = rest.split_first_chunk()?;
        let generation = u32::from_be_bytes(*generation);
        Some(Self { session: SessionId::from_bytes(*session), generation, salt: *salt.first_chunk()? })
    }

    /// The salt as the database keeps it.
    #[must_use]
    pub fn salt_text(&self) -> String {
        salt_text(&self.salt)
    }
}

/// A salt as the database keeps it.
#[must_use]
pub fn salt_text(salt: &[u8; 16]) -> String {
    Base64UrlUnpadded::encode_string(salt)
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

    fn token() -> RefreshToken {
        RefreshToken::first(SessionId::new(Timestamp::from_secs(9), &[3; 10]), [8; 16])
    }

    #[test]
    fn it_is_read_back_and_its_successor_differs_in_generation_only() {
        let keys = keys(OLD);
        let text = token().encode(&keys);
        assert!(text.starts_with("ewr_k_0_"), "{text}");
        assert_eq!(RefreshToken::decode(&text, &keys), Ok(token()));
        assert_eq!(text, token().encode(&keys), "a lost answer can be given again");
        let next = token().successor().unwrap();
        assert_eq!((next.generation, next.session, next.salt), (2, token().session, token().salt));
        assert!(RefreshToken { generation: u32::MAX, ..token() }.successor().is_none());
    }

    #[test]
    fn mac_keys_rotate() {
        let text = token().encode(&keys(OLD));
        assert_eq!(RefreshToken::decode(&text, &keys(&format!("{NEW},{OLD}"))), Ok(token()));
        assert_eq!(RefreshToken::decode(&text, &keys(NEW)), Err(NotARefreshToken));
    }

    #[test]
    fn any_changed_character_is_refused() {
        let keys = keys(NEW);
        let text = token().encode(&keys);
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', 'é'] {
                let changed: String = text.char_indices().map(|(i, c)| if i == at { new } else { c }).collect();
                assert!(old == new || RefreshToken::decode(&changed, &keys).is_err(), "{changed}");
            }
        }
        for bad in ["", "ewr_", "ewr_k1_", &text[..text.len() - 1], &format!("{text}A"), &"é".repeat(60)] {
            assert_eq!(RefreshToken::decode(bad, &keys), Err(NotARefreshToken));
        }
    }
}
