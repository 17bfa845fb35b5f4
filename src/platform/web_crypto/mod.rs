//! The crypto port on Web Crypto. Imported keys are kept for the isolate's life; they are no I/O
//! objects and may cross requests.

mod algorithms;
mod seal;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use async_trait::async_trait;
use js_sys::{Array, ArrayBuffer, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, CryptoKeyPair, SubtleCrypto, WorkerGlobalScope};
use worker::send::{SendFuture, SendWrapper};

use crate::{
    domain::{
        id::UserId,
        mfa::TotpSecret,
        sealed::Sealing,
        secret::SecretList,
        token::{
            algorithm::Algorithm,
            jwk::{KeyId, PublicKey},
            shared_key::SharedKey,
        },
    },
    ports::{Crypto, SealedKey, Unavailable},
};

/// More imported keys than a key ring ever holds.
const MAX_IMPORTED: usize = 64;

/// An imported key, and how signatures are made or checked with it.
struct Imported {
    key: CryptoKey,
    parameters: Object,
}

/// Imported keys. An RSA key is imported for one algorithm, so its id alone does not name it.
type Keys = Mutex<HashMap<(KeyId, Algorithm), Arc<SendWrapper<Imported>>>>;

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

impl Failure {
    fn of(error: &impl ToString) -> Self {
        Self(error.to_string())
    }
}

type Outcome<T> = Result<T, Failure>;

impl WebCrypto {
    /// With the secrets that seal.
    #[must_use]
    pub fn new(master: SecretList) -> Self {
        Self { master, private: Mutex::default(), public: Mutex::default() }
    }

    async fn generate(&self, algorithm: Algorithm) -> Outcome<SealedKey> {
        let (kid, public, secret) = if algorithm.is_symmetric() {
            let mut bytes = vec![0; algorithm.digest_bytes()];
            getrandom::fill(&mut bytes).map_err(|error| Failure::of(&error))?;
            let key = SharedKey::new(algorithm, &bytes).map_err(|error| Failure::of(&error))?;
            (key.key_id().clone(), None, bytes)
        } else {
            let (public, pkcs8) = generate_pair(algorithm).await?;
            (public.key_id().clone(), Some(public), pkcs8)
        };
        let sealed = seal::seal(self.master.current(), &Sealing::SigningKey(&kid), &secret).await?;
        Ok(SealedKey { kid, algorithm, public, sealed })
    }

    async fn private_key(&self, key: &PublicKey, sealed: &str) -> Outcome<Arc<SendWrapper<Imported>>> {
        if let Some(key) = kept(&self.private, key) {
            return Ok(key);
        }
        let pkcs8 = seal::open(&self.master, &Sealing::SigningKey(key.key_id()), sealed).await?;
        let (parameters, usages) = (algorithms::of_key(key.algorithm())?, Array::of1(&"sign".into()));
        let import = subtle()?.import_key_with_object("pkcs8", &pkcs8, &parameters, false, &usages)?;
        keep(&self.private, key, JsFuture::from(import).await?.unchecked_into())
    }

    async fn public_key(&self, key: &PublicKey) -> Outcome<Arc<SendWrapper<Imported>>> {
        if let Some(key) = kept(&self.public, key) {
            return Ok(key);
        }
        let jwk = js_sys::JSON::parse(&key.canonical())?.unchecked_into();
        let (parameters, usages) = (algorithms::of_key(key.algorithm())?, Array::of1(&"verify".into()));
        let import = subtle()?.import_key_with_object("jwk", &jwk, &parameters, false, &usages)?;
        keep(&self.public, key, JsFuture::from(import).await?.unchecked_into())
    }

    async fn open_shared(&self, kid: &KeyId, algorithm: Algorithm, sealed: &str) -> Outcome<SharedKey> {
        let secret = bytes(&seal::open(&self.master, &Sealing::SigningKey(kid), sealed).await?);
        SharedKey::new(algorithm, &secret).map_err(|error| Failure::of(&error))
    }

    async fn seal_anew(&self, kid: &KeyId, sealed: &str) -> Outcome<String> {
        let what = Sealing::SigningKey(kid);
        let secret = bytes(&seal::open(&self.master, &what, sealed).await?);
        seal::seal(self.master.current(), &what, &secret).await
    }

    async fn open_secret(&self, user: UserId, sealed: &str) -> Outcome<TotpSecret> {
        let secret = bytes(&seal::open(&self.master, &Sealing::TotpSecret(user), sealed).await?);
        TotpSecret::of_bytes(&secret).ok_or_else(|| Failure("a sealed secret is of another length".to_owned()))
    }

    async fn make_signature(&self, key: &PublicKey, sealed: &str, message: &[u8]) -> Outcome<Vec<u8>> {
        let private = self.private_key(key, sealed).await?;
        let signing = subtle()?.sign_with_object_and_u8_array(&private.parameters, &private.key, message)?;
        Ok(bytes(JsFuture::from(signing).await?.unchecked_ref()))
    }

