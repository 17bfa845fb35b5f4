//! The policy file: everything that is read of it, and all that is checked before it decides. Faults are told at once, each with
//! its line.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Credential, Deployed, Named, Policy, Route, client,
    fault::PolicyError,
    issuer,
    limits::{check_memory, keep_for_each_other},
    origin, reach,
    reader::{self, At, Faults, Table},
    route,
    routes::RouteTable,
};
use crate::{
    config::{Config, Environment, Lookup},
    domain::host::HostPattern,
};

/// What a policy is held against.
#[derive(Clone, Copy)]
pub struct Surroundings<'s> {
    /// The variables that it may name.
    pub vars: Lookup<'s>,
    /// The roles and permissions that there are, where that is known.
    pub names: Option<&'s Names>,
    /// What is ours on which hosts, where that is known.
    pub ours: Option<&'s Ours>,
    /// The file whose origins it rests on, if it is to be put live beside one.
    pub deployed: Option<&'s Deployed>,
}

impl<'s> Surroundings<'s> {
    /// Nothing but variables.
    #[must_use]
    pub const fn new(vars: Lookup<'s>) -> Self {
        Self { vars, names: None, ours: None, deployed: None }
    }
}

/// The roles and permissions that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Roles.
    pub roles: BTreeSet<String>,
    /// Permissions.
    pub permissions: BTreeSet<String>,
}

/// Which requests never come to a route, whatever a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Host and port of our own endpoints.
    pub authority: String,
    /// The path under which they are.
    pub api_prefix: String,
    /// The hosts that are answered on beside that one, if that is not up to the policy.
    pub hosts: Option<Vec<HostPattern>>,
    /// Whether the API's description is there.
    pub docs: bool,
    /// Whether this machine's own names are the auth host too.
    pub environment: Environment,
}

impl Ours {
    /// As it is configured.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let authority = config.public_url.authority().to_owned();
        Self {
            authority,
            api_prefix: config.api_prefix.clone(),
            hosts: config.allowed_hosts.clone(),
            docs: config.docs,
            environment: config.environment,
        }
    }
}

impl Surroundings<'_> {
    /// A variable that may be left unset, as well as empty.
    pub(super) fn optional_var(&self, name: &str) -> Option<String> {
        (self.vars)(name).filter(|value| !value.is_empty())
    }
}

impl Policy {
    /// Parses and checks a policy. `vars` resolves `url_from`.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn parse(text: &str, vars: Lookup<'_>) -> Result<Self, PolicyError> {
        Self::parse_in(text, Surroundings::new(vars))
    }

    /// The same, held against all that is known beside.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn parse_in(text: &str, surroundings: Surroundings<'_>) -> Result<Self, PolicyError> {
        let faults = Faults::new(text);
        let parsed = parse(reader::read(&faults), surroundings);
        let found = faults.into_all();
        if found.is_empty() { Ok(parsed) } else { Err(PolicyError(found)) }
    }
}

/// As much of a policy as can be read.
fn parse(mut file: Table<'_, '_>, surroundings: Surroundings<'_>) -> Policy {
    let version = file.number("version");
    if version.is_none_or(|version| version.value != 1) {
        file.fault(file.offset, "version must be 1");
    }
    let kinds = KINDS.map(|kind| named(kind, file.tables(kind)));
    let route_tables = file.tables("route");
    let faults = file.faults;
    file.end();
    let mut origins = Vec::new();
    let [origin_tables, ..] = &kinds;
    let origin_ids = origin_tables.iter().map(|(id, _)| id.value.clone()).collect::<Vec<_>>();
    let named_things = if let Some(deployed) = surroundings.deployed {
        origins.extend(deployed.policy().origins().iter().map(|origin| origin.id.clone()));
        deployed.hold(&kinds);
        if route_tables.is_empty() {
            faults.note(0, "file", "a live policy has at least one route");
        }
        deployed.policy().named.clone()
    } else {
        let [origins, issuers, clients] = kinds;
        let read = |(id, table): (At<String>, Table<'_, '_>)| origin::read(id.value, table, surroundings.vars);
        Named {
            knows_clients: !clients.is_empty(),
            origins: origins.into_iter().filter_map(read).collect(),
            issuers: issuer::read_all(issuers, surroundings),
            clients: client::read_all(clients, surroundings),
        }
    };
    origins.extend(origin_ids);
    // What is wrong with an origin is no fault of the routes that name it. The first of a name is meant.
    let mut ids = BTreeMap::new();
    for (index, id) in origins.into_iter().enumerate() {
        ids.entry(id).or_insert(index);
    }
    let knows_clients = named_things.knows_clients;
    let mut reading =
        Reading { surroundings, origins: &ids, knows_clients, table: RouteTable::default(), read: Vec::new() };
    for (id, table) in named("route", route_tables) {
        reading.route(id, table);
    }
    let Reading { table, read, .. } = reading;
    let (mut routes, places): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    keep_for_each_other(&mut routes);
    for (route, At { value: place, offset }) in routes.iter().zip(&places) {
        let reached = surroundings.ours.map_or(Ok(()), |ours| reach::check(route, ours, table.hosts()));
        for problem in [check_memory(route), reached].into_iter().filter_map(Result::err) {
            faults.note(*offset, place, problem);
        }
    }
    Policy::new(named_things, routes, table)
}

