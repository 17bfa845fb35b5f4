//! `PATCH admin/users/{id}`: change another's account.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    DELETE, WRITE,
    administer::{Doing, Planned},
    view::{WholeUser, read},
};
use crate::{
    api::{
        Connection,
        admin::judge::Case,
        extract::{JsonObject, Principal},
        form::Fields,
    },
    app::App,
    domain::{
        audit::{Act, Event},
        mail::Kind,
        user::{Email, FullName, User},
    },
    error::ApiError,
    stores::users::{Deed, Edit, NewEmail},
};

/// What is asked for, or what of it is a change.
struct Wish {
    email: Option<Email>,
    full_name: Option<FullName>,
    is_active: Option<bool>,
}

/// Takes `{email?, full_name?, is_active?}`; what is left out stays as it is. Another address is not proven: a mail goes
/// there, the one before is told, and every session ends. To close an account, or to open it again, takes `users:delete`
/// as well. To do it twice is to do it once.
pub async fn update(
    State(app): State<Arc<App>>,
    connection: Connection,
    principal: Principal,
    Path(id): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Json<WholeUser>, ApiError> {
    let changes_access = body.get("is_active").is_some_and(|value| !value.is_null());
    let takes: &[_] = if changes_access { &[WRITE, DELETE] } else { &[WRITE] };
    let oneself = "One's own account is changed by PUT users/me.";
    let doing = Doing::new(&app, &connection, &principal, &id, takes, oneself).await?;
    let mut fields = Fields::new(body);
    fields.only(&["email", "full_name", "is_active"]);
    let wish = Wish {
        email: fields.optional("email", Email::parse),
        full_name: fields.optional("full_name", FullName::parse),
        is_active: fields.optional_flag("is_active"),
    };
    fields.refuse()?;
    read(&app, doing.administer(|case| wish.upon(&case.user).plan(&doing, case)).await?).await.map(Json)
}

impl Wish {
    /// What of it is a change.
    fn upon(&self, user: &User) -> Self {
        Self {
            email: self.email.clone().filter(|email| email.as_str() != user.email),
            full_name: self.full_name.clone().filter(|name| name.as_str() != user.full_name),
            is_active: self.is_active.filter(|is_active| *is_active != user.is_active),
        }
    }

    /// How it is to be done, with a row for the log about each. Where it is so already, who was not told of it is told.
    fn plan(self, doing: &Doing<'_>, case: &Case) -> Result<Planned, ApiError> {
        let opened = |is_active| if is_active { Event::AccountReactivated } else { Event::AccountDeactivated };
        let changes = [
            self.email.as_ref().map(|_| (Event::EmailChanged, None)),
            self.is_active.map(|is_active| (opened(is_active), None)),
            self.full_name.as_ref().map(|_| (Event::AccountEdited, Some("full_name".to_owned()))),
        ];
        let act = |(event, detail)| Ok(Act { detail, ..doing.act(case, event)? });
        let mut acts = changes.into_iter().flatten().map(act).collect::<Result<Vec<_>, ApiError>>()?.into_iter();
        let Some(act) = acts.next() else {
            let act = doing.act(case, Event::AccountEdited)?;
            return Ok(Planned { act, more: Vec::new(), deed: Deed::Nothing });
        };
        let (at, mut more) = (act.entry.at, acts.collect::<Vec<_>>());
        for act in &mut more {
            act.entry.at = at;
        }
        let letter = |kind| doing.app.letter(kind, &doing.connection.origin, at);
        let before = Email::parse(&case.user.email).ok().filter(|_| case.user.email_verified);
        let email = self.email.map(|email| NewEmail {
            email,
            proof: letter(Kind::VerifyEmail),
            an_hour: doing.app.config.mails_an_hour,
            told: before.map(|before| (letter(Kind::EmailChanged), before)),
        });
        let deed = Deed::Edit(Box::new(Edit { email, full_name: self.full_name, is_active: self.is_active }));
        Ok(Planned { act, more, deed })
    }
}
