//! The parts of stored strings, read one way each.

use std::ops::RangeInclusive;

use base64ct::{Base64Unpadded, Encoding};

use super::Reason;

/// Splits at `$` into exactly so many parts.
pub(super) fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut parts = text.split('$');
    let mut found = [""; N];
    for slot in &mut found {
        *slot = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// `a=1,b=2`: exactly these names, in this order.
pub(super) fn params<'t, const N: usize>(text: &'t str, names: [&str; N]) -> Option<[&'t str; N]> {
    let mut parts = text.split(',');
    let mut found = [""; N];
    for (slot, name) in found.iter_mut().zip(names) {
        *slot = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
    }
    parts.next().is_none().then_some(found)
}

/// A decimal number as the PHC format has it: no sign, no leading zero.
pub(super) fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Unpadded base64 without stray bits, of so many bytes.
pub(super) fn base64(text: &str, bytes: RangeInclusive<usize>, otherwise: Reason) -> Result<Vec<u8>, Reason> {
    Base64Unpadded::decode_vec(text).ok().filter(|found| bytes.contains(&found.len())).ok_or(otherwise)
}
