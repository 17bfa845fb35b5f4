//! Where a request comes from; every handler can ask for it.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, Uri, header};

use crate::{
    app::App,
    domain::{
        audit::{self, Entry, Event, MAX_USER_AGENT},
        cookies,
        id::RequestId,
        net::ClientIp,
        rate_limit::Decision,
        session::{Holding, cookie::SessionCookie},
        time::Timestamp,
    },
    error::ApiError,
};

/// The page that a browser makes a request from, as `Origin` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// None is named: it is no browser that changes something.
    Unknown,
    /// One of ours, or of those that may act as ours on our own endpoints (`ALLOWED_ORIGINS`).
    Own,
    /// Another's.
    Foreign,
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The request's id, made here: a client's own is not taken over.
    pub request: RequestId,
    /// The connecting address.
    pub ip: ClientIp,
    /// The same, for the audit log.
    pub origin: audit::Origin,
    page: Page,
    cookies: Vec<String>,
    counted: Arc<OnceLock<Decision>>,
}

impl Connection {
    /// Reads it off a request.
    pub(super) fn of(app: &App, uri: &Uri, headers: &HeaderMap, request: RequestId) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let ip = ClientIp::parse(text(HeaderName::from_static("cf-connecting-ip")));
        let user_agent = text(header::USER_AGENT).map(|agent| agent.chars().take(MAX_USER_AGENT).collect());
        let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |a| a.as_str()));
        let is_own = |origin: &str| {
            let allowed = app.config.allowed_origins.iter().any(|allowed| allowed == origin);
            allowed || app.world().same_origin.is(origin, scheme, authority)
        };
        let page = match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
            None => Page::Unknown,
            Some(origin) if is_own(origin) => Page::Own,
            Some(_) => Page::Foreign,
        };
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let cookies = lines.map(ToOwned::to_owned).collect();
        Self {
            request,
            ip,
            origin: audit::Origin { request, ip: ip.text(), user_agent },
            page,
            cookies,
            counted: Arc::default(),
        }
    }

    /// The values of all cookies of a name.
    pub fn cookies(&self, name: &'static str) -> impl Iterator<Item = &str> {
        cookies::find(self.cookies.iter().map(String::as_str), name)
    }

    /// The session cookie, if we gave it out.
    pub fn session_cookie(&self, app: &App) -> Option<SessionCookie> {
        let mut values = self.cookies(app.config.cookies().session());
        values.find_map(|value| SessionCookie::decode(value, &app.config.token_mac_key))
    }

    /// The session that the browser has before it gets another by this: what was known to whoever used it before is worth
    /// nothing after.
    pub fn replaced_session(&self, app: &App, holding: Holding) -> Option<SessionCookie> {
        match holding {
            Holding::Cookie { .. } => self.session_cookie(app),
            Holding::Tokens => None,
        }
    }

    /// Notes how this request counted: once.
    pub(super) fn note_count(&self, decision: Decision) {
        // Whoever counts looks first whether that was done.
        let _ = self.counted.set(decision);
    }

    /// How it counted, if it did.
    pub(super) fn counted(&self) -> Option<&Decision> {
        self.counted.get()
    }

    /// Whether it is made by a page that may act for its user here.
    pub(super) fn is_own_page(&self) -> bool {
        self.page == Page::Own
    }

    /// A row for the log about this request, to be completed. Rows of one change are of one time.
    pub fn entry(&self, app: &App, event: Event, at: Timestamp) -> Entry {
        Entry { id: app.ports.new_row_id(), at, event, subject: None, session: None, origin: self.origin.clone() }
    }

    /// For what only our own pages may have a browser do: what it does by a cookie, and what gives it one.
    pub fn require_own_page(&self) -> Result<(), ApiError> {
        if self.is_own_page() { Ok(()) } else { Err(ApiError::ForeignOrigin) }
    }

    /// For what programs do as well, which name no page.
    pub fn refuse_foreign_pages(&self) -> Result<(), ApiError> {
        if self.page == Page::Foreign { Err(ApiError::ForeignOrigin) } else { Ok(()) }
    }
}
