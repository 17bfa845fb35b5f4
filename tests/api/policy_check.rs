//! `edgewarden policy check`: everything that is wrong with a policy is told in one run.

use std::{fs, path::PathBuf};

use edgewarden::{
    domain::time::Timestamp,
    native::commands::{self, World as Commands},
};

use crate::harness::World;

/// A file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("edgewarden-policy-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What `policy check` says: its exit code and its words.
fn check(words: &[&str]) -> (u8, String) {
    policy(&[&["check"], words].concat())
}

/// What a command says.
fn policy(words: &[&str]) -> (u8, String) {
    let words = [&["policy"], words].concat().into_iter().map(ToOwned::to_owned).collect();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let lookup = |_: &str| None;
    let now = Timestamp::default();
    let world = Commands { lookup: &lookup, now, input: &mut &b""[..], output: &mut output, errors: &mut errors };
    (commands::run(words, world), String::from_utf8([output, errors].concat()).unwrap())
}

/// Ten faults of ten kinds, each on a line of its own.
const FAULTY: &str = r#"version = 1

[[origin]]
id = "orders"
url = "https://orders.example"
retries = 3                                   # 6: unknown key

[[route]]
id = "read"
path = "/orders/{id}"
origin = "order"                              # 11: unknown origin
access = "authenticated"

[[route]]
id = "write"
path = "/orders/{id}/lines"
origin = "orders"
access = "authenticated"
require = { permissions = ["orders:write"] }  # 19: unknown permission

[[route]]
id = "remove"
path = "/orders/{id}/remove"
origin = "orders"
access = "authenticated"
require = { min_role = "boss" }               # 26: unknown role

[[route]]
id = "mine"
path = "/mine/{user_id}"
origin = "orders"
access = "authenticated"
require = { owner = "user" }                  # 33: unknown parameter

[[route]]
id = "one"
path = "/same/{a}"
origin = "orders"
access = "public"

[[route]]
id = "other"                                  # 42: overlaps
methods = ["GET"]
path = "/same/{b}"
origin = "orders"
access = "public"

[[route]]
id = "hidden"                                 # 49: unreachable
host = "auth.example"
path = "/api/v1/users/me"
origin = "orders"
access = "public"

[[route]]
id = "odd"
path = "/odd/../path"                         # 57: no path
methods = ["TRACE"]                           # 58: no method
origin = "orders"
access = "public"
rate_limit = [{ limit = 0, window = "1m", by = "ip" }]  # 61: no limit
"#;

#[test]
fn ten_planted_faults_are_told_in_one_run() {
    let file = File::new("faulty.toml", FAULTY);
    let (code, told) = check(&[file.path(), "PUBLIC_URL=https://auth.example"]);
    assert_eq!(code, 1, "{told}");
    let lines: Vec<_> = told.lines().map(|line| line.replace(file.path(), "F")).collect();
    let expected = [
        ("F: line 6, origin \"orders\": ", "unknown key \"retries\""),
        ("F: line 11, route \"read\": ", "no origin \"order\""),
        ("F: line 19, route \"write\": ", "no permission \"orders:write\""),
        ("F: line 26, route \"remove\": ", "no role \"boss\""),
        ("F: line 33, route \"mine\": ", "no parameter of the path"),
        ("F: line 42, route \"other\": ", "the route \"one\" has this path"),
        ("F: line 49, route \"hidden\": ", "no request comes to it"),
        ("F: line 57, route \"odd\": ", "path \"/odd/../path\" must be like"),
        ("F: line 58, route \"odd\": ", "not a method that can be routed"),
        ("F: line 61, route \"odd\": ", "a limit is at least 1"),
        ("faults: 10", ""),
    ];
    assert_eq!(lines.len(), expected.len(), "{told}");
    for (line, (place, problem)) in lines.iter().zip(expected) {
        assert!(line.starts_with(place) && line.contains(problem), "{line}");
    }
}

#[tokio::test]
async fn what_a_database_has_is_known() {
    let policy = FAULTY.lines().take(4).collect::<Vec<_>>().join("\n")
        + "\nurl_from = \"ORDERS\"\n[[route]]\nid = \"r\"\npath = \"/r\"\norigin = \"orders\"\naccess = \"authenticated\"\n\
           require = { min_role = \"clerk\" }\n";
    let file = File::new("good.toml", &policy);
    let (code, told) = check(&[file.path(), "ORDERS=https://orders.example"]);
    assert!(code == 1 && told.contains("there is no role \"clerk\"") && told.ends_with("faults: 1\n"), "{told}");

    let world = World::new();
    world.host.database.script(&["INSERT INTO roles (name, built_in) VALUES ('clerk', 0)".to_owned()]).unwrap();
    let copy = File::new("copy.sqlite", "");
    fs::remove_file(&copy.0).unwrap();
    world.host.database.save(&copy.0).unwrap();
    let with_copy = |more: &[&str]| check(&[&[file.path(), "--database", copy.path()], more].concat());
    assert_eq!(with_copy(&["ORDERS=https://orders.example"]), (0, "routes: 1, origins: 1; faults: 0\n".to_owned()));
    let (code, told) = with_copy(&[]);
    assert!(code == 1 && told.contains("the variable ORDERS is not set"), "{told}");
}

#[test]
fn what_cannot_be_done_is_said() {
    for (words, why) in [
        (&["nowhere.toml"][..], "nowhere.toml: "),
        (&[], "usage: edgewarden policy check"),
        (&["policy.toml", "PUBLIC_URL=nonsense", "DEMO_ORIGIN=http://127.0.0.1:1"], "PUBLIC_URL must be"),
        (&["policy.toml", "--database", "nowhere.sql"], "nowhere.sql: "),
    ] {
        let (code, told) = check(words);
        assert!(code == 2 && told.contains(why), "{told}");
    }
}

