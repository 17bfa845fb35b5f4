//! What every change of roles goes through: it is judged by all of them as the record has them, and made if they are still
//! that; everyone hears of it before it is answered.

use std::sync::Arc;

use crate::{
    api::{
        Connection,
        admin::judge::{TRIES, actor, editor, give_way},
        extract::Principal,
    },
    app::{App, Publication},
    domain::{
        audit::{Act, Entry, Event},
        bundle::Bundle,
        rbac::{Editor, Requirement, Unfit},
        token::verify::Refusal,
    },
    error::{ApiError, FieldError},
    stores::{
        audit,
        roles::{self, By, Change, Roles, Ruled},
    },
};

/// Who asks for a change, and what the log calls it.
pub struct Asked<'a> {
    pub app: &'a App,
    pub connection: &'a Connection,
    pub principal: &'a Principal,
    pub event: Event,
}

/// What is to be done.
pub struct Plan {
    /// What the log says of it.
    pub detail: String,
    /// What it is.
    pub change: Change,
}

/// A row in the log says no more than this of a change, in bytes.
const MAX_DETAIL: usize = 1000;

impl Asked<'_> {
    /// Refuses who may not, before anything is told of roles.
    pub async fn admit(&self) -> Result<(), ApiError> {
        self.principal.require(self.app, &Requirement::permission(super::PERMISSION)).await?;
        self.principal.require_recent_factor(self.app).await
    }

    /// (1) Reads all roles, and plans the change by them and by what the caller may do; where it is so already, everyone is
    /// told once more. (2) Makes it, if they are still those. (3) Everyone is told. Says how roles were when it was planned,
    /// and what they come to after it.
    pub async fn rule(
        &self,
        plan: impl Fn(&Roles, &Editor) -> Result<Option<Plan>, ApiError>,
    ) -> Result<(Roles, Arc<Bundle>), ApiError> {
        let Self { app, connection, principal, event } = *self;
        for tries in 0..TRIES {
            // (1)
            let roles = roles::read(app.ports.database.as_ref()).await?;
            let editor = editor(app, principal, &roles.graph(), &[super::PERMISSION])?;
            let Plan { mut detail, change } = match plan(&roles, &editor) {
                Ok(Some(plan)) => plan,
                Ok(None) => return Ok((roles, self.tell_again().await?)),
                // It may be so by a request that could not tell everyone.
                Err(error @ (ApiError::NotFound | ApiError::Conflict(_))) => {
                    self.tell_again().await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            // (2)
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
            let keeper = app.keeper();
            let entry = Entry { session: Some(principal.session()), ..connection.entry(app, event, keeper.now) };
            let act = Act { entry, actor: principal.user()?, detail: Some(detail) };
            let by = By { actor: actor(principal, roles.version)?, act: &act };
            match roles::make(&keeper, by, &change).await? {
                // (3)
                Ruled::Done(bundle) => {
                    audit::log_act(app.ports.log.as_ref(), &act);
                    return Ok((roles, app.publish_bundle(*bundle).await?));
                }
                Ruled::Overtaken => give_way(app, tries).await,
                Ruled::Taken => return Err(taken("is taken".to_owned())),
                Ruled::Retired(until) => {
                    return Err(taken(format!(
                        "was a role's that was removed; it is free again at {}",
                        until.rfc3339()
                    )));
                }
                Ruled::InUse(holders, roles) => return Err(in_use(holders, &roles)),
                Ruled::NotStanding => return Err(ApiError::InvalidToken(Refusal::Revoked)),
            }
        }
        Err(ApiError::Unavailable("roles changed again and again".to_owned()))
    }
}

impl Asked<'_> {
    async fn tell_again(&self) -> Result<Arc<Bundle>, ApiError> {
        let bundle = self.app.read_bundle().await?;
        self.app.publish(&[], Some(bundle.versions), Publication::Again).await?;
        Ok(bundle)
    }
}

fn taken(problem: String) -> ApiError {
    ApiError::Conflict(vec![FieldError::new("name", problem)])
}

fn in_use(holders: i64, roles: &[String]) -> ApiError {
    let holders = match holders {
        0 => None,
        1 => Some("1 account".to_owned()),
        2..=1000 => Some(format!("{holders} accounts")),
        _ => Some("more than 1000 accounts".to_owned()),
    };
    let roles = match roles {
        [] => None,
        [one] => Some(format!("the role {one}")),
        [first, .., last] => Some(format!("{} roles ({first} to {last})", roles.len())),
    };
    let users: Vec<_> = holders.into_iter().chain(roles).collect();
    ApiError::InUse(format!(
        "It is used by {}. With ?force=true it is removed from there as well.",
        users.join(" and ")
    ))
}

/// What is answered to a change that does not fit.
pub fn unfit(unfit: &Unfit) -> ApiError {
    let field = match unfit {
        Unfit::UnknownRoles(_) => return ApiError::Invalid(vec![FieldError::new("inherits", unfit.to_string())]),
        Unfit::UnknownPermissions(_) => {
            return ApiError::Invalid(vec![FieldError::new("permissions", unfit.to_string())]);
        }
        Unfit::Above(missing) => return ApiError::Forbidden(missing.clone()),
        Unfit::Cycle(_) | Unfit::TooDeep => "inherits",
    };
    ApiError::Conflict(vec![FieldError::new(field, unfit.to_string())])
}
