//! `PUT users/me`: change one's name or address.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::UserView;
use crate::{
    api::{
        Connection,
        auth::prove::{Confirmed, confirm},
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::{App, Publication},
    domain::{
        audit::{Entry, Event},
        mail::Kind,
        rbac::Requirement,
        user::{Email, FullName},
    },
    error::{ApiError, FieldError},
    stores::{
        audit, sign_in,
        users::{self, Changed, Confirmation, EmailChange, ProfileChange},
    },
};

/// Takes `{full_name?, email?, current_password?}`; what is left out stays as it is. Another address is to be proven by
/// the mail that is sent there, while the one before is told; it ends every token that says the one before, and takes the
/// password: who holds a session alone must not get at the
/// mailbox that resets it. (1) The fields. (2) The password, where it is needed. (3) One batch. (4) Everyone is told.
pub async fn update(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<Json<UserView>, ApiError> {
    principal.require(&app, &Requirement::permission("profile:write")).await?;
    let database = app.ports.database.as_ref();
    let user = users::by_id(database, principal.user()?).await?.ok_or(ApiError::Unauthenticated)?;
    // (1)
    let mut fields = Fields::new(body);
    let full_name = fields.optional("full_name", FullName::parse);
    let email = fields.optional("email", Email::parse);
    let password = fields.optional_text("current_password");
    fields.refuse()?;
    let email = email.filter(|email| email.as_str() != user.email);
    // (2)
    let confirmed = match (&email, password) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(ApiError::Invalid(vec![FieldError::new("current_password", "is needed for another address")]));
        }
        (Some(_), Some(password)) => Some(confirm(&app, &connection, &user.username, &password).await?),
    };
    // (3)
    let (session, now) = (principal.session(), app.ports.clock.now());
    let entry =
        Entry { subject: Some(user.id), session: Some(session), ..connection.entry(&app, Event::EmailChanged, now) };
    let [proof, told] = [Kind::VerifyEmail, Kind::EmailChanged].map(|kind| app.letter(kind, &connection.origin, now));
    let before = Email::parse(&user.email).ok().filter(|_| user.email_verified);
    let email = email.as_ref().zip(confirmed.as_ref()).map(|(email, Confirmed { account, attempt })| EmailChange {
        email,
        confirmed: Confirmation { password_hash: &account.password_hash, attempt: *attempt },
        revoked_until: app.revoked_until(now),
        entry: &entry,
        proof: &proof,
        an_hour: app.config.mails_an_hour,
        told: before.as_ref().map(|before| (&told, before)),
    });
    let changes_email = email.is_some();
    let change = ProfileChange { user: &user, session, full_name: full_name.as_ref(), at: now, email };
    let changed = users::change_profile(database, change).await?;
    if let (Changed::EmailTaken | Changed::TooManyMails | Changed::Overtaken, Some(confirmed)) = (&changed, &confirmed)
    {
        sign_in::resolve(database, confirmed.attempt).await?;
    }
    let (user, revoked) = match changed {
        Changed::User(user, revoked) => (user, revoked),
        Changed::EmailTaken => return Err(ApiError::Conflict(vec![FieldError::new("email", "is taken")])),
        Changed::TooManyMails => return Err(ApiError::TooManyMails),
        Changed::Overtaken => return Err(ApiError::HasChanged),
    };
    // (4)
    if changes_email {
        audit::log(app.ports.log.as_ref(), &entry);
        app.note_mail();
        app.publish(&revoked, None, Publication::First).await?;
    }
    Ok(Json(UserView::new(user, now)))
}
