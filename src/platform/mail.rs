//! The mailer port on Workers: a mail API over HTTP, Cloudflare's own binding, or in development the log.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use js_sys::Reflect;
use serde_json::json;
use worker::{
    AbortController, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, SendEmail, SendEmailBuilder,
    console_log,
    send::SendFuture,
    wasm_bindgen::{JsCast, JsValue},
};

use super::bounded_by;
use crate::{
    config::{Config, Environment, MailApi},
    domain::mail::Mail,
    ports::{MailFailure, Mailer},
};

/// No mailer may take longer than this to answer. Less than a claimed mail waits for its next try.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The name of the `send_email` binding.
const BINDING: &str = "MAIL";

/// Who sends mails here.
#[must_use]
pub fn mailer(env: &Env, config: &Config) -> Arc<dyn Mailer> {
    let binding = || Reflect::get(env, &BINDING.into()).ok().filter(JsValue::is_object);
    match (&config.mail.api, binding(), config.environment) {
        (Some(api), _, _) => Arc::new(HttpApi(api.clone())),
        (None, Some(binding), _) => Arc::new(Binding(binding.unchecked_into())),
        (None, None, Environment::Development) => Arc::new(ToTheLog),
        (None, None, Environment::Production) => Arc::new(Nobody),
    }
}

fn unavailable(error: &impl ToString) -> MailFailure {
    MailFailure::Unavailable(error.to_string())
}

/// A mail API that takes JSON: Resend's, or one like it.
struct HttpApi(MailApi);

impl HttpApi {
    async fn post(&self, mail: &Mail, abort: &AbortController) -> worker::Result<u16> {
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {}", self.0.key.current().reveal()))?;
        headers.set("content-type", "application/json")?;
        headers.set("idempotency-key", &mail.id.to_string())?;
        let body = json!({
            "from": mail.from.header(),
            "to": mail.to.as_str(),
            "subject": mail.subject.as_str(),
            "text": mail.text,
            "html": mail.html,
        });
        let mut init = RequestInit::new();
        // What is sent, and what we are known by, goes nowhere else.
        init.with_redirect(RequestRedirect::Manual);
        init.with_method(Method::Post).with_headers(headers).with_body(Some(body.to_string().into()));
        let request = Request::new_with_init(&self.0.url, &init)?;
        Ok(Fetch::Request(request).send_with_signal(&abort.signal()).await?.status_code())
    }
}

#[async_trait]
impl Mailer for HttpApi {
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure> {
        let abort = AbortController::default();
        let answer = SendFuture::new(bounded_by(TIMEOUT, "mailer", self.post(mail, &abort))).await;
        if answer.is_err() {
            abort.abort();
        }
        MailFailure::of_status(answer.map_err(|error| unavailable(&error))?)
    }
}

/// Cloudflare's own binding. It writes the message itself, from these fields.
struct Binding(SendEmail);

/// What it says of a mail that it will not take at any time.
const NEVER: [&str; 5] = [
    "E_RECIPIENT_SUPPRESSED",
    "E_RECIPIENT_NOT_ALLOWED",
    "E_CONTENT_TOO_LARGE",
    "E_VALIDATION_ERROR",
    "E_FIELD_MISSING",
];

#[async_trait]
impl Mailer for Binding {
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure> {
        let (address, subject) = (mail.from.address.as_str(), mail.subject.as_str());
        let builder = if mail.from.name.is_empty() {
            SendEmailBuilder::builder(address, mail.to.as_str(), subject)
        } else {
            let from = worker::EmailAddress::new(&mail.from.name, address);
            SendEmailBuilder::builder_with_email_address_and_str(&from, mail.to.as_str(), subject)
        };
        let message = builder.text(&mail.text).html(&mail.html).build();
        let send = async { self.0.send_with_builder(&message).await.map_err(|error| code(&error)) };
        match SendFuture::new(bounded_by(TIMEOUT, "mailer", send)).await {
            Ok(_) => Ok(()),
            Err(error) if NEVER.iter().any(|code| error.message == *code) => Err(MailFailure::Refused(error.message)),
            Err(error) => Err(unavailable(&error.message)),
        }
    }
}

/// The code of an error, or what it says, without addresses.
fn code(error: &js_sys::Error) -> String {
    let code = Reflect::get(error, &"code".into()).ok().and_then(|code| code.as_string());
    let message = || String::from(error.message());
    code.unwrap_or_else(|| {
        message().split_whitespace().filter(|word| !word.contains('@')).collect::<Vec<_>>().join(" ")
    })
}

/// Shows mails to whoever develops.
struct ToTheLog;

#[async_trait]
impl Mailer for ToTheLog {
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure> {
        let (to, subject, text) = (mail.to.as_str(), mail.subject.as_str(), &mail.text);
        console_log!("{}", json!({ "kind": "mail", "to": to, "subject": subject, "text": text }));
        Ok(())
    }
}

/// Nobody was told how mails are sent. They wait, and become dead letters.
struct Nobody;

#[async_trait]
impl Mailer for Nobody {
    async fn send(&self, _mail: &Mail) -> Result<(), MailFailure> {
        Err(unavailable(&"no mailer: set MAIL_API_URL and MAIL_API_KEY, or bind MAIL"))
    }
}
