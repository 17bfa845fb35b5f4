//! How mails look, who sends them, and how long their tokens live.

use std::time::Duration;

use url::Url;

use super::{
    ConfigError, Environment, PublicUrl,
    vars::{Vars, fault},
};
use crate::domain::{
    mail::{Branding, GIVE_UP_AFTER, Kind, Line, Sender},
    secret::SecretList,
};

/// Dark enough for white text (7:1).
const DEFAULT_ACCENT: &str = "#1f4fa8";
/// White text must stand out so much from it (WCAG 2.2, success criterion 1.4.3).
const MIN_CONTRAST: f64 = 4.5;

/// Mails.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// How they look, and where their links lead.
    pub branding: Branding,
    /// Who sends them, if it is someone who is asked over HTTP.
    pub api: Option<MailApi>,
    verify_email_ttl: Duration,
    reset_ttl: Duration,
    invite_ttl: Duration,
}

/// An HTTP API that sends mails.
#[derive(Clone, Debug)]
pub struct MailApi {
    /// What is posted to.
    pub url: String,
    /// What it knows us by.
    pub key: SecretList,
}

impl MailConfig {
    pub(super) fn parse(
        vars: &Vars<'_>,
        environment: Environment,
        public_url: &PublicUrl,
        pages_prefix: &str,
    ) -> Result<Self, ConfigError> {
        let branding = Branding {
            app_name: app_name(vars)?,
            logo_url: url(vars, "LOGO_URL", environment)?,
            accent: accent(vars)?,
            from: from(vars, public_url)?,
            pages: format!("{public_url}{pages_prefix}"),
        };
        let api = match url(vars, "MAIL_API_URL", environment)? {
            Some(url) => Some(MailApi { url, key: vars.secret("MAIL_API_KEY")? }),
            None => None,
        };
        Ok(Self {
            branding,
            api,
            verify_email_ttl: vars.duration("VERIFY_EMAIL_TTL", "24h", 300..=7 * 86_400)?,
            reset_ttl: vars.duration("RESET_TTL", "30m", 300..=86_400)?,
            invite_ttl: vars.duration("INVITE_TTL", "7d", 3600..=30 * 86_400)?,
        })
    }

    /// How long a mail is good for: its token, or that it is worth being told.
    #[must_use]
    pub const fn lifetime(&self, kind: Kind) -> Duration {
        match kind {
            Kind::VerifyEmail => self.verify_email_ttl,
            Kind::ResetPassword => self.reset_ttl,
            Kind::Invitation => self.invite_ttl,
            _ => GIVE_UP_AFTER,
        }
    }
}

fn app_name(vars: &Vars<'_>) -> Result<Line, ConfigError> {
    const NAME: &str = "APP_NAME";
    let text = vars.text(NAME).unwrap_or_else(|| "Edgewarden".to_owned());
    if text.chars().count() > 50 || text.chars().any(char::is_control) {
        return Err(fault(NAME, "must be a name of at most 50 characters on one line"));
    }
    Ok(Line::new(&text))
}

fn from(vars: &Vars<'_>, public_url: &PublicUrl) -> Result<Sender, ConfigError> {
    const NAME: &str = "MAIL_FROM";
    if let Some(text) = vars.text(NAME) {
        let wanted = |problem| format!("{problem}: it must be like Example <no-reply@example.com>");
        return Sender::parse(&text).map_err(|problem| fault(NAME, wanted(problem)));
    }
    let host = public_url.authority().split(':').next().unwrap_or_default();
    // An address of this machine has no mailboxes; what is sent from there is only shown.
    let fallback = || Sender::parse("no-reply@edgewarden.invalid");
    Sender::parse(&format!("no-reply@{host}")).or_else(|_| fallback()).map_err(|problem| fault(NAME, problem))
}

/// A URL that is encrypted, but in development.
fn url(vars: &Vars<'_>, name: &'static str, environment: Environment) -> Result<Option<String>, ConfigError> {
    let Some(text) = vars.text(name) else { return Ok(None) };
    let url = Url::parse(&text).ok().filter(|url| match url.scheme() {
        "https" => true,
        "http" => environment == Environment::Development,
        _ => false,
    });
    let plain = |url: &Url| url.username().is_empty() && url.password().is_none() && url.has_host();
    match url.filter(plain) {
        Some(url) => Ok(Some(url.into())),
        None => Err(fault(name, "must be an https:// URL without a user")),
    }
}

fn accent(vars: &Vars<'_>) -> Result<String, ConfigError> {
    const NAME: &str = "ACCENT";
    let text = vars.text(NAME).unwrap_or_else(|| DEFAULT_ACCENT.to_owned()).to_ascii_lowercase();
    let number = text.strip_prefix('#').filter(|digits| digits.len() == 6 && !digits.starts_with('+'));
    let Some(number) = number.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
        return Err(fault(NAME, "must be a colour such as #1f4fa8"));
    };
    if contrast_to_white(number) < MIN_CONTRAST {
        return Err(fault(NAME, "must be darker: white text on it could not be read"));
    }
    Ok(text)
}

/// WCAG 2.2, "contrast ratio".
fn contrast_to_white(colour: u32) -> f64 {
    let [_, red, green, blue] = colour.to_be_bytes().map(|byte| {
        let part = f64::from(byte) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrasts_are_those_of_the_standard() {
        for (colour, ratio) in [(0x00_0000, 21.0), (0xff_ffff, 1.0), (0x76_7676, 4.54)] {
            assert!((contrast_to_white(colour) - ratio).abs() < 0.01, "{colour:x}");
        }
    }
}
