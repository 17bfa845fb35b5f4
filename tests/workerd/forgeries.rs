//! Headers that only the gateway may say, in every spelling that some origin might read as them.

use edgewarden::gateway::headers::{HOP_BY_HOP, RESERVED, RESERVED_PREFIXES, fold};
use serde_json::Value;

use crate::{client::Client, server::Server};

const FORGED: &str = "forged-by-the-client";

/// Every reserved name, and one or two for each beginning.
fn names() -> Vec<String> {
    let beginnings = RESERVED_PREFIXES.iter().flat_map(|prefix| [format!("{prefix}subject"), format!("{prefix}x")]);
    RESERVED.iter().map(ToString::to_string).chain(beginnings).collect()
}

/// A name as a line of a request, in one way to write it.
type Spelling = fn(&str) -> String;

const SPELLINGS: [(&str, Spelling); 9] = [
    ("plain", |name| format!("{name}: {FORGED}\r\n")),
    ("underscores", |name| format!("{}: {FORGED}\r\n", name.replace('-', "_"))),
    ("dots", |name| format!("{}: {FORGED}\r\n", name.replace('-', "."))),
    ("one underscore", |name| format!("{}: {FORGED}\r\n", name.replacen('-', "_", 1))),
    ("mixed case", |name| {
        let odd = |(index, c): (usize, char)| if index % 2 == 0 { c.to_ascii_uppercase() } else { c };
        format!("{}: {FORGED}\r\n", name.chars().enumerate().map(odd).collect::<String>())
    }),
    ("twice", |name| format!("{name}: {FORGED}\r\n{name}: {FORGED}\r\n")),
    ("space before the colon", |name| format!("{name} : {FORGED}\r\n")),
    ("folded", |name| format!("{name}:\r\n {FORGED}\r\n")),
    ("folded into another", |name| format!("x-other: a\r\n\t{name}: {FORGED}\r\n")),
];

/// What the origin saw; `None` if it saw nothing, because the request was refused.
fn seen(server: &Server, path: &str, token: Option<&str>, lines: &str) -> Option<Value> {
    let host = server.url.strip_prefix("http://").unwrap();
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{token}{lines}\r\n");
    let (status, text) = server.raw(request.as_bytes());
    if status == 400 {
        return None;
    }
    assert_eq!(status, 200, "{lines}\n{text}");
    // Chunked or not, the echo is between the outermost braces.
    let echo = text.split_once("\r\n\r\n").unwrap().1;
    let echo: String = echo.split("\r\n").filter(|line| !line.bytes().all(|b| b.is_ascii_hexdigit())).collect();
    let echo = &echo[echo.find('{').unwrap()..=echo.rfind('}').unwrap()];
    Some(serde_json::from_str::<Value>(echo).unwrap()["headers"].clone())
}

pub fn no_spelling_of_a_reserved_name_reaches_an_origin(server: &Server) {
    let user = server.user("forgeries");
    let mut refused = Vec::new();
    for (path, token) in [("public", None), ("optional", None), ("private", Some(user.access.as_str()))] {
        for (how, spelling) in SPELLINGS {
            // All at once, as long as servers take so many.
            for names in names().chunks(20) {
                let lines: String = names.iter().map(|name| spelling(name)).collect();
                let Some(headers) = seen(server, &format!("/demo/{path}/x"), token, &lines) else {
                    refused.push(how);
                    continue;
                };
                for (name, value) in headers.as_object().unwrap() {
                    let is_reserved = names.contains(&fold(name));
                    let text = value.to_string();
                    assert!(!is_reserved || !text.contains(FORGED), "{how} on {path}: {name}: {text}");
                }
                // Nor does a fold smuggle a line in under another's name, but as that one's value.
                let ours = headers["x-auth-subject"].as_str();
                assert_eq!(ours, token.map(|_| user.id.as_str()), "{how} on {path}");
            }
        }
    }
    refused.sort_unstable();
    refused.dedup();
    let odd = ["folded", "folded into another", "space before the colon"];
    assert!(refused.iter().all(|how| odd.contains(how)), "only what is no header is refused: {refused:?}");
}

pub fn what_belongs_to_a_connection_ends_at_the_gateway(server: &Server) {
    let ends_here = HOP_BY_HOP.iter().filter(|name| !matches!(**name, "connection" | "transfer-encoding"));
    let sent = ends_here.map(|name| format!("{name}: {FORGED}\r\n")).collect::<Vec<_>>().concat();
    let upgrade = "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: upgrade\r\n";
    // What `Connection` names is told to no origin as such, so that nothing behind it drops what we set.
    let named = "connection: X-Auth-Subject, X-Request-Id, forged-by-the-client\r\n";
    for lines in [sent.as_str(), named, upgrade] {
        let headers = seen(server, "/demo/public/x", None, &format!("x-kept: yes\r\n{lines}")).unwrap();
        assert!(headers["x-request-id"].is_string(), "{headers}");
        assert!(!headers.to_string().contains(FORGED), "{headers}");
        assert!(headers.get("upgrade").is_none() && headers["x-kept"] == "yes", "{headers}");
    }
}
