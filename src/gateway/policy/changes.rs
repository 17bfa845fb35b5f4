//! What a route changes of a request on its way, as a policy writes it down.

use super::reader::{At, Table};
use crate::gateway::{canonical, headers};

/// What a route changes of a request, beside what is done to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What the path begins with that the origin does not get to see.
    pub strip_prefix: String,
    /// What it begins with there instead.
    pub add_prefix: String,
    /// Headers that are set, whatever the client says.
    pub set_headers: Vec<(String, String)>,
    /// Headers that are removed, in whichever spelling they come, those that are set among them; folded.
    pub remove_headers: Vec<String>,
}

impl Changes {
    /// Reads them; `path` is the route's.
    pub(super) fn read(table: &mut Table<'_, '_>, path: &str) -> Self {
        let mut changes = Self::default();
        if let Some(At { value, offset }) = table.text("strip_prefix") {
            let begins = path.strip_prefix(value.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            let problem =
                || "strip_prefix must be what the path begins with, without parameters, such as /api".to_owned();
            let read = if begins { prefix(value) } else { None };
            changes.strip_prefix = table.noted(offset, read.ok_or_else(problem)).unwrap_or_default();
        }
        if let Some(At { value, offset }) = table.text("add_prefix") {
            let problem = || "add_prefix must be a plain path such as /v2".to_owned();
            changes.add_prefix = table.noted(offset, prefix(value).ok_or_else(problem)).unwrap_or_default();
        }
        for (At { value: name, offset }, value) in table.texts_by_name("set_headers") {
            if !headers::may_be_set(&name) {
                table.fault(offset, format!("set_headers: {name:?} is not a name that a route may set"));
            } else if changes.remove_headers.contains(&headers::fold(&name)) {
                table.fault(offset, format!("set_headers: {name:?} is set twice"));
            } else if !headers::is_plain(&value.value) {
                table.fault(value.offset, format!("set_headers: the value of {name} must be visible ASCII"));
            } else {
                // What is set is first removed, however the client spells it.
                changes.remove_headers.push(headers::fold(&name));
                changes.set_headers.push((name.to_ascii_lowercase(), value.value));
            }
        }
        for At { value: name, offset } in table.texts("remove_headers").unwrap_or_default() {
            if headers::may_be_set(&name) {
                changes.remove_headers.push(headers::fold(&name));
            } else {
                table.fault(offset, format!("remove_headers: {name:?} is not a name that a route may remove"));
            }
        }
        changes
    }

    /// The path as the origin gets to see it. It stays in its one spelling: what goes and what comes are whole segments.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        let rest = path.strip_prefix(self.strip_prefix.as_str()).unwrap_or(path);
        let path = format!("{}{rest}", self.add_prefix);
        if path.is_empty() { "/".to_owned() } else { path }
    }
}

/// A path of one segment or more in its one spelling, with no slash at its end; or nothing.
fn prefix(text: String) -> Option<String> {
    let is_plain =
        canonical::Path::parse(&text).is_ok_and(|path| path.as_str() == text && path.with_slashes().is_none());
    let is_prefix = text.is_empty() || (is_plain && !text.ends_with('/') && !text.contains(['{', '}']));
    is_prefix.then_some(text)
}

#[cfg(test)]
mod tests {
    use crate::gateway::policy::Policy;

    fn parse(lines: &str) -> Result<Policy, String> {
        let text = format!(
            "version = 1\n[[origin]]\nid = \"a\"\nurl = \"https://a.example\"\n[[route]]\nid = \"r\"\n\
             path = \"/api/v2/{{x}}\"\norigin = \"a\"\naccess = \"public\"\n{lines}"
        );
        Policy::parse(&text, &|_| None).map_err(|error| error.to_string())
    }

    #[test]
    fn prefixes_are_whole_segments() {
        let path = |lines: &str, path: &str| parse(lines).unwrap().routes()[0].changes.path(path);
        assert_eq!(path("", "/api/v2/7"), "/api/v2/7");
        assert_eq!(path("strip_prefix = \"/api\"", "/api/v2/a%20b"), "/v2/a%20b");
        assert_eq!(path("strip_prefix = \"/api/v2\"\nadd_prefix = \"/x/y\"", "/api/v2/7"), "/x/y/7");
        assert_eq!(path("add_prefix = \"/x\"", "/api/v2/7"), "/x/api/v2/7");
        for wrong in ["/api/", "/ap", "api", "/api/v2/{x}", "/other", "/"] {
            assert!(
                parse(&format!("strip_prefix = \"{wrong}\"")).unwrap_err().contains("strip_prefix must be"),
                "{wrong}"
            );
        }
        for wrong in ["x", "/x/", "/x//y", "/..", "/%61", "/{x}", "/x?y", "/a%2Fb", "/"] {
            assert!(parse(&format!("add_prefix = \"{wrong}\"")).unwrap_err().contains("add_prefix must be"), "{wrong}");
        }
    }

    #[test]
    fn headers_are_set_and_removed_by_names_that_are_not_ours() {
        let lines = "set_headers = { X-Tenant = \"acme\" }\nremove_headers = [\"X_Debug\"]";
        let changes = parse(lines).unwrap().routes()[0].changes.clone();
        assert_eq!(changes.set_headers, [("x-tenant".to_owned(), "acme".to_owned())]);
        assert_eq!(changes.remove_headers, ["x-tenant", "x-debug"]);
        for wrong in [
            "set_headers = { X-Auth-Subject = \"root\" }",
            "set_headers = { Authorization = \"Basic x\" }",
            "set_headers = { X-Tenant = \"a\\nb\" }",
            "set_headers = { \"a b\" = \"c\" }",
            "set_headers = { X-T = \"a\", x_t = \"b\" }",
            "remove_headers = [\"x-request-id\"]",
            "set_headers = 3",
            "remove_headers = [3]",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
