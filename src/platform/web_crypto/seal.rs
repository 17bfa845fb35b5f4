//! Sealing: AES-256-GCM under a key that is derived from a master secret.

use js_sys::{Array, ArrayBuffer, Object, Reflect, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::CryptoKey;

use super::{Failure, Outcome, bytes, subtle};
use crate::domain::{
    sealed::{NONCE_BYTES, Sealed, Sealing},
    secret::{Secret, SecretList},
};

/// Seals something.
pub(super) async fn seal(master: &Secret, what: &Sealing<'_>, plaintext: &[u8]) -> Outcome<String> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| Failure::of(&error))?;
    let key = aes_key(master, what, "encrypt").await?;
    let sealing = subtle()?.encrypt_with_object_and_u8_array(&aes_gcm(&nonce, what)?, &key, plaintext)?;
    let ciphertext = bytes(JsFuture::from(sealing).await?.unchecked_ref());
    Ok(Sealed { key_id: master.id().to_owned(), nonce, ciphertext }.encode())
}

/// Opens what was sealed under any of the master secrets.
pub(super) async fn open(masters: &SecretList, what: &Sealing<'_>, sealed: &str) -> Outcome<ArrayBuffer> {
    let sealed = Sealed::decode(sealed).ok_or_else(|| Failure("what was sealed is unreadable".to_owned()))?;
    let master = masters.find(&sealed.key_id);
    let master = master.ok_or_else(|| Failure(format!("KEY_ENCRYPTION_KEY holds no key {:?}", sealed.key_id)))?;
    let key = aes_key(master, what, "decrypt").await?;
    let parameters = aes_gcm(&sealed.nonce, what)?;
    let opening = subtle()?.decrypt_with_object_and_u8_array(&parameters, &key, &sealed.ciphertext)?;
    Ok(JsFuture::from(opening).await?.unchecked_into())
}

fn aes_gcm(nonce: &[u8; NONCE_BYTES], what: &Sealing<'_>) -> Outcome<Object> {
    let parameters = Object::new();
    Reflect::set(&parameters, &"name".into(), &"AES-GCM".into())?;
    Reflect::set(&parameters, &"iv".into(), &Uint8Array::from(nonce.as_slice()))?;
    Reflect::set(&parameters, &"additionalData".into(), &Uint8Array::from(what.bound_to().as_bytes()))?;
    Ok(parameters)
}

async fn aes_key(master: &Secret, what: &Sealing<'_>, usage: &str) -> Outcome<CryptoKey> {
    let raw = Uint8Array::from(master.derive(what.purpose()).as_slice());
    let import = subtle()?.import_key_with_str("raw", &raw, "AES-GCM", false, &Array::of1(&usage.into()))?;
    Ok(JsFuture::from(import).await?.unchecked_into())
}
