//! Which hosts we answer on. What comes under another name is refused before anything else is decided: nobody's links,
//! caches or routes should rest on a name that we were not given.

use super::{head::Head, policy::Policy};
use crate::{
    config::{Config, Environment},
    domain::host::{HostPattern, HostSet, is_loopback},
};

/// The hosts, worked out once.
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    set: HostSet,
    /// Ours, and those of `ALLOWED_HOSTS`, if the others are not the policy's.
    ours: HostPattern,
    listed: Option<Vec<HostPattern>>,
    environment: Environment,
}

impl AllowedHosts {
    /// That of `PUBLIC_URL`, and those of `ALLOWED_HOSTS` or else every host that a route names. A route that names none
    /// answers on all of these, and on no other.
    #[must_use]
    pub fn new(config: &Config, policy: &Policy) -> Self {
        let ours = HostPattern::Exactly(config.public_url.authority().to_owned());
        let (listed, environment) = (config.allowed_hosts.clone(), config.environment);
        Self { set: HostSet::default(), ours, listed, environment }.under(policy)
    }

    /// The same under another policy.
    #[must_use]
    pub fn under(&self, policy: &Policy) -> Self {
        let others = self.listed.as_deref().unwrap_or_else(|| policy.hosts());
        let set = others.iter().chain([&self.ours]).cloned().collect();
        Self { set, ours: self.ours.clone(), listed: self.listed.clone(), environment: self.environment }
    }

    /// Whether a request came to one of them. In development, loopback names are among them at any port.
    #[must_use]
    pub fn take(&self, head: &Head<'_>) -> bool {
        self.set.takes(&head.authority) || self.environment == Environment::Development && is_loopback(head.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(allowed: Option<&str>) -> AllowedHosts {
        let lookup = |name: &str| match name {
            "PUBLIC_URL" => Some("https://auth.example.com".to_owned()),
            "ALLOWED_HOSTS" => allowed.map(ToOwned::to_owned),
            "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY" => Some("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_owned()),
            _ => None,
        };
        let route = |id: &str, host: &str| {
            format!("[[route]]\nid = \"{id}\"\n{host}\npath = \"/x\"\norigin = \"a\"\naccess = \"public\"\n")
        };
        let text = [
            "version = 1\n[[origin]]\nid = \"a\"\nurl = \"https://a.internal\"\n".to_owned(),
            route("any", ""),
            route("one", "host = \"api.example.com\""),
            route("many", "host = \"*.apps.example.com\""),
        ];
        AllowedHosts::new(&Config::parse(&lookup).unwrap(), &Policy::parse(&text.concat(), &lookup).unwrap())
    }

    fn takes(hosts: &AllowedHosts, host: &str) -> bool {
        hosts.take(&Head::parse(&format!("GET\nhttps://{host}/x")).unwrap())
    }

    #[test]
    fn a_route_without_a_host_opens_none() {
        let hosts = hosts(None);
        for host in ["auth.example.com", "api.example.com", "a.apps.example.com"] {
            assert!(takes(&hosts, host), "{host}");
        }
        for host in ["example.com", "apps.example.com", "api.example.com:8443", "localhost", "evil.example"] {
            assert!(!takes(&hosts, host), "{host}");
        }
    }

    #[test]
    fn a_list_stands_in_place_of_the_policys_hosts() {
        let hosts = hosts(Some("www.example.com"));
        assert!(takes(&hosts, "auth.example.com") && takes(&hosts, "www.example.com"));
        assert!(!takes(&hosts, "api.example.com") && !takes(&hosts, "a.apps.example.com"));
    }
}
