//! The crypto port on aws-lc-rs.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    rand::{SecureRandom, SystemRandom},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};

use super::switchboard::{Fate, Switchboard};
use crate::{
    domain::{
        sealed::{NONCE_BYTES, SIGNING_KEY_PURPOSE, Sealed},
        secret::{Secret, SecretList},
        token::jwk::{KeyId, PublicKey},
    },
    ports::{Crypto, SealedKey, Unavailable},
};

/// The name of this port in counts.
pub const PORT: &str = "crypto";

/// aws-lc-rs, and the secrets that seal.
pub struct NativeCrypto {
    master: SecretList,
    switchboard: Arc<Switchboard>,
}

impl NativeCrypto {
    /// With the secrets that seal.
    #[must_use]
    pub fn new(master: SecretList) -> Self {
        Self::switched(master, Arc::default())
    }

    /// The same, failing on demand.
    #[must_use]
    pub(super) const fn switched(master: SecretList, switchboard: Arc<Switchboard>) -> Self {
        Self { master, switchboard }
    }

    /// A computation has no effect to lose: it works or it does not.
    fn through(&self) -> Result<(), Unavailable> {
        match self.switchboard.enter(PORT) {
            Fate::Through => Ok(()),
            Fate::Down | Fate::Lost => Err(Unavailable { port: PORT, message: "switched off".to_owned() }),
        }
    }

    fn generate(&self) -> Result<SealedKey, Unspecified> {
        let random = SystemRandom::new();
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&random)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.as_ref()).map_err(|_| Unspecified)?;
        let public = PublicKey::ed25519(pair.public_key().as_ref()).map_err(|_| Unspecified)?;
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce)?;
        let mut ciphertext = pkcs8.as_ref().to_vec();
        let secret = self.master.current();
        let aad = Aad::from(public.key_id().as_str().as_bytes().to_vec());
        aes_key(secret)?.seal_in_place_append_tag(Nonce::from(&nonce), aad, &mut ciphertext)?;
        let sealed = Sealed { key_id: secret.id().to_owned(), nonce, ciphertext }.encode();
        Ok(SealedKey { public, sealed })
    }

    fn open(&self, kid: &KeyId, sealed: &str) -> Result<Ed25519KeyPair, Unspecified> {
        let mut sealed = Sealed::decode(sealed).ok_or(Unspecified)?;
        let key = aes_key(self.master.find(&sealed.key_id).ok_or(Unspecified)?)?;
        let aad = Aad::from(kid.as_str().as_bytes());
        let pkcs8 = key.open_in_place(Nonce::from(&sealed.nonce), aad, &mut sealed.ciphertext)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| Unspecified)
    }
}

fn aes_key(secret: &Secret) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, &secret.derive(SIGNING_KEY_PURPOSE)).map(LessSafeKey::new)
}

fn unavailable(_: Unspecified) -> Unavailable {
    Unavailable { port: PORT, message: "refused".to_owned() }
}

#[async_trait]
impl Crypto for NativeCrypto {
    async fn make_key(&self) -> Result<SealedKey, Unavailable> {
        self.through()?;
        self.generate().map_err(unavailable)
    }

    async fn ready(&self, kid: &KeyId, sealed: &str) -> Result<(), Unavailable> {
        self.through()?;
        self.open(kid, sealed).map(drop).map_err(unavailable)
    }

    async fn sign(&self, kid: &KeyId, sealed: &str, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        self.through()?;
        let pair = self.open(kid, sealed).map_err(unavailable)?;
        Ok(pair.sign(message).as_ref().to_vec())
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, Unavailable> {
        self.through()?;
        // Web Crypto takes a signature of another length for an error, not for a wrong one.
        if signature.len() != 64 {
            return Err(Unavailable { port: PORT, message: "invalid signature length".to_owned() });
        }
        Ok(UnparsedPublicKey::new(&ED25519, key.bytes()).verify(message, signature).is_ok())
    }
}
