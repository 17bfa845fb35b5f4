//! Reading one variable each, with the sentence about what is wrong with it.

use std::time::Duration;

use url::Url;

use super::{AccessLog, ConfigError, Environment, Lookup, MAX_ACCESS_TTL, PublicUrl};
use crate::{
    domain::{
        password::{Cost, hash::MAX_PEPPER_ID},
        revocation::Revocation,
        secret::SecretList,
        session::ReuseRevokes,
        token::{algorithm::Algorithm, claims::Optional, rotation::Schedule},
    },
    duration,
};

/// How to make a secret, for the sentence that says one is missing.
const MAKE_A_SECRET: &str = "make one with: printf 'k1:%s' \"$(openssl rand -base64 32 | tr '+/' '-_' | tr -d '=')\"";

/// Variables by name, with blanks around them and empty ones left out.
pub(super) struct Vars<'a>(pub Lookup<'a>);

impl Vars<'_> {
    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        (self.0)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn environment(&self) -> Result<Environment, ConfigError> {
        match self.text("ENVIRONMENT").as_deref() {
            None | Some("production") => Ok(Environment::Production),
            Some("development") => Ok(Environment::Development),
            Some(_) => Err(fault("ENVIRONMENT", "must be production or development")),
        }
    }

    pub(super) fn public_url(&self, environment: Environment) -> Result<PublicUrl, ConfigError> {
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

    pub(super) fn api_prefix(&self) -> Result<String, ConfigError> {
        let prefix = self.text("API_PREFIX").unwrap_or_else(|| "/api/v1".to_owned());
        if is_plain_path(&prefix) {
            Ok(prefix)
        } else {
            Err(fault("API_PREFIX", "must be a plain path such as /api/v1"))
        }
    }

    pub(super) fn pages_prefix(&self) -> Result<String, ConfigError> {
        const NAME: &str = "PAGES_PREFIX";
        match self.text(NAME) {
            None => Ok(String::new()),
            Some(prefix) if is_plain_path(&prefix) => Ok(prefix),
            Some(_) => Err(fault(NAME, "must be empty, or a plain path such as /auth")),
        }
    }

    pub(super) fn docs(&self, environment: Environment) -> Result<bool, ConfigError> {
        match self.text("DOCS").as_deref() {
            None | Some("development") => Ok(environment == Environment::Development),
            Some("always") => Ok(true),
            Some("never") => Ok(false),
            Some(_) => Err(fault("DOCS", "must be always, development or never")),
        }
    }

    pub(super) fn access_log(&self) -> Result<AccessLog, ConfigError> {
        match self.text("ACCESS_LOG").as_deref() {
            None | Some("all") => Ok(AccessLog::All),
            Some("refusals") => Ok(AccessLog::Refusals),
            Some(_) => Err(fault("ACCESS_LOG", "must be all or refusals")),
        }
    }

    pub(super) fn switch(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.text(name).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(fault(name, "must be true or false")),
        }
    }

    pub(super) fn audience(&self) -> Result<Vec<String>, ConfigError> {
        let text = self.text("AUDIENCE").unwrap_or_else(|| "edgewarden".to_owned());
        let list: Vec<_> = text.split(',').map(|part| part.trim().to_owned()).collect();
        if list.iter().any(|one| one.is_empty() || one.chars().any(char::is_control)) {
            return Err(fault("AUDIENCE", "must be a name, or several with commas between"));
        }
        Ok(list)
    }

    pub(super) fn revocation(&self) -> Result<Revocation, ConfigError> {
        match self.text("REVOCATION").as_deref() {
            None | Some("bounded") => Ok(Revocation::Bounded),
            Some("strict") => Ok(Revocation::Strict),
            Some(_) => Err(fault("REVOCATION", "must be bounded or strict")),
        }
    }

    pub(super) fn reuse_revokes(&self) -> Result<ReuseRevokes, ConfigError> {
        match self.text("REUSE_REVOKES").as_deref() {
            None | Some("family") => Ok(ReuseRevokes::Family),
            Some("user") => Ok(ReuseRevokes::User),
            Some(_) => Err(fault("REUSE_REVOKES", "must be family or user")),
        }
    }

    pub(super) fn signing_algorithm(&self) -> Result<Algorithm, ConfigError> {
        const NAME: &str = "SIGNING_ALG";
        let text = self.text(NAME).unwrap_or_else(|| Algorithm::EdDsa.name().to_owned());
        let known = Algorithm::parse(&text).filter(|algorithm| Algorithm::ISSUED.contains(algorithm));
        known.ok_or_else(|| fault(NAME, "must be EdDSA, ES256, RS256 or HS256"))
    }

    pub(super) fn key_schedule(&self, jwks_max_age: Duration) -> Result<Schedule, ConfigError> {
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

    pub(super) fn token_claims(&self) -> Result<Vec<Optional>, ConfigError> {
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

    pub(super) fn on_off(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.text(name).as_deref() {
            None => Ok(default),
            Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(fault(name, "must be on or off")),
        }
    }

    pub(super) fn duration(
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

    pub(super) fn number(
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

    pub(super) fn password_cost(&self) -> Result<Cost, ConfigError> {
        let Cost { memory_kib, iterations, parallelism } = Cost::default();
        Ok(Cost {
            memory_kib: self.number("ARGON2_MEMORY_KIB", memory_kib, 7_168..=65_536)?,
            iterations: self.number("ARGON2_ITERATIONS", iterations, 1..=16)?,
            parallelism: self.number("ARGON2_PARALLELISM", parallelism, 1..=4)?,
        })
    }

    pub(super) fn pepper(&self) -> Result<Option<SecretList>, ConfigError> {
        const NAME: &str = "PASSWORD_PEPPER";
        let list = self.optional_secret(NAME)?;
        if list.as_ref().is_none_or(|list| list.ids_fit(MAX_PEPPER_ID)) {
            return Ok(list);
        }
        Err(fault(NAME, format!("has an id of over {MAX_PEPPER_ID} characters, which argon2's keyid does not hold")))
    }

    pub(super) fn optional_secret(&self, name: &'static str) -> Result<Option<SecretList>, ConfigError> {
        self.text(name).map(|_| self.secret(name)).transpose()
    }

    pub(super) fn secret(&self, name: &'static str) -> Result<SecretList, ConfigError> {
        let text = self.text(name).ok_or_else(|| fault(name, format!("is missing: {MAKE_A_SECRET}")))?;
        SecretList::parse(&text).map_err(|problem| fault(name, format!("{problem}: {MAKE_A_SECRET}")))
    }
}

fn is_plain_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        })
    })
}

pub(super) fn fault(name: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError { name, problem: problem.into() }
}
