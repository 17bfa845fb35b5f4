//! From where an API key may be used.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::domain::{net::ClientIp, user::FieldProblem};

/// A key names no more.
pub const MAX: usize = 20;

/// An address, or a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Block(IpNet);

impl Block {
    /// Reads an address or a block such as `192.0.2.0/24` (RFC 4632, RFC 4291, §2.3). What is not zero beyond a block's
    /// length is refused: whoever writes it so means something else.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        const PROBLEM: FieldProblem = "must be addresses, or blocks such as 192.0.2.0/24 and 2001:db8::/32";
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self(IpNet::from(ip.to_canonical())));
        }
        let block: IpNet = text.parse().map_err(|_| PROBLEM)?;
        if matches!(block.addr(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
            return Err("must be written as IPv4 where they are IPv4");
        }
        if block.addr() != block.network() {
            return Err("must be blocks that begin where they say: 192.0.2.0/24, not 192.0.2.7/24");
        }
        Ok(Self(block))
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// Where a key may be used from; anywhere, if nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Addresses(Vec<Block>);

impl Addresses {
    /// From these.
    #[must_use]
    pub const fn new(blocks: Vec<Block>) -> Self {
        Self(blocks)
    }

    /// Whether a client that connects from there may use it. From an address that is not known nobody may, where some are
    /// named.
    #[must_use]
    pub fn admit(&self, ip: ClientIp) -> bool {
        match ip {
            _ if self.0.is_empty() => true,
            ClientIp::Known(ip) => self.0.iter().any(|block| block.0.contains(&ip)),
            ClientIp::Unknown => false,
        }
    }

    /// What is named.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(blocks: &[&str], ip: &str) -> bool {
        let blocks = blocks.iter().map(|text| Block::parse(text).unwrap()).collect();
        Addresses::new(blocks).admit(ClientIp::parse(Some(ip)))
    }

    #[test]
    fn a_key_is_used_from_where_it_may_be() {
        let blocks = ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"];
        for ip in ["192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8:1::9", "::ffff:192.0.2.4"] {
            assert!(admits(&blocks, ip), "{ip}");
        }
        for ip in ["192.0.3.0", "198.51.100.8", "2001:db9::1", "::1", "unknown", "192.0.2.1, 192.0.3.1"] {
            assert!(!admits(&blocks, ip), "{ip}");
        }
        assert!(admits(&[], "203.0.113.1") && admits(&[], "unknown"), "anywhere, if nothing is named");
        assert!(admits(&["::ffff:192.0.2.4"], "192.0.2.4"), "an address has one meaning");
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for bad in [
            "",
            "192.0.2",
            "192.0.2.7/24",
            "::ffff:192.0.2.0/120",
            "192.0.2.0/33",
            "example.com",
            "192.0.2.0/",
            " 192.0.2.1",
            "2001:db8::1/32",
        ] {
            assert!(Block::parse(bad).is_err(), "{bad}");
        }
        let text = |text| Block::parse(text).unwrap().to_string();
        assert_eq!([text("192.0.2.7"), text("192.0.2.0/24")], ["192.0.2.7", "192.0.2.0/24"]);
        assert_eq!(text("2001:0DB8:0::/32"), "2001:db8::/32");
    }
}
