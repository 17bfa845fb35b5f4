//! Proving an address.

use serde::Deserialize;

use crate::{
    domain::{
        audit::Entry,
        id::{RowId, UserId},
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{audit, last, run},
};

/// What came of a genuine token.
#[derive(Debug, PartialEq, Eq)]
pub enum Verified {
    /// The address is proven.
    Proven {
        /// Whose it is.
        user: UserId,
        /// Whether this request did it.
        now: bool,
    },
    /// The token is over, or the account has another address.
    NotGood,
}

/// Whether the mail went to the address that its account has, and the account is active.
macro_rules! is_of_account {
    () => {
        "u.id = mail_outbox.account AND u.email_key = lower(mail_outbox.recipient) AND u.is_active = 1"
    };
}
pub(super) use is_of_account;

/// Proves the address that a mail went to. (1) The token is used, if there is anything to prove by it. (2) What that
/// changes. (3) What came of it: a token that was used, or was not needed, is as good again as long as its address is
/// still the account's and proven, so that a lost answer can be given again.
pub async fn verify(database: &dyn Database, row: RowId, entry: &Entry) -> Result<Verified, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        account: UserId,
        logged: i64,
    }
    let (id, now, request) = (row.to_string(), entry.at.millis(), entry.origin.request.to_string());
    let batch = vec![
        // (1)
        Statement::new(
            concat!(
                "UPDATE mail_outbox SET used_at = ?2, used_by = ?3
                 WHERE id = ?1 AND kind = 'verify_email' AND state <> 'nobody' AND used_at IS NULL AND expires_at > ?2
                 AND EXISTS (SELECT 1 FROM users u WHERE ",
                is_of_account!(),
                " AND u.email_verified = 0)"
            ),
            [id.as_str().into(), now.into(), request.as_str().into()],
        ),
        // (2)
        Statement::new(
            "UPDATE users SET email_verified = 1, updated_at = ?2
             WHERE id = (SELECT account FROM mail_outbox WHERE id = ?1) AND changes() = 1",
            [id.as_str().into(), now.into()],
        ),
        audit::write_if_changed_by_mail(entry, row),
        // (3)
        Statement::new(
            concat!(
                "SELECT account, EXISTS (SELECT 1 FROM audit_events WHERE id = ?3) AS logged
                 FROM mail_outbox
                 WHERE id = ?1 AND kind = 'verify_email' AND state <> 'nobody'
                 AND (expires_at > ?2 OR used_at IS NOT NULL)
                 AND EXISTS (SELECT 1 FROM users u WHERE ",
                is_of_account!(),
                " AND u.email_verified = 1)"
            ),
            [id.as_str().into(), now.into(), entry.id.to_string().into()],
        ),
    ];
    let found = last(run(database, batch).await?).first::<Found>()?;
    Ok(found.map_or(Verified::NotGood, |row| Verified::Proven { user: row.account, now: row.logged == 1 }))
}
