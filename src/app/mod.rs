//! The product, put together: configuration, policy, ports and what this isolate knows. Built
//! once per isolate, not per request.

mod api_keys;
mod ask;
mod assert;
mod canary;
mod chores;
mod cleanup;
mod copy;
mod health;
mod issue;
mod issuers;
mod keys;
mod policy;
mod publish;
mod revocation;
mod seals;
mod session;
mod trial;

pub use health::Health;
pub use issue::{AccessToken, Grant};
pub use keys::Rotation;
pub use revocation::Publication;
pub use trial::Trial;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    api::docs,
    config::{Config, ConfigError, Lookup},
    domain::{
        id::RequestId,
        revocation::set::Known,
        session::cookie::SessionCookie,
        time::Timestamp,
        token::{
            refresh::RefreshToken,
            verify::{Expected, Refusal},
        },
    },
    error::ApiError,
    gateway::{
        Findings, World,
        authenticate::{self, Authenticated, Basis, Freshness},
        forward::Rewrite,
        hosts::AllowedHosts,
        knowledge::{Knowledge, Remembered},
        policy::{Deployed, Ours},
        rules::Reader,
        session as by_session,
    },
    ports::Ports,
};

/// Another request's answer is looked for this often …
const WAIT: Duration = Duration::from_millis(25);
/// … and so many times: for a little more than two seconds.
const WAITS: usize = 85;

/// The policy that is deployed with this build.
pub const POLICY: &str = include_str!("../../policy.toml");

/// Everything a request needs.
pub struct App {
    /// What is configured.
    pub config: Config,
    /// The policy file that is deployed, and which hosts are answered on by it.
    rules: Arc<Reader>,
    /// The world.
    pub ports: Ports,
    knowledge: Mutex<Knowledge>,
    chores: chores::Chores,
    trials: Mutex<trial::Trials>,
    /// The API's description, as it is handed out here.
    pub description: docs::Fitted,
    /// How often limits refused something here.
    limiter_refusals: AtomicU64,
}

impl App {
    /// Puts the product together.
    ///
    /// # Errors
    /// A policy that cannot be used. `lookup` gives it the variables that it names.
    pub fn new(config: Config, lookup: Lookup<'_>, ports: Ports) -> Result<Self, ConfigError> {
        let deployed = Arc::new(Deployed::parse(POLICY, lookup, Some(&Ours::new(&config)))?);
        let rules = Arc::new(Reader { hosts: AllowedHosts::new(&config, deployed.policy()), deployed });
        Ok(Self {
            config,
            ports,
            knowledge: Mutex::new(Knowledge::new(rules.clone())),
            rules,
            chores: chores::Chores::default(),
            trials: Mutex::default(),
            description: docs::Fitted::default(),
            limiter_refusals: AtomicU64::default(),
        })
    }

    /// The same, as an isolate that knows nothing yet.
    fn with_fresh_knowledge(&self) -> Self {
        Self {
            config: self.config.clone(),
            rules: self.rules.clone(),
            ports: self.ports.clone(),
            knowledge: Mutex::new(Knowledge::new(self.rules.clone())),
            chores: chores::Chores::default(),
            trials: Mutex::default(),
            description: docs::Fitted::default(),
            limiter_refusals: AtomicU64::default(),
        }
    }

    /// What this isolate knows. Never held across an `await`.
    pub fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while something holds of what this isolate knows, because another request sees to it; but not for long.
    async fn wait_while(&self, holds: impl Fn(&Knowledge, Timestamp) -> bool) {
        for _ in 0..WAITS {
            if !holds(&self.knowledge(), self.ports.clock.now()) {
                break;
            }
            self.ports.timer.pause(WAIT).await;
        }
    }

    /// What decisions rest on. Where a policy was put over the API, that stands in the knowledge.
    #[must_use]
    pub fn world(&self) -> World<'_> {
        World::new(&self.config, self.deployed().policy(), &self.rules.hosts)
    }

    /// The policy file that is deployed.
    #[must_use]
    pub fn deployed(&self) -> &Deployed {
        &self.rules.deployed
    }

    /// What an access token must say to be for us.
    #[must_use]
    pub fn expected(&self) -> Expected<'_> {
        Expected { issuer: self.config.public_url.as_str(), audience: &self.config.audience }
    }

    /// Who the bearer of a token is, with revocations as fresh as is asked.
    pub async fn authenticate(&self, token: &str, freshness: Freshness) -> Result<Authenticated, ApiError> {
        let question = |knowledge: &Knowledge, found: &Findings, now| {
            authenticate::bearer(token, Basis { world: &self.world(), knowledge, found, freshness, now })
        };
        self.settle(question).await
    }

    /// Who the holder of a session cookie is, as the record has it.
    pub async fn authenticate_session(&self, cookie: SessionCookie) -> Result<Authenticated, ApiError> {
        let question = |knowledge: &Knowledge, found: &Findings, now| {
            let freshness = Freshness::Record;
            by_session::session(cookie, Basis { world: &self.world(), knowledge, found, freshness, now })
        };
        self.settle(question).await
    }

    /// Whose a genuine token is whose time is now, revoked or not.
    pub async fn believe(&self, token: &str) -> Result<Arc<Remembered>, ApiError> {
        self.settle(|knowledge: &Knowledge, found: &Findings, now| {
            authenticate::recognise(token, knowledge, found, now)
        })
        .await
    }

    /// Refuses a genuine token that is known to be revoked, without asking anyone.
    ///
    /// # Errors
    /// That it is.
    pub fn require_not_revoked(&self, token: &Remembered) -> Result<(), ApiError> {
        match self.knowledge().view.knows(&token.claims.grounds(), self.ports.clock.now()) {
            Known::Revoked => Err(ApiError::InvalidToken(Refusal::Revoked)),
            _ => Ok(()),
        }
    }

    /// A refresh token as the client keeps it.
    #[must_use]
    pub fn encode_refresh(&self, token: &RefreshToken) -> String {
        token.encode(&self.config.token_mac_key)
    }

    /// Logs a fault of ours that did not end its request.
    pub fn log_fault(&self, what: &str, error: &str) {
        self.ports.log.line(&json!({ "kind": "fault", "what": what, "error": error }).to_string());
    }

    /// Logs that a request may go on which a proxy asked about, as it does that one went on through the gateway.
    pub fn log_forward_auth(&self, rewrite: &Rewrite, request: RequestId) {
        if let Some(log) = &rewrite.log {
            let mut line = json!({ "kind": "request", "reason": "allowed", "request_id": request });
            if let (Some(line), Ok(Value::Object(log))) = (line.as_object_mut(), serde_json::to_value(log)) {
                line.extend(log);
            }
            self.ports.log.line(&line.to_string());
        }
    }

    /// Logs how a request ended early, if that is worth a line.
    pub fn log_refusal(&self, error: &ApiError, request: RequestId, route: Option<&str>) {
        if matches!(error.itself(), ApiError::RateLimited(..)) {
            self.limiter_refusals.fetch_add(1, Ordering::Relaxed);
        }
        if let Some((reason, what)) = error.log_reason() {
            let view_age_ms = self.knowledge().view.age_ms(self.ports.clock.now());
            let line = json!({
                "kind": "refusal",
                "reason": reason,
                "what": what,
                "request_id": request,
                "route": route,
                "view_age_ms": view_age_ms,
            });
            self.ports.log.line(&line.to_string());
        }
    }
}
