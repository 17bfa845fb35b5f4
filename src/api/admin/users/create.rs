//! `POST admin/users`: make an account for somebody else.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Map, Value};

use super::{
    WRITE,
    roles::{grant, may_grant, refuse_many, told},
    view::{WholeUser, read},
};
use crate::{
    api::{
        Connection,
        admin::judge::{TRIES, actor, editor, give_way, overtaken, permit},
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::{
        audit::{Act, Entry, Event},
        id::UserId,
        mail::Kind,
        password::Password,
        time::Timestamp,
        token::verify::Refusal,
        user::{Email, FIRST_ROLE, FullName, RoleGrant, Username},
    },
    error::{ApiError, FieldError},
    stores::{
        audit,
        users::{self, Creation, Made, NewUser},
    },
};

/// What is asked for.
struct Wish {
    username: Username,
    email: Email,
    full_name: Option<FullName>,
    /// None if they are invited to choose one.
    password: Option<Password>,
    grants: Vec<RoleGrant>,
    email_verified: bool,
}

/// Takes `{username, email, full_name?, password | invite: true, roles?, email_verified?}`. Who is invited chooses the password
/// by a link in a mail, and proves the address by that; until then the account has none. (1) What the caller must have, before
/// anything is told of accounts. (2) Every field is read, and every bad one named. (3) The password is hashed. (4) Whether they
/// may give such roles: nobody makes an account that is above them. (5) One batch makes it, with its roles and its mail, if all
/// is still as it was judged, and tells what is taken.
pub async fn create(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, Json<WholeUser>), ApiError> {
    // (1)
    permit(&app, &principal, &[WRITE]).await?;
    // (2)
    let wish = Wish::read(&app, body)?;
    // (3)
    let password_hash = match &wish.password {
        Some(password) => app.config.hasher.hash(password, &app.ports.random())?,
        None => app.config.hasher.unusable(),
    };
    let id = app.ports.new_user_id();
    for tries in 0..TRIES {
        // (4)
        let bundle = app.read_bundle().await?;
        let editor = editor(&app, &principal, &bundle.roles, &[WRITE])?;
        may_grant(&bundle.roles, &editor, &wish.grants)?;
        // (5)
        let now = app.ports.clock.now();
        let (act, more) = wish.acts(&app, &connection, &principal, id, now)?;
        let letter = wish.mail().map(|kind| app.letter(kind, &connection.origin, now));
        let creation = Creation {
            new: NewUser {
                id,
                username: &wish.username,
                email: &wish.email,
                full_name: wish.full_name.as_ref(),
                password_hash: &password_hash,
            },
            email_verified: wish.email_verified,
            grants: &wish.grants,
            by: actor(&principal, bundle.versions.roles)?,
            act: &act,
            more: &more,
            letter: letter.as_ref(),
            an_hour: app.config.made_an_hour,
        };
        match users::make(app.ports.database.as_ref(), &creation).await? {
            Made::Done => {
                app.note_mail();
                for act in std::iter::once(&act).chain(&more) {
                    audit::log_act(app.ports.log.as_ref(), act);
                }
                return Ok((StatusCode::CREATED, Json(read(&app, id).await?)));
            }
            Made::Taken { username, email } => return Err(taken(username, email)),
            Made::TooMany => return Err(ApiError::TooManyAccounts),
            Made::NotStanding => return Err(ApiError::InvalidToken(Refusal::Revoked)),
            Made::Overtaken => give_way(&app, tries).await,
        }
    }
    Err(overtaken())
}

impl Wish {
    fn read(app: &App, body: Map<String, Value>) -> Result<Self, ApiError> {
        let mut fields = Fields::new(body);
        fields.only(&["username", "email", "full_name", "password", "invite", "roles", "email_verified"]);
        let username = fields.required("username", Username::parse);
        let email = fields.required("email", Email::parse);
        let full_name = fields.optional("full_name", FullName::parse);
        let is_given = fields.is_given("password");
        let classes = app.config.password_classes;
        let password =
            fields.optional("password", |text| Password::choose(text, classes, username.as_ref(), email.as_ref()));
        match fields.optional_flag("invite") {
            Some(true) if is_given => fields.reject("invite", "must not be true where a password is given"),
            Some(true) => {}
            _ if is_given => {}
            _ => fields.reject("password", "is missing: give one, or invite to choose one"),
        }
        let now = app.ports.clock.now();
        let grants = fields.optional_items("roles", |item| grant(item, now));
        refuse_many(&mut fields, grants.as_deref());
        let email_verified = fields.optional_flag("email_verified").unwrap_or(false);
        let (username, email) = fields.complete(username.zip(email))?;
        let first = || vec![RoleGrant { role: FIRST_ROLE.to_owned(), expires_at: None }];
        let grants = grants.unwrap_or_else(first);
        Ok(Self { username, email, full_name, password, grants, email_verified })
    }

    /// The mail that they get: the invitation, or one to prove the address, unless that is taken as proven.
    const fn mail(&self) -> Option<Kind> {
        match (&self.password, self.email_verified) {
            (None, _) => Some(Kind::Invitation),
            (Some(_), false) => Some(Kind::VerifyEmail),
            (Some(_), true) => None,
        }
    }

    /// The rows for the log: that it was made, what roles it has other than everyone's, that its address was believed.
    fn acts(
        &self,
        app: &App,
        connection: &Connection,
        principal: &Principal,
        id: UserId,
        at: Timestamp,
    ) -> Result<(Act, Vec<Act>), ApiError> {
        let (actor, session) = (principal.user()?, Some(principal.session()));
        let act = |event, detail: Option<String>| {
            let entry = Entry { subject: Some(id), session, ..connection.entry(app, event, at) };
            Act { entry, actor, detail }
        };
        let first = RoleGrant { role: FIRST_ROLE.to_owned(), expires_at: None };
        let has_others = self.grants != [first];
        let roles = told(&[], &self.grants).filter(|_| has_others).map(|roles| act(Event::RoleChanged, Some(roles)));
        let proven = self.email_verified.then(|| act(Event::EmailVerified, None));
        let invited = self.password.is_none().then(|| "invited".to_owned());
        Ok((act(Event::Register, invited), roles.into_iter().chain(proven).collect()))
    }
}

fn taken(username: bool, email: bool) -> ApiError {
    let taken = [(username, "username"), (email, "email")].into_iter().filter(|(taken, _)| *taken);
    ApiError::Conflict(taken.map(|(_, field)| FieldError::new(field, "is taken")).collect())
}
