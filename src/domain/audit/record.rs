//! A row of the log as it is read.
//!
//! The erasure of a person takes address and client out of their rows. What is sealed of those is therefore a hash, made with
//! a salt that goes with them: the row is as it was sealed before and after, nobody can guess from it what they were, and
//! yet neither can be changed unnoticed.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::domain::time::Timestamp;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// A row. What another version wrote is no fault of it: nothing is parsed but what must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The event's name.
    pub event: String,
    /// How loud it is.
    pub severity: String,
    /// Who did it, where that is not whom it is about.
    pub actor: Option<String>,
    /// Whom it is about.
    pub subject: Option<String>,
    /// Which session.
    pub session_id: Option<String>,
    /// From where.
    pub ip: Option<String>,
    /// By what.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: String,
    /// What it was, beside what and to whom.
    pub detail: Option<String>,
    /// With what address and client are hashed. Only there where it is read for sealing.
    #[serde(default)]
    pub origin_salt: Option<String>,
    /// What is sealed of them.
    #[serde(default)]
    pub origin_hash: Option<String>,
}

/// How what a row says of its origin stands to what is sealed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginIs {
    /// It says nothing, and never did.
    Unknown,
    /// As it was sealed.
    Whole,
    /// It was there, and is gone.
    Gone,
    /// Other than it was sealed, or not ready to be.
    Changed,
}

impl Record {
    /// What is to be written of the row's origin before it can be sealed, if anything is: salt and hash.
    #[must_use]
    pub fn stamp(&self, random: [u8; SALT_BYTES]) -> Option<(String, String)> {
        if self.origin_hash.is_some() || !self.has_origin() {
            return None;
        }
        let salt = Base64UrlUnpadded::encode_string(&random);
        let hash = self.hash(&salt);
        Some((salt, hash))
    }

    /// How it stands to what is sealed.
    #[must_use]
    pub fn origin(&self) -> OriginIs {
        match (&self.origin_hash, &self.origin_salt) {
            (None, None) if !self.has_origin() => OriginIs::Unknown,
            (Some(_), _) if !self.has_origin() => OriginIs::Gone,
            (Some(hash), Some(salt)) if *hash == self.hash(salt) => OriginIs::Whole,
            _ => OriginIs::Changed,
        }
    }

    /// Whose address and client they are.
    #[must_use]
    pub fn whose(&self) -> Option<&str> {
        self.actor.as_deref().or(self.subject.as_deref())
    }

    const fn has_origin(&self) -> bool {
        self.ip.is_some() || self.user_agent.is_some()
    }

    fn hash(&self, salt: &str) -> String {
        let mut hash = Sha256::new().chain_update("edgewarden audit origin v1");
        for part in [Some(salt), self.ip.as_deref(), self.user_agent.as_deref()] {
            put(&mut hash, part);
        }
        Base64UrlUnpadded::encode_string(&hash.finalize())
    }

    /// Adds to a digest what is sealed of the row.
    pub(super) fn put(&self, digest: &mut Sha256) {
        digest.update(self.at.millis().to_be_bytes());
        for part in [
            Some(self.id.as_str()),
            Some(&self.event),
            Some(&self.severity),
            self.actor.as_deref(),
            self.subject.as_deref(),
            self.session_id.as_deref(),
            Some(&self.request_id),
            self.detail.as_deref(),
            self.origin_hash.as_deref(),
        ] {
            put(digest, part);
        }
    }
}

/// A part after its length, so that no two lists of parts run together; nothing is not the same as empty.
pub(super) fn put(digest: &mut Sha256, part: Option<&str>) {
    match part {
        None => digest.update([0]),
        Some(text) => {
            digest.update([1]);
            digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(text);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn record() -> Record {
        Record {
            id: "a".to_owned(),
            at: Timestamp::from_millis(7),
            event: "login_success".to_owned(),
            severity: "info".to_owned(),
            actor: None,
            subject: Some("ada".to_owned()),
            session_id: None,
            ip: Some("192.0.2.1".to_owned()),
            user_agent: Some("Agent/1".to_owned()),
            request_id: "r".to_owned(),
            detail: None,
            origin_salt: None,
            origin_hash: None,
        }
    }

    fn stamped() -> Record {
        let record = record();
        let (salt, hash) = record.stamp([7; SALT_BYTES]).unwrap();
        Record { origin_salt: Some(salt), origin_hash: Some(hash), ..record }
    }

    #[test]
    fn an_origin_is_stamped_once_and_only_where_there_is_one() {
        assert_eq!(record().origin(), OriginIs::Changed, "not ready");
        assert_eq!((stamped().origin(), stamped().stamp([8; SALT_BYTES])), (OriginIs::Whole, None));
        let nowhere = Record { ip: None, user_agent: None, ..record() };
        assert_eq!((nowhere.stamp([7; SALT_BYTES]), nowhere.origin()), (None, OriginIs::Unknown));
        assert_ne!(record().stamp([7; SALT_BYTES]), record().stamp([8; SALT_BYTES]), "nobody can try addresses out");
    }

    #[test]
    fn any_change_of_it_shows_and_its_removal_too() {
        let changed = [
            Record { ip: Some("192.0.2.2".to_owned()), ..stamped() },
            Record { ip: None, ..stamped() },
            Record { user_agent: None, ..stamped() },
            Record { ip: None, user_agent: Some("192.0.2.1Agent/1".to_owned()), ..stamped() },
            Record { origin_salt: None, ..stamped() },
            Record { origin_hash: None, ..stamped() },
            Record { origin_hash: None, ip: None, user_agent: None, ..stamped() },
        ];
        for record in changed {
            assert_eq!(record.origin(), OriginIs::Changed, "{record:?}");
        }
        let gone = Record { ip: None, user_agent: None, origin_salt: None, ..stamped() };
        assert_eq!(gone.origin(), OriginIs::Gone);
        assert_eq!(Record { actor: Some("chief".to_owned()), ..gone }.whose(), Some("chief"));
    }
}
