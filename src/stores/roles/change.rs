//! Making, changing and removing a role. The first statement of each marks it with the row in the log, if roles are still
//! as it was judged by; all that follows does its part where that mark is. So to do it twice is to do it once.

use serde_json::json;

use super::{By, Force, reads, state};
use crate::{
    domain::{
        audit::{Act, Event},
        rbac::{RoleName, RoleRecord},
        time::Timestamp,
    },
    ports::{Statement, Value},
    stores::{
        audit,
        judged::{is_ruled, stands},
    },
};

/// A role that is to be so.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: String,
    /// What it says.
    pub record: RoleRecord,
}

/// Whether this change's mark is on the role of parameter 1.
macro_rules! is_marked {
    ($mark:literal) => {
        concat!("EXISTS (SELECT 1 FROM roles WHERE name = ?1 AND changed_by = ", $mark, ")")
    };
}

const STATE: &str = state!(
    "roles",
    "SELECT 1 FROM user_roles WHERE role = ?1",
    "SELECT role FROM role_inherits WHERE inherits = ?1",
    "SELECT until FROM retired_roles WHERE name = ?1 AND until > ?5"
);

/// The name, the mark, and what [`is_ruled`] asks.
fn params(by: By<'_>, name: &RoleName) -> Vec<Value> {
    let mut params = vec![name.as_str().into(), by.act.entry.id.to_string().into()];
    params.extend(by.actor.params());
    params
}

/// Makes a role.
pub(super) fn create(by: By<'_>, role: &Role) -> Vec<Statement> {
    let mut new = params(by, &role.name);
    new.extend([
        role.description.as_str().into(),
        i64::from(role.record.require_mfa).into(),
        by.act.entry.at.millis().into(),
    ]);
    let mut batch = vec![Statement::new(
        concat!(
            "INSERT INTO roles (name, changed_by, description, require_mfa) SELECT ?1, ?2, ?6, ?7
             WHERE NOT EXISTS (SELECT 1 FROM retired_roles WHERE name = ?1 AND until > ?8) AND ",
            is_ruled!(),
            " ON CONFLICT DO NOTHING"
        ),
        new,
    )];
    batch.push(audit::write_act_if_changed(by.act));
    batch.extend(edges(by, role));
    batch.extend(reads(by, role.name.as_str(), STATE));
    batch
}

/// Changes a role to what is given.
pub(super) fn update(by: By<'_>, role: &Role) -> Vec<Statement> {
    let mut changed = params(by, &role.name);
    changed.extend([role.description.as_str().into(), i64::from(role.record.require_mfa).into()]);
    let mut batch = vec![Statement::new(
        concat!(
            "UPDATE roles SET changed_by = ?2, description = ?6, require_mfa = ?7 WHERE name = ?1 AND ",
            is_ruled!()
        ),
        changed,
    )];
    batch.push(audit::write_act_if_changed(by.act));
    batch.extend(edges(by, role));
    batch.extend(reads(by, role.name.as_str(), STATE));
    batch
}

/// What it inherits and gives: what is not said goes, what is said comes.
fn edges(by: By<'_>, role: &Role) -> [Statement; 4] {
    let of = |sql: &'static str, names: &[String]| {
        let params: [Value; 3] =
            [role.name.as_str().into(), by.act.entry.id.to_string().into(), json!(names).to_string().into()];
        Statement::new(sql, params)
    };
    let RoleRecord { inherits, permissions, .. } = &role.record;
    [
        of(
            concat!(
                "DELETE FROM role_inherits
                 WHERE role = ?1 AND inherits NOT IN (SELECT value FROM json_each(?3)) AND ",
                is_marked!("?2")
            ),
            inherits,
        ),
        of(
            concat!(
                "INSERT INTO role_inherits (role, inherits)
                 SELECT ?1, r.name FROM json_each(?3) JOIN roles r ON r.name = value WHERE ",
                is_marked!("?2"),
                " ON CONFLICT DO NOTHING"
            ),
            inherits,
        ),
        of(
            concat!(
                "DELETE FROM role_permissions
                 WHERE role = ?1 AND permission NOT IN (SELECT value FROM json_each(?3)) AND ",
                is_marked!("?2")
            ),
            permissions,
        ),
        of(
            concat!(
                "INSERT INTO role_permissions (role, permission)
                 SELECT ?1, p.name FROM json_each(?3) JOIN permissions p ON p.name = value WHERE ",
                is_marked!("?2"),
                " ON CONFLICT DO NOTHING"
            ),
            permissions,
        ),
    ]
}

