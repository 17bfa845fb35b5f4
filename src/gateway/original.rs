//! Forward auth: the request that a proxy asks about, in place of the one by which it asks.

use super::canonical::Path;

/// By what a proxy proves itself.
pub const SECRET: &str = "x-forward-auth-secret";

/// What a proxy is told of who calls: each of these in every answer, and be it empty, so that a proxy that sets each of them
/// has overwritten what the client sent.
pub const IDENTITY: [&str; 9] = [
    "x-auth-subject",
    "x-auth-issuer",
    "x-auth-username",
    "x-auth-email",
    "x-auth-roles",
    "x-auth-scopes",
    "x-auth-session",
    "x-auth-method",
    "x-auth-assertion",
];

/// Headers of the asking request that are not the original's; and by which a preflight would be answered here, which the origin
/// answers.
const NOT_THE_ORIGINALS: [&str; 8] = [
    SECRET,
    "access-control-request-method",
    "cf-connecting-ip",
    "connection",
    "content-length",
    "forwarded",
    "host",
    "transfer-encoding",
];

/// Why it cannot be told what is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// One of the headers that say it is missing, there twice, or says nothing that could be.
    #[error("{0} does not say what is asked about.")]
    Header(&'static str),
    /// The proxy would send a path that is spelled otherwise than what is decided on.
    #[error("The path can be written in another way.")]
    Path,
}

/// The head of the original request, for [`super::head::Head::parse`].
///
/// # Errors
/// That it cannot be told, or not in one way.
pub fn head(headers: &[(String, String)]) -> Result<String, Unclear> {
    let of = |name: &'static str| {
        let mut values = headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none()).ok_or(Unclear::Header(name))
    };
    let (method, scheme) = (of("x-forwarded-method")?, of("x-forwarded-proto")?);
    let (host, target) = (of("x-forwarded-host")?, of("x-forwarded-uri")?);
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Unclear::Header("x-forwarded-method"));
    }
    if !matches!(scheme, "http" | "https") {
        return Err(Unclear::Header("x-forwarded-proto"));
    }
    let is_hosts = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_hosts) {
        return Err(Unclear::Header("x-forwarded-host"));
    }
    // What follows a `#` is no part of a request (RFC 9112, §3.2), but a proxy may send it on.
    if !target.starts_with('/') || target.contains('#') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unclear::Header("x-forwarded-uri"));
    }
    // Whatever else is asked to speak on this connection is decided on by nobody (RFC 9110, §7.8).
    let odd = |(name, value): &(String, String)| name == "upgrade" && !value.eq_ignore_ascii_case("websocket");
    if headers.iter().any(odd) {
        return Err(Unclear::Header("upgrade"));
    }
    let raw_path = target.split('?').next().unwrap_or(target);
    // A path that can be read in two ways is refused as such by whoever decides.
    if Path::parse(raw_path).is_ok_and(|path| path.as_str() != raw_path) {
        return Err(Unclear::Path);
    }
    let mut text = format!("{method}\n{scheme}://{host}{target}");
    let is_originals = |(name, _): &&(String, String)| {
        !NOT_THE_ORIGINALS.contains(&name.as_str()) && !name.starts_with("x-forwarded-")
    };
    for (name, value) in headers.iter().filter(is_originals) {
        text.extend(["\n", name, "\n", value]);
    }
    if let Some(client) = client(headers) {
        text.extend(["\ncf-connecting-ip\n", client]);
    }
    Ok(text)
}

