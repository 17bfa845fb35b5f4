//! How something sealed is written down: AES-256-GCM, under a key that is named.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{id::UserId, token::jwk::KeyId};

/// Bytes of a nonce (NIST SP 800-38D, §8.2).
pub const NONCE_BYTES: usize = 12;

/// What is sealed, and to what that is bound: associated data, so that one thing's secret cannot be passed off as
/// another's. Each kind has a key of its own.
#[derive(Clone, Debug)]
pub enum Sealing<'a> {
    /// What is secret of a signing key.
    SigningKey(&'a KeyId),
    /// The secret of a user's second factor.
    TotpSecret(UserId),
}

impl Sealing<'_> {
    /// What the key that seals it is derived for.
    #[must_use]
    pub const fn purpose(&self) -> &'static str {
        match self {
            Self::SigningKey(_) => "edgewarden signing key seal v1",
            Self::TotpSecret(_) => "edgewarden totp secret seal v1",
        }
    }

    /// What it is bound to.
    #[must_use]
    pub fn bound_to(&self) -> String {
        match self {
            Self::SigningKey(kid) => kid.as_str().to_owned(),
            Self::TotpSecret(user) => user.to_string(),
        }
    }
}

/// `v1.<key id>.<nonce>.<ciphertext and tag>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which secret it was sealed under.
    pub key_id: String,
    /// The nonce.
    pub nonce: [u8; NONCE_BYTES],
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// As text.
    #[must_use]
    pub fn encode(&self) -> String {
        let b64 = Base64UrlUnpadded::encode_string;
        format!("v1.{}.{}.{}", self.key_id, b64(&self.nonce), b64(&self.ciphertext))
    }

    /// Which secret a text was sealed under; `None` if it is not of this form.
    #[must_use]
    pub fn key_id_of(text: &str) -> Option<String> {
        Self::decode(text).map(|sealed| sealed.key_id)
    }

    /// From text; `None` if it is not of this form.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (version, key_id) = (parts.next()?, parts.next()?.to_owned());
        let nonce = Base64UrlUnpadded::decode_vec(parts.next()?).ok()?.try_into().ok()?;
        let ciphertext = Base64UrlUnpadded::decode_vec(parts.next()?).ok()?;
        (version == "v1" && parts.next().is_none()).then_some(Self { key_id, nonce, ciphertext })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let sealed = Sealed { key_id: "k1".into(), nonce: [7; 12], ciphertext: vec![1, 2, 3] };
        assert_eq!(Sealed::decode(&sealed.encode()), Some(sealed));
        for bad in ["", "v1", "v1.k.AAAA.AAAA", "v2.k1.BwcHBwcHBwcHBwcH.AQID", "v1.k1.BwcHBwcHBwcHBwcH.AQID.x"] {
            assert_eq!(Sealed::decode(bad), None, "{bad}");
        }
    }
}
