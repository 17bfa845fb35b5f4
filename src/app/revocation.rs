//! Revocations: what this isolate hears of them, and how it tells others of its own.

use std::time::Duration;

use futures_util::future::join;

use super::App;
use crate::{
    domain::{
        revocation::{Entry, Versions},
        time::Timestamp,
    },
    error::ApiError,
    gateway::Asked,
    ports::Unavailable,
    stores::{blacklist, revocations, sessions::EndedSessions},
};

/// A revocation is dated before it is written; so long after, it is, or its request is over.
const UNDER_WAY: Duration = Duration::from_mins(1);

/// Whether a revocation is published for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// This request made it.
    First,
    /// It was made before, and perhaps not everyone was told.
    Again,
}

impl App {
    /// Hears what was revoked lately: of the feed, or of the record where the feed does not answer.
    pub async fn ask_view(&self) -> Asked {
        let asked_at = self.ports.clock.now();
        let (cursor, rests, lately) = {
            let mut knowledge = self.knowledge();
            let (rests, lately) = (knowledge.view.feed_rests(asked_at), knowledge.view.failed_lately(asked_at));
            (knowledge.view.asking(asked_at).0, rests, lately)
        };
        if !rests {
            match self.ports.revocations.since(cursor.as_ref()).await {
                Ok(answer) => {
                    self.knowledge().hear(answer, asked_at, self.ports.clock.now());
                    return Asked::Answered;
                }
                Err(error) => {
                    self.log_fault("feed", &error.to_string());
                    self.knowledge().view.feed_failed(self.ports.clock.now());
                }
            }
        }
        let read = if rests && lately { Err(not_again()) } else { self.read_record().await };
        match read {
            Ok(()) => Asked::Answered,
            Err(error) => {
                self.log_fault("revocations", &error.cause());
                self.knowledge().view.failed(self.ports.clock.now());
                Asked::Failed
            }
        }
    }

    /// Hears it of the record itself: all that came after what is known. One that ends before that was put back to an
    /// earlier state, and is read from its beginning.
    async fn read_record(&self) -> Result<(), ApiError> {
        let asked_at = self.ports.clock.now();
        let mut after = self.knowledge().view.asking(asked_at).1;
        loop {
            let pulled = revocations::pull(self.ports.database.as_ref(), after, asked_at).await?;
            if pulled.record < after {
                after = 0;
                continue;
            }
            let (record, more) = (pulled.record, pulled.more);
            self.knowledge().read(pulled, asked_at, self.ports.clock.now());
            if !more {
                return Ok(());
            }
            after = record;
        }
    }

    /// Waits while another request asks about revocations, but not for long.
    pub(super) async fn wait_for_view(&self) {
        self.wait_while(|knowledge, now| knowledge.view.is_being_asked(now)).await;
    }

    /// Makes revocations known that are recorded: here at once, then to the feed and in KV, side by side. Only when both
    /// have them may it be said that it is done.
    ///
    /// # Errors
    /// [`ApiError::RevocationPending`] if that is not so yet.
    pub async fn publish(
        &self,
        entries: &[Entry],
        versions: Option<Versions>,
        publication: Publication,
    ) -> Result<(), ApiError> {
        let (kv, now) = (self.ports.blacklist.as_ref(), self.ports.clock.now());
        let put = async {
            match publication {
                Publication::First => blacklist::publish(kv, entries, now).await,
                Publication::Again => blacklist::publish_missing(kv, entries, now).await,
            }
        };
        self.tell(entries, versions, put).await
    }

    /// The same of sessions that a request has ended beside others that may have been before, without everyone being told: of
    /// those this isolate and the feed are told again.
    pub async fn publish_ended(&self, ended: &EndedSessions) -> Result<(), ApiError> {
        let put = blacklist::publish(self.ports.blacklist.as_ref(), &ended.now, self.ports.clock.now());
        self.tell(&ended.lately, None, put).await
    }

    async fn tell(
        &self,
        entries: &[Entry],
        versions: Option<Versions>,
        put: impl Future<Output = Result<(), Unavailable>>,
    ) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        for entry in entries {
            self.knowledge().view.note(entry, now);
        }
        let (put, pushed) = join(put, self.ports.revocations.push(entries, versions)).await;
        let pending = |error: Unavailable| ApiError::RevocationPending(error.to_string());
        pushed.map_err(pending)?;
        put.map_err(pending)
    }

    /// Until when a revocation at `now` can matter: as long as the last access token that it ends could live
    /// under any configuration, since the one it was made under may have been another.
    #[must_use]
    pub fn revoked_until(&self, now: Timestamp) -> Timestamp {
        now.plus(crate::config::MAX_ACCESS_TTL).plus(crate::domain::token::verify::LEEWAY).plus(UNDER_WAY)
    }
}

fn not_again() -> ApiError {
    ApiError::Unavailable("nobody answered a moment ago".to_owned())
}
