//! `mfa/…` and `auth/mfa/…`.

use serde_json::json;

use super::{
    auth::return_to,
    operation::Operation,
    schema::{self, Field, Schemas, object, optional, required},
};
use crate::api::{
    auth::{CookieAnswer, TokenAnswer, mfa::step_up::SteppedUp},
    mfa::{setup::SetupAnswer, status::StatusAnswer},
};

pub const TAG: &str = "Second factor";

fn code() -> Field {
    required(
        "code",
        "Six digits of an authenticator app, or a recovery code; blanks and hyphens do not matter.",
        schema::code(),
    )
}

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let (tokens, cookie, stepped) =
        (schemas.of::<TokenAnswer>(), schemas.of::<CookieAnswer>(), schemas.of::<SteppedUp>());
    let codes = || {
        object([required(
            "recovery_codes",
            "Each is good once. They are not shown again.",
            schema::list(&schema::text()),
        )])
    };
    let both = || object([required("password", "The password.", schema::password()), code()]);
    let mfa_token = |schema| required("mfa_token", "What the sign-in answered.", schema);
    let all = [
        Operation::new("post", "/auth/mfa/verify", "completeSignIn", "Complete a sign-in with a second factor")
            .about("Answers what the sign-in was for. A code is good once. A form is led on, JSON is answered.")
            .counted()
            .json_or_form(object([mfa_token(schema::text()), code()]), object([mfa_token(schema::some_text()), code(), return_to()]))
            .answers(200, "Tokens, or what the cookie is of.", json!({ "anyOf": [tokens, cookie] }))
            .answers_with(303, "Where a form goes on.", &[], &["Location"])
            .refuses(&[401, 403]),
        Operation::new("post", "/auth/mfa/step-up", "stepUp", "Show a second factor again")
            .about("For what wants it to be lately (RFC 9470). Whoever holds tokens gets another access token, whoever has a cookie another one.")
            .signed_in()
            .json(object([code()]))
            .answers(200, "The access token, or what the cookie is of.", json!({ "anyOf": [stepped, cookie] }))
            .refuses(&[409]),
        Operation::new("get", "/mfa", "readSecondFactor", "How it is with one's second factor").signed_in().answers(200, "How it is.", schemas.of::<StatusAnswer>()),
        Operation::new("post", "/mfa/setup", "beginEnrolment", "Begin to enrol a second factor")
            .signed_in()
            .optional_json(object([optional("password", "May be left out within five minutes of signing in.", schema::password())]))
            .answers(200, "What an authenticator app is given, once.", schemas.of::<SetupAnswer>())
            .refuses(&[409]),
        Operation::new("post", "/mfa/confirm", "confirmEnrolment", "Finish enrolling by the first code")
            .about("Sign-in takes a code from then on, and every other session is over.")
            .signed_in()
            .json(object([code()]))
            .answers(200, "It is enrolled.", codes())
            .refuses(&[409]),
        Operation::new("post", "/mfa/disable", "disableSecondFactor", "Take one's second factor off")
            .signed_in()
            .json(both())
            .says(200, "Sign-in takes the password alone; every other session is over.")
            .refuses(&[409]),
        Operation::new("post", "/mfa/recovery-codes", "renewRecoveryCodes", "Get other recovery codes")
            .about("Those from before are worth nothing then.")
            .signed_in()
            .json(both())
            .answers(200, "The codes.", codes())
            .refuses(&[409]),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
