//! What is done beside answers: a request notes that there is something, and once it is answered `edge.js` has it done.
//! What is lost with an isolate, the cron finds.

use std::sync::atomic::{AtomicBool, Ordering};

use super::App;
use crate::{
    domain::{
        audit::Origin,
        mail::{GIVE_UP_AFTER, Kind, Letter, Mail, render},
        time::Timestamp,
        user::Email,
    },
    error::ApiError,
    ports::MailFailure,
    stores::outbox::{
        NewLetter,
        delivery::{self, Fate, Row},
    },
};

/// The cron claims so often at most; what is left then waits for the next time.
const ROUNDS: usize = 20;

/// What this isolate has noted.
#[derive(Debug, Default)]
pub(super) struct Chores {
    mail: AtomicBool,
}

impl App {
    /// A mail for a request to write down.
    #[must_use]
    pub fn letter(&self, kind: Kind, origin: &Origin, now: Timestamp) -> NewLetter {
        let expires_at = now.plus(self.config.mail.lifetime(kind));
        NewLetter::new(self.ports.new_row_id(), kind, origin, now, expires_at)
    }

    /// Notes that a mail may have been written down.
    pub fn note_mail(&self) {
        self.chores.mail.store(true, Ordering::Relaxed);
    }

    /// Whether there is something to be done beside the answer.
    #[must_use]
    pub fn chores_are_due(&self) -> bool {
        if self.trial_is_due() {
            return true;
        }
        let knowledge = self.knowledge();
        self.chores.mail.load(Ordering::Relaxed) || knowledge.uses.is_due() || knowledge.key_uses.is_due()
    }

    /// Does it. Of several at once, one does.
    pub async fn do_chores(&self) {
        self.write_uses().await;
        if self.chores.mail.swap(false, Ordering::Relaxed) {
            match self.deliver_some().await {
                // There may be more: the next answer sees to it.
                Ok(claimed) if claimed >= delivery::AT_ONCE => self.note_mail(),
                Ok(_) => {}
                Err(error) => self.log_fault("mail", &error.cause()),
            }
        }
        self.go_on_trying().await;
    }

    /// Sends every mail that is due, as many as one run takes.
    pub async fn deliver_mails(&self) -> Result<(), ApiError> {
        for _ in 0..ROUNDS {
            if self.deliver_some().await? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// (1) Claims some that are due. (2) Tries them, side by side. (3) Records what became of each, and tells the log of
    /// what went wrong: each dead letter, and what kept the others, once.
    async fn deliver_some(&self) -> Result<usize, ApiError> {
        let (database, claim) = (self.ports.database.as_ref(), self.ports.new_row_id());
        // (1)
        let claimed = delivery::claim(database, claim, self.ports.clock.now()).await?;
        // (2)
        let tries = claimed.iter().map(async |row| (row.id, self.try_to_send(row).await));
        let fates = futures_util::future::join_all(tries).await;
        // (3)
        let mut later = None;
        for (row, (_, fate)) in claimed.iter().zip(&fates) {
            match fate {
                Fate::Sent => {}
                Fate::Dead(why) => self.log_fault("dead_letter", &format!("{} {}: {why}", row.kind, row.id)),
                Fate::Later(why) => later = Some(why),
            }
        }
        if let Some(why) = later {
            self.log_fault("mail", why);
        }
        delivery::settle(database, claim, &fates, self.ports.clock.now()).await?;
        Ok(claimed.len())
    }

    async fn try_to_send(&self, row: &Row) -> Fate {
        let now = self.ports.clock.now();
        let waited = now.since(Timestamp::from_millis(row.created_at));
        if row.expires_at <= now.millis() || waited >= GIVE_UP_AFTER {
            return Fate::Dead("it could not be sent in time".to_owned());
        }
        // One of a kind that only a later version knows is left to that one.
        if Kind::parse(&row.kind).is_none() {
            return Fate::Later("of a kind that is not known here".to_owned());
        }
        let mail = match self.rendered(row) {
            Ok(mail) => mail,
            Err(why) => return Fate::Dead(why),
        };
        match self.ports.mailer.send(&mail).await {
            Ok(()) => Fate::Sent,
            Err(MailFailure::Refused(why)) => Fate::Dead(why),
            Err(MailFailure::Unavailable(why)) => Fate::Later(why),
        }
    }

    /// The mail that a row is.
    pub(crate) fn rendered(&self, row: &Row) -> Result<Mail, String> {
        let letter = Letter {
            id: row.id,
            kind: Kind::parse(&row.kind).ok_or("of a kind that is not known here")?,
            to: Email::parse(&row.recipient).map_err(|problem| format!("the recipient {problem}"))?,
            details: serde_json::from_str(&row.details).map_err(|error| error.to_string())?,
            written_at: Timestamp::from_millis(row.created_at),
            expires_at: Timestamp::from_millis(row.expires_at),
        };
        let keys = &self.config.token_mac_key;
        render(&letter, &self.config.mail.branding, keys).map_err(|error| error.to_string())
    }

    /// The newest mails, whether they are sent or not.
    pub async fn newest_mails(&self) -> Result<Vec<Mail>, ApiError> {
        let rows = delivery::newest(self.ports.database.as_ref()).await?;
        Ok(rows.iter().filter_map(|row| self.rendered(row).ok()).collect())
    }
}