/// What a file names beside routes; in a live policy only as the file that is deployed has it.
pub(super) const KINDS: [&str; 3] = ["origin", "issuer", "client"];

/// Tables of a kind, with their ids.
pub(super) type Tables<'f, 't> = Vec<(At<String>, Table<'f, 't>)>;

/// Tables of a kind with their ids, each of which there is once.
pub(super) fn named<'f, 't>(kind: &str, tables: Vec<Table<'f, 't>>) -> Tables<'f, 't> {
    let mut named = Tables::new();
    let mut ids = BTreeSet::new();
    for (index, mut table) in tables.into_iter().enumerate() {
        table.place = format!("{kind} {}", index + 1);
        // Whatever is wrong with its name, what else is wrong is told as well.
        let Some(id) = table.needed_text("id") else {
            named.push((At { value: String::new(), offset: table.offset }, table));
            continue;
        };
        table.place = format!("{kind} {:?}", id.value);
        if !is_name(&id.value) {
            table.fault(id.offset, "an id is made of a-z, 0-9, . _ and -");
        } else if !ids.insert(id.value.clone()) {
            table.fault(id.offset, "is defined twice");
        }
        named.push((id, table));
    }
    named
}

/// What is read of routes so far.
struct Reading<'s> {
    surroundings: Surroundings<'s>,
    origins: &'s BTreeMap<String, usize>,
    knows_clients: bool,
    table: RouteTable,
    read: Vec<(Route, At<String>)>,
}

impl Reading<'_> {
    fn route(&mut self, id: At<String>, table: Table<'_, '_>) {
        let (faults, place, offset) = (table.faults, table.place.clone(), id.offset);
        let Some(route::Read { route, pattern }) = route::read(id.value, table, self.origins, self.surroundings) else {
            return;
        };
        if route.credentials.contains(&Credential::Mtls) && !self.knows_clients {
            faults.note(
                offset,
                &place,
                "credentials: certificates are taken of clients alone, and there is no [[client]]",
            );
        }
        if let Some(deployed) = self.surroundings.deployed
            && deployed.policy().origins().get(route.origin).is_some_and(|origin| origin.forward_credentials)
            && !deployed.sends(&route)
        {
            let problem = "its origin is shown credentials, and the file that is deployed sends no such request there";
            faults.note(offset, &place, problem);
        }
        let added = self.table.add(self.read.len(), pattern);
        match added {
            Ok(()) => self.read.push((route, At { value: place, offset })),
            Err(at) => {
                let other = self.read.get(at).map_or("", |(route, _)| route.id.as_str());
                faults.note(offset, &place, format!("the route {other:?} has this path, host and method"));
            }
        }
    }
}

