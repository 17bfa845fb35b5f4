//! What anyone may read, the routes of the policy, and signing out.

use super::{
    super::who::{
        admins_routed, anyone, browsers, keys, logout, missing, optional, owners, routed, step_up, tokens, wrong,
    },
    Body, Row,
};

pub const ROWS: &[Row] = &[
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
    Row { name: "demo.private", method: "POST", path: "/demo/private/x", body: Body::Json("{}"), expect: routed },
    Row { name: "demo.admin", method: "GET", path: "/demo/admin/x", body: Body::None, expect: admins_routed },
    Row { name: "demo.owner", method: "GET", path: "/demo/owner/{me}/x", body: Body::None, expect: owners },
    Row { name: "demo.owner", method: "GET", path: "/demo/owner/{other}/x", body: Body::None, expect: admins_routed },
    Row { name: "demo.strict", method: "GET", path: "/demo/strict/x", body: Body::None, expect: routed },
    Row { name: "demo.factor", method: "GET", path: "/demo/factor/x", body: Body::None, expect: step_up },
    Row { name: "demo.just-now", method: "GET", path: "/demo/just-now/x", body: Body::None, expect: step_up },
    Row { name: "demo.session", method: "GET", path: "/demo/session/x", body: Body::None, expect: browsers },
    Row { name: "demo.service", method: "GET", path: "/demo/service/x", body: Body::None, expect: tokens },
    Row { name: "demo.bound", method: "GET", path: "/demo/bound/x", body: Body::None, expect: routed },
    Row { name: "demo.session-first", method: "GET", path: "/demo/session-first/x", body: Body::None, expect: routed },
    Row { name: "demo.key", method: "GET", path: "/demo/key/x", body: Body::None, expect: keys },
    Row { name: "demo.shared", method: "GET", path: "/demo/shared/x", body: Body::None, expect: optional },
    Row { name: "demo.limited", method: "GET", path: "/demo/limited/x", body: Body::None, expect: routed },
    Row { name: "demo.busy", method: "GET", path: "/demo/busy/x", body: Body::None, expect: anyone },
    Row { name: "demo.brief", method: "GET", path: "/demo/brief/x", body: Body::None, expect: anyone },
    Row { name: "demo.cheap", method: "GET", path: "/demo/cheap/x", body: Body::None, expect: routed },
    Row { name: "demo.costly", method: "GET", path: "/demo/costly/x", body: Body::None, expect: routed },
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
