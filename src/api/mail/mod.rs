//! What is done by mail: proving an address, and choosing a new password.

pub mod outbox;
pub mod reset;
pub mod verify;

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use super::{Connection, form::Fields, limits};
use crate::{
    app::App,
    domain::{audit::Event, mail::Kind, user::Email},
    error::ApiError,
    stores::{
        audit,
        outbox::{Asked, request},
    },
};

/// What the MAC that stands for an unknown address is for.
const UNKNOWN_ADDRESS: &str = "edgewarden unknown address v1";

/// The answer to whoever asks for a mail.
type Accepted = (StatusCode, Json<Value>);

/// Asks for a mail to an address. (1) The limit by address; if it cannot answer, nobody is sent anything. (2) One batch
/// writes the mail down if there were not too many, or a row that is never sent where nobody needs it. The answer, and
/// what is done for it, is the same whoever has the address. The mail goes out after the answer.
async fn ask(
    app: &App,
    connection: &Connection,
    body: Map<String, Value>,
    (kind, event): (Kind, Option<Event>),
    detail: &'static str,
    headers: &mut HeaderMap,
) -> Result<Accepted, ApiError> {
    let mut fields = Fields::new(body);
    let email = fields.required("email", Email::parse);
    fields.refuse()?;
    let Some(email) = email else { return Err(ApiError::Internal("no email".to_owned())) };
    // (1)
    limits::admit(app, connection, &app.config.mail_limit, headers).await?;
    // (2)
    let now = app.ports.clock.now();
    let mac = app.config.token_mac_key.current().mac(UNKNOWN_ADDRESS, &[email.key().as_bytes()]);
    let entry = event.map(|event| connection.entry(app, event, now));
    let asked = Asked {
        email: &email,
        unknown_account: Base64UrlUnpadded::encode_string(&mac),
        letter: &app.letter(kind, &connection.origin, now),
        an_hour: app.config.mails_an_hour,
        entry: entry.as_ref(),
    };
    let logged = request(app.ports.database.as_ref(), &asked).await?;
    app.note_mail();
    if let Some(entry) = entry.filter(|_| logged) {
        audit::log(app.ports.log.as_ref(), &entry);
    }
    Ok((StatusCode::ACCEPTED, Json(json!({ "detail": detail }))))
}
