//! The configuration, parsed once into types. Every number that matters has its home here, with
//! its unit and its source.
//!
//! A missing, short or default secret, an unknown environment or a malformed variable stops the
//! Worker with one sentence that names it and says how to make one.

use std::{fmt, time::Duration};

use url::Url;

use crate::{
    domain::{
        password::Cost,
        rate_limit::Rule,
        secret::SecretList,
        session::Lifetimes,
        token::{
            algorithm::Algorithm,
            claims::Optional,
            rotation::{Schedule, Wanted},
            verify::MAX_LIFE,
        },
    },
    duration,
};

/// Where variables and secrets come from, by name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How to make a secret, for the sentence that says one is missing.
const MAKE_A_SECRET: &str = "make one with: printf 'k1:%s' \"$(openssl rand -base64 32 | tr '+/' '-_' | tr -d '=')\"";

/// No access token lives longer, whatever is configured: revocations are kept for as long.
pub const MAX_ACCESS_TTL: Duration = MAX_LIFE;

/// Variables that the product knows but this version does not carry out yet, with the only value
/// that is true: any other is refused rather than silently not obeyed.
const NOT_YET: &[(&str, &str)] =
    &[("REVOCATION", "bounded"), ("PASSWORD_GRANT", "on"), ("REQUIRE_VERIFIED_EMAIL", "false")];

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

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where this runs.
    pub environment: Environment,
    /// Where the world reaches us; also the issuer of our tokens. Never taken from `Host`.
    pub public_url: PublicUrl,
    /// Path under which our endpoints answer; begins with `/`, does not end with it.
    pub api_prefix: String,
    /// Who our access tokens are for.
    pub audience: Vec<String>,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// How stale knowledge about revocations may be.
    pub revocation_bound: Duration,
    /// What access tokens are signed with.
    pub signing_algorithm: Algorithm,
    /// How long others may keep our key set.
    pub jwks_max_age: Duration,
    /// How signing keys follow one another.
    pub key_schedule: Schedule,
    /// Which optional claims access tokens carry.
    pub token_claims: Vec<Optional>,
    /// What hashing a password costs.
    pub password_cost: Cost,
    /// How many kinds of characters a new password mixes, 0 to 4.
    pub password_classes: u8,
    /// Sign-in attempts from one address, every one counted.
    pub sign_in_rules: [Rule; 2],
    /// Seals signing keys.
    pub key_encryption_key: SecretList,
    /// Makes refresh tokens.
    pub token_mac_key: SecretList,
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
fn sign_in_rules() -> [Rule; 2] {
    [Rule::new(5, Duration::from_mins(1)), Rule::new(20, Duration::from_mins(15))]
}

impl Config {
    /// Parses everything.
    ///
    /// # Errors
    /// The first variable that cannot be used.
    pub fn parse(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let vars = Vars(lookup);
        let environment = vars.environment()?;
        for (name, only) in NOT_YET {
            if vars.text(name).is_some_and(|text| text != *only) {
                return Err(fault(name, format!("can only be {only} in this version")));
            }
        }
        let lifetimes = Lifetimes {
            access: vars.duration("ACCESS_TTL", "15m", 60..=MAX_ACCESS_TTL.as_secs())?,
            refresh: vars.duration("REFRESH_TTL", "7d", 300..=90 * 86_400)?,
            refresh_grace: vars.duration("REFRESH_GRACE", "30s", 0..=300)?,
            session_max: vars.duration("SESSION_MAX", "30d", 300..=366 * 86_400)?,
        };
        let jwks_max_age = vars.duration("JWKS_MAX_AGE", "10m", 0..=86_400)?;
        Ok(Self {
            environment,
            public_url: vars.public_url(environment)?,
            api_prefix: vars.api_prefix()?,
            audience: vars.audience()?,
            lifetimes,
            revocation_bound: vars.duration("REVOCATION_BOUND", "10s", 1..=300)?,
            signing_algorithm: vars.signing_algorithm()?,
            jwks_max_age,
            key_schedule: vars.key_schedule(jwks_max_age)?,
            token_claims: vars.token_claims()?,
            password_cost: Cost {
                memory_kib: vars.number("ARGON2_MEMORY_KIB", 19_456, 7_168..=65_536)?,
                iterations: vars.number("ARGON2_ITERATIONS", 2, 1..=16)?,
                parallelism: vars.number("ARGON2_PARALLELISM", 1, 1..=4)?,
            },
            password_classes: u8::try_from(vars.number("PASSWORD_CLASSES", 4, 0..=4)?).unwrap_or(4),
            sign_in_rules: sign_in_rules(),
            key_encryption_key: vars.secret("KEY_ENCRYPTION_KEY")?,
            token_mac_key: vars.secret("TOKEN_MAC_KEY")?,
        })
    }
}

impl Config {
    /// The algorithms that always have a key. What origins check is never signed with a shared one.
    #[must_use]
    pub const fn wanted_algorithms(&self) -> Wanted {
        let access = self.signing_algorithm;
        Wanted { access, assertions: if access.is_symmetric() { Algorithm::EdDsa } else { access } }
    }
}

