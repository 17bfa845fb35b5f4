//! The product, put together: configuration, policy, ports and what this isolate knows. Built
//! once per isolate, not per request.

mod ask;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::{
    config::{Config, ConfigError, Lookup, MAX_ACCESS_TTL},
    domain::{
        id::{RequestId, SessionId},
        time::Timestamp,
        token::{
            claims::{Audience, Claims},
            jws::Unsigned,
            refresh::RefreshToken,
            verify::{Expected, LEEWAY, Refusal},
        },
        user::User,
    },
    error::ApiError,
    gateway::{
        Findings, Want, World,
        authenticate::{self, Outcome},
        knowledge::{Knowledge, Remembered, digest},
        policy::{Policy, Revocation},
    },
    ports::Ports,
};

/// The policy that is deployed with this build.
pub const POLICY: &str = include_str!("../../policy.toml");

/// The client that tokens are made for when a person signs in here.
const FIRST_PARTY_CLIENT: &str = "edgewarden";

/// Everything a request needs.
pub struct App {
    /// What is configured.
    pub config: Config,
    /// What may reach which origin.
    pub policy: Policy,
    /// The world.
    pub ports: Ports,
    knowledge: Mutex<Knowledge>,
}

/// For whom and how an access token is made.
#[derive(Debug)]
pub struct Grant<'a> {
    /// The user, with their roles.
    pub user: &'a User,
    /// The session.
    pub session: SessionId,
    /// How they proved who they are.
    pub amr: &'a [String],
    /// When they did.
    pub signed_in_at: Timestamp,
    /// When the session ends; no token of it outlives it.
    pub session_expires_at: Timestamp,
}

/// A fresh pair of tokens.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// Its life in seconds.
    pub expires_in: i64,
    /// What it permits, with spaces between.
    pub scope: String,
}

impl App {
    /// Puts the product together.
    ///
    /// # Errors
    /// A policy that cannot be used. `lookup` gives it the variables that it names.
    pub fn new(config: Config, lookup: Lookup<'_>, ports: Ports) -> Result<Self, ConfigError> {
        let policy = Policy::parse(POLICY, lookup)?;
        Ok(Self { config, policy, ports, knowledge: Mutex::default() })
    }

    /// What this isolate knows. Never held across an `await`.
    pub fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What decisions rest on.
    #[must_use]
    pub fn world(&self) -> World<'_> {
        World::new(&self.config, &self.policy)
    }

    /// What an access token must say to be for us.
    #[must_use]
    pub fn expected(&self) -> Expected<'_> {
        Expected { issuer: self.config.public_url.as_str(), audience: &self.config.audience }
    }

    /// Until when a session's end at `now` can matter: as long as its last access token could live
    /// under any configuration, since the one it was made under may have been another.
    #[must_use]
    pub fn revoked_until(&self, now: Timestamp) -> Timestamp {
        now.plus(MAX_ACCESS_TTL).plus(LEEWAY)
    }

    /// Who the bearer of a token is, with revocations as fresh as `revocation` asks.
    pub async fn authenticate(&self, token: &str, revocation: Revocation) -> Result<Arc<Remembered>, ApiError> {
        let mut found = Findings::default();
        for _ in 0..ask::MAX_ROUNDS {
            let now = self.ports.clock.now();
            let outcome = authenticate::bearer(token, &self.world(), &self.knowledge(), &found, revocation, now)?;
            match outcome {
                Outcome::Known(remembered) => return Ok(remembered),
                Outcome::NotResponsible => return Err(ApiError::Unauthenticated),
                Outcome::Need(want) => self.ask(want, &mut found).await?,
            }
        }
        Err(ask::unsettled())
    }

    /// The token's claims if it is genuine and its time is now, revoked or not.
    pub async fn believe(&self, token: &str) -> Result<Arc<Remembered>, ApiError> {
        let digest = digest(token);
        if self.knowledge().token(&digest).is_none() {
            let mut found = Findings::default();
            let want = Want::Verification { token: token.to_owned(), digest };
            self.ask(want, &mut found).await?;
            if let Some(why) = found.token_refused {
                return Err(ApiError::InvalidToken(why));
            }
        }
        let remembered = self.knowledge().token(&digest).cloned();
        let remembered = remembered.ok_or_else(|| ApiError::Internal("token not remembered".to_owned()))?;
        let now = self.ports.clock.now();
        if self.bundle().await?.keyring.verifying(&remembered.kid, now).is_none() {
            return Err(ApiError::InvalidToken(Refusal::UnknownKey));
        }
        remembered.claims.check_time(now).map_err(ApiError::InvalidToken)?;
        Ok(remembered)
    }

    /// Makes sure that an access token could be issued: what must not be recorded without one asks
    /// this first.
    pub async fn ready_to_issue(&self) -> Result<(), ApiError> {
        let bundle = self.bundle().await?;
        let (key, sealed) = bundle.signing(self.ports.clock.now()).ok_or_else(no_signing_key)?;
        Ok(self.ports.crypto.ready(&key.kid, sealed).await?)
    }

    /// Makes an access token.
    pub async fn issue_access(&self, grant: Grant<'_>) -> Result<AccessToken, ApiError> {
        let bundle = self.bundle().await?;
        let now = self.ports.clock.now();
        let (key, sealed) = bundle.signing(now).ok_or_else(no_signing_key)?;
        let user = grant.user;
        let expires_at = now.plus(self.config.lifetimes.access).min(grant.session_expires_at);
        let claims = Claims {
            iss: self.config.public_url.as_str().to_owned(),
            sub: user.id.to_string(),
            aud: Audience::new(&self.config.audience),
            exp: expires_at.secs(),
            nbf: now.secs(),
            iat: now.secs(),
            jti: self.ports.new_token_id(),
            client_id: FIRST_PARTY_CLIENT.to_owned(),
            sid: grant.session,
            ver: user.token_version,
            auth_time: grant.signed_in_at.secs(),
            amr: grant.amr.to_vec(),
            roles: user.roles.clone(),
            scope: None,
            username: Some(user.username.clone()),
            email: Some(user.email.clone()),
            email_verified: Some(user.email_verified),
        };
        let unsigned = Unsigned::access(&claims, &key).map_err(|error| ApiError::Internal(error.to_string()))?;
        let signature = self.ports.crypto.sign(&key.kid, sealed, unsigned.signing_input().as_bytes()).await?;
        let scope: Vec<_> = bundle.roles.permissions(&user.roles).into_iter().collect();
        Ok(AccessToken {
            token: unsigned.sign(&signature),
            expires_in: claims.exp.saturating_sub(claims.iat),
            scope: scope.join(" "),
        })
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

    /// Logs how a request ended early, if that is worth a line.
    pub fn log_refusal(&self, error: &ApiError, request: RequestId, route: Option<&str>) {
        if let Some((reason, what)) = error.log_reason() {
            let line = json!({
                "kind": "refusal",
                "reason": reason,
                "what": what,
                "request_id": request,
                "route": route,
            });
            self.ports.log.line(&line.to_string());
        }
    }
}

fn no_signing_key() -> ApiError {
    ApiError::Internal("no signing key".to_owned())
}
