//! The status table: every endpoint and every demo route × every kind of caller → status. An
//! endpoint or route without a row fails the test.

mod accounts;
mod administration;
mod rest;

use super::callers::{ALL, Caller};

/// What is sent along.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// A JSON text.
    Json(&'static str),
    /// A form.
    Form(&'static str),
}

/// One request and what each caller gets for it.
pub struct Row {
    /// The endpoint as [`edgewarden::api::ENDPOINTS`] has it, or the id of the route.
    pub name: &'static str,
    pub method: &'static str,
    /// `{me}` stands for the calling user's id, `{other}` for another's.
    pub path: &'static str,
    pub body: Body,
    /// The status for a caller.
    pub expect: fn(Caller) -> u16,
}

/// The table, in the order in which it is gone through: signing out comes last.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [accounts::ROWS, administration::ROWS, rest::ROWS].into_iter().flatten()
}

/// Names of everything that must have a row.
pub fn must_have_rows() -> Vec<String> {
    let all = edgewarden::api::ENDPOINTS.iter().chain(edgewarden::api::DOCS_ENDPOINTS);
    let endpoints = all.map(|(method, path)| format!("{} {path}", method.to_uppercase()));
    let lookup = |name: &str| (name == "DEMO_ORIGIN").then(|| "http://127.0.0.1:1".to_owned());
    let policy = edgewarden::gateway::policy::Policy::parse(edgewarden::app::POLICY, &lookup).unwrap();
    endpoints.chain(policy.routes().iter().map(|route| route.id.clone())).collect()
}

/// Holds everything against the table. `send` answers with a status.
pub fn check(mut send: impl FnMut(&Row, Caller) -> u16) {
    for name in must_have_rows() {
        assert!(rows().any(|row| row.name == name), "{name} has no row in the status table");
    }
    let mut wrong = Vec::new();
    for row in rows() {
        for caller in ALL {
            let (status, expected) = (send(row, caller), (row.expect)(caller));
            if status != expected {
                wrong.push(format!("{} {} as {caller:?}: {status}, not {expected}", row.method, row.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