struct Vars<'a>(Lookup<'a>);

impl Vars<'_> {
    fn text(&self, name: &'static str) -> Option<String> {
        (self.0)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn environment(&self) -> Result<Environment, ConfigError> {
        match self.text("ENVIRONMENT").as_deref() {
            None | Some("production") => Ok(Environment::Production),
            Some("development") => Ok(Environment::Development),
            Some(_) => Err(fault("ENVIRONMENT", "must be production or development")),
        }
    }

    fn public_url(&self, environment: Environment) -> Result<PublicUrl, ConfigError> {
        const NAME: &str = "PUBLIC_URL";
        let wanted = "must be the address that clients use, such as https://auth.example.com, without a path";
        let text = match (self.text(NAME), environment) {
            (Some(text), _) => text,
            (None, Environment::Development) => "http://127.0.0.1:8787".to_owned(),
            (None, Environment::Production) => return Err(fault(NAME, format!("is missing: it {wanted}"))),
        };
        let url = Url::parse(&text).map_err(|_| fault(NAME, wanted))?;
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !plain || !url.username().is_empty() || url.password().is_some() || !url.has_host() {
            return Err(fault(NAME, wanted));
        }
        match (url.scheme(), environment) {
            ("https", _) | ("http", Environment::Development) => {}
            _ => return Err(fault(NAME, "must begin with https:// in production")),
        }
        let text = url.origin().ascii_serialization();
        let authority = text.split_once("://").map_or("", |(_, authority)| authority).to_owned();
        Ok(PublicUrl { text, authority })
    }

    fn api_prefix(&self) -> Result<String, ConfigError> {
        let prefix = self.text("API_PREFIX").unwrap_or_else(|| "/api/v1".to_owned());
        let segments_ok = prefix.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|segment| {
                !segment.is_empty()
                    && !segment.starts_with('.')
                    && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            })
        });
        if segments_ok { Ok(prefix) } else { Err(fault("API_PREFIX", "must be a plain path such as /api/v1")) }
    }

    fn audience(&self) -> Result<Vec<String>, ConfigError> {
        let text = self.text("AUDIENCE").unwrap_or_else(|| "edgewarden".to_owned());
        let list: Vec<_> = text.split(',').map(|part| part.trim().to_owned()).collect();
        if list.iter().any(|one| one.is_empty() || one.chars().any(char::is_control)) {
            return Err(fault("AUDIENCE", "must be a name, or several with commas between"));
        }
        Ok(list)
    }

    fn signing_algorithm(&self) -> Result<Algorithm, ConfigError> {
        const NAME: &str = "SIGNING_ALG";
        let text = self.text(NAME).unwrap_or_else(|| Algorithm::EdDsa.name().to_owned());
        let known = Algorithm::parse(&text).filter(|algorithm| Algorithm::ISSUED.contains(algorithm));
        known.ok_or_else(|| fault(NAME, "must be EdDSA, ES256, RS256 or HS256"))
    }

    fn key_schedule(&self, jwks_max_age: Duration) -> Result<Schedule, ConfigError> {
        const NAME: &str = "KEY_ROTATION";
        let signs_for = self.duration(NAME, "30d", 4 * 3600..=366 * 86_400)?;
        let schedule = Schedule::new(signs_for, jwks_max_age, MAX_ACCESS_TTL);
        if schedule.is_possible() {
            return Ok(schedule);
        }
        let lead = schedule.lead().as_secs();
        Err(fault(
            NAME,
            format!("is too short for JWKS_MAX_AGE: a key is published for {lead} seconds before it signs"),
        ))
    }

    fn token_claims(&self) -> Result<Vec<Optional>, ConfigError> {
        const NAME: &str = "TOKEN_CLAIMS";
        let text = self.text(NAME).unwrap_or_else(|| "username email email_verified roles".to_owned());
        let (mut claims, mut roles) = (Vec::new(), false);
        for name in text.split([' ', ',']).filter(|name| !name.is_empty()) {
            match name {
                "username" => claims.push(Optional::Username),
                "email" => claims.push(Optional::Email),
                "email_verified" => claims.push(Optional::EmailVerified),
                "full_name" => claims.push(Optional::FullName),
                "roles" => roles = true,
                _ => return Err(fault(NAME, "can name username, email, email_verified, full_name and roles")),
            }
        }
        if roles { Ok(claims) } else { Err(fault(NAME, "must name roles: without them a token opens nothing")) }
    }

    fn duration(
        &self,
        name: &'static str,
        default: &str,
        secs: std::ops::RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        let text = self.text(name).unwrap_or_else(|| default.to_owned());
        let duration = duration::parse(&text).map_err(|error| fault(name, error.to_string()))?;
        if secs.contains(&duration.as_secs()) {
            return Ok(duration);
        }
        Err(fault(name, format!("must be between {} and {} seconds", secs.start(), secs.end())))
    }

    fn number(
        &self,
        name: &'static str,
        default: u32,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        let number = match self.text(name) {
            None => default,
            Some(text) => text.parse().map_err(|_| fault(name, "must be a whole number"))?,
        };
        if range.contains(&number) {
            return Ok(number);
        }
        Err(fault(name, format!("must be between {} and {}", range.start(), range.end())))
    }

    fn secret(&self, name: &'static str) -> Result<SecretList, ConfigError> {
        let text = self.text(name).ok_or_else(|| fault(name, format!("is missing: {MAKE_A_SECRET}")))?;
        SecretList::parse(&text).map_err(|problem| fault(name, format!("{problem}: {MAKE_A_SECRET}")))
    }
}

