//! Mails that are to be sent: rows that are written in the batch of the change they tell of, so that there is no change
//! without its mail and no mail without its change. Who sends them is [`delivery`]; what their tokens open is in
//! [`verify`] and [`reset`].

pub mod delivery;
mod request;
pub mod reset;
pub mod verify;

pub use request::{Asked, request};

use std::time::Duration;

use crate::{
    domain::{
        audit::Origin,
        id::{RowId, SessionId, UserId},
        mail::{Details, KEEP_SENT, Kind},
        time::Timestamp,
        user::Email,
    },
    ports::{Statement, Value},
};

/// What an account is told, and what can be asked for it, is counted for so long.
pub(super) const HOUR: Duration = Duration::from_hours(1);
/// That sign-in was closed is told again after so long, so that nobody can fill a mailbox by closing an account again and
/// again.
const CLOSED_AGAIN_AFTER: Duration = Duration::from_hours(24);

/// A mail to be written down.
#[derive(Clone, Debug)]
pub struct NewLetter {
    /// Its id, made before it is written, so that a repeated write is one row.
    pub id: RowId,
    /// What it is about.
    pub kind: Kind,
    /// Where the request came from that gives rise to it.
    pub details: Details,
    /// When.
    pub at: Timestamp,
    /// When its token is over, or from when nobody needs to be told any more.
    pub expires_at: Timestamp,
}

impl NewLetter {
    /// A mail that a request gives rise to.
    #[must_use]
    pub fn new(id: RowId, kind: Kind, origin: &Origin, at: Timestamp, expires_at: Timestamp) -> Self {
        let (ip, user_agent) = (origin.ip.clone(), origin.user_agent.clone());
        let details = Details { username: String::new(), ip, user_agent, codes_left: None };
        Self { id, kind, details, at, expires_at }
    }

    /// Parameters 1 to 5.
    fn params(&self) -> [Value; 5] {
        [
            self.id.to_string().into(),
            self.kind.name().into(),
            serde_json::to_string(&self.details).unwrap_or_else(|_| "{}".to_owned()).into(),
            self.at.millis().into(),
            self.expires_at.millis().into(),
        ]
    }
}

/// Writes a row: expressions over `$from`, in which `u` is the user, if there is one. Parameters 1 to 5 are the letter's.
macro_rules! insert {
    ($account:literal, $recipient:literal, $state:literal, $next:literal, $from:expr) => {
        insert!($account, $recipient, $state, $next, "", $from)
    };
    ($account:literal, $recipient:literal, $state:literal, $next:literal, $more_details:literal, $from:expr) => {
        concat!(
            "INSERT INTO mail_outbox (id, kind, account, recipient, details, created_at, expires_at, password_version,
               state, next_at)
             SELECT ?1, ?2, ",
            $account,
            ", ",
            $recipient,
            ", json_set(?3, '$.username', COALESCE(u.username, '')",
            $more_details,
            "), ?4, ?5, u.password_version, ",
            $state,
            ", ",
            $next,
            " FROM ",
            $from,
            " ON CONFLICT (id) DO NOTHING"
        )
    };
}

/// Writes a mail to an account's own address, if the statement before changed one row.
#[must_use]
pub fn write_if_changed(letter: &NewLetter, to: UserId) -> Statement {
    let mut params = letter.params().to_vec();
    params.push(to.to_string().into());
    let sql = insert!("u.id", "u.email", "'pending'", "?4", "users u WHERE u.id = ?6 AND changes() = 1");
    Statement::new(sql, params)
}

/// The same, to an address that is proven, so often an hour at most: nobody is to fill a mailbox by doing something again and
/// again, least of all somebody else's.
#[must_use]
pub fn notify_if_changed(letter: &NewLetter, to: UserId, an_hour: u32) -> Statement {
    let mut params = letter.params().to_vec();
    params.extend([to.to_string().into(), letter.at.minus(HOUR).millis().into(), an_hour.into()]);
    let sql = insert!(
        "u.id",
        "u.email",
        "'pending'",
        "?4",
        "users u WHERE u.id = ?6 AND changes() = 1 AND u.email_verified = 1 AND (SELECT COUNT(*) FROM mail_outbox
           WHERE account = u.id AND kind = ?2 AND created_at > ?7) < ?8"
    );
    Statement::new(sql, params)
}

/// The same, if the row in the log is there that tells of the change.
#[must_use]
pub fn notify_if_written(letter: &NewLetter, to: UserId, entry: RowId, an_hour: u32) -> Statement {
    let mut params = letter.params().to_vec();
    let since = letter.at.minus(HOUR).millis();
    params.extend([to.to_string().into(), since.into(), an_hour.into(), entry.to_string().into()]);
    let sql = insert!(
        "u.id",
        "u.email",
        "'pending'",
        "?4",
        "users u WHERE u.id = ?6 AND u.email_verified = 1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?9)
         AND (SELECT COUNT(*) FROM mail_outbox WHERE account = u.id AND kind = ?2 AND created_at > ?7) < ?8"
    );
    Statement::new(sql, params)
}

