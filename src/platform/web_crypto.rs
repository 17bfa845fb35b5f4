//! The crypto port on Web Crypto. Imported keys are kept for the isolate's life; they are no I/O
//! objects and may cross requests.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use js_sys::{Array, ArrayBuffer, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, CryptoKeyPair, SubtleCrypto, WorkerGlobalScope};
use worker::send::{SendFuture, SendWrapper};

use crate::{
    domain::{
        sealed::{NONCE_BYTES, SIGNING_KEY_PURPOSE, Sealed},
        secret::{Secret, SecretList},
        token::jwk::{KeyId, PublicKey},
    },
    ports::{Crypto, SealedKey, Unavailable},
};

const ED25519: &str = "Ed25519";
/// More imported keys than a key ring ever holds.
const MAX_IMPORTED: usize = 64;

type Keys = Mutex<HashMap<String, SendWrapper<CryptoKey>>>;

/// Web Crypto, and the secrets that seal.
pub struct WebCrypto {
    master: SecretList,
    private: Keys,
    public: Keys,
}

/// What went wrong, in words for the log.
struct Failure(String);

impl From<JsValue> for Failure {
    fn from(value: JsValue) -> Self {
        Self(format!("{value:?}"))
    }
}

type Outcome<T> = Result<T, Failure>;

impl WebCrypto {
    /// With the secrets that seal.
    #[must_use]
    pub fn new(master: SecretList) -> Self {
        Self { master, private: Mutex::default(), public: Mutex::default() }
    }

    async fn generate(&self) -> Outcome<SealedKey> {
        let usages = Array::of2(&"sign".into(), &"verify".into());
        let pair = subtle()?.generate_key_with_str(ED25519, true, &usages)?;
        let pair: CryptoKeyPair = JsFuture::from(pair).await?.unchecked_into();
        let public = export("raw", &pair.get_public_key()).await?;
        let public = PublicKey::ed25519(&public).map_err(|error| Failure(error.to_string()))?;
        let private = export("pkcs8", &pair.get_private_key()).await?;
        let sealed = self.seal(public.key_id().as_str(), &private).await?;
        Ok(SealedKey { public, sealed })
    }

    async fn seal(&self, kid: &str, plaintext: &[u8]) -> Outcome<String> {
        let secret = self.master.current();
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| Failure(error.to_string()))?;
        let key = aes_key(secret, "encrypt").await?;
        let sealing = subtle()?.encrypt_with_object_and_u8_array(&aes_gcm(&nonce, kid)?, &key, plaintext)?;
        let ciphertext = bytes(&JsFuture::from(sealing).await?);
        Ok(Sealed { key_id: secret.id().to_owned(), nonce, ciphertext }.encode())
    }

    async fn private_key(&self, kid: &KeyId, sealed: &str) -> Outcome<CryptoKey> {
        if let Some(key) = kept(&self.private, kid.as_str()) {
            return Ok(key);
        }
        let sealed = Sealed::decode(sealed).ok_or_else(|| Failure("a sealed key is unreadable".to_owned()))?;
        let secret = self
            .master
            .find(&sealed.key_id)
            .ok_or_else(|| Failure(format!("KEY_ENCRYPTION_KEY holds no key {:?}", sealed.key_id)))?;
        let key = aes_key(secret, "decrypt").await?;
        let parameters = aes_gcm(&sealed.nonce, kid.as_str())?;
        let opening = subtle()?.decrypt_with_object_and_u8_array(&parameters, &key, &sealed.ciphertext)?;
        let pkcs8 = JsFuture::from(opening).await?;
        let usages = Array::of1(&"sign".into());
        let import = subtle()?.import_key_with_str("pkcs8", pkcs8.unchecked_ref(), ED25519, false, &usages)?;
        let key: CryptoKey = JsFuture::from(import).await?.unchecked_into();
        keep(&self.private, kid.as_str(), &key);
        Ok(key)
    }

    async fn public_key(&self, key: &PublicKey) -> Outcome<CryptoKey> {
        let name = key.x();
        if let Some(key) = kept(&self.public, &name) {
            return Ok(key);
        }
        let raw = Uint8Array::from(key.bytes().as_slice());
        let usages = Array::of1(&"verify".into());
        let import = subtle()?.import_key_with_str("raw", &raw, ED25519, false, &usages)?;
        let key: CryptoKey = JsFuture::from(import).await?.unchecked_into();
        keep(&self.public, &name, &key);
        Ok(key)
    }

    async fn make_signature(&self, kid: &KeyId, sealed: &str, message: &[u8]) -> Outcome<Vec<u8>> {
        let key = self.private_key(kid, sealed).await?;
        let signing = subtle()?.sign_with_str_and_u8_array(ED25519, &key, message)?;
        Ok(bytes(&JsFuture::from(signing).await?))
    }

    async fn check_signature(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Outcome<bool> {
        let key = self.public_key(key).await?;
        let signature = Uint8Array::from(signature);
        let message = Uint8Array::from(message);
        let check = subtle()?.verify_with_str_and_js_u8_array_and_js_u8_array(ED25519, &key, &signature, &message)?;
        Ok(JsFuture::from(check).await?.is_truthy())
    }
}