/// Removes a role that is not built in; one that is used only by `force`. Nothing else is called so before `until`.
pub(super) fn remove(by: By<'_>, name: &RoleName, force: Force, until: Timestamp) -> Vec<Statement> {
    let mut marked = params(by, name);
    marked.push(force.into());
    let of = |sql: &'static str| Statement::new(sql, [Value::from(name.as_str()), by.act.entry.id.to_string().into()]);
    let mut batch = vec![
        Statement::new(
            concat!(
                "UPDATE roles SET changed_by = ?2 WHERE name = ?1 AND built_in = 0
                 AND (?6 = 1 OR NOT EXISTS (SELECT 1 FROM user_roles WHERE role = ?1)
                   AND NOT EXISTS (SELECT 1 FROM role_inherits WHERE inherits = ?1)) AND ",
                is_ruled!()
            ),
            marked,
        ),
        audit::write_act_if_changed(by.act),
        tell_holders(by, name),
        of(concat!("DELETE FROM user_roles WHERE role = ?1 AND ", is_marked!("?2"))),
        of(concat!("DELETE FROM role_inherits WHERE inherits = ?1 AND ", is_marked!("?2"))),
        of(concat!("DELETE FROM role_inherits WHERE role = ?1 AND ", is_marked!("?2"))),
        of(concat!("DELETE FROM role_permissions WHERE role = ?1 AND ", is_marked!("?2"))),
        Statement::new(
            concat!(
                "INSERT INTO retired_roles (name, until) SELECT ?1, ?3 WHERE ",
                is_marked!("?2"),
                " ON CONFLICT (name) DO UPDATE SET until = excluded.until"
            ),
            [Value::from(name.as_str()), by.act.entry.id.to_string().into(), until.millis().into()],
        ),
        of("DELETE FROM roles WHERE name = ?1 AND changed_by = ?2"),
        // Names that are free again.
        Statement::new("DELETE FROM retired_roles WHERE until <= ?1", [by.act.entry.at.millis().into()]),
    ];
    batch.extend(reads(by, name.as_str(), STATE));
    batch
}

/// A row in the log about each account that the role is taken from: what it held can be told from what is about it. Its id
/// is of the time of the removal's own and of the account's random part, so that a repeated write is one row.
fn tell_holders(by: By<'_>, name: &RoleName) -> Statement {
    let Act { entry, actor, .. } = by.act;
    Statement::new(
        concat!(
            "INSERT INTO audit_events (
               id, at, event, severity, subject, session_id, ip, user_agent, request_id, actor, detail)
             SELECT substr(?2, 1, 15) || substr(held.user_id, 16), ?3, ?4, ?5, held.user_id, ?6, ?7, ?8, ?9, ?10, '-' || ?1
             FROM user_roles AS held WHERE held.role = ?1 AND ",
            is_marked!("?2"),
            " ON CONFLICT (id) DO NOTHING"
        ),
        [
            name.as_str().into(),
            entry.id.to_string().into(),
            entry.at.millis().into(),
            Event::RoleChanged.name().into(),
            Event::RoleChanged.severity().name().into(),
            entry.session.map(|id| id.to_string()).into(),
            entry.origin.ip.clone().into(),
            entry.origin.user_agent.clone().into(),
            entry.origin.request.to_string().into(),
            actor.to_string().into(),
        ],
    )
}