/// The client's address as the proxy says: the right-most, which is its own word; but where the platform has added from where
/// the proxy itself connects, the one before that.
fn client(headers: &[(String, String)]) -> Option<&str> {
    let last = |name: &str| headers.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let mut told = last("x-forwarded-for")?.rsplit(',').map(str::trim);
    let right_most = told.next()?;
    let is_platforms = last("cf-connecting-ip") == Some(right_most);
    Some(told.next().filter(|_| is_platforms).unwrap_or(right_most))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        domain::{
            id::{RequestId, SessionId},
            rbac::RoleGraph,
            time::Timestamp,
        },
        gateway::{
            caller::{Caller, Supposed},
            head::Head,
            headers::{Handed, rewrite},
            policy::{Changes, Credential},
        },
    };

    const ASKED: [(&str, &str); 5] = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example:8443"),
        ("x-forwarded-uri", "/a/b?c=d"),
        ("x-forwarded-for", "192.0.2.7"),
    ];

    fn ask(headers: &[(&str, &str)]) -> Result<String, Unclear> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        head(&headers.iter().map(pair).collect::<Vec<_>>())
    }

    /// The same with one header in place of another of its name.
    fn with(name: &str, value: &str) -> Result<String, Unclear> {
        let mut headers: Vec<_> = ASKED.into_iter().filter(|(other, _)| *other != name).collect();
        headers.push((name, value));
        ask(&headers)
    }

    #[test]
    fn it_is_the_originals_method_url_and_headers() {
        let more = [
            ("authorization", "Bearer x"),
            ("host", "auth.example"),
            ("content-length", "7"),
            (SECRET, "s"),
            ("cf-connecting-ip", "198.51.100.1"),
            ("x-forwarded-prefix", "/x"),
        ];
        let text = ask(&[ASKED.as_slice(), &more].concat()).unwrap();
        assert_eq!(
            text,
            "POST\nhttps://app.example:8443/a/b?c=d\nauthorization\nBearer x\ncf-connecting-ip\n192.0.2.7"
        );
        let head = Head::parse(&text).unwrap();
        assert_eq!((head.method, head.authority.as_ref(), head.raw_path), ("POST", "app.example:8443", "/a/b"));
    }

    /// What the gateway says of a caller is what a proxy is told of, all of it and nothing else.
    #[test]
    fn every_name_that_says_who_calls_is_named() {
        let graph = RoleGraph::default();
        let session = SessionId::new(Timestamp::from_secs(1), &[1; 10]);
        let supposed = Supposed {
            subject: "s".to_owned(),
            username: None,
            roles: Vec::new(),
            scope: None,
            credential: Credential::Bearer,
            factor_age: None,
        };
        let caller = Caller {
            username: Some("ada".to_owned()),
            verified_email: Some("ada@example.org".to_owned()),
            session: Some(session),
            ..Caller::supposed(&supposed, "i", &graph, Timestamp::from_secs(1))
        };
        let (changes, request) = (Changes::default(), RequestId::new(Timestamp::from_secs(1), &[0; 10]));
        let handed = Handed { changes: &changes, assertion: Some("x"), shows_credentials: false };
        let head = Head::parse("GET\nhttps://a.example/").unwrap();
        let set = rewrite(&head, Some(&caller), request, handed).set;
        let said: BTreeSet<_> = set.iter().map(|(name, _)| *name).filter(|name| name.starts_with("x-auth-")).collect();
        assert_eq!(said, IDENTITY.into_iter().collect());
    }

    #[test]
    fn what_does_not_say_it_is_refused() {
        for (name, _) in ASKED.iter().take(4) {
            let left: Vec<_> = ASKED.into_iter().filter(|(other, _)| other != name).collect();
            assert_eq!(ask(&left), Err(Unclear::Header(name)));
            let twice = [ASKED.as_slice(), &[(*name, "/x")]].concat();
            assert_eq!(ask(&twice), Err(Unclear::Header(name)), "twice");
        }
        for (name, wrong) in [
            ("x-forwarded-method", ""),
            ("x-forwarded-method", "get"),
            ("x-forwarded-method", "GET, POST"),
            ("x-forwarded-proto", "wss"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", ""),
            ("x-forwarded-host", "a.example, b.example"),
            ("x-forwarded-host", "a.example/admin"),
            ("x-forwarded-host", "user@a.example"),
            ("x-forwarded-uri", ""),
            ("x-forwarded-uri", "a/b"),
            ("x-forwarded-uri", "https://a.example/b"),
            ("x-forwarded-uri", "/a b"),
            ("x-forwarded-uri", "/a#b"),
            ("x-forwarded-uri", "/a?b#c"),
            ("x-forwarded-uri", "/é"),
            ("upgrade", "h2c"),
            ("upgrade", "websocket, h2c"),
        ] {
            assert!(matches!(with(name, wrong), Err(Unclear::Header(_))), "{name}: {wrong}");
        }
        for other in ["/%61", "/a/%7e", "/%c3%a9"] {
            assert_eq!(with("x-forwarded-uri", other), Err(Unclear::Path), "{other}");
        }
        for left in ["/../a", "//a", "/a;b", "/%2e%2e/a", "/a%2Fb", "/%C3%A9?x=é".trim_end_matches("?x=é")] {
            assert!(with("x-forwarded-uri", left).is_ok(), "{left} is for who decides");
        }
    }

    #[test]
    fn the_client_is_whom_the_proxy_names() {
        let client = |told: &str, connects: &str| {
            let mut headers: Vec<_> = ASKED.into_iter().filter(|(name, _)| *name != "x-forwarded-for").collect();
            headers.extend([("x-forwarded-for", told), ("cf-connecting-ip", connects)]);
            ask(&headers).unwrap().rsplit('\n').next().unwrap().to_owned()
        };
        assert_eq!(client("192.0.2.7", "198.51.100.1"), "192.0.2.7");
        assert_eq!(
            client("203.0.113.9, 192.0.2.7", "198.51.100.1"),
            "192.0.2.7",
            "what the client says is not believed"
        );
        assert_eq!(client("203.0.113.9, 192.0.2.7, 198.51.100.1", "198.51.100.1"), "192.0.2.7");
        assert_eq!(client("198.51.100.1", "198.51.100.1"), "198.51.100.1");
        assert!(!ask(&ASKED[..4]).unwrap().contains("cf-connecting-ip"), "nobody is guessed");
    }
}
