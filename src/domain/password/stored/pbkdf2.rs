//! PBKDF2 with HMAC-SHA256 (RFC 8018, §5.2), as passlib (`$pbkdf2-sha256$29000$salt$hash`, with `.` for `+`), the PHC
//! format (`$pbkdf2-sha256$i=600000[,l=32]$salt$hash`) and Django (`pbkdf2_sha256$600000$salt$hash`, where the salt is text)
//! spell it.

use base64ct::{Base64, Encoding};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{BAD_FORM, BAD_HASH, BAD_SALT, OUTPUT, Reason, SALT, TOO_COSTLY, fields};

/// Django 6 makes 1,200,000 rounds; this is two seconds in the Worker.
const MAX_ROUNDS: u32 = 2_000_000;
/// One block of output takes all rounds, so there is one.
const MAX_OUTPUT: usize = 32;

/// Its parts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::domain::password) struct Pbkdf2Hash {
    rounds: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Pbkdf2Hash {
    /// passlib's spelling or PHC's.
    pub(super) fn parse(rest: &str) -> Result<Self, Reason> {
        let [params, salt, hash] = fields::split(rest).ok_or(BAD_FORM)?;
        let with_length = fields::params(params, ["i", "l"]).map(|[rounds, length]| (rounds, Some(length)));
        let phc = with_length.or_else(|| fields::params(params, ["i"]).map(|[rounds]| (rounds, None)));
        let Some((rounds, length)) = phc else {
            if salt.contains('+') || hash.contains('+') {
                return Err(BAD_FORM);
            }
            let [salt, hash] = [salt, hash].map(|text| text.replace('.', "+"));
            return Self::new(params, fields::base64(&salt, SALT, BAD_SALT)?, fields::base64(&hash, OUTPUT, BAD_HASH)?);
        };
        let hash = fields::base64(hash, OUTPUT, BAD_HASH)?;
        if length.is_some_and(|length| length != hash.len().to_string()) {
            return Err(BAD_HASH);
        }
        Self::new(rounds, fields::base64(salt, SALT, BAD_SALT)?, hash)
    }

    /// Django's, with the name of the kind in front.
    pub(super) fn django(text: &str) -> Result<Self, Reason> {
        let [_, rounds, salt, hash] = fields::split(text).ok_or(BAD_FORM)?;
        if !SALT.contains(&salt.len()) {
            return Err(BAD_SALT);
        }
        Self::new(rounds, salt.as_bytes().to_vec(), Base64::decode_vec(hash).map_err(|_| BAD_HASH)?)
    }

    fn new(rounds: &str, salt: Vec<u8>, hash: Vec<u8>) -> Result<Self, Reason> {
        let rounds = fields::number(rounds).filter(|&rounds| rounds > 0).ok_or(BAD_FORM)?;
        if rounds > MAX_ROUNDS {
            return Err(TOO_COSTLY);
        }
        if !OUTPUT.contains(&hash.len()) || hash.len() > MAX_OUTPUT {
            return Err(BAD_HASH);
        }
        Ok(Self { rounds, salt, hash })
    }

    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        let mut hash = vec![0; self.hash.len()];
        pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, self.rounds, &mut hash);
        hash.ct_eq(&self.hash).into()
    }

    pub(super) fn work(&self) -> u64 {
        self.rounds.into()
    }
}
