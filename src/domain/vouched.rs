//! Texts that a MAC key of ours vouches for: opaque to whoever holds one, and checked before any store is asked.
//!
//! `<prefix><mac key id>_<base64url(parts ‖ tag)>`: the tag is an HMAC-SHA256 over the parts, so a forged text costs no
//! I/O. A text names the key that vouches for it, so that keys rotate; each sort has a prefix and a key of its own.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::secret::{MAX_ID_CHARS, Secret, SecretList};

const TAG_BYTES: usize = 32;

/// What tells texts of one sort from those of another.
#[derive(Clone, Copy, Debug)]
pub struct Vouched {
    /// What they begin with.
    pub prefix: &'static str,
    /// What the key of their MAC is derived for.
    pub purpose: &'static str,
}

impl Vouched {
    /// A text under the current MAC key.
    #[must_use]
    pub fn encode(self, parts: &[&[u8]], keys: &SecretList) -> String {
        let key = keys.current();
        let tag = key.mac(self.purpose, parts);
        let body = [&parts.concat(), tag.as_slice()].concat();
        format!("{}{}_{}", self.prefix, key.id(), Base64UrlUnpadded::encode_string(&body))
    }

    /// Reads a text of parts of these sizes, in bytes, and checks its MAC, in constant time: the parts in a row, and the key
    /// that vouches for them. `None` of what no key of ours vouches for.
    #[must_use]
    pub fn decode<'k>(self, text: &str, sizes: &[usize], keys: &'k SecretList) -> Option<(Vec<u8>, &'k Secret)> {
        let rest = text.strip_prefix(self.prefix).filter(|_| text.len() <= self.max_chars(sizes))?;
        // The id of a key may hold "_"; the body, being of fixed length, tells where it begins.
        let (head, body) = rest.split_at_checked(rest.len().checked_sub(body_chars(sizes))?)?;
        let key = keys.find(head.strip_suffix('_')?)?;
        let mut body = Base64UrlUnpadded::decode_vec(body).ok()?;
        let tag = body.split_off(body.len().checked_sub(TAG_BYTES)?);
        let (mut parts, mut left) = (Vec::with_capacity(sizes.len()), body.as_slice());
        for size in sizes {
            let (part, after) = left.split_at_checked(*size)?;
            parts.push(part);
            left = after;
        }
        (left.is_empty() && key.mac_matches(self.purpose, &parts, &tag)).then_some((body, key))
    }

    /// No text of this sort is longer, in characters.
    #[must_use]
    pub fn max_chars(self, sizes: &[usize]) -> usize {
        self.prefix.len() + MAX_ID_CHARS + 1 + body_chars(sizes)
    }
}

/// Of a body, without padding.
fn body_chars(sizes: &[usize]) -> usize {
    ((sizes.iter().sum::<usize>() + TAG_BYTES) * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "k_0:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
    const NEW: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const SORT: Vouched = Vouched { prefix: "ewx_", purpose: "edgewarden test v1" };
    const SIZES: [usize; 2] = [1, 16];

    fn keys(text: &str) -> SecretList {
        SecretList::parse(text).unwrap()
    }

    fn text(keys: &SecretList) -> String {
        SORT.encode(&[&[7], &[8; 16]], keys)
    }

    #[test]
    fn it_is_read_back_and_mac_keys_rotate() {
        let read = |text: &str, list: &str| SORT.decode(text, &SIZES, &keys(list)).map(|(parts, _)| parts);
        let (text, parts) = (text(&keys(OLD)), [&[7][..], &[8; 16]].concat());
        assert!(text.starts_with("ewx_k_0_"), "{text}");
        assert_eq!(read(&text, OLD), Some(parts.clone()));
        assert_eq!(read(&text, &format!("{NEW},{OLD}")), Some(parts));
        assert_eq!(read(&text, NEW), None);
        let longest = keys(&format!("{}:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "k".repeat(16)));
        assert!(SORT.decode(&SORT.encode(&[&[7], &[8; 16]], &longest), &SIZES, &longest).is_some());
    }

    #[test]
    fn any_changed_character_is_refused() {
        let keys = keys(NEW);
        let text = text(&keys);
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', 'é'] {
                let changed: String = text.char_indices().map(|(i, c)| if i == at { new } else { c }).collect();
                assert!(old == new || SORT.decode(&changed, &SIZES, &keys).is_none(), "{changed}");
            }
        }
        let longer = format!("{text}A");
        for bad in ["", "ewx_", "ewx_k1_", &text[..text.len() - 1], &longer, &text.to_uppercase(), &"é".repeat(60)] {
            assert!(SORT.decode(bad, &SIZES, &keys).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_of_another_sort_or_of_other_parts_is_refused() {
        let keys = keys(NEW);
        let text = text(&keys);
        let other = Vouched { purpose: "edgewarden session cookie v1", ..SORT };
        assert!(other.decode(&text, &SIZES, &keys).is_none());
        assert!(Vouched { prefix: "ew_", ..SORT }.decode(&text, &SIZES, &keys).is_none());
        // As long together, but not the same ones.
        assert!(SORT.decode(&text, &[16, 1], &keys).is_none());
        assert!(SORT.decode(&text, &[17], &keys).is_none());
    }
}
