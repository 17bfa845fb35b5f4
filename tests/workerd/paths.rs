//! Paths that are one thing to a gateway and another to an origin: on a public prefix, aimed at a route that only admins may use.

use serde_json::Value;

use crate::{client::Client, server::Server};

/// What becomes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody gets it.
    Refused,
    /// It is the admins' route, plainly, and asks who one is.
    Admins,
    /// The public route's origin gets it, as this path.
    Public(&'static str),
}

use Fate::{Admins, Public, Refused};

const TARGETS: &[(&str, Fate)] = &[
    // What a client sends plainly is resolved before the Worker sees it, and decided on as what it became.
    ("/demo/public/../admin/x", Admins),
    ("/demo/public/./../admin/x", Admins),
    ("/demo/public/x/../../admin/x", Admins),
    ("/demo/public/..", Refused),
    ("/demo/public/%2e%2e/admin/x", Admins),
    ("/demo/public/%2E%2e/admin/x", Admins),
    ("/demo/public/.%2e/admin/x", Admins),
    ("/demo/public/%2e./admin/x", Admins),
    ("/demo/public/%2e/../admin/x", Admins),
    ("/demo/%70ublic/../%61dmin/x", Admins),
    ("/demo/%61dmin/x", Admins),
    ("/demo/%61%64%6d%69%6e/x", Admins),
    ("/%64%65mo/admin/x", Admins),
    // Slashes that some take for slashes.
    ("/demo/public/..%2fadmin/x", Refused),
    ("/demo/public/..%2Fadmin/x", Refused),
    ("/demo/public/%2e%2e%2fadmin/x", Refused),
    ("/demo/public%2f..%2fadmin/x", Refused),
    ("/demo%2fadmin/x", Refused),
    ("/demo/public/a%2fb", Refused),
    ("/demo/public/..%5cadmin/x", Refused),
    ("/demo/public/..%5Cadmin/x", Refused),
    ("/demo/public/%5c..%5c..%5cadmin", Refused),
    ("/demo/public/..\\admin/x", Admins),
    ("/demo/public\\..\\admin\\x", Admins),
    // Encoded twice, or encoded into something else.
    ("/demo/public/%252e%252e/admin/x", Refused),
    ("/demo/public/..%252fadmin/x", Refused),
    ("/demo/public/..%25252fadmin/x", Refused),
    ("/demo/public/..%255cadmin/x", Refused),
    ("/demo/%2561dmin/x", Refused),
    ("/demo/public/%25%32%65%25%32%65/admin/x", Refused),
    ("/demo/public/%u002e%u002e/admin/x", Refused),
    ("/demo/public/%", Refused),
    ("/demo/public/%2", Refused),
    ("/demo/public/%zz", Refused),
    ("/demo/public/%2g", Refused),
    // Bytes that are no text, or more of them than the text needs.
    ("/demo/public/%c0%ae%c0%ae/admin/x", Refused),
    ("/demo/public/..%c0%afadmin/x", Refused),
    ("/demo/public/..%e0%80%afadmin/x", Refused),
    ("/demo/public/..%f0%80%80%afadmin/x", Refused),
    ("/demo/public/%ff", Refused),
    ("/demo/public/%c3", Refused),
    ("/demo/public/%ed%a0%80", Refused),
    ("/demo/public/%fe%ff", Refused),
    // What looks like a dot or a slash, and is another character to everyone.
    ("/demo/public/%ef%bc%8e%ef%bc%8e/admin/x", Public("/demo/public/%EF%BC%8E%EF%BC%8E/admin/x")),
    ("/demo/public/..%ef%bc%8fadmin/x", Public("/demo/public/..%EF%BC%8Fadmin/x")),
    ("/demo/public/%e2%80%a5/admin/x", Public("/demo/public/%E2%80%A5/admin/x")),
    ("/demo/public/%e2%88%95admin", Public("/demo/public/%E2%88%95admin")),
    ("/demo/%ef%bd%81dmin/x", Refused),
    // Segments that are empty, or hold parameters.
    ("//demo/admin/x", Refused),
    ("/demo//admin/x", Refused),
    ("/demo/public//../admin/x", Public("/demo/public/admin/x")),
    ("/demo/public/x//y", Refused),
    ("/demo/public;x/../admin/x", Admins),
    ("/demo/public/..;/admin/x", Refused),
    ("/demo/public/..;x=y/admin/x", Refused),
    ("/demo/public/x;jsessionid=1", Refused),
    ("/demo/public/%3b/../x", Public("/demo/public/x")),
    ("/demo/admin;x/x", Refused),
    // Control characters, and what ends a path for somebody.
    ("/demo/public/%00", Refused),
    ("/demo/admin/x%00", Refused),
    ("/demo/public/x%00/../../admin/x", Admins),
    ("/demo/public/%0a", Refused),
    ("/demo/public/x%0d%0aX-Auth-Subject:%20root", Refused),
    ("/demo/public/%09", Refused),
    ("/demo/public/%7f", Refused),
    ("/demo/public/%c2%85", Refused),
    ("/demo/public/x%3f/../../admin/x", Admins),
    ("/demo/public/..%3f/admin", Public("/demo/public/..%3F/admin")),
    ("/demo/public/x%23/admin", Public("/demo/public/x%23/admin")),
    ("/demo/public/x?/../../admin/x", Public("/demo/public/x")),
    ("/demo/public?/../admin/x", Refused),
    // Another case, another ending, another host.
    ("/demo/ADMIN/x", Refused),
    ("/DEMO/admin/x", Refused),
    ("/demo/admin", Refused),
    ("/demo/admin/", Refused),
    ("/demo/public/", Refused),
    ("/demo/public/.../admin/x", Public("/demo/public/.../admin/x")),
    ("/demo/public/..%20/admin/x", Public("/demo/public/..%20/admin/x")),
    ("/demo/public/x/", Public("/demo/public/x/")),
    ("http://HOST/demo/admin/x", Admins),
    ("http://HOST/demo/public/../admin/x", Admins),
    // Of two hosts the platform tells us one: here that of `Host`.
    ("http://evil.example/demo/admin/x", Admins),
    ("http://HOST@evil.example/demo/admin/x", Admins),
    ("http://evil.example@HOST/demo/public/..%2fadmin/x", Refused),
    ("demo/admin/x", Refused),
];

