//! Who is at the other end of the connection, as far as limits are concerned.

use std::net::IpAddr;

use super::rate_limit::LimitKey;

/// The address that a client connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIp {
    /// What the platform says.
    Known(IpAddr),
    /// The platform said nothing that can be read. All such clients share one limit.
    Unknown,
}

impl ClientIp {
    /// Reads what the platform puts into `CF-Connecting-IP`.
    #[must_use]
    pub fn parse(header: Option<&str>) -> Self {
        header
            .and_then(|text| text.trim().parse::<IpAddr>().ok())
            .map_or(Self::Unknown, |ip| Self::Known(ip.to_canonical()))
    }

    /// The key that limits count under: one IPv4 address, or one IPv6 /64, which is what one
    /// customer is commonly given.
    #[must_use]
    pub fn limit_key(&self) -> LimitKey {
        match self {
            Self::Known(IpAddr::V4(ip)) => LimitKey::ip(&ip.to_string()),
            Self::Known(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                LimitKey::ip(&format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
            }
            Self::Unknown => LimitKey::ip("unknown"),
        }
    }

    /// The address as text, if it is known.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Known(ip) => Some(ip.to_string()),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_customer_is_one_key_and_a_mapped_address_is_its_ipv4() {
        let key = |text| ClientIp::parse(Some(text)).limit_key();
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.7").as_str(), "ip:192.0.2.7");
    }

    #[test]
    fn nonsense_shares_one_key() {
        assert_eq!(ClientIp::parse(Some("192.0.2.1, 10.0.0.1")), ClientIp::Unknown);
        assert_eq!(ClientIp::parse(None).limit_key().as_str(), "ip:unknown");
    }
}
