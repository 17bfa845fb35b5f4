//! The mailer port: hands one mail to whoever delivers it.

use async_trait::async_trait;

use crate::domain::mail::Mail;

/// Why a mail was not taken. The text is for the log: it names no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailFailure {
    /// This mail never will be.
    #[error("refused: {0}")]
    Refused(String),
    /// It may be later.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl MailFailure {
    /// What the status of a mail API's answer means. Only what says that this very mail is not one (400, 413, 415, 422) is
    /// its end: everything else is for somebody to mend. 409 says that a mail of this id was taken before.
    ///
    /// # Errors
    /// What is not a success.
    pub fn of_status(status: u16) -> Result<(), Self> {
        let said = format!("status {status}");
        match status {
            200..=299 | 409 => Ok(()),
            400 | 413 | 415 | 422 => Err(Self::Refused(said)),
            _ => Err(Self::Unavailable(said)),
        }
    }
}

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends a mail. Two of one id are one, as far as whoever delivers them can tell.
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_mended_is_refused() {
        let is = |status| MailFailure::of_status(status);
        for status in [200, 202, 409] {
            assert_eq!(is(status), Ok(()));
        }
        for status in [400, 413, 415, 422] {
            assert!(matches!(is(status), Err(MailFailure::Refused(_))), "{status}");
        }
        for status in [0, 302, 401, 402, 403, 404, 408, 429, 500, 503] {
            assert!(matches!(is(status), Err(MailFailure::Unavailable(_))), "{status}");
        }
    }
}
