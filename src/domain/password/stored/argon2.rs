//! argon2id and argon2i (RFC 9106) as PHC strings: `$argon2id$v=19$m=…,t=…,p=…[,keyid=…]$salt$hash`.
//!
//! `keyid` is argon2's own parameter for it: the id, in base64, of the secret that went in as `K` (§3.1).

use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use subtle::ConstantTimeEq;

use super::{BAD_FORM, BAD_HASH, BAD_SALT, MAX_MEMORY_KIB, OUTPUT, Reason, SALT, TOO_COSTLY, TOO_LARGE, fields};
use crate::domain::password::hash::{Cost, MAX_PEPPER_ID};

/// The most passes over one KiB: sixteen times over 64 MiB, about one and a half seconds in the Worker.
const MAX_WORK: u64 = 16 * MAX_MEMORY_KIB as u64;
/// The most lanes.
const MAX_LANES: u32 = 16;

/// Its parts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::domain::password) struct Argon2Hash {
    pub algorithm: Algorithm,
    pub version: Version,
    pub cost: Cost,
    /// The id of the pepper that is in it.
    pub pepper: Option<String>,
    pub salt: Vec<u8>,
    pub hash: Vec<u8>,
}

impl Argon2Hash {
    pub(super) fn parse(kind: &str, rest: &str) -> Result<Self, Reason> {
        let algorithm = Algorithm::new(kind).map_err(|_| BAD_FORM)?;
        // Without a version it is of the one before there were versions.
        let (version, rest) = match rest.strip_prefix("v=") {
            Some(rest) => {
                let (version, rest) = rest.split_once('$').ok_or(BAD_FORM)?;
                let version = fields::number(version).and_then(|version| Version::try_from(version).ok());
                (version.ok_or("is of no version of argon2 that is known here")?, rest)
            }
            None => (Version::V0x10, rest),
        };
        let [params, salt, hash] = fields::split(rest).ok_or(BAD_FORM)?;
        let (params, pepper) = match params.split_once(",keyid=") {
            Some((params, id)) => (params, Some(pepper_id(id).ok_or(BAD_FORM)?)),
            None => (params, None),
        };
        let [memory_kib, iterations, parallelism] = fields::params(params, ["m", "t", "p"]).ok_or(BAD_FORM)?;
        let [memory_kib, iterations, parallelism] =
            [memory_kib, iterations, parallelism].map(|number| fields::number(number).ok_or(BAD_FORM));
        let cost = Cost { memory_kib: memory_kib?, iterations: iterations?, parallelism: parallelism? };
        if cost.memory_kib > MAX_MEMORY_KIB {
            return Err(TOO_LARGE);
        }
        if cost.work() > MAX_WORK || cost.parallelism > MAX_LANES {
            return Err(TOO_COSTLY);
        }
        let hash = fields::base64(hash, OUTPUT, BAD_HASH)?;
        // What is too little for argon2 itself.
        cost.params(hash.len()).map_err(|_| BAD_FORM)?;
        Ok(Self { algorithm, version, cost, pepper, salt: fields::base64(salt, SALT, BAD_SALT)?, hash })
    }

    /// The hash of a password by these parameters.
    pub(in crate::domain::password) fn compute(
        &self,
        password: &[u8],
        pepper: Option<&[u8; 32]>,
    ) -> Result<Vec<u8>, String> {
        let params = self.cost.params(self.hash.len()).map_err(|error| error.to_string())?;
        let hasher = Argon2::new_with_secret(pepper.map_or(&[], |key| key), self.algorithm, self.version, params);
        let mut hash = vec![0; self.hash.len()];
        let done = hasher.and_then(|hasher| hasher.hash_password_into(password, &self.salt, &mut hash));
        done.map_err(|error| error.to_string())?;
        Ok(hash)
    }

    pub(in crate::domain::password) fn is_of(
        &self,
        password: &[u8],
        pepper: Option<&[u8; 32]>,
    ) -> Result<bool, String> {
        Ok(self.compute(password, pepper)?.ct_eq(&self.hash).into())
    }
}

impl std::fmt::Display for Argon2Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Cost { memory_kib, iterations, parallelism } = self.cost;
        let version = u32::from(self.version);
        write!(f, "${}$v={version}$m={memory_kib},t={iterations},p={parallelism}", self.algorithm)?;
        if let Some(id) = &self.pepper {
            write!(f, ",keyid={}", Base64Unpadded::encode_string(id.as_bytes()))?;
        }
        let [salt, hash] = [&self.salt, &self.hash].map(|bytes| Base64Unpadded::encode_string(bytes));
        write!(f, "${salt}${hash}")
    }
}

impl Cost {
    /// Passes over one KiB.
    pub(in crate::domain::password) fn work(self) -> u64 {
        u64::from(self.memory_kib).saturating_mul(self.iterations.into())
    }

    fn params(self, output: usize) -> Result<Params, argon2::Error> {
        // The crate multiplies the lanes by eight, unchecked.
        if self.parallelism > MAX_LANES {
            return Err(argon2::Error::ThreadsTooMany);
        }
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(output))
    }
}

fn pepper_id(text: &str) -> Option<String> {
    let id = String::from_utf8(Base64Unpadded::decode_vec(text).ok()?).ok()?;
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (plain && (1..=MAX_PEPPER_ID).contains(&id.len())).then_some(id)
}
