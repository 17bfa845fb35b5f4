//! The status table: every endpoint and every demo route × every kind of caller → status. An
//! endpoint or route without a row fails the test.

use super::{
    callers::{ALL, Caller},
    who::{
        admins, admins_conflict, admins_done, admins_invalid, admins_malformed, admins_missing, admins_read,
        admins_read_invalid, anyone, authenticated, authenticated_conflict, authenticated_done, authenticated_invalid,
        authenticated_made, authenticated_malformed, authenticated_missing, browsers, invalid, keys, known, logout,
        malformed, missing, moderators, nobody_above, optional, own_page_invalid, super_admins, super_admins_invalid,
        users, users_invalid, users_read, wrong,
    },
};

/// What is sent along.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// A JSON text.
    Json(&'static str),
    /// A form.
    Form(&'static str),
}

/// One request and what each caller gets for it.
pub struct Row {
    /// The endpoint as [`edgewarden::api::ENDPOINTS`] has it, or the id of the route.
    pub name: &'static str,
    pub method: &'static str,
    /// `{me}` stands for the calling user's id, `{other}` for another's.
    pub path: &'static str,
    pub body: Body,
    /// The status for a caller.
    pub expect: fn(Caller) -> u16,
}

/// The table.
pub const TABLE: &[Row] = &[
    Row {
        name: "POST {prefix}/users/register",
        method: "POST",
        path: "/api/v1/users/register",
        body: Body::Json("{}"),
        expect: invalid,
    },
    Row {
        name: "GET {prefix}/users/me",
        method: "GET",
        path: "/api/v1/users/me",
        body: Body::None,
        expect: users_read,
    },
    Row {
        name: "PUT {prefix}/users/me",
        method: "PUT",
        path: "/api/v1/users/me",
        body: Body::Json("{}"),
        expect: users,
    },
    Row {
        name: "DELETE {prefix}/users/me",
        method: "DELETE",
        path: "/api/v1/users/me",
        body: Body::Json("{}"),
        expect: users_invalid,
    },
    Row {
        name: "POST {prefix}/auth/login",
        method: "POST",
        path: "/api/v1/auth/login",
        body: Body::Json("{}"),
        expect: own_page_invalid,
    },
    Row {
        name: "POST {prefix}/auth/change-password",
        method: "POST",
        path: "/api/v1/auth/change-password",
        body: Body::Json("{}"),
        expect: authenticated_invalid,
    },
    Row {
        name: "GET {prefix}/auth/sessions",
        method: "GET",
        path: "/api/v1/auth/sessions",
        body: Body::None,
        expect: authenticated,
    },
    Row {
        name: "DELETE {prefix}/auth/sessions",
        method: "DELETE",
        path: "/api/v1/auth/sessions",
        body: Body::None,
        expect: authenticated_done,
    },
    Row {
        name: "DELETE {prefix}/auth/sessions/{id}",
        method: "DELETE",
        path: "/api/v1/auth/sessions/{other}",
        body: Body::None,
        expect: authenticated_missing,
    },
    Row {
        name: "POST {prefix}/auth/token",
        method: "POST",
        path: "/api/v1/auth/token",
        body: Body::Form("grant_type=refresh_token&refresh_token=ewr_x"),
        expect: wrong,
    },
    Row {
        name: "POST {prefix}/auth/refresh",
        method: "POST",
        path: "/api/v1/auth/refresh",
        body: Body::Json(r#"{"refresh_token":"ewr_x"}"#),
        expect: wrong,
    },
    Row {
        name: "POST {prefix}/auth/verify-email",
        method: "POST",
        path: "/api/v1/auth/verify-email",
        body: Body::Json(r#"{"token":"ewm_x"}"#),
        expect: malformed,
    },
    Row {
        name: "POST {prefix}/auth/verify-email/resend",
        method: "POST",
        path: "/api/v1/auth/verify-email/resend",
        body: Body::Json("{}"),
        expect: invalid,
    },
    Row {
        name: "POST {prefix}/auth/password-reset",
        method: "POST",
        path: "/api/v1/auth/password-reset",
        body: Body::Json("{}"),
        expect: invalid,
    },
    Row {
        name: "POST {prefix}/auth/password-reset/confirm",
        method: "POST",
        path: "/api/v1/auth/password-reset/confirm",
        body: Body::Json("{}"),
        expect: invalid,
    },
    Row {
        name: "POST {prefix}/auth/mfa/verify",
        method: "POST",
        path: "/api/v1/auth/mfa/verify",
        body: Body::Json(r#"{"mfa_token":"ewmfa_x","code":"123456"}"#),
        expect: wrong,
    },
    Row {
        name: "POST {prefix}/auth/mfa/verify",
        method: "POST",
        path: "/api/v1/auth/mfa/verify",
        body: Body::Json(r#"{"mfa_token":"ewmfa_x","code":"12345"}"#),
        expect: invalid,
    },
    Row {
        name: "POST {prefix}/auth/mfa/step-up",
        method: "POST",
        path: "/api/v1/auth/mfa/step-up",
        body: Body::Json(r#"{"code":"123456"}"#),
        expect: authenticated_conflict,
    },
    Row { name: "GET {prefix}/mfa", method: "GET", path: "/api/v1/mfa", body: Body::None, expect: authenticated },
    Row {
        name: "POST {prefix}/mfa/confirm",
        method: "POST",
        path: "/api/v1/mfa/confirm",
        body: Body::Json(r#"{"code":"123456"}"#),
        expect: authenticated_malformed,
    },
    Row {
        name: "POST {prefix}/mfa/setup",
        method: "POST",
        path: "/api/v1/mfa/setup",
        body: Body::Json("{}"),
        expect: authenticated,
    },
    Row {
        name: "POST {prefix}/mfa/setup",
        method: "POST",
        path: "/api/v1/mfa/setup",
        body: Body::Json(r#"{"password":7}"#),
        expect: authenticated_invalid,
    },
    Row {
        name: "POST {prefix}/mfa/disable",
        method: "POST",
        path: "/api/v1/mfa/disable",
        body: Body::Json(r#"{"password":"Correct-Horse-7","code":"123456"}"#),
        expect: authenticated_conflict,
    },
    Row {
        name: "POST {prefix}/mfa/recovery-codes",
        method: "POST",
        path: "/api/v1/mfa/recovery-codes",
        body: Body::Json("{}"),
        expect: authenticated_invalid,
    },
    Row {
        name: "POST {prefix}/api-keys",
        method: "POST",
        path: "/api/v1/api-keys",
        body: Body::Json("{}"),
        expect: authenticated_invalid,
    },
    Row {
        name: "POST {prefix}/api-keys",
        method: "POST",
        path: "/api/v1/api-keys",
        body: Body::Json(r#"{"name":"mine"}"#),
        expect: authenticated_made,
    },
    Row {
        name: "GET {prefix}/api-keys",
        method: "GET",
        path: "/api/v1/api-keys",
        body: Body::None,
        expect: authenticated,
    },
    Row {
        name: "POST {prefix}/api-keys/{id}/rotate",
        method: "POST",
        path: "/api/v1/api-keys/{other}/rotate",
        body: Body::None,
        expect: authenticated_missing,
    },
    Row {
        name: "DELETE {prefix}/api-keys/{id}",
        method: "DELETE",
        path: "/api/v1/api-keys/{other}",
        body: Body::None,
        expect: authenticated_missing,
    },
    Row {
        name: "GET {prefix}/admin/users",
        method: "GET",
        path: "/api/v1/admin/users?limit=1",
        body: Body::None,
        expect: moderators,
    },
    Row {
        name: "POST {prefix}/admin/users",
        method: "POST",
        path: "/api/v1/admin/users",
        body: Body::Json("{}"),
        expect: admins_invalid,
    },
    Row {
        name: "POST {prefix}/admin/users",
        method: "POST",
        path: "/api/v1/admin/users",
        body: Body::Json(r#"{"username":"above","email":"above@example.org","invite":true,"roles":["super_admin"]}"#),
        expect: nobody_above,
    },
    Row {
        name: "GET {prefix}/admin/dashboard",
        method: "GET",
        path: "/api/v1/admin/dashboard",
        body: Body::None,
        expect: admins_read,
    },
    Row {
        name: "GET {prefix}/admin/users/{id}",
        method: "GET",
        path: "/api/v1/admin/users/{other}",
        body: Body::None,
        expect: moderators,
    },
    Row {
        name: "PATCH {prefix}/admin/users/{id}",
        method: "PATCH",
        path: "/api/v1/admin/users/{me}",
        body: Body::Json("{}"),
        expect: admins_malformed,
    },
    Row {
        name: "PATCH {prefix}/admin/users/{id}",
        method: "PATCH",
        path: "/api/v1/admin/users/{other}",
        body: Body::Json("{}"),
        expect: admins,
    },
    Row {
        name: "PUT {prefix}/admin/users/{id}/roles",
        method: "PUT",
        path: "/api/v1/admin/users/{me}/roles",
        body: Body::Json("{}"),
        expect: admins_malformed,
    },
    Row {
        name: "PUT {prefix}/admin/users/{id}/roles",
        method: "PUT",
        path: "/api/v1/admin/users/{other}/roles",
        body: Body::Json(r#"{"roles":["user"]}"#),
        expect: admins,
    },
    Row {
        name: "PUT {prefix}/admin/users/{id}/roles",
        method: "PUT",
        path: "/api/v1/admin/users/{other}/roles",
        body: Body::Json(r#"{"roles":["super_admin"]}"#),
        expect: nobody_above,
    },
    Row {
        name: "POST {prefix}/admin/users/{id}/unlock",
        method: "POST",
        path: "/api/v1/admin/users/{other}/unlock",
        body: Body::None,
        expect: admins_done,
    },
    Row {
        name: "POST {prefix}/admin/users/{id}/verify-email",
        method: "POST",
        path: "/api/v1/admin/users/{other}/verify-email",
        body: Body::None,
        expect: admins_done,
    },
    Row {
        name: "DELETE {prefix}/admin/users/{id}/sessions",
        method: "DELETE",
        path: "/api/v1/admin/users/{other}/sessions",
        body: Body::None,
        expect: admins_done,
    },
    Row {
        name: "POST {prefix}/admin/users/{id}/reset-mfa",
        method: "POST",
        path: "/api/v1/admin/users/{me}/reset-mfa",
        body: Body::None,
        expect: admins_malformed,
    },
    Row {
        name: "POST {prefix}/admin/users/{id}/reset-mfa",
        method: "POST",
        path: "/api/v1/admin/users/0190163d-8694-739b-aea5-966c26f8ad91/reset-mfa",
        body: Body::None,
        expect: admins_missing,
    },
    Row {
        name: "POST {prefix}/admin/users/{id}/reset-mfa",
        method: "POST",
        path: "/api/v1/admin/users/{other}/reset-mfa",
        body: Body::None,
        expect: admins_done,
    },
    Row {
        name: "DELETE {prefix}/admin/users/{id}",
        method: "DELETE",
        path: "/api/v1/admin/users/{me}",
        body: Body::None,
        expect: admins_malformed,
    },
    Row {
        name: "DELETE {prefix}/admin/users/{id}",
        method: "DELETE",
        path: "/api/v1/admin/users/0190163d-8694-739b-aea5-966c26f8ad91",
        body: Body::None,
        expect: admins_missing,
    },
    Row {
        name: "DELETE {prefix}/admin/users/{id}",
        method: "DELETE",
        path: "/api/v1/admin/users/{other}?erase=yes",
        body: Body::None,
        expect: admins_invalid,
    },
    Row {
        name: "DELETE {prefix}/admin/users/{id}",
        method: "DELETE",
        path: "/api/v1/admin/users/{other}",
        body: Body::None,
        expect: admins_done,
    },
    Row {
        name: "DELETE {prefix}/admin/users/{id}",
        method: "DELETE",
        path: "/api/v1/admin/users/{other}?erase=true",
        body: Body::None,
        expect: admins_done,
    },
    Row {
        name: "GET {prefix}/admin/audit",
        method: "GET",
        path: "/api/v1/admin/audit?limit=1",
        body: Body::None,
        expect: admins_read,
    },
    Row {
        name: "GET {prefix}/admin/audit",
        method: "GET",
        path: "/api/v1/admin/audit?limits=1",
        body: Body::None,
        expect: admins_read_invalid,
    },
    Row {
        name: "GET {prefix}/admin/audit/export",
        method: "GET",
        path: "/api/v1/admin/audit/export?event=key_rotated",
        body: Body::None,
        expect: admins_read,
    },
    Row {
        name: "GET {prefix}/admin/audit/export",
        method: "GET",
        path: "/api/v1/admin/audit/export?format=xml",
        body: Body::None,
        expect: admins_read_invalid,
    },
    Row {
        name: "GET {prefix}/admin/roles",
        method: "GET",
        path: "/api/v1/admin/roles",
        body: Body::None,
        expect: admins_read,
    },
    Row {
        name: "POST {prefix}/admin/roles",
        method: "POST",
        path: "/api/v1/admin/roles",
        body: Body::Json(r#"{"name":"A"}"#),
        expect: admins_invalid,
    },
    Row {
        name: "GET {prefix}/admin/roles/{name}",
        method: "GET",
        path: "/api/v1/admin/roles/moderator",
        body: Body::None,
        expect: admins_read,
    },
    Row {
        name: "PATCH {prefix}/admin/roles/{name}",
        method: "PATCH",
        path: "/api/v1/admin/roles/moderator",
        body: Body::Json("{}"),
        expect: admins,
    },
    Row {
        name: "PATCH {prefix}/admin/roles/{name}",
        method: "PATCH",
        path: "/api/v1/admin/roles/super_admin",
        body: Body::Json("{}"),
        expect: nobody_above,
    },
    Row {
        name: "DELETE {prefix}/admin/roles/{name}",
        method: "DELETE",
        path: "/api/v1/admin/roles/moderator",
        body: Body::None,
        expect: admins_conflict,
    },
    Row {
        name: "GET {prefix}/admin/permissions",
        method: "GET",
        path: "/api/v1/admin/permissions",
        body: Body::None,
        expect: admins_read,
    },
    Row {
        name: "POST {prefix}/admin/permissions",
        method: "POST",
        path: "/api/v1/admin/permissions",
        body: Body::Json(r#"{"name":"users"}"#),
        expect: admins_invalid,
    },
    Row {
        name: "PATCH {prefix}/admin/permissions/{name}",
        method: "PATCH",
        path: "/api/v1/admin/permissions/keys:manage",
        body: Body::Json(r#"{"description":"Look after signing keys"}"#),
        expect: super_admins,
    },
    Row {
        name: "DELETE {prefix}/admin/permissions/{name}",
        method: "DELETE",
        path: "/api/v1/admin/permissions/none:such",
        body: Body::None,
        expect: admins_missing,
    },
    Row {
        name: "GET {prefix}/admin/keys",
        method: "GET",
        path: "/api/v1/admin/keys",
        body: Body::None,
        expect: super_admins,
    },
    Row {
        name: "POST {prefix}/admin/keys/rotate",
        method: "POST",
        path: "/api/v1/admin/keys/rotate",
        body: Body::Json(r#"{"mode":"soon"}"#),
        expect: super_admins_invalid,
    },
    Row {
        name: "POST {prefix}/admin/keys/rotate",
        method: "POST",
        path: "/api/v1/admin/keys/rotate",
        body: Body::Json(r#"{"mode":"graceful"}"#),
        expect: super_admins,
    },
    Row {
        name: "GET /.well-known/jwks.json",
        method: "GET",
        path: "/.well-known/jwks.json",
        body: Body::None,
        expect: anyone,
    },
    Row { name: "GET /health", method: "GET", path: "/health", body: Body::None, expect: anyone },
    Row { name: "GET /openapi.json", method: "GET", path: "/openapi.json", body: Body::None, expect: anyone },
    Row { name: "GET /docs", method: "GET", path: "/docs", body: Body::None, expect: anyone },
    Row { name: "GET /docs/page.css", method: "GET", path: "/docs/page.css", body: Body::None, expect: anyone },
    Row { name: "GET /docs/page.js", method: "GET", path: "/docs/page.js", body: Body::None, expect: anyone },
    Row { name: "demo.login", method: "GET", path: "/login", body: Body::None, expect: anyone },
    Row { name: "demo.hasty", method: "GET", path: "/demo/hasty/x", body: Body::None, expect: anyone },
    Row { name: "demo.public", method: "GET", path: "/demo/public/x", body: Body::None, expect: anyone },
    Row { name: "demo.optional", method: "GET", path: "/demo/optional/x", body: Body::None, expect: optional },
    Row { name: "demo.private", method: "POST", path: "/demo/private/x", body: Body::Json("{}"), expect: known },
    Row { name: "demo.admin", method: "GET", path: "/demo/admin/x", body: Body::None, expect: admins_read },
    Row { name: "demo.owner", method: "GET", path: "/demo/owner/{me}/x", body: Body::None, expect: known },
    Row { name: "demo.owner", method: "GET", path: "/demo/owner/{other}/x", body: Body::None, expect: admins_read },
    Row { name: "demo.strict", method: "GET", path: "/demo/strict/x", body: Body::None, expect: known },
    Row { name: "demo.factor", method: "GET", path: "/demo/factor/x", body: Body::None, expect: wrong },
    Row { name: "demo.just-now", method: "GET", path: "/demo/just-now/x", body: Body::None, expect: wrong },
    Row { name: "demo.session", method: "GET", path: "/demo/session/x", body: Body::None, expect: browsers },
    Row { name: "demo.bound", method: "GET", path: "/demo/bound/x", body: Body::None, expect: known },
    Row { name: "demo.session-first", method: "GET", path: "/demo/session-first/x", body: Body::None, expect: known },
    Row { name: "demo.key", method: "GET", path: "/demo/key/x", body: Body::None, expect: keys },
    Row { name: "demo.limited", method: "GET", path: "/demo/limited/x", body: Body::None, expect: known },
    Row { name: "demo.busy", method: "GET", path: "/demo/busy/x", body: Body::None, expect: anyone },
    Row { name: "demo.brief", method: "GET", path: "/demo/brief/x", body: Body::None, expect: anyone },
    Row { name: "demo.cheap", method: "GET", path: "/demo/cheap/x", body: Body::None, expect: known },
    Row { name: "demo.costly", method: "GET", path: "/demo/costly/x", body: Body::None, expect: known },
    Row { name: "nothing", method: "GET", path: "/", body: Body::None, expect: missing },
    Row { name: "nothing", method: "GET", path: "/demo/public", body: Body::None, expect: missing },
    Row { name: "nothing", method: "GET", path: "/api/v1/nothing", body: Body::None, expect: missing },
    // Last: it signs the callers out, and with a session that is over none of the others can be ended.
    Row {
        name: "POST {prefix}/auth/logout",
        method: "POST",
        path: "/api/v1/auth/logout",
        body: Body::None,
        expect: logout,
    },
    Row {
        name: "POST {prefix}/auth/logout-all",
        method: "POST",
        path: "/api/v1/auth/logout-all",
        body: Body::None,
        expect: wrong,
    },
];

/// Names of everything that must have a row.
pub fn must_have_rows() -> Vec<String> {
    let all = edgewarden::api::ENDPOINTS.iter().chain(edgewarden::api::DOCS_ENDPOINTS);
    let endpoints = all.map(|(method, path)| format!("{} {path}", method.to_uppercase()));
    let lookup = |_: &str| Some("http://127.0.0.1:1".to_owned());
    let policy = edgewarden::gateway::policy::Policy::parse(edgewarden::app::POLICY, &lookup).unwrap();
    endpoints.chain(policy.routes().iter().map(|route| route.id.clone())).collect()
}

/// Holds everything against the table. `send` answers with a status.
pub fn check(mut send: impl FnMut(&Row, Caller) -> u16) {
    for name in must_have_rows() {
        assert!(TABLE.iter().any(|row| row.name == name), "{name} has no row in the status table");
    }
    let mut wrong = Vec::new();
    for row in TABLE {
        for caller in ALL {
            let (status, expected) = (send(row, caller), (row.expect)(caller));
            if status != expected {
                wrong.push(format!("{} {} as {caller:?}: {status}, not {expected}", row.method, row.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
