//! What a decision reads of a request: one line for the method, one for the URL, then name and
//! value of each header. It crosses from JavaScript in one string, and next to nothing is copied.

use std::borrow::Cow;

use crate::domain::host::split_port;

/// The name of the line of what the platform says of a client's certificate: none that a header can have. It comes before all
/// headers.
const CERTIFICATE: &str = ":certificate";

/// The head of a request.
#[derive(Debug)]
pub struct Head<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host with port in one spelling: lower case, no dot at the end, no port that is the scheme's own.
    pub authority: Cow<'a, str>,
    /// The path as it came.
    pub raw_path: &'a str,
    /// The query with its `?`, or nothing.
    pub query: &'a str,
    /// What the platform says of the certificate that the client showed, if it showed one and anybody wants to know.
    pub certificate: Option<&'a str>,
    /// Header names, in lower case, with their values.
    pub headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Head<'a> {
    /// Takes the text apart. `None` if it is not a head, which no request causes.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (method, url) = (lines.next()?, lines.next()?);
        let (scheme, rest) = url.split_once("://")?;
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (authority, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (raw_path, query) = path_and_query.split_at(path_and_query.find('?').unwrap_or(path_and_query.len()));
        let mut headers = Vec::with_capacity(16);
        let mut certificate = None;
        while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
            match name {
                CERTIFICATE if headers.is_empty() => certificate = Some(value),
                name => headers.push((name, value)),
            }
        }
        let authority = canonical_authority(scheme, authority);
        let raw_path = if raw_path.is_empty() { "/" } else { raw_path };
        Some(Self { method, scheme, authority, raw_path, query, certificate, headers })
    }

    /// As it can be taken apart again.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { method, scheme, authority, raw_path, query, certificate, headers } = self;
        let mut text = format!("{method}\n{scheme}://{authority}{raw_path}{query}");
        let certificate = certificate.map(|said| (CERTIFICATE, said));
        for (name, value) in certificate.iter().chain(headers) {
            text.extend(["\n", name, "\n", value]);
        }
        text
    }

    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// The host without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        split_port(&self.authority).0
    }

    /// Whether a header's value holds a control character other than a tab.
    #[must_use]
    pub fn has_control_characters(&self) -> bool {
        let is_bad = |byte: u8| byte.is_ascii_control() && byte != b'\t';
        self.headers.iter().any(|(_, value)| value.bytes().any(is_bad))
    }
}

fn canonical_authority<'a>(scheme: &str, authority: &'a str) -> Cow<'a, str> {
    let (host, port) = split_port(authority);
    let port = port.unwrap_or_default();
    let own_port = matches!((scheme, port), (_, "") | ("http", "80") | ("https", "443"));
    let plain = !host.ends_with('.') && !host.bytes().any(|b| b.is_ascii_uppercase());
    if plain && (!own_port || host == authority) {
        return Cow::Borrowed(authority);
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if own_port { host.into() } else { format!("{host}:{port}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let head = Head::parse("GET\nhttp://[::1]:8787/a%20b?x=/y?z\nhost\n[::1]:8787\naccept\n*/*").unwrap();
        assert_eq!((head.method, head.scheme, head.authority.as_ref()), ("GET", "http", "[::1]:8787"));
        assert_eq!((head.host(), head.raw_path, head.query), ("[::1]", "/a%20b", "?x=/y?z"));
        assert_eq!(head.header("accept"), Some("*/*"));
        assert_eq!(head.header("cookie"), None);
        assert_eq!(head.text(), "GET\nhttp://[::1]:8787/a%20b?x=/y?z\nhost\n[::1]:8787\naccept\n*/*");
    }

    #[test]
    fn a_certificate_comes_before_all_headers_and_under_no_headers_name() {
        let text = "GET\nhttp://a/x\n:certificate\n[\"SUCCESS\"]\naccept\n*/*";
        let head = Head::parse(text).unwrap();
        assert_eq!(
            (head.certificate, head.headers.as_slice()),
            (Some("[\"SUCCESS\"]"), [("accept", "*/*")].as_slice())
        );
        assert_eq!(head.text(), text);
        let late = Head::parse("GET\nhttp://a/x\naccept\n*/*\n:certificate\n[]").unwrap();
        assert_eq!(late.certificate, None);
        assert!(http::HeaderName::from_bytes(CERTIFICATE.as_bytes()).is_err());
    }

    #[test]
    fn a_host_has_one_spelling() {
        let authority = |url: &str| Head::parse(&format!("GET\n{url}")).unwrap().authority.into_owned();
        for url in ["https://a.example/", "https://A.Example/", "https://a.example:443/", "https://a.EXAMPLE.:443/x"] {
            assert_eq!(authority(url), "a.example");
        }
        assert_eq!(authority("http://A.example:8080/"), "a.example:8080");
        assert_eq!(authority("http://a.example:443/"), "a.example:443");
        assert_eq!(authority("http://[::1]/"), "[::1]");
    }

    #[test]
    fn control_characters_are_noticed() {
        let bad = |value: &str| Head::parse(&format!("GET\nhttp://a/\nx\n{value}")).unwrap().has_control_characters();
        assert!(bad("a\u{1}") && bad("\u{7f}") && bad("\u{b}"));
        assert!(!bad("a\tb é ~"));
    }

    #[test]
    fn an_empty_path_is_the_root() {
        let head = Head::parse("GET\nhttps://a.example?q").unwrap();
        assert_eq!((head.host(), head.raw_path, head.query), ("a.example", "/", "?q"));
        assert!(Head::parse("GET").is_none());
        assert!(Head::parse("").is_none());
    }
}
