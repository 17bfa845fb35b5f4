//! What mails say: a row of the outbox and the installation's branding make one mail, always the same one. The wording
//! is in `templates/mail/`; the templates escape what they are given.
//!
//! A token stands in a link's fragment: credentials never stand in a query, which lands in logs and in `Referer`.

use std::time::Duration;

use askama::Template;
use serde::{Deserialize, Serialize};

use super::{Kind, Line, Mail, MailToken, Purpose, Sender, words};
use crate::domain::{id::RowId, secret::SecretList, time::Timestamp, user::Email, user_agent::describe};

/// How mails look, and where their links lead.
#[derive(Clone, Debug)]
pub struct Branding {
    /// What the installation is called.
    pub app_name: Line,
    /// Where its logo is.
    pub logo_url: Option<String>,
    /// The colour of what is to be pressed, as `#rrggbb`; white can be read on it.
    pub accent: String,
    /// Whom mails are from.
    pub from: Sender,
    /// Where pages are: `PUBLIC_URL` and `PAGES_PREFIX`.
    pub pages: String,
}

/// What a mail tells beside its kind, as the outbox keeps it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Details {
    /// Whose account it is about.
    #[serde(default)]
    pub username: String,
    /// Where the request came from that gave rise to it.
    pub ip: Option<String>,
    /// What the browser said of itself.
    pub user_agent: Option<String>,
    /// How many recovery codes are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes_left: Option<u32>,
}

/// A row of the outbox that can be sent.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id.
    pub id: RowId,
    /// What it is about.
    pub kind: Kind,
    /// Whom it is to.
    pub to: Email,
    /// What it tells.
    pub details: Details,
    /// When it was written.
    pub written_at: Timestamp,
    /// When its token is over.
    pub expires_at: Timestamp,
}

/// What templates are given.
struct View<'a> {
    kind: Kind,
    subject: Line,
    username: &'a str,
    app_name: &'a str,
    logo_url: Option<&'a str>,
    accent: &'a str,
    pages: &'a str,
    /// Where the token is to be taken; empty if there is none.
    link: String,
    valid_for: String,
    when: String,
    ip: &'a str,
    device: String,
    codes_left: u32,
}

#[derive(Template)]
#[template(path = "mail/mail.txt")]
struct Text<'a>(&'a View<'a>);

#[derive(Template)]
#[template(path = "mail/mail.html")]
struct Html<'a>(&'a View<'a>);

/// Renders a mail.
pub fn render(letter: &Letter, branding: &Branding, keys: &SecretList) -> Result<Mail, askama::Error> {
    let view = View::new(letter, branding, keys);
    let (text, html) = (Text(&view).render()?, Html(&view).render()?);
    Ok(Mail { id: letter.id, from: branding.from.clone(), to: letter.to.clone(), subject: view.subject, text, html })
}

impl<'a> View<'a> {
    fn new(letter: &'a Letter, branding: &'a Branding, keys: &SecretList) -> Self {
        let (details, app_name) = (&letter.details, branding.app_name.as_str());
        let link = letter.kind.purpose().map(|purpose| {
            let page = match purpose {
                Purpose::VerifyEmail => "verify-email",
                Purpose::ResetPassword => "reset-password",
            };
            let token = MailToken { purpose, row: letter.id }.encode(keys);
            format!("{}/{page}#token={token}", branding.pages)
        });
        let life = letter.expires_at.since(letter.written_at);
        Self {
            kind: letter.kind,
            subject: subject(letter.kind, app_name),
            username: &details.username,
            app_name,
            logo_url: branding.logo_url.as_deref(),
            accent: &branding.accent,
            pages: &branding.pages,
            link: link.unwrap_or_default(),
            valid_for: words::duration(Duration::from_secs(life.as_secs())),
            when: letter.written_at.for_people(),
            ip: details.ip.as_deref().unwrap_or("an unknown address"),
            device: describe(details.user_agent.as_deref()),
            codes_left: details.codes_left.unwrap_or(0),
        }
    }
}

