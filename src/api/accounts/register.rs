//! `POST users/register`: create an account.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Map, Value};

use super::UserView;
use crate::{
    api::{Connection, extract::JsonObject, form::Fields, limits},
    app::App,
    domain::{
        audit::{Entry, Event},
        mail::Kind,
        password::Password,
        user::{Email, FullName, Username},
    },
    error::{ApiError, FieldError},
    stores::{
        audit,
        users::{self, Created, NewUser},
    },
};

/// Creates an account; once the fields are right, says what the limit has left.
pub async fn register(
    State(app): State<Arc<App>>,
    connection: Connection,
    JsonObject(body): JsonObject,
) -> (HeaderMap, Result<(StatusCode, Json<UserView>), ApiError>) {
    let mut headers = HeaderMap::new();
    let answer = create(&app, connection, body, &mut headers).await;
    (headers, answer.map(|user| (StatusCode::CREATED, Json(user))))
}

/// (1) Every field is read, and every bad one named. (2) The limit by address: what would be
/// created, or told to be taken, counts. If it cannot answer, nobody registers. (3) The password is
/// hashed. (4) One batch creates the account and writes the mail that proves its address, or tells what is taken.
async fn create(
    app: &App,
    connection: Connection,
    body: Map<String, Value>,
    headers: &mut HeaderMap,
) -> Result<UserView, ApiError> {
    connection.refuse_foreign_pages()?;
    // (1)
    let mut fields = Fields::new(body);
    let username = fields.required("username", Username::parse);
    let email = fields.required("email", Email::parse);
    let full_name = fields.optional("full_name", FullName::parse);
    let classes = app.config.password_classes;
    let password =
        fields.required("password", |text| Password::choose(text, classes, username.as_ref(), email.as_ref()));
    let ((username, email), password) = fields.complete(username.zip(email).zip(password))?;
    // (2)
    limits::admit(app, &connection, &app.config.registration_limit, headers).await?;
    // (3)
    let password_hash = app.config.hasher.hash(&password, &app.ports.random())?;
    // (4)
    let id = app.ports.new_user_id();
    let entry = Entry { subject: Some(id), ..connection.entry(app, Event::Register, app.ports.clock.now()) };
    let to_verify = app.letter(Kind::VerifyEmail, &entry.origin, entry.at);
    let new = NewUser {
        id,
        username: &username,
        email: &email,
        full_name: full_name.as_ref(),
        password_hash: &password_hash,
    };
    match users::create(app.ports.database.as_ref(), new, &entry, &to_verify).await? {
        Created::Account(user) => {
            app.note_mail();
            audit::log(app.ports.log.as_ref(), &entry);
            Ok(UserView::new(user, entry.at))
        }
        Created::Taken { username, email } => {
            let taken = [(username, "username"), (email, "email")];
            let errors = taken.into_iter().filter(|(taken, _)| *taken);
            Err(ApiError::Conflict(errors.map(|(_, field)| FieldError::new(field, "is taken")).collect()))
        }
    }
}
