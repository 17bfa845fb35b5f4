//! `auth/…`: sessions, and what they are held by.

use serde_json::{Value, json};

use super::{
    operation::{BEARER, COOKIE, Operation},
    schema::{self, Field, Schemas, left_out, object, optional, required},
};
use crate::api::auth::{CookieAnswer, TokenAnswer, challenge::Challenge, sessions::SessionView};

pub const TAG: &str = "Sessions";

fn credentials() -> [Field; 2] {
    [
        required("username", "A username or an email address.", schema::text()),
        required("password", "The password.", schema::password()),
    ]
}

/// A form says so, because a value that is empty counts as left out (RFC 6749, §3.2).
fn credentials_of_form() -> [Field; 3] {
    [
        required("username", "A username or an email address.", schema::some_text()),
        required("password", "The password.", schema::some_text()),
        left_out("scope", "What the session is to be narrowed to.", schema::scope()),
    ]
}

/// What leads a form on, which is a path of this site.
pub fn return_to() -> Field {
    left_out(
        "return_to",
        "A path of this site to go to then; `/` if left out.",
        json!({ "type": "string", "maxLength": 2048 }),
    )
}

fn grants() -> Value {
    let grant = |name: &'static str| json!({ "type": "string", "const": name });
    let [username, password, scope] = credentials_of_form();
    let by_password = object([
        left_out("grant_type", "Or left out.", json!({ "type": "string", "enum": ["password", ""] })),
        username,
        password,
        scope,
    ]);
    let by_refresh = object([
        required("grant_type", "", grant("refresh_token")),
        required("refresh_token", "One that was not used.", schema::some_text()),
        left_out("scope", "What the access token is to be narrowed to.", schema::scope()),
    ]);
    json!({ "type": "object", "anyOf": [by_password, by_refresh] })
}

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let tokens = schemas.of::<TokenAnswer>();
    let (cookie, challenge) = (schemas.of::<CookieAnswer>(), schemas.of::<Challenge>());
    let session = schemas.of::<SessionView>();
    let narrowed = || optional("scope", "What the session is to be narrowed to.", schema::scope());
    let [username, password, scope] = credentials_of_form();
    let remember = json!({ "type": "string", "description": "`on`, `true` or `1`." });
    let refresh =
        || object([optional("refresh_token", "One of the session, where no access token is shown.", schema::text())]);
    let all = [
        Operation::new("post", "/auth/token", "getTokens", "Sign in, and get tokens")
            .about("The password grant and the refresh grant of RFC 6749 (§4.3, §6) as a form, or a sign-in as JSON. Whether the name is unknown, the password wrong or the account closed, the answer is the same. With `PASSWORD_GRANT=off` the form takes the refresh grant alone.")
            .counted()
            .json_or_form(object(credentials().into_iter().chain([narrowed()])), grants())
            .answers(200, "Tokens (RFC 6749, §5.1); or, where there is a second factor, what it is shown with.", json!({ "anyOf": [tokens, challenge] }))
            .refuses(&[401, 403]),
        Operation::new("post", "/auth/login", "logIn", "Sign in, and get a session cookie")
            .about("Must come from a page of this very origin, or of one that is listed. A form is led on, JSON is answered.")
            .counted()
            .json_or_form(
                object(credentials().into_iter().chain([narrowed(), optional("remember_me", "Whether it outlives the browser.", schema::flag())])),
                object([username, password, scope, left_out("remember_me", "Whether it outlives the browser.", remember), return_to()]),
            )
            .answers(200, "What the cookie is of; or, where there is a second factor, what it is shown with.", json!({ "anyOf": [cookie, challenge] }))
            .answers_with(303, "Where a form goes on.", &[], &["Location"])
            .refuses(&[401, 403]),
        Operation::new("post", "/auth/refresh", "refresh", "Exchange a refresh token")
            .about("Each is used once; the one before, used again at once, has the same successor, and one that is older ends the session (RFC 9700, §4.14). A scope narrows the access token alone (RFC 6749, §6).")
            .json(object([required("refresh_token", "One that was not used.", schema::text()), optional("scope", "What the access token is to be narrowed to.", schema::scope())]))
            .counted()
            .answers(200, "The next pair.", tokens)
            .refuses(&[401, 403]),
        Operation::new("post", "/auth/logout", "logOut", "End this session")
            .about("By an access token, the session cookie, or a refresh token alone. To do it twice is to do it once.")
            .knows(&[BEARER, COOKIE])
            .counted()
            .optional_json(refresh())
            .says(200, "It is over.")
            .refuses(&[401, 403]),
        Operation::new("post", "/auth/logout-all", "logOutEverywhere", "End every session of one's own")
            .about("By an access token, the session cookie, or a refresh token alone. What was narrowed needs `profile:write`.")
            .knows(&[BEARER, COOKIE])
            .counted()
            .optional_json(refresh())
            .says(200, "All are over.")
            .refuses(&[401, 403]),
        Operation::new("post", "/auth/change-password", "changePassword", "Change one's password")
            .about("Every other session ends; a cookie session goes on by another cookie.")
            .signed_in()
            .json(object([
                required("current_password", "The one that there is.", schema::password()),
                required("new_password", "8 to 128 characters after NFKC, mixed as the installation wants it, and none that everybody knows.", schema::new_password()),
            ]))
            .says(200, "It is changed.")
            .refuses(&[409]),
        Operation::new("get", "/auth/verify", "verifyRequest", "Forward auth: may a request go on?")
            .about("For a proxy, which shows `X-Forward-Auth-Secret` and asks about the request that `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri` name, by the credentials that came with it. 404 where that is not set up.")
            .answers_with(200, "It may. Who calls stands in `X-Auth-Subject`, `-Issuer`, `-Username`, `-Email`, `-Roles`, `-Scopes`, `-Session`, `-Method` and `-Assertion`: each of them is there, and empty where there is nothing to say.", &[], &[])
            .refuses(&[401, 403, 404]),
        Operation::new("get", "/auth/sessions", "listSessions", "One's own sessions")
            .signed_in()
            .answers(200, "Those that may still be used, the newest first.", schema::items(&session)),
        Operation::new("delete", "/auth/sessions", "endOtherSessions", "End every other session of one's own").signed_in().done("They are over."),
        Operation::new("delete", "/auth/sessions/{id}", "endSession", "End a session of one's own")
            .about("To do it twice is to do it once.")
            .signed_in()
            .done("It is over."),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
