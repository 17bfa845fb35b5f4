//! A session that goes on as something more, or less, than it was: under another id if a cookie holds it.

use axum::http::HeaderValue;

use crate::{
    api::extract::Principal,
    app::App,
    domain::{
        cookies::Keep,
        id::SessionId,
        session::{Holding, NewSession, cookie::SessionCookie},
        time::Timestamp,
    },
    gateway::authenticate::Authenticated,
};

/// How a session goes on.
pub struct Renewal {
    before: SessionId,
    renewed: Option<NewSession>,
    keep: Keep,
}

impl Renewal {
    /// Of the session of who is signed in.
    pub fn of(app: &App, principal: &Principal, now: Timestamp) -> Self {
        let before = principal.session();
        let Authenticated::Session(live) = &principal.0 else {
            return Self { before, renewed: None, keep: Keep::UntilClosed };
        };
        let holding = Holding::Cookie { remember: false };
        let lifetimes = &app.config.lifetimes;
        let renewed = NewSession::open(app.ports.new_session_id(), holding, app.ports.random(), lifetimes, now);
        let is_remembered = live.snapshot.idle() > lifetimes.session_idle;
        let keep = if is_remembered { Keep::For(live.snapshot.expires_at.since(now)) } else { Keep::UntilClosed };
        Self { before, renewed: Some(renewed), keep }
    }

    /// The session that takes its place, if a cookie holds it.
    pub const fn renewed(&self) -> Option<&NewSession> {
        self.renewed.as_ref()
    }

    /// Its id from now on.
    pub fn id(&self) -> SessionId {
        self.renewed.as_ref().map_or(self.before, |renewed| renewed.id)
    }

    /// The line that gives a browser its new cookie: the old one is worth nothing.
    pub fn set_cookie(&self, app: &App) -> Option<HeaderValue> {
        let (renewed, cookies) = (self.renewed.as_ref()?, app.config.cookies());
        let cookie = SessionCookie { session: renewed.id, salt: renewed.salt }.encode(&app.config.token_mac_key);
        HeaderValue::try_from(cookies.line(cookies.session(), &cookie, self.keep)).ok()
    }
}
