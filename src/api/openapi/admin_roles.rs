//! `admin/roles` and `admin/permissions`.

use super::{
    operation::Operation,
    schema::{self, Field, Schemas, only, optional, paging, required},
};
use crate::api::{
    admin::roles::{RoleView, WholeRole, permissions::PermissionView},
    page::Page,
};

pub const TAG: &str = "Administration: roles";
const TAKES: &str = "Takes `roles:manage`.";

fn about_role() -> [Field; 4] {
    [
        optional("description", "What it is for.", schema::line(200)),
        optional("inherits", "Roles whose permissions it gives as well.", schema::list(&schema::role_name())),
        optional("permissions", "What it gives.", schema::list(&schema::permission_name())),
        optional("require_mfa", "Whether who holds it must have a second factor.", schema::flag()),
    ]
}

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let (role, permission) = (schemas.of::<WholeRole>(), schemas.of::<PermissionView>());
    let description = |field: fn(&'static str, &str, serde_json::Value) -> Field| {
        field("description", "What it is for.", schema::line(200))
    };
    let force =
        || [("force", "Whether it goes where it is used as well, which takes a `super_admin`.", schema::flag())];
    let all = [
        Operation::new("get", "/admin/roles", "listRoles", "Roles").about(TAKES).known().query(paging()).answers(
            200,
            "A page, in the order of their names.",
            schemas.of::<Page<RoleView>>(),
        ),
        Operation::new("post", "/admin/roles", "createRole", "Make a role")
            .about("Takes `roles:manage`, and all that it is to give.")
            .signed_in()
            .json(only([required("name", "Unique.", schema::role_name())].into_iter().chain(about_role())))
            .answers(201, "The role.", role.clone())
            .refuses(&[409]),
        Operation::new("get", "/admin/roles/{name}", "readRole", "A role, and all that it comes to")
            .about(TAKES)
            .known()
            .answers(200, "The role.", role.clone()),
        Operation::new("patch", "/admin/roles/{name}", "changeRole", "Change a role")
            .about("Takes `roles:manage`, and all that it gives, before and after. What is left out stays as it is.")
            .signed_in()
            .json(only(about_role()))
            .answers(200, "The role, as it is now.", role)
            .refuses(&[409]),
        Operation::new("delete", "/admin/roles/{name}", "removeRole", "Remove a role")
            .about("Takes `roles:manage`, and all that it gives.")
            .signed_in()
            .query(force())
            .done("It is gone.")
            .refuses(&[409]),
        Operation::new("get", "/admin/permissions", "listPermissions", "Permissions")
            .about(TAKES)
            .known()
            .query(paging())
            .answers(200, "A page, in the order of their names.", schemas.of::<Page<PermissionView>>()),
        Operation::new("post", "/admin/permissions", "createPermission", "Make a permission")
            .about(TAKES)
            .signed_in()
            .json(only([required("name", "Unique.", schema::permission_name()), description(optional)]))
            .answers(201, "The permission.", permission.clone())
            .refuses(&[409]),
        Operation::new("patch", "/admin/permissions/{name}", "describePermission", "Say what a permission is for")
            .about("Takes `roles:manage`, and the permission itself.")
            .signed_in()
            .json(only([description(required)]))
            .answers(200, "The permission, as it is now.", permission),
        Operation::new("delete", "/admin/permissions/{name}", "removePermission", "Remove a permission")
            .about("Takes `roles:manage`, and the permission itself.")
            .signed_in()
            .query(force())
            .done("It is gone.")
            .refuses(&[409]),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
