//! `admin/users`.

use serde_json::json;

use super::{
    operation::Operation,
    schema::{self, Schemas, only, optional, paging, required},
};
use crate::api::{accounts::UserView, admin::users::view::WholeUser, page::Page};

pub const TAG: &str = "Administration: accounts";

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let (page, user) = (schemas.of::<Page<UserView>>(), schemas.of::<WholeUser>());
    let grant = only([
        required("role", "Its name.", schema::role_name()),
        optional("expires_at", "When it is over.", schema::time()),
    ]);
    let grants = json!({ "type": "array", "maxItems": 20, "items": { "anyOf": [schema::role_name(), grant] } });
    let deed = |method, path, id, summary| {
        Operation::new(method, path, id, summary)
            .about("Takes `users:write`. To do it twice is to do it once.")
            .signed_in()
            .refuses(&[400])
            .done("It is done.")
    };
    let all = [
        Operation::new("get", "/admin/users", "findUsers", "Find accounts")
            .about("Takes `users:read`. Without a query the newest come first. A page may have fewer items than it could, or none, and another after it.")
            .known()
            .query([
                ("query", "How username, address or name begin.", schema::line(200)),
                ("role", "Who holds it.", schema::role_name()),
                ("active", "Whether they can sign in.", schema::flag()),
            ])
            .query(paging())
            .answers(200, "A page.", page),
        Operation::new("post", "/admin/users", "makeUser", "Create an account for somebody else")
            .about("Takes `users:read` and `users:write`, and all that the roles give. Either with a password, or with an invitation by mail to choose one.")
            .signed_in()
            .json(only([
                required("username", "Unique; kept in lower case.", schema::username()),
                required("email", "Unique without regard to case.", schema::email()),
                optional("full_name", "Trimmed.", schema::line(100)),
                optional("password", "8 to 128 characters after NFKC, mixed as the installation wants it, and none that everybody knows.", schema::new_password()),
                optional("invite", "Whether they are to choose the password, by a link that is mailed to them.", schema::flag()),
                optional("roles", "All that they hold: names, or names with a time; `user`, if nothing is said.", grants.clone()),
                optional("email_verified", "Whether the address is taken as proven.", schema::flag()),
            ]))
            .answers(201, "The account.", user.clone())
            .refuses(&[409]),
        Operation::new("get", "/admin/users/{id}", "readUser", "One account").about("Takes `users:read`.").known().answers(200, "The account.", user.clone()),
        Operation::new("patch", "/admin/users/{id}", "changeUser", "Change an account")
            .about("Takes `users:write`, and `users:delete` to close it or open it again. What is left out stays as it is. Another address is to be proven, the one before is told, and every session ends.")
            .signed_in()
            .json(only([
                optional("email", "Another address.", schema::email()),
                optional("full_name", "Trimmed.", schema::line(100)),
                optional("is_active", "Whether they can sign in.", schema::flag()),
            ]))
            .answers(200, "The account, as it is now.", user.clone())
            .refuses(&[409]),
        Operation::new("put", "/admin/users/{id}/roles", "setUserRoles", "Say what roles an account holds")
            .about("Takes `users:write`, and all that the roles give, before and after. Nobody changes their own.")
            .signed_in()
            .json(only([required("roles", "All of them: names, or names with a time.", grants)]))
            .answers(200, "The account, as it is now.", user),
        deed("post", "/admin/users/{id}/unlock", "unlockUser", "Open sign-in again that failures have closed"),
        deed("post", "/admin/users/{id}/verify-email", "vouchForEmail", "Take an address as proven"),
        deed("delete", "/admin/users/{id}/sessions", "endUserSessions", "End every session of an account"),
        deed("post", "/admin/users/{id}/reset-mfa", "resetUserSecondFactor", "Take off an account's second factor"),
        Operation::new("delete", "/admin/users/{id}", "removeUser", "Close an account, or erase who it is of")
            .about("Takes `users:delete`. To do it twice is to do it once; what was erased does not come back.")
            .signed_in()
            .query([("erase", "Whether the person is removed from it.", schema::flag())])
            .done("It is done.")
            .refuses(&[400]),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
