//! Which policy decides: the one of the file that is deployed, or one that was put live beside that very file. A newer file
//! takes the place of what was put live before it, and a version that cannot be read leaves its place to the one before.

use std::sync::Arc;

use super::{
    hosts::AllowedHosts,
    policy::{Deployed, Policy, PolicyError},
};
use crate::domain::versions::{Put, Version};

/// A policy, and the hosts that it is for.
#[derive(Debug)]
pub struct Ruling {
    /// Which version it is; `None` is the file that is deployed.
    pub version: Option<i64>,
    /// The policy.
    pub policy: Policy,
    /// Every host that is answered on.
    pub hosts: AllowedHosts,
}

/// What an isolate can read versions by.
#[derive(Debug)]
pub struct Reader {
    /// The file that is deployed.
    pub deployed: Arc<Deployed>,
    /// The hosts under it.
    pub hosts: AllowedHosts,
}

impl Reader {
    fn read(&self, version: &Version, text: &str) -> Result<Ruling, PolicyError> {
        let policy = self.deployed.read(text)?;
        let hosts = self.hosts.under(&policy);
        Ok(Ruling { version: Some(version.number), policy, hosts })
    }
}

/// Something about the policies that were put, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A version cannot be read, and why not.
    Unreadable(i64, String),
    /// The newest version was put beside another file than the one that is deployed: it does not decide here.
    Superseded(i64),
    /// A version that is to be tried cannot be read, and why not.
    Untried(i64, String),
}

/// What was put, as it is read here.
#[derive(Debug, Default)]
pub struct Rules {
    reader: Option<Arc<Reader>>,
    put: Put,
    live: Option<Arc<Ruling>>,
    candidate: Option<Arc<Ruling>>,
    found: Vec<Finding>,
    is_told: bool,
}

impl Rules {
    /// Nothing yet, to be read by `reader`.
    #[must_use]
    pub fn new(reader: Arc<Reader>) -> Self {
        Self { reader: Some(reader), ..Self::default() }
    }

    /// What decides, if it is not the file that is deployed.
    #[must_use]
    pub const fn live(&self) -> Option<&Arc<Ruling>> {
        self.live.as_ref()
    }

    /// What is tried beside it.
    #[must_use]
    pub const fn candidate(&self) -> Option<&Arc<Ruling>> {
        self.candidate.as_ref()
    }

