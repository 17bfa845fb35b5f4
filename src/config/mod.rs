//! The configuration, parsed once into types. Every number that matters has its home here, with
//! its unit and its source.
//!
//! A missing, short or default secret, an unknown environment or a malformed variable stops the
//! Worker with one sentence that names it and says how to make one.

mod mail;
mod perimeter;
#[cfg(test)]
mod tests;
mod vars;

pub use mail::{MailApi, MailConfig};

use std::{fmt, time::Duration};

use self::vars::Vars;
use crate::domain::{
    attempts::AttemptRules,
    cookies::CookieNames,
    host::HostPattern,
    password::Hasher,
    rate_limit::{Limit, Rule},
    revocation::Revocation,
    secret::SecretList,
    session::{Lifetimes, ReuseRevokes},
    token::{
        algorithm::Algorithm,
        claims::Optional,
        rotation::{Schedule, Wanted},
        verify::MAX_LIFE,
    },
};

/// Where variables and secrets come from, by name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// No access token lives longer, whatever is configured: revocations are kept for as long.
pub const MAX_ACCESS_TTL: Duration = MAX_LIFE;

/// One variable that cannot be used, in one sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

/// Where this Worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Strict.
    Production,
    /// On a developer's machine: loopback names are the auth host too.
    Development,
}

/// Of which requests through the gateway the log is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Of each.
    All,
    /// Of what is refused.
    Refusals,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where this runs.
    pub environment: Environment,
    /// Where the world reaches us; also the issuer of our tokens. Never taken from `Host`.
    pub public_url: PublicUrl,
    /// The hosts that we answer on beside `PUBLIC_URL`'s; if none are named, the policy's.
    pub allowed_hosts: Option<Vec<HostPattern>>,
    /// Whose pages may call our endpoints, and read what they answer.
    pub allowed_origins: Vec<String>,
    /// Requests to our own endpoints.
    pub api_limit: Limit,
    /// Requests with one API key.
    pub key_limit: Limit,
    /// How long an API key lives at most, and if nothing is said.
    pub key_ttl: Duration,
    /// Of which requests through the gateway the log is told.
    pub access_log: AccessLog,
    /// Whether the API's description is answered here.
    pub docs: bool,
    /// Path under which pages are; empty, or like `api_prefix`.
    pub pages_prefix: String,
    /// Path under which our endpoints answer; begins with `/`, does not end with it.
    pub api_prefix: String,
    /// Who our access tokens are for.
    pub audience: Vec<String>,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// What ends where a refresh token is used that had been replaced.
    pub reuse_revokes: ReuseRevokes,
    /// A user has at most so many sessions.
    pub session_limit: u32,
    /// Whether `auth/token` takes the OAuth2 password form.
    pub password_grant: bool,
    /// How stale knowledge about revocations may be.
    pub revocation_bound: Duration,
    /// Whether every route asks about them anew.
    pub revocation: Revocation,
    /// What access tokens are signed with.
    pub signing_algorithm: Algorithm,
    /// How long others may keep our key set.
    pub jwks_max_age: Duration,
    /// How signing keys follow one another.
    pub key_schedule: Schedule,
    /// Which optional claims access tokens carry.
    pub token_claims: Vec<Optional>,
    /// How passwords are hashed.
    pub hasher: Hasher,
    /// How many kinds of characters a new password mixes, 0 to 4.
    pub password_classes: u8,
    /// Sign-in attempts from one address, every one counted.
    pub sign_in_limit: Limit,
    /// New accounts from one address, those that came to nothing counted too.
    pub registration_limit: Limit,
    /// Mails asked for from one address.
    pub mail_limit: Limit,
    /// Mails to one account of one kind that can be asked for in an hour.
    pub mails_an_hour: u32,
    /// Accounts that one administrator can make in an hour.
    pub made_an_hour: u32,
    /// Tries from one address to choose a password with a mail's token.
    pub reset_limit: Limit,
    /// Tries of a second factor from one address.
    pub mfa_limit: Limit,
    /// How long a sign-in waits for its second factor.
    pub mfa_ttl: Duration,
    /// How long an enrolment waits to be confirmed.
    pub mfa_setup_ttl: Duration,
    /// Failed sign-ins of one account.
    pub attempts: AttemptRules,
    /// How long the log's rows are kept.
    pub audit_retention: Duration,
    /// Whether nobody signs in before their address is proven.
    pub require_verified_email: bool,
    /// Mails.
    pub mail: MailConfig,
    /// Seals signing keys.
    pub key_encryption_key: SecretList,
    /// Makes refresh tokens.
    pub token_mac_key: SecretList,
    /// What proxies show that ask about requests, if any may.
    pub forward_auth_secret: Option<SecretList>,
}

/// The origin that `PUBLIC_URL` names: scheme, host and port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    authority: String,
}

