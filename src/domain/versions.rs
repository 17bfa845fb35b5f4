//! Versions of the policy that were put over the API, as they are stored: which of them decides is worked out by who knows
//! the file that is deployed.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number: a later one is greater.
    pub number: i64,
    /// The [`digest`] of the file that was deployed when it was put.
    pub base: String,
    /// The policy; `None` is that file itself, or for a candidate that there is none.
    pub text: Option<String>,
}

/// What was put last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Versions that were put live, the newest first: as many as may be needed, should that not be readable.
    pub live: Vec<Version>,
    /// What is to be tried beside.
    pub candidate: Option<Version>,
}

/// What a policy file is known by.
#[must_use]
pub fn digest(text: &str) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(text.as_bytes()))
}
