//! One spelling for every path: the gateway decides on exactly the path that it forwards.
//!
//! Whatever two readers could take differently is refused, not guessed at (400): encoded or bare
//! backslashes, encoded slashes, dot segments, empty segments, `;` parameters, control
//! characters, broken or double percent-encoding, bytes that are not UTF-8. The rest is decoded
//! and encoded again in one way (RFC 3986, §6.2.2), so that `%61` and `a` are the same path to
//! the policy and to the origin. An encoded slash is kept as `%2F` for routes that say that theirs may hold one; for all
//! others it is refused as well.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a path segment must escape: all but unreserved, sub-delims (without `;`), `:` and `@`.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b';')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A longer path is refused; in bytes.
const MAX_PATH_BYTES: usize = 4096;

/// A path in its one spelling: begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    has_encoded_slash: bool,
}

/// Two readers could take this path differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ambiguous path")]
pub struct Ambiguous;

impl Path {
    /// Brings a raw path, without its query, into its one spelling.
    pub fn parse(raw: &str) -> Result<Self, Ambiguous> {
        let rest = raw.strip_prefix('/').ok_or(Ambiguous)?;
        if raw.len() > MAX_PATH_BYTES {
            return Err(Ambiguous);
        }
        let mut path = Self { text: String::with_capacity(raw.len()), has_encoded_slash: false };
        let mut segments = rest.split('/').peekable();
        while let Some(raw) = segments.next() {
            path.text.push('/');
            let segment = decode(raw)?;
            // A trailing slash is a path of its own; an empty segment before the end is not.
            if segment.is_empty() && segments.peek().is_some() {
                return Err(Ambiguous);
            }
            path.has_encoded_slash |= segment.contains('/');
            path.text.extend(utf8_percent_encode(&segment, SEGMENT));
        }
        Ok(path)
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path that it is to whoever takes its encoded slashes for slashes, if it has any.
    #[must_use]
    pub fn with_slashes(&self) -> Option<Self> {
        self.has_encoded_slash.then(|| Self { text: self.text.replace("%2F", "/"), has_encoded_slash: false })
    }
}

/// A path parameter as its owner means it.
#[must_use]
pub fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

/// Decodes one segment, or refuses it.
fn decode(raw: &str) -> Result<Cow<'_, str>, Ambiguous> {
    // (1) Every % begins an escape of two hexadecimal digits.
    let mut pieces = raw.split('%');
    pieces.next();
    let escaped = |piece: &str| piece.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !pieces.all(escaped) {
        return Err(Ambiguous);
    }
    // (2) What it decodes to is text …
    let segment = percent_decode_str(raw).decode_utf8().map_err(|_| Ambiguous)?;
    // (3) … in which nothing separates, ends or escapes a second time.
    if segment.chars().any(|c| c.is_control() || matches!(c, '\\' | ';')) || is_escape_inside(&segment) {
        return Err(Ambiguous);
    }
    // (4) And it does not walk, nor would it if its encoded slashes were taken for some.
    let walks = |piece: &str| matches!(piece, "." | "..") || (piece.is_empty() && segment.contains('/'));
    if segment.split('/').any(walks) {
        return Err(Ambiguous);
    }
    Ok(segment)
}

/// Whether a decoded segment would decode once more.
fn is_escape_inside(segment: &str) -> bool {
    segment.split('%').skip(1).any(|piece| piece.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Result<String, Ambiguous> {
        Path::parse(raw).and_then(|path| if path.has_encoded_slash { Err(Ambiguous) } else { Ok(path.text) })
    }

    #[test]
    fn two_spellings_become_one() {
        for (raw, one) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("/%61dmin/%7Ex", "/admin/~x"),
            ("/a%20b/%c3%a9", "/a%20b/%C3%A9"),
            ("/é", "/%C3%A9"),
            ("/a:b@c!$&'()*+,=-._~", "/a:b@c!$&'()*+,=-._~"),
            ("/%3A%40", "/:@"),
            ("/100%25", "/100%25"),
            ("/a..b/...", "/a..b/..."),
            ("/%5B%7b", "/%5B%7B"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(one), "{raw}");
            assert_eq!(canonical(one).as_deref(), Ok(one), "stable: {one}");
        }
    }

    #[test]
    fn an_encoded_slash_is_kept_and_does_not_walk() {
        let kept = |raw: &str| Path::parse(raw).ok().filter(|path| path.has_encoded_slash).map(|path| path.text);
        for (raw, one) in [("/a%2fb", "/a%2Fb"), ("/a%2Fb%20c/d", "/a%2Fb%20c/d"), ("/%61%2f%62", "/a%2Fb")] {
            assert_eq!(kept(raw).as_deref(), Some(one));
            assert_eq!(kept(one).as_deref(), Some(one), "stable: {one}");
        }
        for raw in
            ["/%2f", "/a%2f", "/%2fa", "/a%2f%2fb", "/a%2f..", "/..%2fa", "/.%2fa", "/a%2f%2e%2e%2fb", "/a%252fb"]
        {
            assert_eq!(Path::parse(raw), Err(Ambiguous), "{raw}");
        }
    }

    #[test]
    fn ambiguity_is_refused() {
        let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
        for raw in [
            "",
            "a",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2E/b",
            "/a/%2e",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a;b=c",
            "/a%3bb",
            "/a%00",
            "/a%0d%0aX",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%252f",
            "/a%2561",
            "/%ff",
            "/%c3",
            "/%c0%af",
            "/a%C2%80",
            long.as_str(),
        ] {
            assert_eq!(canonical(raw), Err(Ambiguous), "{raw}");
        }
    }
}
