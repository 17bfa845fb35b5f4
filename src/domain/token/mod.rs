//! Tokens: how they are made, and the one way they are believed.
//!
//! An access token goes through these types, and no step can be left out, because each is the
//! only maker of the next: text → [`jws::Untrusted`] → (the [`keyring`] finds the key it names)
//! [`verify::Claimed`] → (the key's own answer about the signature) [`verify::Signed`] →
//! [`verify::VerifiedClaims`]. A token of an issuer that the policy trusts goes the same way, by its issuer's keys, to
//! [`issuer::TheirClaims`].

pub mod algorithm;
pub mod assertion;
pub mod claims;
pub mod issuer;
pub mod jwk;
pub mod jws;
pub mod keyring;
pub mod refresh;
pub mod rotation;
pub mod shared_key;
pub mod verify;
