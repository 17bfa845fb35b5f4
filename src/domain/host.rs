//! Patterns of host names: one name, or every name under one. A wildcard takes one label or more and never the bare
//! name, so that whoever owns `evilexample.com` gains nothing by `*.example.com`.

use std::collections::HashSet;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This very name.
    Exactly(String),
    /// `*.example.com`: one label or more before the suffix, which begins with a dot.
    Under(String),
}

impl HostPattern {
    /// Reads a name, or `*.` and a name. `None` if it is neither, in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text, is_name)
    }

    /// The same with a port behind it, if it has one; an IPv6 address in brackets counts as a name.
    #[must_use]
    pub fn parse_with_port(text: &str) -> Option<Self> {
        let is_address = |host: &str| {
            let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
        };
        Self::read(text, |authority| match split_port(authority) {
            (host, Some(port)) => port.parse::<u16>().is_ok_and(|port| port > 0) && (is_name(host) || is_address(host)),
            (host, None) => is_name(host) || is_address(host),
        })
    }

    fn read(text: &str, is_valid: impl Fn(&str) -> bool) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(rest) if is_valid(rest) && !rest.starts_with('[') => Some(Self::Under(format!(".{rest}"))),
            None if is_valid(text) => Some(Self::Exactly(text.to_owned())),
            _ => None,
        }
    }

    /// Whether it takes a host. A pattern with a port takes hosts with that port only, one without none that has one.
    #[must_use]
    pub fn takes(&self, host: &str) -> bool {
        match self {
            Self::Exactly(name) => host == name,
            Self::Under(suffix) => is_under(host, suffix),
        }
    }
}

/// Any of these patterns, however many of them are plain names.
#[derive(Clone, Debug, Default)]
pub struct HostSet {
    exactly: HashSet<String>,
    under: Vec<String>,
}

impl HostSet {
    /// Whether one of them takes a host.
    #[must_use]
    pub fn takes(&self, host: &str) -> bool {
        self.exactly.contains(host) || self.under.iter().any(|suffix| is_under(host, suffix))
    }
}

impl FromIterator<HostPattern> for HostSet {
    fn from_iter<I: IntoIterator<Item = HostPattern>>(patterns: I) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            match pattern {
                HostPattern::Exactly(name) => drop(set.exactly.insert(name)),
                HostPattern::Under(suffix) => set.under.push(suffix),
            }
        }
        set
    }
}

fn is_under(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() && host.ends_with(suffix)
}

/// Whether a host is this machine by name.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Host and port, without the colon between.
#[must_use]
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_takes_what_is_under_a_name_and_nothing_else() {
        let under = HostPattern::parse("*.example.com").unwrap();
        for host in ["a.example.com", "a.b.example.com"] {
            assert!(under.takes(host), "{host}");
        }
        for host in ["example.com", ".example.com", "evilexample.com", "a.example.com:8443", "a.example.com.evil.test"]
        {
            assert!(!under.takes(host), "{host}");
        }
    }

    #[test]
    fn ports_are_part_of_what_is_compared() {
        let with = HostPattern::parse_with_port("a.example:8443").unwrap();
        assert!(with.takes("a.example:8443") && !with.takes("a.example") && !with.takes("a.example:84430"));
        let without = HostPattern::parse_with_port("a.example").unwrap();
        assert!(without.takes("a.example") && !without.takes("a.example:8443"));
        assert!(HostPattern::parse_with_port("*.a.example:99").unwrap().takes("x.a.example:99"));
        assert!(HostPattern::parse_with_port("[::1]:8787").unwrap().takes("[::1]:8787"));
    }

    #[test]
    fn what_is_no_pattern_is_none() {
        for text in ["", "*", "*.", "A.example", "a..b", "a/b", "a b", "*.*.a", "a.*", "*a.b", "http://a", "*.[::1]"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
            assert_eq!(HostPattern::parse_with_port(text), None, "{text}");
        }
        for text in ["a:", "a:0", "a:65536", "a:b", "[::1", "[zz]", "::1"] {
            assert_eq!(HostPattern::parse_with_port(text), None, "{text}");
        }
        assert_eq!(HostPattern::parse("a:80"), None);
    }
}
