//! What a decision reads of a request: one line for the method, one for the URL, then name and
//! value of each header. It crosses from JavaScript in one string, and nothing in it is copied.

/// The head of a request.
#[derive(Debug)]
pub struct Head<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host with port, as the URL has it.
    pub authority: &'a str,
    /// The path as it came.
    pub raw_path: &'a str,
    /// The query with its `?`, or nothing.
    pub query: &'a str,
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
        while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
            headers.push((name, value));
        }
        let raw_path = if raw_path.is_empty() { "/" } else { raw_path };
        Some(Self { method, scheme, authority, raw_path, query, headers })
    }

    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// The host without its port.
    #[must_use]
    pub fn host(&self) -> &'a str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => self.authority,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let head = Head::parse("GET\nhttp://[::1]:8787/a%20b?x=/y?z\nhost\n[::1]:8787\naccept\n*/*").unwrap();
        assert_eq!((head.method, head.scheme, head.authority), ("GET", "http", "[::1]:8787"));
        assert_eq!((head.host(), head.raw_path, head.query), ("[::1]", "/a%20b", "?x=/y?z"));
        assert_eq!(head.header("accept"), Some("*/*"));
        assert_eq!(head.header("cookie"), None);
    }

    #[test]
    fn an_empty_path_is_the_root() {
        let head = Head::parse("GET\nhttps://a.example?q").unwrap();
        assert_eq!((head.host(), head.raw_path, head.query), ("a.example", "/", "?q"));
        assert!(Head::parse("GET").is_none());
        assert!(Head::parse("").is_none());
    }
}