    /// The bytes are handed over as they lie in memory: the platform takes its own copy before the call
    /// returns (Web Cryptography, §14.3.4, "verify").
    async fn check_signature(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Outcome<bool> {
        let public = self.public_key(key).await?;
        let (parameters, public) = (&public.parameters, &public.key);
        let check = subtle()?.verify_with_object_and_u8_array_and_u8_array(parameters, public, signature, message)?;
        Ok(JsFuture::from(check).await?.is_truthy())
    }
}

/// The public half, and the private one as PKCS #8.
async fn generate_pair(algorithm: Algorithm) -> Outcome<(PublicKey, Vec<u8>)> {
    let usages = Array::of2(&"sign".into(), &"verify".into());
    let pair = subtle()?.generate_key_with_object(&algorithms::of_new_key(algorithm)?, true, &usages)?;
    let pair: CryptoKeyPair = JsFuture::from(pair).await?.unchecked_into();
    let jwk = JsFuture::from(subtle()?.export_key("jwk", &pair.get_public_key())?).await?;
    let members = algorithms::required_members(algorithm, &jwk)?;
    let public = PublicKey::from_members(algorithm, &members).map_err(|error| Failure::of(&error))?;
    let pkcs8 = JsFuture::from(subtle()?.export_key("pkcs8", &pair.get_private_key())?).await?;
    Ok((public, bytes(pkcs8.unchecked_ref())))
}

#[async_trait]
impl Crypto for WebCrypto {
    async fn make_key(&self, algorithm: Algorithm) -> Result<SealedKey, Unavailable> {
        answer(SendFuture::new(self.generate(algorithm)).await)
    }

    async fn ready(&self, key: &PublicKey, sealed: &str) -> Result<(), Unavailable> {
        answer(SendFuture::new(self.private_key(key, sealed)).await).map(drop)
    }

    async fn shared_key(&self, kid: &KeyId, algorithm: Algorithm, sealed: &str) -> Result<SharedKey, Unavailable> {
        answer(SendFuture::new(self.open_shared(kid, algorithm, sealed)).await)
    }

    async fn reseal(&self, kid: &KeyId, sealed: &str) -> Result<String, Unavailable> {
        answer(SendFuture::new(self.seal_anew(kid, sealed)).await)
    }

    async fn seal_totp(&self, user: UserId, secret: &TotpSecret) -> Result<String, Unavailable> {
        let (master, what) = (self.master.current(), Sealing::TotpSecret(user));
        answer(SendFuture::new(seal::seal(master, &what, secret.bytes())).await)
    }

    async fn open_totp(&self, user: UserId, sealed: &str) -> Result<TotpSecret, Unavailable> {
        answer(SendFuture::new(self.open_secret(user, sealed)).await)
    }

    async fn sign(&self, key: &PublicKey, sealed: &str, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        answer(SendFuture::new(self.make_signature(key, sealed, message)).await)
    }

    async fn is_key(&self, key: &PublicKey) -> bool {
        // The platform is this very process: there is no other reason for which it would not take one.
        SendFuture::new(self.public_key(key)).await.is_ok()
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, Unavailable> {
        answer(SendFuture::new(self.check_signature(key, message, signature)).await)
    }
}

/// Computation in this very process needs no bound in time.
fn answer<T>(outcome: Outcome<T>) -> Result<T, Unavailable> {
    outcome.map_err(|Failure(message)| Unavailable { port: "crypto", message })
}

fn subtle() -> Outcome<&'static SubtleCrypto> {
    static SUBTLE: OnceLock<SendWrapper<SubtleCrypto>> = OnceLock::new();
    if let Some(subtle) = SUBTLE.get() {
        return Ok(subtle);
    }
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    let subtle = global.crypto()?.subtle();
    Ok(SUBTLE.get_or_init(|| SendWrapper::new(subtle)))
}

fn kept(keys: &Keys, key: &PublicKey) -> Option<Arc<SendWrapper<Imported>>> {
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.get(&(key.key_id().clone(), key.algorithm())).cloned()
}

fn keep(keys: &Keys, key: &PublicKey, imported: CryptoKey) -> Outcome<Arc<SendWrapper<Imported>>> {
    let parameters = algorithms::of_signature(key.algorithm())?;
    let imported = Arc::new(SendWrapper::new(Imported { key: imported, parameters }));
    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= MAX_IMPORTED {
        keys.clear();
    }
    keys.insert((key.key_id().clone(), key.algorithm()), imported.clone());
    Ok(imported)
}

fn bytes(buffer: &ArrayBuffer) -> Vec<u8> {
    Uint8Array::new(buffer).to_vec()
}
