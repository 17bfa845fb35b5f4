//! scrypt (RFC 7914) as the PHC format and passlib spell it: `$scrypt$ln=16,r=8,p=1$salt$hash`.

use scrypt::Params;
use subtle::ConstantTimeEq;

use super::{BAD_FORM, BAD_HASH, BAD_SALT, MAX_MEMORY_KIB, OUTPUT, Reason, SALT, TOO_COSTLY, TOO_LARGE, fields};

/// The largest block size.
const MAX_R: u32 = 64;
/// The most lanes, one after another: eight times over 64 MiB, three or four seconds.
const MAX_LANES: u32 = 8;

/// Its parts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::domain::password) struct ScryptHash {
    log_n: u8,
    r: u32,
    p: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl ScryptHash {
    pub(super) fn parse(rest: &str) -> Result<Self, Reason> {
        let [params, salt, hash] = fields::split(rest).ok_or(BAD_FORM)?;
        let params = fields::params(params, ["ln", "r", "p"]).ok_or(BAD_FORM)?;
        let [log_n, r, p] = params.map(|number| fields::number(number).filter(|&number| number > 0).ok_or(BAD_FORM));
        let (log_n, r, p) = (log_n?, r?, p?);
        // 128 · N · r bytes.
        let memory_kib = 1_u64.checked_shl(log_n).filter(|_| log_n < 32).map(|n| n.saturating_mul(r.into()) / 8);
        if memory_kib.is_none_or(|kib| kib > MAX_MEMORY_KIB.into()) {
            return Err(TOO_LARGE);
        }
        if r > MAX_R || p > MAX_LANES {
            return Err(TOO_COSTLY);
        }
        let log_n = u8::try_from(log_n).map_err(|_| TOO_LARGE)?;
        let (salt, hash) = (fields::base64(salt, SALT, BAD_SALT)?, fields::base64(hash, OUTPUT, BAD_HASH)?);
        Params::new(log_n, r, p, hash.len()).map_err(|_| BAD_FORM)?;
        Ok(Self { log_n, r, p, salt, hash })
    }

    pub(super) fn is_of(&self, password: &[u8]) -> Result<bool, String> {
        let mut hash = vec![0; self.hash.len()];
        let params = Params::new(self.log_n, self.r, self.p, hash.len()).map_err(|error| error.to_string())?;
        scrypt::scrypt(password, &self.salt, &params, &mut hash).map_err(|error| error.to_string())?;
        Ok(hash.ct_eq(&self.hash).into())
    }

    pub(super) fn work(&self) -> u64 {
        // Each of its KiB is written and read once, by a function that is slower than argon2's.
        (1_u64 << self.log_n.min(31)).saturating_mul(u64::from(self.r) * u64::from(self.p)) / 8 * 4
    }
}
