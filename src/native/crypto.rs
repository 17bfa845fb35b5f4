//! The crypto port on aws-lc-rs: sealing, and the switchboard. Signatures are in
//! `signatures.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    rand::{SecureRandom, SystemRandom},
};

use super::{
    signatures,
    switchboard::{Fate, Switchboard},
};
use crate::{
    domain::{
        id::UserId,
        mfa::TotpSecret,
        sealed::{NONCE_BYTES, Sealed, Sealing},
        secret::{Secret, SecretList},
        token::{
            algorithm::Algorithm,
            jwk::{KeyId, PublicKey},
            shared_key::SharedKey,
        },
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

    fn generate(&self, algorithm: Algorithm) -> Result<SealedKey, Unspecified> {
        let (kid, public, secret) = if algorithm.is_symmetric() {
            let mut bytes = vec![0; algorithm.digest_bytes()];
            SystemRandom::new().fill(&mut bytes)?;
            let key = SharedKey::new(algorithm, &bytes).map_err(|_| Unspecified)?;
            (key.key_id().clone(), None, bytes)
        } else {
            let (public, pkcs8) = signatures::generate(algorithm)?;
            (public.key_id().clone(), Some(public), pkcs8)
        };
        let sealed = self.seal(&Sealing::SigningKey(&kid), secret)?;
        Ok(SealedKey { kid, algorithm, public, sealed })
    }

    fn seal(&self, what: &Sealing<'_>, mut secret: Vec<u8>) -> Result<String, Unspecified> {
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut nonce)?;
        let master = self.master.current();
        let key = aes_key(master, what)?;
        key.seal_in_place_append_tag(Nonce::from(&nonce), Aad::from(what.bound_to()), &mut secret)?;
        Ok(Sealed { key_id: master.id().to_owned(), nonce, ciphertext: secret }.encode())
    }

    fn open(&self, what: &Sealing<'_>, sealed: &str) -> Result<Vec<u8>, Unspecified> {
        let mut sealed = Sealed::decode(sealed).ok_or(Unspecified)?;
        let key = aes_key(self.master.find(&sealed.key_id).ok_or(Unspecified)?, what)?;
        let bound_to = Aad::from(what.bound_to());
        let secret = key.open_in_place(Nonce::from(&sealed.nonce), bound_to, &mut sealed.ciphertext)?;
        Ok(secret.to_vec())
    }

    fn open_shared(&self, kid: &KeyId, algorithm: Algorithm, sealed: &str) -> Result<SharedKey, Unspecified> {
        SharedKey::new(algorithm, &self.open(&Sealing::SigningKey(kid), sealed)?).map_err(|_| Unspecified)
    }
}

fn aes_key(secret: &Secret, what: &Sealing<'_>) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, &secret.derive(what.purpose())).map(LessSafeKey::new)
}

fn unavailable(_: Unspecified) -> Unavailable {
    Unavailable { port: PORT, message: "refused".to_owned() }
}

#[async_trait]
impl Crypto for NativeCrypto {
    async fn make_key(&self, algorithm: Algorithm) -> Result<SealedKey, Unavailable> {
        self.through()?;
        self.generate(algorithm).map_err(unavailable)
    }

    async fn ready(&self, key: &PublicKey, sealed: &str) -> Result<(), Unavailable> {
        self.through()?;
        self.open(&Sealing::SigningKey(key.key_id()), sealed).map(drop).map_err(unavailable)
    }

    async fn shared_key(&self, kid: &KeyId, algorithm: Algorithm, sealed: &str) -> Result<SharedKey, Unavailable> {
        self.through()?;
        self.open_shared(kid, algorithm, sealed).map_err(unavailable)
    }

    async fn reseal(&self, kid: &KeyId, sealed: &str) -> Result<String, Unavailable> {
        self.through()?;
        let what = Sealing::SigningKey(kid);
        self.open(&what, sealed).and_then(|secret| self.seal(&what, secret)).map_err(unavailable)
    }

    async fn seal_totp(&self, user: UserId, secret: &TotpSecret) -> Result<String, Unavailable> {
        self.through()?;
        self.seal(&Sealing::TotpSecret(user), secret.bytes().to_vec()).map_err(unavailable)
    }

    async fn open_totp(&self, user: UserId, sealed: &str) -> Result<TotpSecret, Unavailable> {
        self.through()?;
        let bytes = self.open(&Sealing::TotpSecret(user), sealed).map_err(unavailable)?;
        TotpSecret::of_bytes(&bytes).ok_or_else(|| unavailable(Unspecified))
    }

    async fn sign(&self, key: &PublicKey, sealed: &str, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        self.through()?;
        let pkcs8 = self.open(&Sealing::SigningKey(key.key_id()), sealed).map_err(unavailable)?;
        signatures::sign(key.algorithm(), &pkcs8, message).map_err(unavailable)
    }

    async fn is_key(&self, key: &PublicKey) -> bool {
        signatures::is_key(key)
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, Unavailable> {
        self.through()?;
        // Web Crypto takes some signatures of another length for an error, not for a wrong one.
        if signature.len() != key.signature_bytes() {
            return Err(Unavailable { port: PORT, message: "invalid signature length".to_owned() });
        }
        Ok(signatures::verify(key, message, signature))
    }
}
