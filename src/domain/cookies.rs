//! Our cookies: their names, and the lines that set them.
//!
//! `__Host-` binds a cookie to this very host, to HTTPS and to the path `/`: neither a sibling host nor a plain
//! connection can set one (RFC 6265bis, §4.1.3.2). Only a development server on plain HTTP goes without.

use std::time::Duration;

/// How our cookies are called here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieNames {
    is_secure: bool,
}

/// How long a browser keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until it is closed.
    UntilClosed,
    /// For so long.
    For(Duration),
    /// Not at all: one that is there is removed.
    Not,
}

impl CookieNames {
    /// The names for clients that come over HTTPS, or over plain HTTP.
    #[must_use]
    pub const fn new(is_secure: bool) -> Self {
        Self { is_secure }
    }

    /// The session cookie.
    #[must_use]
    pub const fn session(self) -> &'static str {
        if self.is_secure { "__Host-edgewarden" } else { "edgewarden" }
    }

    /// The cookie of a browser that has signed in before.
    #[must_use]
    pub const fn device(self) -> &'static str {
        if self.is_secure { "__Host-edgewarden-device" } else { "edgewarden-device" }
    }

    /// The value of a `Set-Cookie` line. No script reads our cookies, and no other site's request but a navigation
    /// brings them.
    #[must_use]
    pub fn line(self, name: &str, value: &str, keep: Keep) -> String {
        let age = match keep {
            Keep::UntilClosed => String::new(),
            Keep::For(life) => format!("; Max-Age={}", life.as_secs()),
            Keep::Not => "; Max-Age=0".to_owned(),
        };
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{name}={value}{age}; Path=/{secure}; HttpOnly; SameSite=Lax")
    }
}

/// Whether a cookie of this name is ours, as the most lenient reader takes it.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    let starts = |start: &str| name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    starts("__Host-edgewarden") || is("edgewarden") || is("edgewarden-device")
}

/// The values of all cookies of a name, in the lines of a request. Only a semicolon ends a cookie: a comma is part of a
/// value that a sibling host, or an origin, may have set, and what follows it is nobody's but theirs. Of several lines,
/// which the platform joins with commas and no browser sends, only the first cookie is read as one.
pub fn find<'a>(lines: impl Iterator<Item = &'a str>, name: &'static str) -> impl Iterator<Item = &'a str> {
    lines.flat_map(|line| line.split(';')).filter_map(move |pair| {
        let (other, value) = pair.trim().split_once('=')?;
        (other == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_https_they_are_bound_to_the_host() {
        let names = CookieNames::new(true);
        assert_eq!(
            names.line(names.session(), "v", Keep::UntilClosed),
            "__Host-edgewarden=v; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
        let plain = CookieNames::new(false);
        assert_eq!(
            plain.line(plain.device(), "v", Keep::For(Duration::from_mins(1))),
            "edgewarden-device=v; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"
        );
        assert!(plain.line(plain.session(), "", Keep::Not).contains("Max-Age=0"));
    }

    #[test]
    fn ours_are_known_by_either_name_in_any_case() {
        for name in ["__Host-edgewarden", "__host-EDGEWARDEN-x", "Edgewarden", "edgewarden-DEVICE"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["edgewarden-theme", "x__Host-edgewarden", "edgewardens", ""] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn every_value_of_a_name_is_found() {
        let lines = ["a=1; edgewarden=x;edgewarden = y", "edgewarden=z; edgewardens=v"];
        let values: Vec<_> = find(lines.into_iter(), "edgewarden").collect();
        assert_eq!(values, ["x", "z"]);
    }

    #[test]
    fn what_stands_in_anothers_value_is_not_ours() {
        let lines = ["a=x,edgewarden=planted; b=\"edgewarden=planted\", edgewarden=planted"];
        assert_eq!(find(lines.into_iter(), "edgewarden").count(), 0);
    }
}