/// Writes that a recovery code was used, and how many are left, if the statement before changed one row: to a user, or
/// whose challenge it is. There are few codes, so that there are few such mails.
#[must_use]
pub fn write_recovery_used_if_changed(letter: &NewLetter, user: Option<UserId>, challenge: Option<RowId>) -> Statement {
    let mut params = letter.params().to_vec();
    params.extend([user.map(|id| id.to_string()).into(), challenge.map(|id| id.to_string()).into()]);
    let sql = insert!(
        "u.id",
        "u.email",
        "'pending'",
        "?4",
        ", '$.codes_left', (SELECT COUNT(*) FROM recovery_codes WHERE user_id = u.id AND used_at IS NULL)",
        "users u WHERE u.id = COALESCE(?6, (SELECT user_id FROM mfa_challenges WHERE id = ?7)) AND changes() = 1
         AND u.email_verified = 1"
    );
    Statement::new(sql, params)
}

/// Ends the links that were sent to choose a password of an account, if the row in the log is there that tells of its being
/// closed: who opens it again opens none of them.
#[must_use]
pub(super) fn end_links_if_written(user: UserId, at: Timestamp, entry: RowId) -> Statement {
    Statement::new(
        "UPDATE mail_outbox SET expires_at = ?2 WHERE account = ?1 AND kind IN ('reset_password', 'invitation')
         AND expires_at > ?2 AND used_at IS NULL AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?3)",
        [user.to_string().into(), at.millis().into(), entry.to_string().into()],
    )
}

/// Writes a mail to an address that was the account's, if the statement before changed one row.
#[must_use]
pub fn write_to_if_changed(letter: &NewLetter, to: UserId, address: &Email) -> Statement {
    let mut params = letter.params().to_vec();
    params.extend([to.to_string().into(), address.as_str().into()]);
    let sql = insert!("u.id", "?7", "'pending'", "?4", "users u WHERE u.id = ?6 AND changes() = 1");
    Statement::new(sql, params)
}

/// Writes that somebody signed in from a browser that had not signed in before, to an address that is proven: if the
/// session is there, and none that is still on record is of a browser that calls itself the same; after a `challenge`, if
/// that says that the browser is new.
#[must_use]
pub fn notify_of_new_device(
    letter: &NewLetter,
    session: SessionId,
    an_hour: u32,
    challenge: Option<RowId>,
) -> Statement {
    let mut params = letter.params().to_vec();
    params.extend([session.to_string().into(), letter.at.minus(HOUR).millis().into(), an_hour.into()]);
    params.push(challenge.map(|id| id.to_string()).into());
    let sql = insert!(
        "u.id",
        "u.email",
        "'pending'",
        "?4",
        "sessions s JOIN users u ON u.id = s.user_id
         WHERE s.id = ?6 AND u.email_verified = 1
         AND (?9 IS NULL OR EXISTS (SELECT 1 FROM mfa_challenges WHERE id = ?9 AND is_new_device = 1))
         AND NOT EXISTS (SELECT 1 FROM sessions o
           WHERE o.user_id = u.id AND o.id <> s.id AND o.user_agent IS s.user_agent)
         AND (SELECT COUNT(*) FROM mail_outbox
           WHERE account = u.id AND kind = ?2 AND created_at > ?7) < ?8"
    );
    Statement::new(sql, params)
}

/// Writes that sign-in was closed, if it was this attempt that closed it, and that was not told lately. The same is
/// written of names that nobody has, but never sent.
#[must_use]
pub fn write_if_closed(letter: &NewLetter, attempt: RowId) -> Statement {
    let day_ago = letter.at.minus(CLOSED_AGAIN_AFTER);
    let forget_at = letter.at.plus(KEEP_SENT);
    let mut params = letter.params().to_vec();
    params.extend([attempt.to_string().into(), day_ago.millis().into(), forget_at.millis().into()]);
    let sql = insert!(
        "own.account",
        "CASE WHEN u.is_active = 1 AND u.email_verified = 1 THEN u.email ELSE '' END",
        "CASE WHEN u.is_active = 1 AND u.email_verified = 1 THEN 'pending' ELSE 'nobody' END",
        "CASE WHEN u.is_active = 1 AND u.email_verified = 1 THEN ?4 ELSE ?8 END",
        "sign_in_attempts AS own
         JOIN sign_in_locks AS lock ON lock.account = own.account AND lock.slot = own.slot
         LEFT JOIN users u ON u.id = own.account
         WHERE own.id = ?6 AND lock.closed_by = ?6 AND NOT EXISTS (
           SELECT 1 FROM mail_outbox WHERE account = own.account AND kind = ?2 AND created_at > ?7)"
    );
    Statement::new(sql, params)
}
