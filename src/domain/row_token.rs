//! Tokens that name a row of the database: opaque, checkable without a store, and kept in none.
//!
//! `<prefix><mac key id>_<base64url(kind ‖ row id ‖ tag)>`: the tag is an HMAC-SHA256 over the rest. A token is made from
//! key, kind and row id alone, so the same row has always the same one. Whether the row still stands is for the
//! database to say.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{
    id::RowId,
    secret::{Secret, SecretList},
};

const BODY_BYTES: usize = 1 + 16 + 32;
/// Without padding.
const BODY_CHARS: usize = (BODY_BYTES * 4).div_ceil(3);

/// What tells tokens of one sort from those of another.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    /// What they begin with.
    pub prefix: &'static str,
    /// What the key of their MAC is derived for.
    pub purpose: &'static str,
}

impl Sort {
    /// The token of a row, under the current MAC key.
    #[must_use]
    pub fn encode(self, kind: u8, row: RowId, keys: &SecretList) -> String {
        let (key, kind) = (keys.current(), [kind]);
        let tag = key.mac(self.purpose, &[&kind, row.bytes()]);
        let body = [kind.as_slice(), row.bytes(), &tag].concat();
        format!("{}{}_{}", self.prefix, key.id(), Base64UrlUnpadded::encode_string(&body))
    }

    /// Reads a token and checks its MAC, in constant time: its kind, its row, and the key that vouches for it. `None` of
    /// what no key of ours vouches for.
    #[must_use]
    pub fn decode<'k>(self, text: &str, keys: &'k SecretList) -> Option<(u8, RowId, &'k Secret)> {
        let rest = text.strip_prefix(self.prefix)?;
        // A key id may hold "_"; the body, being of fixed length, tells where it begins.
        let (head, body) = rest.split_at_checked(rest.len().checked_sub(BODY_CHARS)?)?;
        let key = keys.find(head.strip_suffix('_')?)?;
        let mut buffer = [0; BODY_BYTES];
        let body = Base64UrlUnpadded::decode(body, &mut buffer).ok()?;
        let (kind, rest) = body.split_first_chunk::<1>()?;
        let (row, tag) = rest.split_first_chunk::<16>()?;
        let [number] = *kind;
        key.mac_matches(self.purpose, &[kind, row], tag).then(|| (number, RowId::from_bytes(*row), key))
    }
}