fn subject(kind: Kind, app_name: &str) -> Line {
    Line::new(&match kind {
        Kind::VerifyEmail => format!("Confirm your email address for {app_name}"),
        Kind::ResetPassword => format!("Choose a new password for {app_name}"),
        Kind::Invitation => format!("Your account at {app_name} is ready"),
        Kind::EmailChanged => format!("Your email address at {app_name} was changed"),
        Kind::PasswordChanged => format!("Your password at {app_name} was changed"),
        Kind::SignInClosed => format!("Sign-in to your {app_name} account is paused"),
        Kind::NewDevice => format!("New sign-in to your {app_name} account"),
        Kind::MfaEnabled => format!("Two-step sign-in is on for your {app_name} account"),
        Kind::MfaDisabled => format!("Two-step sign-in is off for your {app_name} account"),
        Kind::RecoveryUsed => format!("A recovery code of your {app_name} account was used"),
        Kind::RecoveryRenewed => format!("Your {app_name} account has new recovery codes"),
        Kind::ApiKeyMade => format!("A new API key for your {app_name} account"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const AT: Timestamp = Timestamp::from_secs(1_767_225_600);

    fn branding(name: &str) -> Branding {
        Branding {
            app_name: Line::new(name),
            logo_url: None,
            accent: "#1f4fd8".to_owned(),
            from: Sender::parse("Example <no-reply@example.com>").unwrap(),
            pages: "https://auth.example.com/p".to_owned(),
        }
    }

    fn mail(kind: Kind, username: &str, app: &str) -> Mail {
        let details = Details {
            username: username.to_owned(),
            ip: Some("192.0.2.7".to_owned()),
            user_agent: Some("<script>alert(1)</script> Firefox/145.0 (Linux) http://evil.example".to_owned()),
            codes_left: Some(2),
        };
        let to = Email::parse("ada@example.org").unwrap();
        let (id, expires_at) = (RowId::new(AT, &[7; 10]), AT.plus(Duration::from_mins(30)));
        let letter = Letter { id, kind, to, details, written_at: AT, expires_at };
        render(&letter, &branding(app), &SecretList::parse(KEY).unwrap()).unwrap()
    }

    #[test]
    fn every_mail_is_complete_as_text_and_as_html() {
        for kind in Kind::ALL {
            let mail = mail(kind, "ada", "Example");
            for part in [&mail.text, &mail.html] {
                assert!(part.contains("ada") && part.contains("Example"), "{part}");
                assert!(!part.contains("{{") && !part.contains("{%") && !part.contains("evil"), "{part}");
                assert_eq!(part.matches("#token=ewm_k1_").count() > 0, kind.purpose().is_some(), "{part}");
                assert!(!part.contains("?token"), "never in a query");
                if kind.purpose().is_none() {
                    for fact in ["1 January 2026, 00:00 UTC", "192.0.2.7", "Firefox on Linux", "/forgot-password"] {
                        assert!(part.contains(fact), "{fact}: {part}");
                    }
                } else {
                    assert!(part.contains("30 minutes"), "{part}");
                }
            }
            assert!(!mail.text.contains('<') && !mail.text.contains("\n\n\n"), "{}", mail.text);
            assert!(mail.html.starts_with("<!doctype html>") && !mail.html.contains("<img"), "{}", mail.html);
            assert!(mail.subject.as_str().contains("Example"));
        }
    }

    #[test]
    fn what_is_given_is_escaped_and_heads_no_line() {
        for kind in Kind::ALL {
            let mail = mail(kind, "<b>\"x\" & 'y'</b>", "A & B\r\nBcc: c@example.org");
            assert!(!mail.html.contains("<b>") && !mail.html.contains("A & B"), "{}", mail.html);
            assert!(mail.html.contains("A &#38; B") || mail.html.contains("A &amp; B"), "{}", mail.html);
            assert!(!mail.subject.as_str().contains(['\r', '\n']));
        }
    }

    #[test]
    fn nothing_is_fetched_but_the_logo() {
        let mut branding = branding("Example");
        branding.logo_url = Some("https://example.com/logo.png".to_owned());
        let letter = Letter {
            id: RowId::new(AT, &[7; 10]),
            kind: Kind::VerifyEmail,
            to: Email::parse("ada@example.org").unwrap(),
            details: Details::default(),
            written_at: AT,
            expires_at: AT,
        };
        let html = render(&letter, &branding, &SecretList::parse(KEY).unwrap()).unwrap().html;
        let fetched: Vec<_> = html.match_indices("src=").map(|(at, _)| &html[at..at + 34]).collect();
        assert_eq!(fetched, ["src=\"https://example.com/logo.png\""]);
        assert!(!html.contains("url(") && !html.contains("<link") && !html.contains("<script"));
    }
}
