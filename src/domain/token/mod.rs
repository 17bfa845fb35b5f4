//! Tokens: how they are made, and the one way they are believed.
//!
//! An access token goes through these types, and no step can be left out, because each is the
//! only maker of the next: text → [`jws::Untrusted`] → ([`keyring`] names the key) →
//! [`verify::SignatureProof`] → [`verify::verify`] → [`verify::VerifiedClaims`].

pub mod claims;
pub mod jwk;
pub mod jws;
pub mod keyring;
pub mod refresh;
pub mod verify;
