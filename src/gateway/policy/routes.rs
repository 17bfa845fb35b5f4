//! Finding the route for a request: by path first (a static segment before a parameter before a
//! catch-all), then by host and method.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use crate::{domain::host::HostPattern, gateway::canonical};

/// Every method a route may name; one that names none takes all of these, and no other
/// (an origin that echoes TRACE would show the client what we added).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A longer path of a route is refused, in bytes …
const MAX_PATH_BYTES: usize = 2048;
/// … and one of more segments: the tree of them is gone through one below the other.
const MAX_SEGMENTS: usize = 64;

/// Path parameters by name, percent-decoded.
pub type Params<'p> = Vec<(String, Cow<'p, str>)>;

/// Which route a request is for: a tree of path segments.
#[derive(Debug, Default)]
pub struct RouteTable {
    root: Node,
    hosts: Vec<HostPattern>,
    named: HashSet<HostPattern>,
}

#[derive(Debug, Default)]
struct Node {
    literal: BTreeMap<String, Node>,
    param: Option<Box<Node>>,
    /// Routes that end here.
    here: Candidates,
    /// Routes that take all the rest, which is never empty.
    rest: Candidates,
}

/// Routes of one path: those of one host are found by its name, however many hosts there are.
#[derive(Debug, Default)]
struct Candidates {
    exactly: HashMap<String, Vec<Candidate>>,
    /// The more particular the host, the earlier.
    others: Vec<(Host, Candidate)>,
}

#[derive(Debug)]
struct Candidate {
    route: usize,
    methods: Vec<String>,
    params: Vec<String>,
}

impl Candidates {
    /// Adds one.
    ///
    /// # Errors
    /// Which other route claims a part of it already.
    fn add(&mut self, host: &Host, candidate: Candidate) -> Result<(), usize> {
        let claims = |other: &&Candidate| overlap(&other.methods, &candidate.methods);
        if let Host::Like(HostPattern::Exactly(name)) = host {
            let of_host = self.exactly.entry(name.clone()).or_default();
            if let Some(other) = of_host.iter().find(claims) {
                return Err(other.route);
            }
            of_host.push(candidate);
            return Ok(());
        }
        let mut same = self.others.iter().filter(|(other, _)| other == host).map(|(_, candidate)| candidate);
        if let Some(other) = same.find(claims) {
            return Err(other.route);
        }
        self.others.push((host.clone(), candidate));
        self.others.sort_by_key(|(host, _)| host.rank());
        Ok(())
    }

    /// Those for a host, the most particular first.
    fn of<'c>(&'c self, host: &str) -> impl Iterator<Item = &'c Candidate> {
        let others = self.others.iter().filter(move |(pattern, _)| pattern.takes(host)).map(|(_, candidate)| candidate);
        self.exactly.get(host).into_iter().flatten().chain(others)
    }

    fn is_for(&self, host: &str) -> bool {
        self.of(host).next().is_some()
    }
}

/// On which hosts a route answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// On all that are answered on.
    Any,
    /// On these.
    Like(HostPattern),
}

impl Host {
    /// Reads a host as a policy names it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pattern = HostPattern::parse(text);
        pattern.map(Self::Like).ok_or_else(|| "host must be a lower-case name, or one under *.".to_owned())
    }

    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Like(pattern) => pattern.takes(host),
        }
    }

    /// The more particular, the earlier it is tried.
    const fn rank(&self) -> usize {
        match self {
            Self::Like(HostPattern::Exactly(_)) => 0,
            Self::Like(HostPattern::Under(suffix)) => usize::MAX - suffix.len(),
            Self::Any => usize::MAX,
        }
    }
}

/// Which requests a route asks for.
#[derive(Debug)]
pub(super) struct Pattern {
    pub host: Host,
    pub methods: Vec<String>,
    pub path: PathPattern,
}

impl Pattern {
    /// Every method that a route may name.
    pub fn methods() -> impl Iterator<Item = &'static str> {
        METHODS.into_iter()
    }

    /// Whether a route may name a method.
    pub fn takes_method(method: &str) -> bool {
        METHODS.contains(&method)
    }
}

impl RouteTable {
    /// Adds a route.
    ///
    /// # Errors
    /// Which other route claims a part of it already.
    pub fn add(&mut self, route: usize, Pattern { host, methods, path }: Pattern) -> Result<(), usize> {
        let mut node = &mut self.root;
        let mut rest = false;
        for segment in path.segments {
            match segment {
                Segment::Literal(text) => node = node.literal.entry(text).or_default(),
                Segment::Param => node = node.param.get_or_insert_default(),
                Segment::Rest => rest = true,
            }
        }
        let candidates = if rest { &mut node.rest } else { &mut node.here };
        candidates.add(&host, Candidate { route, methods, params: path.params })?;
        if let Host::Like(pattern) = host
            && self.named.insert(pattern.clone())
        {
            self.hosts.push(pattern);
        }
        Ok(())
    }

