//! bcrypt: `$2b$12$` with salt and hash, and passlib's `$bcrypt-sha256$`, which is the bcrypt of a digest in base64 and
//! so takes passwords of any length.
//!
//! bcrypt itself knows no more than 72 bytes and ends at a NUL. A longer password, and one with a NUL, is never cut to
//! what bcrypt would look at: it is not the one.

use base64ct::{Base64, Base64Bcrypt, Encoding};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{BAD_FORM, BAD_HASH, BAD_SALT, Reason, TOO_COSTLY, fields};

/// What bcrypt looks at, in bytes.
const MAX_PASSWORD: usize = 72;
/// `2^14` rounds: about one and a half seconds in the Worker.
const MAX_COST: u32 = 14;

/// Its parts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::domain::password) struct BcryptHash {
    input: Input,
    cost: u32,
    salt: [u8; 16],
    hash: [u8; 23],
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    /// The password.
    Password,
    /// passlib's first version: SHA-256 of it, in base64.
    Sha256,
    /// passlib's second: HMAC-SHA256 of it, in base64, under the salt as it is spelt.
    HmacSha256(String),
}

impl BcryptHash {
    /// `12$` with 22 characters of salt and 31 of hash.
    pub(super) fn plain(rest: &str) -> Result<Self, Reason> {
        let [cost, both] = fields::split(rest).ok_or(BAD_FORM)?;
        let (salt, hash) = both.split_at_checked(22).ok_or(BAD_SALT)?;
        Self::new(Input::Password, two_digits(cost)?, salt, hash)
    }

    /// `2b,12$salt$hash`, or `v=2,t=2b,r=12$salt$hash`.
    pub(super) fn of_digest(rest: &str) -> Result<Self, Reason> {
        let [params, salt, hash] = fields::split(rest).ok_or(BAD_FORM)?;
        let (input, kind, cost) = match fields::params(params, ["v", "t", "r"]) {
            Some(["2", kind, cost]) => (Input::HmacSha256(salt.to_owned()), kind, cost),
            Some(_) => return Err(BAD_FORM),
            None => {
                let (kind, cost) = params.split_once(',').ok_or(BAD_FORM)?;
                (Input::Sha256, kind, cost)
            }
        };
        if !["2a", "2b", "2y"].contains(&kind) {
            return Err(BAD_FORM);
        }
        let cost = fields::number(cost).ok_or(BAD_FORM)?;
        Self::new(input, cost, salt, hash)
    }

    fn new(input: Input, cost: u32, salt: &str, hash: &str) -> Result<Self, Reason> {
        if cost < 4 {
            return Err(BAD_FORM);
        }
        if cost > MAX_COST {
            return Err(TOO_COSTLY);
        }
        let salt = Base64Bcrypt::decode_vec(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(BAD_SALT)?;
        let hash = Base64Bcrypt::decode_vec(hash).ok().and_then(|hash| hash.try_into().ok()).ok_or(BAD_HASH)?;
        Ok(Self { input, cost, salt, hash })
    }

    /// Costs the same whatever the password is.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        let text = match &self.input {
            Input::Password => Some(password.to_vec()),
            Input::Sha256 => Some(Base64::encode_string(&Sha256::digest(password)).into_bytes()),
            Input::HmacSha256(salt) => {
                hmac(salt.as_bytes(), password).map(|mac| Base64::encode_string(&mac).into_bytes())
            }
        };
        let text = text.filter(|text| text.len() <= MAX_PASSWORD && !text.contains(&0));
        let possible = text.is_some();
        let mut input = text.unwrap_or_default();
        // As C ends a text, unless there is no room for that.
        if input.len() < MAX_PASSWORD {
            input.push(0);
        }
        let hash = bcrypt::bcrypt(self.cost, self.salt, &input);
        let same = hash.get(..self.hash.len()).is_some_and(|hash| hash.ct_eq(&self.hash).into());
        possible && same
    }

    pub(super) fn work(&self) -> u64 {
        100_u64 << self.cost.min(MAX_COST)
    }
}

fn two_digits(text: &str) -> Result<u32, Reason> {
    let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().map_err(|_| BAD_FORM) } else { Err(BAD_FORM) }
}

fn hmac(key: &[u8], text: &[u8]) -> Option<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().into())
}
