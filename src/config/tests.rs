//! What configurations are taken, and what is said of the others.

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
    assert_eq!(config.hasher.cost(), crate::domain::password::Cost::default());
    assert_eq!(config.password_classes, 4);
    let attempts = AttemptRules { max_failures: 5, window: Duration::from_mins(15), lockout: Duration::from_mins(30) };
    assert_eq!(config.attempts, attempts);
    assert_eq!(config.registration_limit.rules, [Rule::new(3, Duration::from_hours(1))]);
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
        ("REGISTER_LIMIT", "0", "between 1 and 1000"),
        ("MAX_LOGIN_FAILURES", "0", "between 1 and 100"),
        ("LOGIN_WINDOW", "2d", "between"),
        ("LOCKOUT", "0", "between"),
        ("KEY_ENCRYPTION_KEY", "", "openssl rand"),
        ("KEY_ENCRYPTION_KEY", "k1:short", "under 32 bytes"),
        ("REVOCATION", "never", "must be bounded or strict"),
        ("DOCS", "true", "must be always, development or never"),
        ("REQUIRE_VERIFIED_EMAIL", "yes", "true or false"),
        ("API_LIMIT", "0", "between 1 and 10000"),
        ("ALLOWED_HOSTS", "*", "such as api.example.com"),
        ("ALLOWED_HOSTS", "a.example.com,", "such as api.example.com"),
        ("ALLOWED_HOSTS", "https://a.example.com", "such as api.example.com"),
        ("ALLOWED_ORIGINS", "*", "* and null are any page's"),
        ("ALLOWED_ORIGINS", "https://a.example.com,null", "* and null are any page's"),
        ("ALLOWED_ORIGINS", "https://*.example.com", "without a path"),
        ("ALLOWED_ORIGINS", "https://a.example.com/app", "without a path"),
        ("ALLOWED_ORIGINS", "a.example.com", "without a path"),
        ("ALLOWED_ORIGINS", "https://a.example.com,", "without a path"),
        ("ALLOWED_ORIGINS", "https://a.example.com, http://b.example.com", "https:// in production"),
        ("ALLOWED_ORIGINS", "chrome-extension://abcdef", "without a path"),
        ("PAGES_PREFIX", "/a//b", "plain path"),
        ("APP_NAME", "two\nlines", "on one line"),
        ("MAIL_FROM", "Example", "like Example <no-reply@example.com>"),
        ("MAIL_FROM", "a@example.org\r\nBcc: b@example.org", "like Example"),
        ("MAIL_API_URL", "http://mail.example.com/emails", "https://"),
        ("MAIL_API_URL", "https://user@mail.example.com/", "without a user"),
        ("LOGO_URL", "javascript:alert(1)", "https://"),
        ("ACCENT", "red", "#1f4fa8"),
        ("ACCENT", "#ffcc00", "darker"),
        ("VERIFY_EMAIL_TTL", "1y", "30s, 15m"),
        ("RESET_TTL", "2d", "between"),
        ("INVITE_TTL", "10m", "between"),
        ("INVITE_LIMIT", "0", "between 1 and 1000"),
        ("SIGNING_ALG", "none", "EdDSA, ES256, RS256 or HS256"),
        ("SIGNING_ALG", "PS256", "EdDSA, ES256, RS256 or HS256"),
        ("KEY_ROTATION", "10m", "between"),
        ("TOKEN_CLAIMS", "username groups", "can name"),
        ("TOKEN_CLAIMS", "username", "must name roles"),
        ("PASSWORD_PEPPER", "k1:short", "under 32 bytes"),
        ("PASSWORD_PEPPER", "pepper-01:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "id of over 8"),
        ("TOKEN_MAC_KEY", "k1:change-me-change-me-change-me-change-me", "placeholder"),
    ] {
        let error = parse(&[(name, value)]).unwrap_err();
        assert_eq!(error.name, name);
        assert!(error.to_string().contains(why), "{error}");
        assert!(value.len() < 9 || !name.ends_with("KEY") || !error.to_string().contains(value));
    }
}

#[test]
fn the_description_is_told_where_it_is_said_to_be() {
    for (environment, docs, told) in [
        ("production", "", false),
        ("production", "development", false),
        ("production", "always", true),
        ("production", "never", false),
        ("development", "", true),
        ("development", "development", true),
        ("development", "always", true),
        ("development", "never", false),
    ] {
        let config = parse(&[("ENVIRONMENT", environment), ("DOCS", docs)]).unwrap();
        assert_eq!(config.docs, told, "{environment} {docs}");
    }
}

#[test]
fn hosts_and_pages_are_spelt_as_requests_spell_them() {
    let config = parse(&[
        ("ALLOWED_HOSTS", "API.example.com, *.apps.example.com,a.example.com:443,b.example.com:8443"),
        ("ALLOWED_ORIGINS", "https://App.example.com/, https://b.example.com:443,https://b.example.com:8443"),
        ("API_LIMIT", "7"),
    ])
    .unwrap();
    let hosts = ["api.example.com", "*.apps.example.com", "a.example.com", "b.example.com:8443"];
    assert_eq!(config.allowed_hosts, hosts.map(HostPattern::parse_with_port).into_iter().collect());
    let origins = ["https://app.example.com", "https://b.example.com", "https://b.example.com:8443"];
    assert_eq!(config.allowed_origins, origins);
    assert_eq!(config.api_limit.rules, [Rule::new(7, Duration::from_mins(1))]);
    let local = parse(&[("ENVIRONMENT", "development"), ("ALLOWED_ORIGINS", "http://localhost:3000")]).unwrap();
    assert_eq!(local.allowed_origins, ["http://localhost:3000"]);
    let none = parse(&[]).unwrap();
    assert!(none.allowed_hosts.is_none() && none.allowed_origins.is_empty());
    assert_eq!(none.api_limit.rules, [Rule::new(60, Duration::from_mins(1))]);
}

#[test]
fn mails_are_from_an_address_that_there_can_be() {
    for (url, environment, from) in [
        ("https://auth.example.com", "production", "no-reply@auth.example.com"),
        ("http://localhost:8787", "development", "no-reply@edgewarden.invalid"),
    ] {
        let config = parse(&[("PUBLIC_URL", url), ("ENVIRONMENT", environment)]).unwrap();
        assert_eq!(config.mail.branding.from.header(), from);
        assert_eq!(config.mail.branding.pages, url);
        assert_eq!(config.mail.branding.app_name.as_str(), "Edgewarden");
        assert!(config.mail.api.is_none() && !config.require_verified_email);
    }
    let api = ("MAIL_API_URL", "https://mail.example.com/emails");
    assert_eq!(parse(&[api]).unwrap_err().name, "MAIL_API_KEY");
    let key = ("MAIL_API_KEY", SECRET);
    let config = parse(&[api, key, ("PAGES_PREFIX", "/a"), ("REQUIRE_VERIFIED_EMAIL", "true")]).unwrap();
    assert_eq!(config.mail.api.unwrap().url, "https://mail.example.com/emails");
    assert_eq!(config.mail.branding.pages, "https://auth.example.com/a");
    assert!(config.require_verified_email);
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