    /// Every host that a route names.
    #[must_use]
    pub fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    /// Whether a path is some route's on this host, by whatever method.
    pub fn has(&self, host: &str, path: &canonical::Path) -> bool {
        let rest = path.as_str().strip_prefix('/');
        rest.is_some_and(|rest| self.root.walk(rest, host, &mut Vec::new()).is_some())
    }

    /// The route and its parameters. A more particular path on this host hides the less particular
    /// ones, for methods that it does not take as well.
    #[must_use]
    pub fn find<'p>(&self, method: &str, host: &str, path: &'p canonical::Path) -> Option<(usize, Params<'p>)> {
        let mut values = Vec::new();
        let candidates = self.root.walk(path.as_str().strip_prefix('/')?, host, &mut values)?;
        let any = METHODS.contains(&method);
        let takes = |methods: &[String]| if methods.is_empty() { any } else { methods.iter().any(|one| one == method) };
        let hit = candidates.of(host).find(|candidate| takes(&candidate.methods))?;
        let values = values.into_iter().map(canonical::decoded);
        Some((hit.route, hit.params.iter().cloned().zip(values).collect()))
    }
}

impl Node {
    /// The candidates for what is left of a path, of which at least one is for this host.
    fn walk<'n, 'p>(&'n self, left: &'p str, host: &str, values: &mut Vec<&'p str>) -> Option<&'n Candidates> {
        let (segment, after) = left.split_once('/').map_or((left, None), |(segment, after)| (segment, Some(after)));
        let literal = self.literal.get(segment);
        if let Some(found) = literal.and_then(|node| node.step(after, host, values)) {
            return Some(found);
        }
        if let Some(node) = self.param.as_deref().filter(|_| !segment.is_empty()) {
            values.push(segment);
            if let Some(found) = node.step(after, host, values) {
                return Some(found);
            }
            values.pop();
        }
        if left.is_empty() || !self.rest.is_for(host) {
            return None;
        }
        values.push(left);
        Some(&self.rest)
    }

    /// One segment further: here, if it was the last.
    fn step<'n, 'p>(&'n self, after: Option<&'p str>, host: &str, values: &mut Vec<&'p str>) -> Option<&'n Candidates> {
        match after {
            Some(left) => self.walk(left, host, values),
            None => self.here.is_for(host).then_some(&self.here),
        }
    }
}

fn overlap(a: &[String], b: &[String]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|method| b.contains(method))
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Param,
    Rest,
}

/// A path with parameters: `/orders/{order_id}/{*rest}`.
#[derive(Debug)]
pub(super) struct PathPattern {
    segments: Vec<Segment>,
    params: Vec<String>,
}

impl PathPattern {
    /// Splits a path into segments and the names of its parameters.
    pub fn parse(path: &str) -> Result<Self, String> {
        if path.len() > MAX_PATH_BYTES || path.split('/').count() > MAX_SEGMENTS {
            return Err(format!("path must have at most {MAX_PATH_BYTES} bytes, in {MAX_SEGMENTS} segments"));
        }
        let wrong = || format!("path {path:?} must be like /orders/{{order_id}} or /orders/{{*rest}}");
        let mut parsed = Self { segments: Vec::new(), params: Vec::new() };
        let mut segments = path.strip_prefix('/').ok_or_else(wrong)?.split('/').peekable();
        while let Some(segment) = segments.next() {
            let Some(inner) = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) else {
                let raw = format!("/{segment}");
                let is_one_spelling = |path: canonical::Path| path.as_str() == raw && path.with_slashes().is_none();
                let canonical = canonical::Path::parse(&raw).is_ok_and(is_one_spelling);
                if !canonical || (segment.is_empty() && segments.peek().is_some()) {
                    return Err(wrong());
                }
                parsed.segments.push(Segment::Literal(segment.to_owned()));
                continue;
            };
            let (is_rest, name) = inner.strip_prefix('*').map_or((false, inner), |name| (true, name));
            let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            let named = !name.is_empty() && name.bytes().all(is_name);
            if !named || parsed.has_param(name) || (is_rest && segments.peek().is_some()) {
                return Err(wrong());
            }
            parsed.segments.push(if is_rest { Segment::Rest } else { Segment::Param });
            parsed.params.push(name.to_owned());
        }
        Ok(parsed)
    }

