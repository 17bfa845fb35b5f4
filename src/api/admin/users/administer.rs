//! What everything goes through that is done to another's account in one batch: it is judged by the account and by roles as
//! the record has them, done if they are still that, and told to everyone before it is answered.

use crate::{
    api::{
        Connection,
        admin::judge::{self, Case, TRIES, admit, give_way, judge, judged, overtaken, settle},
        extract::Principal,
    },
    app::App,
    domain::{
        audit::{Act, Event},
        id::UserId,
    },
    error::{ApiError, FieldError},
    stores::users::{self, Administration, Deed, Unfit},
};

/// Who does something to whom.
pub struct Doing<'a> {
    pub app: &'a App,
    pub connection: &'a Connection,
    pub principal: &'a Principal,
    id: UserId,
    takes: &'a [&'a str],
}

/// What is to be done.
pub struct Planned {
    /// The row in the log.
    pub act: Act,
    /// More rows, for what is more than one thing; of the same time.
    pub more: Vec<Act>,
    /// What it is.
    pub deed: Deed,
}

impl<'a> Doing<'a> {
    /// (1) What the caller must have, before anything is told of accounts; one's own is another matter, as `oneself` tells.
    pub async fn new(
        app: &'a App,
        connection: &'a Connection,
        principal: &'a Principal,
        id: &str,
        takes: &'a [&'a str],
        oneself: &'static str,
    ) -> Result<Self, ApiError> {
        let id = admit(app, principal, id, takes, oneself).await?;
        Ok(Self { app, connection, principal, id, takes })
    }

    /// A row for the log.
    pub fn act(&self, case: &Case, event: Event) -> Result<Act, ApiError> {
        judge::act(self.app, self.connection, self.principal, &case.user, event)
    }

    /// (2) Whether they may do so to this account, and what is to be done. (3) One batch does it, if all is still as it was
    /// judged. (4) Everyone is told. Says whose account it is.
    pub async fn administer(&self, plan: impl Fn(&Case) -> Result<Planned, ApiError>) -> Result<UserId, ApiError> {
        let Self { app, principal, id, takes, .. } = *self;
        for tries in 0..TRIES {
            // (2)
            let case = judge(app, principal, id, takes).await?;
            let Planned { act, more, deed } = plan(&case)?;
            // (3)
            let revoked_until = app.revoked_until(act.entry.at);
            let what =
                Administration { judged: judged(principal, &case)?, act: &act, more: &more, revoked_until, deed };
            let administered = users::administer(app.ports.database.as_ref(), &what).await?;
            app.note_mail();
            let acts: Vec<_> = std::iter::once(&act).chain(&more).collect();
            // (4)
            if settle(app, administered.map_err(unfit)?, &acts).await? {
                return Ok(id);
            }
            give_way(app, tries).await;
        }
        Err(overtaken())
    }
}

fn unfit(unfit: Unfit) -> ApiError {
    match unfit {
        Unfit::EmailTaken => ApiError::Conflict(vec![FieldError::new("email", "is taken")]),
        Unfit::TooManyMails => ApiError::TooManyMails,
    }
}
