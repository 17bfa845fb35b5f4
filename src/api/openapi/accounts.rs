//! `users/…`, and what is done by mail.

use super::{
    operation::Operation,
    schema::{self, Schemas, object, optional, required},
};
use crate::api::accounts::UserView;

pub const TAG: &str = "Accounts";

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let user = schemas.of::<UserView>();
    let email = || object([required("email", "The address.", schema::email())]);
    let token = || required("token", "What the link in the mail holds.", schema::text());
    let new_password = || {
        let about =
            "8 to 128 characters after NFKC, mixed as the installation wants it, and none that everybody knows.";
        required("new_password", about, schema::new_password())
    };
    let all = [
        Operation::new("post", "/users/register", "register", "Create an account")
            .about("The first mail proves the address. Unlike sign-in and reset, this tells what is taken, and is limited for it.")
            .counted()
            .json(object([
                required("username", "Unique; kept in lower case.", schema::username()),
                required("email", "Unique without regard to case.", schema::email()),
                required("password", "8 to 128 characters after NFKC, mixed as the installation wants it, and none that everybody knows.", schema::new_password()),
                optional("full_name", "Trimmed.", schema::line(100)),
            ]))
            .answers(201, "The account.", user.clone())
            .refuses(&[403, 409]),
        Operation::new("get", "/users/me", "readMe", "One's own account").known().answers(200, "The account, as it is now.", user.clone()),
        Operation::new("put", "/users/me", "changeMe", "Change one's name or address")
            .about("What is left out stays as it is. Another address takes the password, ends every token that says the one before, and is to be proven by the mail that is sent there.")
            .signed_in()
            .json(object([
                optional("full_name", "Trimmed.", schema::line(100)),
                optional("email", "Another address.", schema::email()),
                optional("current_password", "Needed for another address.", schema::password()),
            ]))
            .answers(200, "The account, as it is now.", user)
            .refuses(&[409]),
        Operation::new("delete", "/users/me", "closeMe", "Close one's account")
            .about("Every session ends. An administrator can open it again.")
            .signed_in()
            .json(object([required("password", "To confirm it.", schema::password())]))
            .says(200, "It is closed.")
            .refuses(&[409]),
        Operation::new("post", "/auth/verify-email", "proveEmail", "Prove an address")
            .counted()
            .json(object([token()]))
            .says(200, "It is proven."),
        Operation::new("post", "/auth/verify-email/resend", "resendProof", "Have the mail sent again that proves an address")
            .about("Whoever has the address, the answer is the same.")
            .counted()
            .json(email())
            .says(202, "If it is needed, a mail is on its way."),
        Operation::new("post", "/auth/password-reset", "requestReset", "Have a mail sent by which to choose another password")
            .about("Whoever has the address, the answer is the same.")
            .counted()
            .json(email())
            .says(202, "If there is such an account, a mail is on its way."),
        Operation::new("post", "/auth/password-reset/confirm", "confirmReset", "Choose another password")
            .about("With the token of the mail, once. Every session ends, and the address is proven.")
            .counted()
            .json(object([token(), new_password()]))
            .says(200, "It is changed."),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