/// What became of one, and the path that the origin saw.
fn fate(server: &Server, target: &str) -> (u16, Option<String>) {
    let host = server.url.strip_prefix("http://").unwrap();
    let target = target.replace("HOST", host);
    let (status, text) =
        server.raw(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes());
    let echo = (text.find("{\n"), text.rfind('}'));
    let (Some(from), Some(to)) = echo else { return (status, None) };
    let echo: Value = serde_json::from_str(&text[from..=to]).unwrap();
    (status, echo["path"].as_str().map(ToOwned::to_owned))
}

pub fn no_path_reaches_another_routes_origin(server: &Server) {
    assert!(TARGETS.len() >= 60);
    let mut wrong = Vec::new();
    for (target, expected) in TARGETS {
        let (status, path) = fate(server, target);
        let as_expected = match expected {
            Refused => path.is_none() && [400, 404, 421].contains(&status),
            Admins => path.is_none() && status == 401,
            Public(seen) => status == 200 && path.as_deref() == Some(seen),
        };
        if !as_expected {
            wrong.push(format!("{target}: {status} {path:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nor by a Host that says something else than it is.
    let host = server.url.strip_prefix("http://").unwrap();
    for lines in [
        "host: evil.example".to_owned(),
        format!("host: {host}\r\nhost: evil.example"),
        format!("host: {host}/demo/public"),
        format!("host: {host}@evil.example"),
        format!("host: evil.example@{host}"),
        format!("host: {host}?x"),
        "host: ".to_owned(),
        "x-no: host".to_owned(),
    ] {
        let (status, text) =
            server.raw(format!("GET /demo/admin/x HTTP/1.1\r\n{lines}\r\nconnection: close\r\n\r\n").as_bytes());
        // With whatever status the server before the Worker ends some of these: nothing comes of them. A path in a host becomes
        // a part of the path, and is decided on as that.
        let is_public = status == 200 && text.contains("\"path\": \"/demo/public/demo/admin/x\"");
        assert!(is_public || (status >= 400 && !text.contains("x-forwarded-host")), "{lines}: {status} {text}");
    }
}
