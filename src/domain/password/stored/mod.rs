//! Password hashes as they are stored: ours, and those that other systems made.
//!
//! The string decides how it is verified, and it is not ours to trust: it is read into numbers within
//! bounds, once, before any of it reaches a hash function. The same reading stands at import and at each
//! sign-in, so that a string which was put into the database by hand cannot take more memory or time than one
//! that was imported. The hash functions are those of the crates `argon2`, `bcrypt`, `pbkdf2` and `scrypt`.

mod argon2;
mod bcrypt;
mod fields;
mod pbkdf2;
mod scrypt;
#[cfg(test)]
mod tests;

pub(super) use self::argon2::Argon2Hash;
use self::{bcrypt::BcryptHash, pbkdf2::Pbkdf2Hash, scrypt::ScryptHash};

/// The most memory one verification may take, in KiB: an isolate has 128 MB and wasm memory never shrinks.
pub const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// No stored string is longer, in bytes.
const MAX_LENGTH: usize = 512;
/// Bytes that a salt may have: less is none, and more is not salt.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;
/// Bytes that a hash may have.
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=64;

/// Why a stored string is not used, as the rest of a sentence about it.
pub type Reason = &'static str;

const NOT_KNOWN: Reason = "is of no kind that is known here";
const BAD_FORM: Reason = "does not have the form of its kind";
const BAD_SALT: Reason = "has a salt that is cut off, too long or not in its alphabet";
const BAD_HASH: Reason = "has a hash that is cut off, too long or not in its alphabet";
const TOO_COSTLY: Reason = "would take absurdly long to verify";
const TOO_LARGE: Reason = "would take over 64 MiB to verify";

/// A hash of any kind that is understood, within bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// argon2id or argon2i, as a PHC string.
    Argon2(Argon2Hash),
    /// bcrypt, or passlib's bcrypt of a digest.
    Bcrypt(BcryptHash),
    /// PBKDF2 with HMAC-SHA256, in three spellings.
    Pbkdf2(Pbkdf2Hash),
    /// scrypt, as a PHC string.
    Scrypt(ScryptHash),
}

impl Stored {
    pub(super) fn parse(text: &str) -> Result<Self, Reason> {
        if text.len() > MAX_LENGTH {
            return Err(NOT_KNOWN);
        }
        let (kind, rest) = match text.strip_prefix('$') {
            Some(text) => text.split_once('$').ok_or(NOT_KNOWN)?,
            None => (text.split_once('$').ok_or(NOT_KNOWN)?.0, text),
        };
        match (text.starts_with('$'), kind) {
            (true, "argon2id" | "argon2i") => Argon2Hash::parse(kind, rest).map(Self::Argon2),
            (true, "argon2d") => Err("is argon2d, which is not made for passwords"),
            (true, "2a" | "2b" | "2y") => BcryptHash::plain(rest).map(Self::Bcrypt),
            (true, "2x" | "2") => Err("is a bcrypt of a faulty version"),
            (true, "bcrypt-sha256") => BcryptHash::of_digest(rest).map(Self::Bcrypt),
            (true, "pbkdf2-sha256") => Pbkdf2Hash::parse(rest).map(Self::Pbkdf2),
            (false, "pbkdf2_sha256") => Pbkdf2Hash::django(rest).map(Self::Pbkdf2),
            (true, "scrypt") => ScryptHash::parse(rest).map(Self::Scrypt),
            _ => Err(NOT_KNOWN),
        }
    }

    /// Whether it is that of a password, in constant time but for the hash function itself.
    pub(super) fn is_of(&self, password: &[u8], pepper: Option<&[u8; 32]>) -> Result<bool, String> {
        match self {
            Self::Argon2(hash) => hash.is_of(password, pepper),
            Self::Bcrypt(hash) => Ok(hash.is_of(password)),
            Self::Pbkdf2(hash) => Ok(hash.is_of(password)),
            Self::Scrypt(hash) => hash.is_of(password),
        }
    }

    /// Roughly what it costs to verify, in passes over one KiB of argon2: right within a factor of two or so, on the
    /// machines where it was looked at.
    pub(super) fn work(&self) -> u64 {
        match self {
            Self::Argon2(hash) => hash.cost.work(),
            Self::Bcrypt(hash) => hash.work(),
            Self::Pbkdf2(hash) => hash.work(),
            Self::Scrypt(hash) => hash.work(),
        }
    }
}

/// A hash that another system made, and that a sign-in here will understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedHash(String);

impl ImportedHash {
    /// Reads what another system has stored: argon2id and argon2i (PHC), bcrypt (`$2a$`, `$2b$`, `$2y$`), passlib's
    /// `$bcrypt-sha256$` of both versions, PBKDF2-SHA256 as passlib, PHC and Django spell it, scrypt (PHC and passlib).
    ///
    /// # Errors
    /// A string of no such kind, not of its form, or that would take too much to verify.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        match Stored::parse(text)? {
            Stored::Argon2(hash) if hash.pepper.is_some() => Err("is made with a key (keyid), which is not known here"),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