impl PublicUrl {
    /// `https://auth.example.com`, without a trailing slash: the issuer.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and, if it is not the scheme's own, port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Sign-in attempts from one address: 5 in a minute, 20 in a quarter of an hour.
fn sign_in_limit() -> Limit {
    Limit::new("sign-in", [Rule::new(5, Duration::from_mins(1)), Rule::new(20, Duration::from_mins(15))])
}

/// A person asks for few mails.
fn mail_limit() -> Limit {
    Limit::new("mail", [Rule::new(5, Duration::from_mins(1)), Rule::new(20, Duration::from_hours(1))])
}

/// As with passwords at sign-in: each try may cost a hash.
fn reset_limit() -> Limit {
    Limit::new("password-reset", sign_in_limit().rules)
}

/// As with passwords.
fn mfa_limit() -> Limit {
    Limit::new("mfa", sign_in_limit().rules)
}

/// So long after somebody has proved who they are, a second factor is enrolled without the password once more.
pub const FRESH_SIGN_IN: Duration = Duration::from_mins(5);

/// Verification and reset mails, each.
const MAILS_AN_HOUR: u32 = 3;

/// So many registrations in an hour.
fn registration_limit(limit: u32) -> Limit {
    Limit::new("registration", [Rule::new(limit, Duration::from_hours(1))])
}

impl Config {
    /// Parses everything.
    ///
    /// # Errors
    /// The first variable that cannot be used.
    pub fn parse(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let vars = Vars(lookup);
        let environment = vars.environment()?;
        let lifetimes = Lifetimes {
            access: vars.duration("ACCESS_TTL", "15m", 60..=MAX_ACCESS_TTL.as_secs())?,
            refresh: vars.duration("REFRESH_TTL", "7d", 300..=90 * 86_400)?,
            refresh_grace: vars.duration("REFRESH_GRACE", "30s", 0..=300)?,
            session_idle: vars.duration("SESSION_IDLE", "24h", 300..=90 * 86_400)?,
            session_max: vars.duration("SESSION_MAX", "30d", 300..=366 * 86_400)?,
        };
        let jwks_max_age = vars.duration("JWKS_MAX_AGE", "10m", 0..=86_400)?;
        let public_url = vars.public_url(environment)?;
        let pages_prefix = vars.pages_prefix()?;
        Ok(Self {
            environment,
            mail: MailConfig::parse(&vars, environment, &public_url, &pages_prefix)?,
            public_url,
            allowed_hosts: perimeter::allowed_hosts(&vars)?,
            allowed_origins: perimeter::allowed_origins(&vars, environment)?,
            api_limit: perimeter::api_limit(&vars)?,
            key_limit: perimeter::key_limit(&vars)?,
            key_ttl: vars.duration("APIKEY_TTL", "365d", 3600..=3660 * 86_400)?,
            access_log: vars.access_log()?,
            docs: vars.docs(environment)?,
            pages_prefix,
            api_prefix: vars.api_prefix()?,
            audience: vars.audience()?,
            lifetimes,
            reuse_revokes: vars.reuse_revokes()?,
            session_limit: vars.number("SESSION_LIMIT", 20, 1..=100)?,
            password_grant: vars.on_off("PASSWORD_GRANT", true)?,
            revocation_bound: vars.duration("REVOCATION_BOUND", "10s", 1..=300)?,
            revocation: vars.revocation()?,
            signing_algorithm: vars.signing_algorithm()?,
            jwks_max_age,
            key_schedule: vars.key_schedule(jwks_max_age)?,
            token_claims: vars.token_claims()?,
            hasher: Hasher::new(vars.password_cost()?, vars.pepper()?),
            password_classes: u8::try_from(vars.number("PASSWORD_CLASSES", 4, 0..=4)?).unwrap_or(4),
            sign_in_limit: sign_in_limit(),
            registration_limit: registration_limit(vars.number("REGISTER_LIMIT", 3, 1..=1000)?),
            mail_limit: mail_limit(),
            mails_an_hour: MAILS_AN_HOUR,
            made_an_hour: vars.number("INVITE_LIMIT", 50, 1..=1000)?,
            reset_limit: reset_limit(),
            mfa_limit: mfa_limit(),
            mfa_ttl: vars.duration("MFA_TTL", "5m", 60..=900)?,
            mfa_setup_ttl: vars.duration("MFA_SETUP_TTL", "5m", 60..=3600)?,
            audit_retention: vars.duration("AUDIT_RETENTION", "365d", 86_400..=3660 * 86_400)?,
            require_verified_email: vars.switch("REQUIRE_VERIFIED_EMAIL", false)?,
            attempts: AttemptRules {
                max_failures: vars.number("MAX_LOGIN_FAILURES", 5, 1..=100)?,
                window: vars.duration("LOGIN_WINDOW", "15m", 60..=86_400)?,
                lockout: vars.duration("LOCKOUT", "30m", 60..=86_400)?,
            },
            key_encryption_key: vars.secret("KEY_ENCRYPTION_KEY")?,
            token_mac_key: vars.secret("TOKEN_MAC_KEY")?,
            forward_auth_secret: vars.optional_secret("FORWARD_AUTH_SECRET")?,
        })
    }
}

impl Config {
    /// How our cookies are called.
    #[must_use]
    pub fn cookies(&self) -> CookieNames {
        CookieNames::new(self.public_url.as_str().starts_with("https://"))
    }

    /// The algorithms that always have a key. What origins check is never signed with a shared one.
    #[must_use]
    pub const fn wanted_algorithms(&self) -> Wanted {
        let access = self.signing_algorithm;
        Wanted { access, assertions: if access.is_symmetric() { Algorithm::EdDsa } else { access } }
    }
}
