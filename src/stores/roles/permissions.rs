//! Making, describing and removing a permission. A new one is a `super_admin`'s at once, and nobody else's.

use super::{By, Force, reads, state};
use crate::{
    domain::rbac::PermissionName,
    ports::{Statement, Value},
    stores::{
        audit,
        judged::{is_ruled, stands},
    },
};

const STATE: &str = state!(
    "permissions",
    "SELECT 1 WHERE false",
    "SELECT role FROM role_permissions WHERE permission = ?1 AND role <> 'super_admin'",
    "SELECT ?5 WHERE false"
);

/// The name, the mark, what [`is_ruled`] asks, and one more.
fn params(by: By<'_>, name: &PermissionName, more: Value) -> Vec<Value> {
    let mut params = vec![name.as_str().into(), by.act.entry.id.to_string().into()];
    params.extend(by.actor.params());
    params.push(more);
    params
}

/// Makes one.
pub(super) fn create(by: By<'_>, name: &PermissionName, description: &str) -> Vec<Statement> {
    let mut batch = vec![
        Statement::new(
            concat!(
                "INSERT INTO permissions (name, changed_by, description) SELECT ?1, ?2, ?6 WHERE ",
                is_ruled!(),
                " ON CONFLICT DO NOTHING"
            ),
            params(by, name, description.into()),
        ),
        audit::write_act_if_changed(by.act),
    ];
    batch.extend(reads(by, name.as_str(), STATE));
    batch
}

/// Says what it is for.
pub(super) fn describe(by: By<'_>, name: &PermissionName, description: &str) -> Vec<Statement> {
    let mut batch = vec![
        Statement::new(
            concat!(
                "UPDATE permissions SET changed_by = ?2, description = ?6 WHERE name = ?1
                 AND NOT EXISTS (SELECT 1 FROM audit_events WHERE id = ?2) AND ",
                is_ruled!()
            ),
            params(by, name, description.into()),
        ),
        audit::write_act_if_changed(by.act),
    ];
    batch.extend(reads(by, name.as_str(), STATE));
    batch
}

/// Removes one that is not built in; one that a role gives, other than `super_admin`, only by `force`.
pub(super) fn remove(by: By<'_>, name: &PermissionName, force: Force) -> Vec<Statement> {
    let of = |sql: &'static str| Statement::new(sql, [Value::from(name.as_str()), by.act.entry.id.to_string().into()]);
    let mut batch = vec![
        Statement::new(
            concat!(
                "UPDATE permissions SET changed_by = ?2 WHERE name = ?1 AND built_in = 0
                 AND (?6 = 1 OR NOT EXISTS (
                   SELECT 1 FROM role_permissions WHERE permission = ?1 AND role <> 'super_admin')) AND ",
                is_ruled!()
            ),
            params(by, name, force.into()),
        ),
        audit::write_act_if_changed(by.act),
        of("DELETE FROM role_permissions WHERE permission = ?1
            AND EXISTS (SELECT 1 FROM permissions WHERE name = ?1 AND changed_by = ?2)"),
        of("DELETE FROM permissions WHERE name = ?1 AND changed_by = ?2"),
    ];
    batch.extend(reads(by, name.as_str(), STATE));
    batch
}