/// Whether a text is a name as policies give them.
pub(super) fn is_name(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::policy::Target;

    fn parse(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse(text, &|name| (name == "ORIGIN").then(|| "http://127.0.0.1:9".to_owned()))
    }

    fn problem(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    const HEAD: &str = "version = 1\n[[origin]]\nid = \"a\"\nurl = \"https://a.example\"\n";

    fn with_route(lines: &str) -> String {
        format!("{HEAD}[[route]]\nid = \"r\"\npath = \"/r/{{x}}\"\norigin = \"a\"\naccess = \"authenticated\"\n{lines}")
    }

    #[test]
    fn the_policy_that_ships_is_valid() {
        let vars = |name: &str| (name == "DEMO_ORIGIN").then(|| "http://127.0.0.1:8788".to_owned());
        let policy = Policy::parse(crate::app::POLICY, &vars).unwrap();
        assert_eq!(policy.routes().len(), 21);
    }

    /// Every fault, a line each.
    fn all(text: &str, surroundings: Surroundings<'_>) -> Vec<String> {
        Policy::parse_in(text, surroundings).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_line() {
        let text = r#"version = 1
[[origin]]
id = "a"
url = "https://a.example"
[[origin]]
id = "b"
url = "ftp://b.example"
timeout = "5000s"
[[route]]
id = "one"
path = "/one/{x}"
origin = "nowhere"
access = "authenticated"
colour = 3
require = { permissions = ["x:y", "content:read"], min_role = "boss", owner = "y", shade = 1 }
[[route]]
id = "two"
methods = ["GET", "TRACE"]
path = "/two//{x}"
origin = "a"
access = "sometimes"
rate_limit = [{ limit = 0, window = "1m", by = "ip" }, { limit = 1, window = "soon", by = "ip" }]
[[route]]
id = "three"
path = "/3/{x}"
origin = "a"
access = "public"
[[route]]
id = "four"
path = "/3/{y}"
methods = ["GET"]
origin = "a"
access = "public"
[[route]]
id = "five"
path = "/api/v1/users"
origin = "a"
access = "public"
host = "auth.example"
[[route]]
path = 7
"#;
        let names = Names { roles: ["user".to_owned()].into(), permissions: ["content:read".to_owned()].into() };
        let ours = ours("auth.example", None);
        let found = all(text, Surroundings { names: Some(&names), ours: Some(&ours), ..Surroundings::new(&|_| None) });
        // What keys there are instead is told as well.
        let found: Vec<_> = found.iter().map(|line| line.split("; there are ").next().unwrap()).collect();
        assert_eq!(
            found,
            [
                "line 7, origin \"b\": url must be an http or https URL without path, query or user",
                "line 8, origin \"b\": timeout must be between 1 and 100 seconds",
                "line 12, route \"one\": there is no origin \"nowhere\"",
                "line 14, route \"one\": unknown key \"colour\"",
                "line 15, route \"one\": there is no permission \"x:y\"",
                "line 15, route \"one\": there is no role \"boss\"",
                "line 15, route \"one\": unknown key \"shade\"",
                "line 15, route \"one\": owner names \"y\", which is no parameter of the path",
                "line 18, route \"two\": \"TRACE\" is not a method that can be routed",
                "line 19, route \"two\": path \"/two//{x}\" must be like /orders/{order_id} or /orders/{*rest}",
                "line 21, route \"two\": access: unknown variant \"sometimes\", expected one of \"public\", \
                 \"optional\", \"authenticated\"",
                "line 22, route \"two\": a limit is at least 1 in a window of one second to one day",
                "line 22, route \"two\": window must be a whole number and a unit: 30s, 15m, 24h or 7d",
                "line 29, route \"four\": the route \"three\" has this path, host and method",
                "line 35, route \"five\": no request comes to it: this path is our own endpoints'",
                "line 40, route 6: id is missing",
                "line 40, route 6: origin is missing",
                "line 40, route 6: access is missing",
                "line 41, route 6: path must be a text, not integer",
            ]
        );
    }

    #[test]
    fn a_route_that_is_refused_claims_nothing() {
        for host in ["", "host = \"a.example\"\n"] {
            let route = |id: &str, methods: &str| {
                format!(
                    "[[route]]\nid = \"{id}\"\npath = \"/x\"\n{host}methods = [{methods}]\norigin = \"a\"\naccess = \"public\"\n"
                )
            };
            let text =
                [HEAD, &route("a", "\"GET\""), &route("b", "\"GET\", \"POST\""), &route("c", "\"POST\"")].concat();
            let found = all(&text, Surroundings::new(&|_| None));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains("route \"b\": the route \"a\" has this path"), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let text = "version = 1\nx = [\n[[route]]\nid = \"r\" id = 3\n= 4\n";
        let found = all(text, Surroundings::new(&|_| None));
        assert!(found.iter().all(|fault| fault.starts_with("line ")) && found.len() >= 2, "{found:?}");
        for text in ["", "version", "version = 1.0", "route = 3", "[version]", "version = -1", "\u{0}"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let many = format!("{HEAD}{}", "[[route]]\n".repeat(5000));
        assert_eq!(all(&many, Surroundings::new(&|_| None)).len(), 100);
    }

    fn ours(authority: &str, hosts: Option<Vec<HostPattern>>) -> Ours {
        let (authority, api_prefix) = (authority.to_owned(), "/api/v1".to_owned());
        Ours { authority, api_prefix, hosts, docs: true, environment: Environment::Production }
    }

    #[test]
    fn in_development_this_machine_is_answered_on_by_its_own_names() {
        let text = format!(
            "{HEAD}[[route]]\nid = \"r\"\norigin = \"a\"\naccess = \"public\"\npath = \"/x\"\nhost = \"127.0.0.1\""
        );
        let hosts = HostPattern::parse("www.example").map(|host| vec![host]);
        for (environment, is_good) in [(Environment::Development, true), (Environment::Production, false)] {
            let ours = Ours { environment, ..ours("auth.example", hosts.clone()) };
            let parsed = Policy::parse_in(&text, Surroundings { ours: Some(&ours), ..Surroundings::new(&|_| None) });
            assert_eq!(parsed.is_ok(), is_good);
        }
    }

    #[test]
    fn a_route_that_no_request_comes_to_is_a_fault() {
        let reached = |lines: &str, hosts: Option<&str>| {
            let hosts = hosts.map(|hosts| hosts.split(',').filter_map(HostPattern::parse_with_port).collect());
            let ours = ours("auth.example:8443", hosts);
            let text = format!("{HEAD}[[route]]\nid = \"r\"\norigin = \"a\"\naccess = \"public\"\n{lines}");
            Policy::parse_in(&text, Surroundings { ours: Some(&ours), ..Surroundings::new(&|_| None) }).is_ok()
        };
        let own = "path = \"/api/v1/{*rest}\"\n";
        assert!(!reached(own, None), "the auth host is all there is");
        assert!(reached("path = \"/health\"\n", Some("auth.example:9")), "at another port nothing is ours");
        assert!(!reached("path = \"/docs\"\n", Some("auth.example:8443")));
        assert!(!reached(&format!("{own}host = \"auth.example\""), Some("www.example")));
        assert!(reached(own, Some("www.example")), "elsewhere it is nobody's");
        assert!(reached(&format!("{own}host = \"*.example\""), None), "of which the auth host is but one");
        assert!(reached("path = \"/api/v1x\"\n", None));
        let on = |host: &str| format!("path = \"/x\"\nhost = \"{host}\"\n");
        assert!(!reached(&on("www.example"), Some("app.example:8443,*.apps.example")));
        for host in ["app.example", "auth.example", "a.apps.example", "*.example", "*.x.apps.example"] {
            assert!(reached(&on(host), Some("app.example:8443,*.apps.example")), "{host}");
        }
    }

    #[test]
    fn an_origin_may_take_its_url_from_a_variable() {
        let text = "version = 1\n[[origin]]\nid = \"a\"\nurl_from = \"ORIGIN\"\n";
        assert_eq!(parse(text).unwrap().origins()[0].target, Target::Url("http://127.0.0.1:9".into()));
        assert!(problem(&text.replace("\"ORIGIN\"", "\"NONE\"")).contains("NONE is not set"));
    }

    #[test]
    fn every_fault_says_where_it_is() {
        for (text, why) in [
            ("version = 2".to_owned(), "file: version must be 1"),
            ("version = 1\ncolour = 3".to_owned(), "unknown key \"colour\""),
            ("version = 1\n[[origin]]\nid = \"a\"".to_owned(), "origin \"a\": needs exactly one of"),
            (format!("{HEAD}[[origin]]\nid = \"a\"\nservice = \"A\""), "origin \"a\": is defined twice"),
            (HEAD.replace("a.example", "a.example/path"), "without path"),
            (HEAD.replace("https", "ftp"), "http or https"),
            (format!("{HEAD}timeout = \"5000s\""), "between 1 and 100 seconds"),
            (with_route("colour = 3"), "unknown key \"colour\""),
            (with_route("revocation = \"never\""), "unknown variant \"never\""),
            (with_route("require = { owner = \"y\" }"), "owner names \"y\""),
            (with_route("require = { mfa = \"soon\" }"), "route \"r\": mfa "),
            (with_route("require = { mfa = \"0s\" }"), "between 1 second and 30 days"),
            (with_route("require = { mfa = 5 }"), "mfa must be a text, not integer"),
            (with_route("credentials = []"), "at least one"),
            (with_route("methods = []"), "methods must name at least one"),
            (with_route("credentials = [\"bearer\", \"api_key\", \"bearer\"]"), "each once"),
            (with_route("credentials = [\"basic\"]"), "unknown variant \"basic\""),
            (
                with_route(
                    "credentials = [\"bearer\"]\nrate_limit = [{ limit = 1, window = \"1m\", by = \"api_key\" }]",
                ),
                "takes API keys",
            ),
            (with_route("credentials = [\"bearer\"]").replace("authenticated", "public"), "not looked at"),
            (with_route("require = { unless_role = [\"admin\"] }"), "excepts from owner"),
            (with_route("rate_limit = [{ limit = 0, window = \"1m\", by = \"ip\" }]"), "at least 1"),
            (with_route("").replace("origin = \"a\"\naccess", "origin = \"b\"\naccess"), "there is no origin \"b\""),
            (with_route("").replace("authenticated", "public") + "require = { min_role = \"user\" }", "needs access"),
            (
                with_route("[[route]]\nid = \"s\"\npath = \"/r/{y}\"\norigin = \"a\"\naccess = \"public\""),
                "route \"s\"",
            ),
        ] {
            let found = problem(&text);
            assert!(found.contains(why), "{found}\nwanted: {why}");
        }
    }
}
