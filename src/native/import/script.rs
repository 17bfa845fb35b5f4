//! The statements.
//!
//! For some users at a time, four: (1) what is there already, for whoever runs them to tell; (2) the accounts, unless the
//! name or the address is taken, or a role does not exist; (3) an audit row and (4) the roles, for each account that is the
//! line's own and has none yet. Every account has a role and loses it only with a new `token_version`, so that (3) and
//! (4) are done once: not again for who has fewer roles now, and yet if the first time ended after (2).

use super::{Line, sql};
use crate::domain::{audit::Event, id::RequestId};

/// D1 takes 100 kB; the values of one statement have less.
const MAX_VALUES: usize = 60_000;
/// And a statement is about no more users, so that its program is of a size.
const MAX_USERS: usize = 100;

/// All that puts these users into the database.
pub(super) fn write(users: &[Line], run: RequestId) -> Vec<String> {
    let mut statements = Vec::new();
    let (mut some, mut length) = (Vec::new(), 0);
    for user in users {
        let values = Values::of(user);
        if some.len() == MAX_USERS || length + values.account.len() > MAX_VALUES {
            statements.extend(about(&some, run));
            (some, length) = (Vec::new(), 0);
        }
        length += values.account.len();
        some.push(values);
    }
    if !some.is_empty() {
        statements.extend(about(&some, run));
    }
    statements
}

/// What statements say of one user.
struct Values {
    account: String,
    audit: String,
    roles: String,
}

impl Values {
    fn of(user: &Line) -> Self {
        let id = sql::text(&user.id().to_string());
        let roles = sql::text(&serde_json::Value::from(user.roles.clone()).to_string());
        let account = [
            user.number.to_string(),
            id.clone(),
            sql::text(user.username.as_str()),
            sql::text(user.email.as_str()),
            sql::text(&user.email.key()),
            sql::flag(user.email_verified).to_owned(),
            sql::text(user.full_name.as_ref().map_or("", |name| name.as_str())),
            sql::text(user.password_hash.as_str()),
            sql::flag(user.is_active).to_owned(),
            sql::integer(user.created_at.map(crate::domain::time::Timestamp::millis)),
            roles.clone(),
        ];
        Self {
            account: format!("({})", account.join(",")),
            audit: format!("({id},{})", sql::text(&user.audit_id().to_string())),
            roles: format!("({id},{roles})"),
        }
    }
}

/// The columns of [`Values::account`].
const ACCOUNT: &str = "line, id, username, email, email_key, email_verified, full_name, password_hash, is_active, \
                       created_at, roles";
/// Whether one of the roles does not exist.
const LACKS_A_ROLE: &str = "EXISTS (SELECT 1 FROM json_each(new.roles) AS wanted \
                            WHERE NOT EXISTS (SELECT 1 FROM roles WHERE name = wanted.value))";
/// The account that is a line's own, while it has no roles yet.
const WITHOUT_ROLES: &str = "FROM new CROSS JOIN users AS u ON u.id = new.id WHERE u.token_version = 1 \
                             AND NOT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u.id)";
/// The database's own clock.
const NOW: &str = "unixepoch() * 1000";

fn about(users: &[Values], run: RequestId) -> [String; 4] {
    let rows = |part: fn(&Values) -> &str| users.iter().map(part).collect::<Vec<_>>().join(",");
    let accounts = format!("WITH new ({ACCOUNT}) AS (VALUES {})", rows(|values| &values.account));
    let (event, severity) = (Event::UserImported.name(), Event::UserImported.severity().name());
    [
        // (1) The password counts until someone has signed in: after that, it may be kept otherwise.
        format!(
            "{accounts} SELECT new.line, new.username, iif(own.id IS NOT NULL, \
             iif(own.username = new.username AND own.email = new.email AND own.full_name = new.full_name \
             AND own.email_verified = new.email_verified AND own.is_active = new.is_active \
             AND (own.last_login_at IS NOT NULL OR own.password_hash = new.password_hash), 'same', 'differs'), \
             iif(EXISTS (SELECT 1 FROM users WHERE username = new.username), 'username taken', \
             iif(EXISTS (SELECT 1 FROM users WHERE email_key = new.email_key), 'email taken', \
             iif({LACKS_A_ROLE}, 'no such role', 'new')))) AS found \
             FROM new LEFT JOIN users AS own ON own.id = new.id"
        ),
        // (2)
        format!(
            "{accounts} INSERT INTO users (id, username, email, email_key, email_verified, full_name, password_hash, \
             is_active, created_at, updated_at) SELECT id, username, email, email_key, email_verified, full_name, \
             password_hash, is_active, COALESCE(created_at, {NOW}), COALESCE(created_at, {NOW}) FROM new \
             WHERE NOT {LACKS_A_ROLE} ON CONFLICT DO NOTHING"
        ),
        // (3)
        format!(
            "WITH new (id, audit) AS (VALUES {}) INSERT INTO audit_events (id, at, event, severity, subject, request_id) \
             SELECT new.audit, {NOW}, '{event}', '{severity}', u.id, '{run}' {WITHOUT_ROLES} ON CONFLICT DO NOTHING",
            rows(|values| &values.audit)
        ),
        // (4)
        format!(
            "WITH new (id, roles) AS (VALUES {}), fresh (id, roles) AS (SELECT u.id, new.roles {WITHOUT_ROLES}) \
             INSERT INTO user_roles (user_id, role, granted_at) SELECT fresh.id, wanted.value, {NOW} \
             FROM fresh, json_each(fresh.roles) AS wanted WHERE true ON CONFLICT DO NOTHING",
            rows(|values| &values.roles)
        ),
    ]
}
