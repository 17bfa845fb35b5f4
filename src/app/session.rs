//! Cookie sessions: what one stands for, and that it is used.

use std::sync::Arc;

use super::App;
use crate::{
    domain::{
        id::SessionId,
        revocation::set::Known,
        session::{
            cookie::SessionCookie,
            noted_every,
            snapshot::{GOOD_FOR, Snapshot},
        },
    },
    error::ApiError,
    gateway::{
        Findings, Standing, Used, Verdict,
        session::{LiveSession, SessionFound},
    },
    stores::{api_keys, session_copy, sessions},
};

impl App {
    /// Finds out what a session stands for: of its copy while that is young enough to be believed, or else of the
    /// record. Either way it is remembered.
    pub(super) async fn ask_session(
        &self,
        id: SessionId,
        of_record: bool,
        found: &mut Findings,
    ) -> Result<(), ApiError> {
        // As of when it is asked, not of when the answer comes.
        let now = self.ports.clock.now();
        if !of_record && now.since(id.made_at()) < GOOD_FOR {
            match session_copy::get(self.ports.sessions.as_ref(), id).await {
                Ok(Some(snapshot)) if snapshot.is_good(now) => return self.note_session(snapshot, found).await,
                Ok(_) => {}
                Err(error) => self.log_fault("session copy", &error.to_string()),
            }
        }
        if let Some(snapshot) = sessions::snapshot(self.ports.database.as_ref(), id, now).await? {
            self.knowledge().view.found_good(*id.bytes(), now);
            found.session_standing = Some(Standing::Good);
            return self.note_session(snapshot, found).await;
        }
        found.session_standing = Some(Standing::Revoked);
        self.knowledge().remember_session(id, Arc::new(SessionFound::Gone));
        Ok(())
    }

    /// Whose session a cookie is of, if this isolate knows that it stands.
    #[must_use]
    pub fn known_holder(&self, cookie: SessionCookie) -> Option<String> {
        let knowledge = self.knowledge();
        let now = self.ports.clock.now();
        let Some(SessionFound::Live(live)) = knowledge.session(&cookie.session).map(AsRef::as_ref) else { return None };
        let stands = live.snapshot.salt == cookie.salt_text()
            && now < live.snapshot.expires_at
            && knowledge.view.knows_session(cookie.session, now) != Known::Revoked;
        stands.then(|| live.caller.subject.clone())
    }

    async fn note_session(&self, snapshot: Snapshot, found: &mut Findings) -> Result<(), ApiError> {
        let bundle = self.bundle().await?;
        let id = snapshot.session;
        let live = LiveSession::new(snapshot, self.config.public_url.as_str(), &bundle);
        let session = Arc::new(SessionFound::Live(Arc::new(live)));
        self.knowledge().remember_session(id, session.clone());
        found.session = Some(session);
        Ok(())
    }

    /// Notes the session, or the API key, that a forwarded request uses, if it comes by one.
    pub(super) fn note_use_by(&self, verdict: &Verdict<'_>) {
        let Verdict::Forward(rewrite) = verdict else { return };
        match rewrite.uses {
            Some(Used::Session(session)) => self.note_use(session),
            Some(Used::Key(key, used_at)) => self.note_key_use(key, used_at),
            None => {}
        }
    }

    /// Notes that a session is used, now and then: it is written beside an answer.
    pub fn note_use(&self, id: SessionId) {
        let now = self.ports.clock.now();
        let mut knowledge = self.knowledge();
        let Some(SessionFound::Live(live)) = knowledge.session(&id).map(AsRef::as_ref) else { return };
        let (seen_at, every) = (live.snapshot.seen_at, noted_every(live.snapshot.idle()));
        if now.since(seen_at) >= every {
            knowledge.uses.note(id, now, every);
        }
    }

    /// Writes down which sessions, and which API keys, were used.
    pub(super) async fn write_uses(&self) {
        let uses = self.knowledge().uses.take();
        if let Err(error) = sessions::note_uses(self.ports.database.as_ref(), &uses).await {
            self.log_fault("session uses", &error.cause());
        }
        let uses = self.knowledge().key_uses.take();
        if let Err(error) = api_keys::note_uses(self.ports.database.as_ref(), &uses).await {
            self.log_fault("api key uses", &error.cause());
        }
    }
}
