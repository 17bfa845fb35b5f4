//! Accounts.

mod administration;
mod changes;
mod creation;
mod forget;
mod removal;
mod search;
mod whole;

pub use administration::{Administration, Deed, Edit, NewEmail, Unfit, administer};
pub use changes::{
    Changed, Confirmation, EmailChange, PasswordChange, ProfileChange, change_password, change_profile, deactivate,
};
pub use creation::{Creation, Made, make};
pub use forget::forget_grants;
pub use removal::{Erasure, Removal, remove};
pub use search::{Found, Place, Search, search};
pub use whole::{Granted, Whole, whole};

use serde::Deserialize;

use super::{
    audit, last,
    mfa::Factor,
    outbox::{self, NewLetter},
    run,
};
use crate::{
    domain::{
        audit::Entry,
        id::{RowId, UserId},
        time::Timestamp,
        user::{Email, FIRST_ROLE, FullName, User, Username},
    },
    error::ApiError,
    ports::{BadRow, Database, Statement},
};

/// The columns of a user, for [`UserRow`]; `u` is the users table.
macro_rules! user_columns {
    () => {
        "u.id, u.username, u.email, u.email_verified, u.full_name, u.is_active, u.mfa_enabled, u.token_version,
         u.created_at, u.updated_at, u.last_login_at,
         (SELECT json_group_array(json_object('role', role, 'expires_at', expires_at))
            FROM (SELECT role, expires_at FROM user_roles WHERE user_id = u.id ORDER BY role)) AS grants"
    };
}
pub(super) use user_columns;

/// A user as a row has it.
#[derive(Debug, Deserialize)]
pub(super) struct UserRow {
    id: UserId,
    username: String,
    email: String,
    email_verified: i64,
    full_name: String,
    is_active: i64,
    mfa_enabled: i64,
    token_version: i64,
    created_at: i64,
    updated_at: i64,
    last_login_at: Option<i64>,
    grants: String,
}

impl TryFrom<UserRow> for User {
    type Error = ApiError;
    fn try_from(row: UserRow) -> Result<Self, ApiError> {
        let grants = serde_json::from_str(&row.grants).map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(Self {
            id: row.id,
            username: row.username,
            email: row.email,
            email_verified: row.email_verified != 0,
            full_name: row.full_name,
            grants,
            is_active: row.is_active != 0,
            mfa_enabled: row.mfa_enabled != 0,
            token_version: row.token_version,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            last_login_at: row.last_login_at.map(Timestamp::from_millis),
        })
    }
}

/// An account to be.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Its id.
    pub id: UserId,
    /// Its username.
    pub username: &'a Username,
    /// Its address.
    pub email: &'a Email,
    /// Its owner's name, if given.
    pub full_name: Option<&'a FullName>,
    /// The password's PHC string.
    pub password_hash: &'a str,
}

/// What came of creating an account.
#[derive(Debug)]
pub enum Created {
    /// It is there.
    Account(User),
    /// Another has the username, the address or both.
    Taken {
        /// The username.
        username: bool,
        /// The address.
        email: bool,
    },
}

/// Creates an account with its first role, and writes the mail that proves its address. Uniqueness is the indexes' business: of two at once,
/// one wins.
pub async fn create(
    database: &dyn Database,
    new: NewUser<'_>,
    entry: &Entry,
    to_verify: &NewLetter,
) -> Result<Created, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        email_key: String,
        #[serde(flatten)]
        user: UserRow,
    }
    let (id, now) = (new.id.to_string(), entry.at.millis());
    let (username, email_key) = (new.username.as_str(), new.email.key());
    let batch = vec![
        Statement::new(
            "INSERT INTO users (id, username, email, email_key, full_name, password_hash, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT DO NOTHING",
            [
                id.as_str().into(),
                username.into(),
                new.email.as_str().into(),
                email_key.as_str().into(),
                new.full_name.map_or("", FullName::as_str).into(),
                new.password_hash.into(),
                now.into(),
            ],
        ),
        Statement::new(
            "INSERT INTO user_roles (user_id, role, granted_at)
             SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1) ON CONFLICT DO NOTHING",
            [id.as_str().into(), FIRST_ROLE.into(), now.into()],
        ),
        audit::write_if_subject(entry),
        outbox::write_if_changed(to_verify, new.id),
        Statement::new(
            concat!("SELECT ", user_columns!(), ", u.email_key FROM users u WHERE u.username = ?1 OR u.email_key = ?2"),
            [username.into(), email_key.as_str().into()],
        ),
    ];
    let found = last(run(database, batch).await?).all::<Found>()?;
    let taken = Created::Taken {
        username: found.iter().any(|other| other.user.username == username),
        email: found.iter().any(|other| other.email_key == email_key),
    };
    match found.into_iter().find(|one| one.user.id == new.id) {
        Some(own) => Ok(Created::Account(own.user.try_into()?)),
        None => Ok(taken),
    }
}

/// An account by its id.
pub async fn by_id(database: &dyn Database, id: UserId) -> Result<Option<User>, ApiError> {
    let sql = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = ?1");
    let rows = last(run(database, vec![Statement::new(sql, [id.to_string().into()])]).await?);
    rows.first::<UserRow>()?.map(TryInto::try_into).transpose()
}

/// An account as a sign-in needs it.
#[derive(Debug)]
pub struct Account {
    /// Whose it is.
    pub user: User,
    /// What a password is held against.
    pub password_hash: String,
    /// How often that was changed, from 1.
    pub password_version: i64,
    /// Their second factor, if they have one.
    pub factor: Option<Factor>,
}

/// An account with its password hash, by username or address.
pub(super) fn select_for_sign_in(identifier: &str) -> Statement {
    let sql = concat!(
        "SELECT ",
        user_columns!(),
        ", u.password_hash, u.password_version, f.id AS factor_id, f.secret AS factor_secret, f.last_step AS factor_step
         FROM users u LEFT JOIN totp_factors f ON f.user_id = u.id WHERE u.username = ?1 OR u.email_key = ?1"
    );
    Statement::new(sql, [identifier.into()])
}

/// Reads what [`select_for_sign_in`] found.
pub(super) fn for_sign_in(rows: crate::ports::Rows) -> Result<Option<Account>, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        password_hash: String,
        password_version: i64,
        factor_id: Option<RowId>,
        factor_secret: Option<String>,
        factor_step: Option<i64>,
        #[serde(flatten)]
        user: UserRow,
    }
    let found: Result<Option<Found>, BadRow> = rows.first();
    let account = |found: Found| {
        let factor = match (found.factor_id, found.factor_secret, found.factor_step) {
            (Some(id), Some(sealed), Some(last_step)) => Some(Factor { id, sealed, last_step }),
            _ => None,
        };
        let (password_hash, password_version) = (found.password_hash, found.password_version);
        Ok(Account { user: found.user.try_into()?, password_hash, password_version, factor })
    };
    found?.map(account).transpose()
}