    /// Whether it has a parameter of this name.
    pub fn has_param(&self, name: &str) -> bool {
        self.params.iter().any(|param| param == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(Option<&str>, &[&str], &str)]) -> Result<RouteTable, String> {
        let mut table = RouteTable::default();
        for (index, (host, methods, path)) in routes.iter().enumerate() {
            let methods = methods.iter().map(ToString::to_string).collect();
            let host = host.map_or(Ok(Host::Any), Host::parse)?;
            let pattern = Pattern { host, methods, path: PathPattern::parse(path)? };
            table.add(index, pattern).map_err(|other| format!("claimed by {other}"))?;
        }
        Ok(table)
    }

    fn find(table: &RouteTable, method: &str, host: &str, path: &str) -> Option<(usize, Vec<(String, String)>)> {
        let path = canonical::Path::parse(path).unwrap();
        let (route, params) = table.find(method, host, &path)?;
        Some((route, params.into_iter().map(|(name, value)| (name, value.into_owned())).collect()))
    }

    #[test]
    fn the_most_particular_route_wins() {
        let table = table(&[
            (None, &[], "/a/{*rest}"),
            (None, &[], "/a/{id}"),
            (None, &[], "/a/me"),
            (None, &[], "/b/{*rest}"),
            (None, &["GET"], "/b/{x}"),
            (None, &["POST"], "/b/{y}"),
            (Some("api.example.com"), &[], "/c"),
            (Some("*.example.com"), &[], "/c"),
            (Some("*.deep.example.com"), &[], "/c"),
            (Some("other.example.com"), &[], "/d"),
            (None, &[], "/{x}"),
        ])
        .unwrap();
        let route = |method, host, path| find(&table, method, host, path).map(|(route, _)| route);
        assert_eq!(route("GET", "h", "/a/me"), Some(2));
        assert_eq!(route("GET", "h", "/a/you"), Some(1));
        assert_eq!(route("GET", "h", "/a/you/there"), Some(0));
        assert_eq!(route("GET", "h", "/a/"), None);
        assert_eq!(route("GET", "h", "/a"), Some(10));
        assert_eq!(route("GET", "h", "/"), None);
        assert_eq!(route("GET", "h", "/a/you/"), Some(0));
        assert_eq!(find(&table, "POST", "h", "/b/a%20b"), Some((5, vec![("y".into(), "a b".into())])));
        assert_eq!(route("PUT", "h", "/b/1"), None, "hidden, not handed to the catch-all");
        assert_eq!(route("PUT", "h", "/b/1/2"), Some(3));
        assert_eq!(route("TRACE", "h", "/b/1/2"), None);
        assert_eq!(route("GET", "api.example.com", "/d"), Some(10), "another host's path hides nothing");
        assert_eq!(route("GET", "api.example.com", "/c"), Some(6));
        assert_eq!(route("GET", "www.example.com", "/c"), Some(7));
        assert_eq!(route("GET", "x.deep.example.com", "/c"), Some(8));
        assert_eq!(route("GET", "example.com", "/c"), Some(10), "no wildcard takes the bare name");
        assert_eq!(route("GET", "evilexample.com", "/c"), Some(10));
    }

    #[test]
    fn two_routes_cannot_claim_one_request() {
        assert!(table(&[(None, &["GET"], "/a/{x}"), (None, &["POST", "GET"], "/a/{y}")]).is_err());
        assert!(table(&[(None, &[], "/a"), (None, &["GET"], "/a")]).is_err());
        assert!(table(&[(None, &["GET"], "/a"), (Some("a.b"), &["GET"], "/a")]).is_ok());
    }

    #[test]
    fn paths_and_hosts_are_checked() {
        for path in
            ["", "a", "/a//b", "/{}", "/{*}", "/{*x}/b", "/{x}/{x}", "/a{x}", "/%61", "/a b", "/a%2Fb", "/{X}", "/a;b"]
        {
            assert!(table(&[(None, &[], path)]).is_err(), "{path}");
        }
        assert!(table(&[(None, &[], &"/a".repeat(63))]).is_ok());
        for path in ["/a".repeat(64), "/a".repeat(100_000), format!("/{}", "a".repeat(2048))] {
            assert!(table(&[(None, &[], &path)]).is_err(), "{}", path.len());
        }
        for host in ["", "*", "*.", "A.example", "a..b", "a/b", "a:80"] {
            assert!(table(&[(Some(host), &[], "/a")]).is_err(), "{host}");
        }
        assert!(!Pattern::takes_method("TRACE") && Pattern::takes_method("PATCH"));
    }
}