fn fault(name: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError { name, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const SECRET: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn parse(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut vars = HashMap::from([
            ("PUBLIC_URL", "https://auth.example.com"),
            ("KEY_ENCRYPTION_KEY", SECRET),
            ("TOKEN_MAC_KEY", SECRET),
        ]);
        vars.extend(changes.iter().copied());
        Config::parse(&|name| vars.get(name).map(ToString::to_string))
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.environment, Environment::Production);
        assert_eq!(config.public_url.as_str(), "https://auth.example.com");
        assert_eq!(config.public_url.authority(), "auth.example.com");
        assert_eq!(config.api_prefix, "/api/v1");
        assert_eq!(config.audience, ["edgewarden"]);
        assert_eq!(config.lifetimes.access, Duration::from_mins(15));
        assert_eq!(config.lifetimes.refresh, Duration::from_hours(7 * 24));
        assert_eq!(config.lifetimes.refresh_grace, Duration::from_secs(30));
        assert_eq!(config.lifetimes.session_max, Duration::from_hours(30 * 24));
        assert_eq!(config.password_cost, Cost::default());
        assert_eq!(config.password_classes, 4);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (name, value, why) in [
            ("ENVIRONMENT", "staging", "production or development"),
            ("PUBLIC_URL", "", "is missing"),
            ("PUBLIC_URL", "auth.example.com", "must be the address"),
            ("PUBLIC_URL", "http://auth.example.com", "https://"),
            ("PUBLIC_URL", "https://auth.example.com/login", "without a path"),
            ("PUBLIC_URL", "https://user@auth.example.com", "must be the address"),
            ("API_PREFIX", "/api/../v1", "plain path"),
            ("API_PREFIX", "api", "plain path"),
            ("AUDIENCE", "a,,b", "name"),
            ("ACCESS_TTL", "soon", "15m"),
            ("ACCESS_TTL", "2d", "between"),
            ("ARGON2_MEMORY_KIB", "4194304", "between"),
            ("ARGON2_ITERATIONS", "two", "whole number"),
            ("PASSWORD_CLASSES", "5", "between"),
            ("KEY_ENCRYPTION_KEY", "", "openssl rand"),
            ("KEY_ENCRYPTION_KEY", "k1:short", "under 32 bytes"),
            ("REVOCATION", "strict", "only be bounded"),
            ("SIGNING_ALG", "none", "EdDSA, ES256, RS256 or HS256"),
            ("SIGNING_ALG", "PS256", "EdDSA, ES256, RS256 or HS256"),
            ("KEY_ROTATION", "10m", "between"),
            ("TOKEN_CLAIMS", "username groups", "can name"),
            ("TOKEN_CLAIMS", "username", "must name roles"),
            ("TOKEN_MAC_KEY", "k1:change-me-change-me-change-me-change-me", "placeholder"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err();
            assert_eq!(error.name, name);
            assert!(error.to_string().contains(why), "{error}");
            assert!(value.len() < 9 || !name.ends_with("KEY") || !error.to_string().contains(value));
        }
    }

    #[test]
    fn keys_follow_one_another_no_faster_than_others_can_learn_of_them() {
        assert_eq!(parse(&[("KEY_ROTATION", "4h")]).map(drop), Ok(()));
        let error = parse(&[("KEY_ROTATION", "1d"), ("JWKS_MAX_AGE", "1d")]).unwrap_err();
        assert_eq!(error.name, "KEY_ROTATION");
        assert!(error.problem.contains("86760 seconds"), "{error}");
    }

    #[test]
    fn assertions_are_never_signed_with_a_shared_key() {
        for (name, wanted) in [
            ("EdDSA", vec![Algorithm::EdDsa]),
            ("ES256", vec![Algorithm::Es256]),
            ("RS256", vec![Algorithm::Rs256]),
            ("HS256", vec![Algorithm::Hs256, Algorithm::EdDsa]),
        ] {
            let config = parse(&[("SIGNING_ALG", name)]).unwrap();
            assert_eq!(config.wanted_algorithms().each().collect::<Vec<_>>(), wanted);
            assert!(!config.wanted_algorithms().assertions.is_symmetric());
        }
    }

    #[test]
    fn development_may_be_plain_http_on_loopback() {
        let config = parse(&[("ENVIRONMENT", "development"), ("PUBLIC_URL", "http://127.0.0.1:9999/")]).unwrap();
        assert_eq!(config.public_url.as_str(), "http://127.0.0.1:9999");
        assert_eq!(config.public_url.authority(), "127.0.0.1:9999");
    }
}
