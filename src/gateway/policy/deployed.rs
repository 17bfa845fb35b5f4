//! The policy file that is deployed, and what may be put live beside it: other routes, to the origins that this file names.

use super::{
    Ours, Policy, PolicyError, Surroundings,
    file::{KINDS, Names, Tables, named},
    reader::{self, Faults},
};
use crate::{config::Lookup, domain::versions};

/// The file, and what it comes to.
#[derive(Debug)]
pub struct Deployed {
    text: String,
    digest: String,
    policy: Policy,
}

impl Deployed {
    /// Parses and checks it. `vars` resolves `url_from`.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn parse(text: &str, vars: Lookup<'_>, ours: Option<&Ours>) -> Result<Self, PolicyError> {
        let policy = Policy::parse_in(text, Surroundings { ours, ..Surroundings::new(vars) })?;
        Ok(Self { policy, digest: versions::digest(text), text: text.to_owned() })
    }

    /// What it comes to.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The file itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it is known by.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Reads what was put live beside it.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn read(&self, text: &str) -> Result<Policy, PolicyError> {
        Policy::parse_in(text, Surroundings { deployed: Some(self), ..Surroundings::new(&|_| None) })
    }

    /// The same of what is to be put, held against all that is known beside.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn check(&self, text: &str, names: &Names, ours: &Ours) -> Result<Policy, PolicyError> {
        let surroundings = Surroundings::new(&|_| None);
        Policy::parse_in(
            text,
            Surroundings { deployed: Some(self), names: Some(names), ours: Some(ours), ..surroundings },
        )
    }

    /// Holds the origins, issuers and clients of what is put live against the file: one that stands there must be one of the
    /// file's, word for word. So a live change sends nobody's credentials elsewhere, and makes nobody.
    pub(super) fn hold(&self, kinds: &[Tables<'_, '_>; 3]) {
        // It was read without faults before.
        let unread = Faults::new(&self.text);
        let mut file = reader::read(&unread);
        let ours = KINDS.map(|kind| named(kind, file.tables(kind)));
        let held = kinds.iter().zip(&ours).flat_map(|(kind, ours)| kind.iter().map(move |one| (one, ours)));
        for ((id, table), ours) in held {
            if !ours.iter().any(|(other, ours)| other.value == id.value && ours.says_the_same(table)) {
                table.fault(
                    id.offset,
                    "must stand in the file that is deployed, word for word: only routes can be put live",
                );
            }
        }
    }

    /// Whether it sends what comes to a host and a path to an origin.
    pub(super) fn sends(&self, route: &super::Route) -> bool {
        let is_same =
            |other: &super::Route| (&other.host, &other.path, other.origin) == (&route.host, &route.path, route.origin);
        self.policy.routes.iter().any(is_same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINS: &str = "[[origin]]\nid = \"a\"\nurl_from = \"A\"\n\
                           [[origin]]\nid = \"old\"\nurl = \"https://old.internal\"\nforward_credentials = true\n";

    fn route(id: &str, path: &str, origin: &str) -> String {
        format!("[[route]]\nid = \"{id}\"\npath = \"{path}\"\norigin = \"{origin}\"\naccess = \"authenticated\"\n")
    }

    fn deployed() -> Deployed {
        let text =
            format!("version = 1\n{ORIGINS}{}{}", route("one", "/one", "a"), route("old", "/old/{*rest}", "old"));
        Deployed::parse(&text, &|name| (name == "A").then(|| "https://a.internal".to_owned()), None).unwrap()
    }

    fn faults(text: &str) -> Vec<String> {
        let read = deployed().read(&format!("version = 1\n{text}"));
        read.map_or_else(|error| error.0.iter().map(ToString::to_string).collect(), |_| Vec::new())
    }

    #[test]
    fn other_routes_to_the_same_origins_can_be_put_live() {
        let new = format!("{}{}", route("two", "/two", "a"), route("older", "/old/{*rest}", "old"));
        assert_eq!(faults(&new), [""; 0]);
        assert_eq!(faults(&format!("{ORIGINS}{new}")), [""; 0], "with the file's origins or without");
        let read = deployed().read(&format!("version = 1\n{}", route("two", "/two", "old")));
        assert!(read.is_err());
        let read = deployed().read(&format!("version = 1\n{}", route("two", "/old/{*rest}", "old"))).unwrap();
        assert_eq!(read.origin(&read.routes()[0]).unwrap().id, "old");
    }

    #[test]
    fn no_origin_comes_and_none_changes() {
        let two = route("two", "/two", "a");
        let told = |origin: &str| faults(&format!("{origin}{two}"));
        let must = "must stand in the file that is deployed, word for word: only routes can be put live";
        for (origin, id) in [
            ("[[origin]]\nid = \"new\"\nurl = \"https://evil.example\"\n", "new"),
            ("[[origin]]\nid = \"a\"\nurl = \"https://a.internal\"\n", "a"),
            ("[[origin]]\nid = \"a\"\nurl_from = \"A\"\nforward_credentials = true\n", "a"),
            ("[[origin]]\nid = \"a\"\nurl_from = \"A\"\ntimeout = \"5s\"\n", "a"),
            ("[[origin]]\nid = \"old\"\nurl = \"https://old.internal\"\nforward_credentials = false\n", "old"),
        ] {
            assert_eq!(told(origin), [format!("line 3, origin {id:?}: {must}")], "{origin}");
        }
        assert_eq!(told("[[issuer]]\nid = \"x\"\n").len(), 1, "nor does an issuer");
        assert_eq!(told("[[client]]\nid = \"x\"\n").len(), 1, "nor a client");
        assert_eq!(faults(&route("two", "/two", "new")), ["line 5, route \"two\": there is no origin \"new\""]);
        assert_eq!(faults(""), ["line 1, file: a live policy has at least one route"]);
        assert!(!told("[[origin]\n").is_empty(), "what is no TOML is told as such");
    }

    #[test]
    fn issuers_and_clients_are_the_files_whatever_is_put_live() {
        let issuer = "[[issuer]]\nid = \"corp\"\nissuer = \"https://corp.example\"\njwks_uri = \"https://corp.example/k\"\n\
                      audience = [\"us\"]\nalgorithms = [\"ES256\"]\nsubject_prefix = \"corp|\"\n\
                      roles = { claim = \"groups\", map = { eng = \"user\" } }\n";
        let client = "[[client]]\nid = \"job\"\ncertificate_subject = \"CN=job\"\ncertificate_issuer = \"CN=ca\"\n\
                      roles = [\"user\"]\n";
        let file = format!("version = 1\n{ORIGINS}{issuer}{client}{}", route("one", "/one", "a"));
        let vars = |name: &str| (name == "A").then(|| "https://a.internal".to_owned());
        let deployed = Deployed::parse(&file, &vars, None).unwrap();
        let live = |more: &str| deployed.read(&format!("version = 1\n{more}{}", route("two", "/two", "a")));
        for same in [String::new(), issuer.to_owned(), format!("{client}{issuer}")] {
            let policy = live(&same).unwrap();
            assert_eq!(policy.issuers(), deployed.policy().issuers(), "{same}");
            assert_eq!(policy.clients(), deployed.policy().clients(), "{same}");
        }
        for (text, line, other) in [
            (issuer, "eng = \"user\"", "eng = \"admin\""),
            (issuer, "corp.example/k", "evil.example/k"),
            (issuer, "[\"us\"]", "[\"us\", \"others\"]"),
            (client, "[\"user\"]", "[\"user\", \"admin\"]"),
            (client, "CN=ca", "CN=other"),
        ] {
            let changed = live(&text.replace(line, other)).unwrap_err().to_string();
            assert!(changed.contains("word for word"), "{changed}");
        }
    }

    #[test]
    fn nobodys_credentials_are_sent_where_the_file_does_not_send_them() {
        let problem = "its origin is shown credentials, and the file that is deployed sends no such request there";
        assert_eq!(faults(&route("two", "/two", "old")), [format!("line 3, route \"two\": {problem}")]);
        assert_eq!(faults(&route("old", "/old/{*other}", "old")).len(), 1, "nor is it the same by its name");
        let elsewhere = route("old", "/old/{*rest}", "old") + "host = \"other.example\"\n";
        assert_eq!(faults(&elsewhere).len(), 1);
        assert!(faults(&route("old", "/old/{*rest}", "a")).is_empty(), "to another origin they are not shown");
    }
}
