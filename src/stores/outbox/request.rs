//! Asking for a mail: the same row is written and the same looked for, whoever has the address and whatever it needs.

use serde::Deserialize;

use super::{HOUR, NewLetter};
use crate::{
    domain::{audit::Entry, mail::KEEP_SENT, user::Email},
    error::ApiError,
    ports::{Database, Statement},
    stores::{audit, last, run},
};

/// A mail that somebody asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The address that was typed.
    pub email: &'a Email,
    /// What stands for the account where there is none: a MAC of the address.
    pub unknown_account: String,
    /// The mail.
    pub letter: &'a NewLetter,
    /// So many of its kind may be asked for in an hour.
    pub an_hour: u32,
    /// What the log says of it, if anything.
    pub entry: Option<&'a Entry>,
}

/// Whether the one who has the address needs the mail: to prove it, they must not have; to choose a password, the
/// account must be active. Parameter 2 is the kind.
macro_rules! needed {
    () => {
        "u.is_active = 1 AND (?2 = 'reset_password' OR u.email_verified = 0)"
    };
}

/// Writes the mail down, unless there were too many. Says whether the log's row was written.
pub async fn request(database: &dyn Database, asked: &Asked<'_>) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        logged: i64,
    }
    let (letter, key) = (asked.letter, asked.email.key());
    let mut params = letter.params().to_vec();
    params.extend([
        key.as_str().into(),
        asked.unknown_account.as_str().into(),
        letter.at.minus(HOUR).millis().into(),
        asked.an_hour.into(),
        letter.at.plus(KEEP_SENT).max(letter.expires_at).millis().into(),
    ]);
    let insert =
        Statement::new(
            concat!(
            "INSERT INTO mail_outbox (id, kind, account, recipient, details, created_at, expires_at, password_version,
               state, next_at)
             SELECT ?1, ?2, one.account, CASE WHEN ", needed!(), " THEN u.email ELSE '' END,
               json_set(?3, '$.username', COALESCE(u.username, '')), ?4, ?5, u.password_version,
               CASE WHEN ", needed!(), " THEN 'pending' ELSE 'nobody' END,
               CASE WHEN ", needed!(), " THEN ?4 ELSE ?10 END
             FROM (SELECT COALESCE((SELECT id FROM users WHERE email_key = ?6), ?7) AS account) AS one
             LEFT JOIN users u ON u.id = one.account
             WHERE (SELECT COUNT(*) FROM mail_outbox
                    WHERE account = one.account AND kind = ?2 AND created_at > ?8) < ?9
             ON CONFLICT (id) DO NOTHING"
        ),
            params,
        );
    let mut batch = vec![insert];
    batch.extend(asked.entry.map(|entry| audit::write_if_changed_of(entry, &key)));
    let entry = asked.entry.map(|entry| entry.id.to_string());
    batch.push(Statement::new("SELECT EXISTS (SELECT 1 FROM audit_events WHERE id = ?1) AS logged", [entry.into()]));
    Ok(last(run(database, batch).await?).first::<Row>()?.is_some_and(|row| row.logged == 1))
}