    /// What there is to be said of them.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.found
    }

    /// The same, once.
    pub fn take_news(&mut self) -> Vec<Finding> {
        if std::mem::replace(&mut self.is_told, true) { Vec::new() } else { self.found.clone() }
    }

    /// Goes by what was put. What was read before is not read again.
    pub(super) fn choose(&mut self, put: &Put) {
        let Some(reader) = self.reader.clone().filter(|_| self.put != *put) else { return };
        let known = [self.live.take(), self.candidate.take()];
        (self.found, self.is_told) = (Vec::new(), false);
        let is_ours = |version: &&Version| version.base == reader.deployed.digest();
        for version in put.live.iter().filter(is_ours) {
            // Where nothing was put, the file decides.
            let Some(text) = &version.text else { break };
            match self.read(&reader, version, text, &known) {
                Ok(ruling) => self.live = Some(ruling),
                Err(why) => {
                    self.found.push(Finding::Unreadable(version.number, why));
                    continue;
                }
            }
            break;
        }
        let newest = put.live.first();
        if let Some(other) = newest.filter(|version| !is_ours(version) && version.text.is_some()) {
            self.found.push(Finding::Superseded(other.number));
        }
        // Whatever is put live ends the trial of what was to come.
        let newest = newest.map_or(0, |version| version.number);
        let candidate = put.candidate.as_ref().filter(is_ours).filter(|candidate| candidate.number > newest);
        if let Some((version, text)) = candidate.and_then(|version| Some((version, version.text.as_ref()?))) {
            match self.read(&reader, version, text, &known) {
                Ok(ruling) => self.candidate = Some(ruling),
                Err(why) => self.found.push(Finding::Untried(version.number, why)),
            }
        }
        self.put = put.clone();
    }

    /// What a version comes to. One is known again by all that it says: numbers come again where a database was put back.
    fn read(
        &self,
        reader: &Reader,
        version: &Version,
        text: &str,
        known: &[Option<Arc<Ruling>>],
    ) -> Result<Arc<Ruling>, String> {
        let was_read = self.put.live.iter().chain(&self.put.candidate).any(|other| other == version);
        let known = known.iter().flatten().find(|known| was_read && known.version == Some(version.number));
        if let Some(known) = known {
            return Ok(known.clone());
        }
        reader.read(version, text).map(Arc::new).map_err(|why| why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const FILE: &str = "version = 1\n[[origin]]\nid = \"a\"\nurl = \"https://a.internal\"\n\
                        [[route]]\nid = \"file\"\npath = \"/x\"\norigin = \"a\"\naccess = \"public\"\n";

    fn rules() -> Rules {
        let lookup = |name: &str| match name {
            "PUBLIC_URL" => Some("https://auth.example".to_owned()),
            "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY" => Some("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_owned()),
            _ => None,
        };
        let deployed = Arc::new(Deployed::parse(FILE, &lookup, None).unwrap());
        let hosts = AllowedHosts::new(&Config::parse(&lookup).unwrap(), deployed.policy());
        Rules::new(Arc::new(Reader { deployed, hosts }))
    }

    fn version(number: i64, text: Option<&str>) -> Version {
        let base = crate::domain::versions::digest(FILE);
        Version { number, base, text: text.map(ToOwned::to_owned) }
    }

    fn good(id: &str) -> String {
        format!("version = 1\n[[route]]\nid = \"{id}\"\npath = \"/x\"\norigin = \"a\"\naccess = \"public\"\n")
    }

    /// The first route of what decides, and of what is tried.
    fn decides(rules: &Rules) -> String {
        let first = |ruling: Option<&Arc<Ruling>>| {
            ruling.map_or_else(|| "file".to_owned(), |ruling| ruling.policy.routes()[0].id.clone())
        };
        format!("{} {}", first(rules.live()), first(rules.candidate()))
    }

    #[test]
    fn the_newest_decides_and_the_file_where_nothing_was_put() {
        let mut rules = rules();
        rules.choose(&Put::default());
        assert_eq!(decides(&rules), "file file");
        let (one, two) = (version(1, Some(&good("one"))), version(2, Some(&good("two"))));
        rules.choose(&Put { live: vec![two.clone(), one], candidate: None });
        assert_eq!(decides(&rules), "two file");
        let before = rules.live().unwrap().clone();
        rules.choose(&Put { live: vec![two.clone()], candidate: Some(version(3, Some(&good("three")))) });
        assert_eq!(decides(&rules), "two three");
        assert!(Arc::ptr_eq(&before, rules.live().unwrap()), "it is not read again");
        rules.choose(&Put { live: vec![version(4, None), two], candidate: Some(version(3, Some(&good("three")))) });
        assert_eq!(decides(&rules), "file file", "back to the file; a trial ends with what is put live");
    }

    #[test]
    fn one_that_cannot_be_read_leaves_its_place_to_the_one_before() {
        let mut rules = rules();
        let (one, bad) = (version(1, Some(&good("one"))), version(2, Some("version = 1\n[[route]]\nid = 3")));
        rules.choose(&Put { live: vec![bad.clone(), one], candidate: None });
        assert_eq!(decides(&rules), "one file");
        assert!(matches!(&rules.take_news()[..], [Finding::Unreadable(2, why)] if why.contains("line 3")));
        assert!(rules.take_news().is_empty(), "it is told once");
        rules.choose(&Put { live: vec![bad.clone(), version(1, None)], candidate: Some(version(5, Some("{"))) });
        assert_eq!(decides(&rules), "file file");
        rules.choose(&Put { live: vec![bad], candidate: None });
        assert_eq!(decides(&rules), "file file");
    }

    #[test]
    fn another_file_takes_the_place_of_what_was_put_beside_the_one_before() {
        let mut rules = rules();
        let old = Version { base: "another".to_owned(), ..version(2, Some(&good("old"))) };
        rules.choose(&Put { live: vec![old.clone()], candidate: None });
        assert_eq!(decides(&rules), "file file");
        assert_eq!(rules.findings(), [Finding::Superseded(2)]);
        // What was put beside this very file goes on, whatever is put beside another.
        rules.choose(&Put { live: vec![old.clone(), version(1, Some(&good("one")))], candidate: None });
        assert_eq!(decides(&rules), "one file");
        let tried = Version { base: "another".to_owned(), ..version(3, Some(&good("tried"))) };
        rules.choose(&Put { live: vec![version(1, Some(&good("one")))], candidate: Some(tried) });
        assert_eq!((decides(&rules), rules.findings().len()), ("one file".to_owned(), 0));
    }

    #[test]
    fn a_number_that_comes_again_is_read_again() {
        let mut rules = rules();
        rules.choose(&Put { live: vec![version(1, Some(&good("one")))], candidate: None });
        rules.choose(&Put { live: vec![version(1, Some(&good("other")))], candidate: None });
        assert_eq!(decides(&rules), "other file");
    }
}