#[test]
fn the_policy_that_ships_is_good() {
    let (code, told) = check(&["policy.toml", "DEMO_ORIGIN=http://127.0.0.1:8788", "PUBLIC_URL=https://auth.example"]);
    assert!(code == 0, "{told}");
}

/// Where `make dev` has the demo origin.
const DEMO: &str = "DEMO_ORIGIN=http://127.0.0.1:8788";

#[test]
fn the_policy_that_ships_does_what_its_cases_say() {
    let (code, told) = policy(&["test", "policy.toml", DEMO]);
    assert_eq!((code, told.as_str()), (0, "cases: 17, failed: 0\n"));
}

const ROUTES: &str = "version = 1
[[origin]]
id = \"a\"
url = \"https://a.internal\"
[[route]]
id = \"read\"
methods = [\"GET\"]
path = \"/orders/{id}\"
origin = \"a\"
access = \"authenticated\"
require = { min_role = \"moderator\" }
strip_prefix = \"/orders\"
set_headers = { X-Tenant = \"acme\" }
";

#[test]
fn a_case_that_fails_is_told_with_its_line_and_what_became_of_it() {
    let file = File::new("tested.toml", ROUTES);
    let beside = file.path().replace(".toml", ".cases.toml");
    let cases = "[[case]]
request = \"GET https://auth.example/orders/7\"
roles = [\"admin\"]
url = \"https://a.internal/7\"
receives = { x-tenant = \"acme\" }

[[case]]
request = \"GET https://auth.example/orders/7\"
roles = [\"user\"]

[[case]]
request = \"GET https://auth.example/orders/7\"
roles = [\"moderator\"]
status = 403

[[case]]
request = \"DELETE https://auth.example/orders/7\"
status = 401

[[case]]
request = \"GET https://auth.example/api/v1/users/me\"

[[case]]
request = \"GET https://auth.example/orders/7\"
roles = [\"admin\"]
route = \"write\"
url = \"https://a.internal/8\"
receives = { X-Tenant = \"other\", X-Nothing = \"x\" }
";
    fs::write(&beside, cases).unwrap();
    let _gone = File(beside.clone().into());
    let (code, told) = policy(&["test", file.path(), "PUBLIC_URL=https://auth.example"]);
    let lines: Vec<_> = told.lines().map(|line| line.strip_prefix(&format!("{beside}: ")).unwrap_or(line)).collect();
    assert_eq!(
        (code, lines.as_slice()),
        (
            1,
            &[
                "line 7: GET https://auth.example/orders/7: expected that it is forwarded, but it is refused with 403 \
                 (min_role: missing role: moderator)",
                "line 11: GET https://auth.example/orders/7: expected status 403, but read forwards it to \
                 https://a.internal/7",
                "line 16: DELETE https://auth.example/orders/7: expected status 401, but it is refused with 404 \
                 (route: There is nothing here.)",
                "line 20: GET https://auth.example/api/v1/users/me: expected that it is forwarded, but it is for the \
                 gateway's own endpoints",
                "line 23: GET https://auth.example/orders/7: expected route write, url https://a.internal/8, \
                 x-nothing: x, not nothing, x-tenant: other, not acme, but read forwards it to https://a.internal/7",
                "cases: 6, failed: 5",
            ][..]
        )
    );
    for (cases, why) in [
        ("", "there is no [[case]]"),
        ("[[case]]\nrequest = \"GET\"", "line 1: request must be a method and a URL"),
        ("\n[[case]]\nrequest = \"GET /x\"", "line 2: url must be a whole URL"),
        ("[[case]]\nrequest = \"GET https://a/\"\ncolour = 3", "unknown field `colour`"),
        ("[[case]]\nrequest = \"GET https://a/\"\nstatus = 401\nurl = \"x\"", "forwarded nowhere"),
        ("[[case]]\nrequest = \"GET https://a/\"\nmfa = \"soon\"", "line 1: mfa must be"),
    ] {
        fs::write(&beside, cases).unwrap();
        let (code, told) = policy(&["test", file.path()]);
        assert_eq!((code, told.contains(why)), (2, true), "{cases}: {told}");
    }
    fs::remove_file(&beside).unwrap();
    assert_eq!(policy(&["test", file.path()]).0, 2, "there are no cases");
    let faulty = File::new("faulty-tested.toml", "version = 2");
    assert_eq!(policy(&["test", faulty.path()]).0, 1);
}

#[test]
fn a_request_is_explained_step_by_step() {
    let file = File::new("explained.toml", ROUTES);
    let explain =
        |more: &[&str]| policy(&[&["explain", file.path(), "GET", "http://127.0.0.1:8787/orders/7"], more].concat());
    let (code, told) = explain(&["--role", "admin", "--subject", "ada", "--header", "X-Auth-Subject: root"]);
    assert_eq!(code, 0);
    for line in [
        "passes   route: /orders/{id} by read, id = \"7\"",
        "passes   credential: ada by bearer",
        "passes   min_role: It holds.",
        "forwarded to a: GET https://a.internal/7",
        "  x-auth-assertion: <signed for https://a.internal>",
        "  x-auth-subject: ada",
        "  x-tenant: acme",
        "  x-auth-subject is removed",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let (code, told) = explain(&[]);
    assert!(code == 0 && told.ends_with("refused with 401\n"), "{told}");
    let (code, told) = policy(&["explain", file.path(), "GET", "http://127.0.0.1:8787/health"]);
    assert!(code == 0 && told.ends_with("for the gateway's own endpoints\n"), "{told}");
    assert_eq!(policy(&["explain", file.path(), "GET", "orders/7"]).0, 2);
}
