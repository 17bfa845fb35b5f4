//! `PATCH admin/users/{id}`: change another's account.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    DELETE, WRITE,
    view::{WholeUser, read},
};
use crate::{
    api::{
        Connection,
        admin::judge::{Case, TRIES, act, judge, judged, overtaken, settle, subject},
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::{
        audit::{Act, Event},
        mail::Kind,
        rbac::Requirement,
        user::{Email, FullName},
    },
    error::{ApiError, FieldError},
    stores::users::{self, Administration, Deed, Edit, NewEmail},
};

/// What is asked for.
struct Wish {
    email: Option<Email>,
    full_name: Option<FullName>,
    is_active: Option<bool>,
}

/// Takes `{email?, full_name?, is_active?}`; what is left out stays as it is. Another address is not proven: a mail goes
/// there, the one before is told, and every session ends. To close an account, or to open it again, takes `users:delete`
/// as well. (1) The fields, and what the caller must have. (2) Whether they may do so to this account, and what of it is a
/// change. (3) One batch. (4) Everyone is told.
pub async fn update(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Json<WholeUser>, ApiError> {
    // (1)
    principal.require(&app, &Requirement::permission(WRITE)).await?;
    principal.require_recent_factor(&app).await?;
    let id = subject(&principal, &id, "One's own account is changed by PUT users/me.")?;
    let mut fields = Fields::new(body);
    fields.only(&["email", "full_name", "is_active"]);
    let wish = Wish {
        email: fields.optional("email", Email::parse),
        full_name: fields.optional("full_name", FullName::parse),
        is_active: fields.optional_flag("is_active"),
    };
    fields.refuse()?;
    let takes: &[_] = if wish.is_active.is_some() { &[WRITE, DELETE] } else { &[WRITE] };
    for _ in 0..TRIES {
        // (2)
        let case = judge(&app, &principal, id, takes).await?;
        let change = wish.upon(&case);
        let acts = change.acts(&app, &connection, &principal, &case)?;
        // Where it is so already, who was not told of it is told.
        let nothing = act(&app, &connection, &principal, &case.user, Event::AccountEdited)?;
        let (first, more) = acts.split_first().unwrap_or((&nothing, &[]));
        // (3)
        let at = first.entry.at;
        let [proof, told] =
            [Kind::VerifyEmail, Kind::EmailChanged].map(|kind| app.letter(kind, &connection.origin, at));
        let before = Email::parse(&case.user.email).ok().filter(|_| case.user.email_verified);
        let email = change.email.map(|email| NewEmail {
            email,
            proof: &proof,
            told: before.as_ref().map(|before| (&told, before)),
        });
        let edit = Edit { email, full_name: change.full_name, is_active: change.is_active, more };
        let what = Administration {
            judged: judged(&principal, &case)?,
            act: first,
            revoked_until: app.revoked_until(at),
            deed: if acts.is_empty() { Deed::Nothing } else { Deed::Edit(edit) },
        };
        let made = users::administer(app.ports.database.as_ref(), &what).await?;
        let email_taken = || ApiError::Conflict(vec![FieldError::new("email", "is taken")]);
        app.note_mail();
        // (4)
        if settle(&app, made.ok_or_else(email_taken)?, &acts.iter().collect::<Vec<_>>()).await? {
            return read(&app, id).await.map(Json);
        }
    }
    Err(overtaken())
}

/// What of a wish is a change.
struct Change<'a> {
    email: Option<&'a Email>,
    full_name: Option<&'a FullName>,
    is_active: Option<bool>,
}

impl Wish {
    fn upon(&self, case: &Case) -> Change<'_> {
        let user = &case.user;
        Change {
            email: self.email.as_ref().filter(|email| email.as_str() != user.email),
            full_name: self.full_name.as_ref().filter(|name| name.as_str() != user.full_name),
            is_active: self.is_active.filter(|is_active| *is_active != user.is_active),
        }
    }
}

impl Change<'_> {
    /// A row for the log about each, all of one time.
    fn acts(
        &self,
        app: &App,
        connection: &Connection,
        principal: &Principal,
        case: &Case,
    ) -> Result<Vec<Act>, ApiError> {
        let told = |is_active| if is_active { Event::AccountReactivated } else { Event::AccountDeactivated };
        let is_active = self.is_active.map(|is_active| (told(is_active), None));
        let changes = [
            self.email.map(|_| (Event::EmailChanged, None)),
            is_active,
            self.full_name.map(|_| (Event::AccountEdited, Some("full_name".to_owned()))),
        ];
        let mut acts: Vec<Act> = Vec::new();
        for (event, detail) in changes.into_iter().flatten() {
            let mut act = Act { detail, ..act(app, connection, principal, &case.user, event)? };
            act.entry.at = acts.first().map_or(act.entry.at, |first| first.entry.at);
            acts.push(act);
        }
        Ok(acts)
    }
}