#[async_trait]
impl Crypto for WebCrypto {
    async fn make_key(&self) -> Result<SealedKey, Unavailable> {
        answer(SendFuture::new(self.generate()).await)
    }

    async fn ready(&self, kid: &KeyId, sealed: &str) -> Result<(), Unavailable> {
        answer(SendFuture::new(self.private_key(kid, sealed)).await).map(drop)
    }

    async fn sign(&self, kid: &KeyId, sealed: &str, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        answer(SendFuture::new(self.make_signature(kid, sealed, message)).await)
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, Unavailable> {
        answer(SendFuture::new(self.check_signature(key, message, signature)).await)
    }
}

/// Computation in this very process needs no bound in time.
fn answer<T>(outcome: Outcome<T>) -> Result<T, Unavailable> {
    outcome.map_err(|Failure(message)| Unavailable { port: "crypto", message })
}

fn subtle() -> Outcome<SubtleCrypto> {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    Ok(global.crypto()?.subtle())
}

fn kept(keys: &Keys, name: &str) -> Option<CryptoKey> {
    keys.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(|key| (**key).clone())
}

fn keep(keys: &Keys, name: &str, key: &CryptoKey) {
    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= MAX_IMPORTED {
        keys.clear();
    }
    keys.insert(name.to_owned(), SendWrapper::new(key.clone()));
}

async fn export(format: &str, key: &CryptoKey) -> Outcome<Vec<u8>> {
    Ok(bytes(&JsFuture::from(subtle()?.export_key(format, key)?).await?))
}

async fn aes_key(secret: &Secret, usage: &str) -> Outcome<CryptoKey> {
    let raw = Uint8Array::from(secret.derive(SIGNING_KEY_PURPOSE).as_slice());
    let usages = Array::of1(&usage.into());
    let import = subtle()?.import_key_with_str("raw", &raw, "AES-GCM", false, &usages)?;
    Ok(JsFuture::from(import).await?.unchecked_into())
}

/// AES-GCM with the key's id as associated data: one key's private half cannot be passed off as
/// another's.
fn aes_gcm(nonce: &[u8; NONCE_BYTES], kid: &str) -> Outcome<Object> {
    let parameters = Object::new();
    Reflect::set(&parameters, &"name".into(), &"AES-GCM".into())?;
    Reflect::set(&parameters, &"iv".into(), &Uint8Array::from(nonce.as_slice()))?;
    Reflect::set(&parameters, &"additionalData".into(), &Uint8Array::from(kid.as_bytes()))?;
    Ok(parameters)
}

fn bytes(value: &JsValue) -> Vec<u8> {
    Uint8Array::new(value.unchecked_ref::<ArrayBuffer>()).to_vec()
}
