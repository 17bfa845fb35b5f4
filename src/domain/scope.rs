//! Scopes: what a token is narrowed to (RFC 6749, §3.3). A scope is a permission's name; a token may carry fewer
//! permissions than its owner has, never more.

use std::collections::BTreeSet;

use super::rbac::RoleGraph;

/// Longer than any list of names that somebody has a use for, in bytes.
const MAX_BYTES: usize = 2048;

/// What is wrong with a scope.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeProblem {
    /// No list of names.
    #[error("The scope must be names with single spaces between.")]
    Shape,
    /// Names that no role gives.
    #[error("The scope names what there is not: {0}.")]
    Unknown(String),
    /// The user has nothing of it.
    #[error("Nothing of the scope is yours.")]
    Nothing,
    /// More than was granted before (RFC 6749, §6).
    #[error("The scope goes beyond what was granted.")]
    Beyond,
}

/// A scope that somebody asks for: every name is one that some role gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(BTreeSet<String>);

impl Scope {
    /// Parses what was asked for.
    ///
    /// # Errors
    /// What is no list of names, or names what no role gives.
    pub fn parse(text: &str, graph: &RoleGraph) -> Result<Self, ScopeProblem> {
        let is_name =
            |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        let names: Vec<_> = text.split(' ').collect();
        if text.len() > MAX_BYTES || !names.iter().all(is_name) {
            return Err(ScopeProblem::Shape);
        }
        Self::of(names, graph)
    }

    /// Of names that were asked for one by one.
    ///
    /// # Errors
    /// Names that no role gives.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>, graph: &RoleGraph) -> Result<Self, ScopeProblem> {
        let (known, unknown): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| graph.knows(name));
        if !unknown.is_empty() {
            return Err(ScopeProblem::Unknown(unknown.join(" ")));
        }
        Ok(Self(known.into_iter().map(ToOwned::to_owned).collect()))
    }

    /// What of it a user with these roles is granted, with spaces between.
    ///
    /// # Errors
    /// Nothing of it.
    pub fn granted(&self, roles: &[String], graph: &RoleGraph) -> Result<String, ScopeProblem> {
        self.granted_of(&graph.permissions(roles))
    }

    /// What of it somebody is granted who has these permissions, with spaces between. Who asks for nothing gets that.
    ///
    /// # Errors
    /// Nothing of what is asked for.
    pub fn granted_of(&self, held: &BTreeSet<String>) -> Result<String, ScopeProblem> {
        let granted: Vec<_> = self.0.iter().filter(|name| held.contains(*name)).map(String::as_str).collect();
        if granted.is_empty() && !self.0.is_empty() { Err(ScopeProblem::Nothing) } else { Ok(granted.join(" ")) }
    }

    /// Whether it stays within what was granted before: all of it that is there (RFC 6749, §6).
    #[must_use]
    pub fn is_within(&self, before: Option<&str>) -> bool {
        before.is_none_or(|before| {
            let before: BTreeSet<_> = before.split(' ').collect();
            self.0.iter().all(|name| before.contains(name.as_str()))
        })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The names with spaces between.
    #[must_use]
    pub fn text(&self) -> String {
        self.names().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::rbac::RoleRecord;

    fn graph() -> RoleGraph {
        let permissions = |list: &[&str]| RoleRecord {
            permissions: list.iter().map(ToString::to_string).collect(),
            ..RoleRecord::default()
        };
        RoleGraph::new(&BTreeMap::from([
            ("user".to_owned(), permissions(&["a:read", "a:write"])),
            ("admin".to_owned(), permissions(&["b:write"])),
        ]))
    }

    fn user() -> Vec<String> {
        vec!["user".to_owned()]
    }

    #[test]
    fn what_is_asked_for_and_held_is_granted() {
        let graph = graph();
        let granted = |text: &str| Scope::parse(text, &graph).and_then(|scope| scope.granted(&user(), &graph));
        assert_eq!(granted("a:write a:read a:read").as_deref(), Ok("a:read a:write"));
        assert_eq!(granted("b:write a:read").as_deref(), Ok("a:read"), "what is not held is left out");
        assert_eq!(granted("b:write"), Err(ScopeProblem::Nothing));
        assert_eq!(granted("a:read c:read d:x"), Err(ScopeProblem::Unknown("c:read d:x".to_owned())));
    }

    #[test]
    fn what_is_no_list_of_names_is_refused() {
        let long = "a:read ".repeat(400);
        for text in ["", " ", "a:read ", " a:read", "a:read  a:write", "a:read\ta:write", "\"a\"", "é", long.trim_end()]
        {
            assert_eq!(Scope::parse(text, &graph()), Err(ScopeProblem::Shape), "{text:?}");
        }
    }

    #[test]
    fn a_scope_is_narrowed_and_never_widened() {
        let graph = graph();
        let within = |before: Option<&str>, text: &str| Scope::parse(text, &graph).unwrap().is_within(before);
        assert!(within(None, "a:read"));
        assert!(within(Some("a:read a:write"), "a:write"));
        assert!(!within(Some("a:read"), "a:read a:write"));
        assert_eq!(Scope::parse("a:write a:read", &graph).unwrap().text(), "a:read a:write");
    }
}
