//! Tokens that name a row of the database: [vouched for](super::vouched), and kept in no store.
//!
//! A token is made from key, kind and row id alone, so the same row has always the same one. Whether the row still stands is for
//! the database to say.

use super::{
    id::RowId,
    secret::{Secret, SecretList},
    vouched::Vouched,
};

/// Of kind and row.
const SIZES: [usize; 2] = [1, 16];

/// What tells tokens of one sort from those of another.
#[derive(Clone, Copy, Debug)]
pub struct Sort(pub Vouched);

impl Sort {
    /// The token of a row, under the current MAC key.
    #[must_use]
    pub fn encode(self, kind: u8, row: RowId, keys: &SecretList) -> String {
        self.0.encode(&[&[kind], row.bytes()], keys)
    }

    /// Reads a token and checks its MAC, in constant time: its kind, its row, and the key that vouches for it. `None` of
    /// what no key of ours vouches for.
    #[must_use]
    pub fn decode<'k>(self, text: &str, keys: &'k SecretList) -> Option<(u8, RowId, &'k Secret)> {
        let (parts, key) = self.0.decode(text, &SIZES, keys)?;
        let (kind, row) = parts.split_first()?;
        Some((*kind, RowId::from_bytes(*row.first_chunk()?), key))
    }
}
