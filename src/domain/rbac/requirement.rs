//! What a request needs of its caller: one value, for our own endpoints and for routes alike.

use std::{collections::BTreeSet, time::Duration};

use super::RoleGraph;
use crate::domain::time::Timestamp;

/// What a request needs of its caller. Everything that is stated must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// All of these permissions.
    pub permissions: Vec<String>,
    /// One of these roles, held directly or inherited.
    pub any_role: Vec<String>,
    /// This role, or one that inherits it.
    pub min_role: Option<String>,
    /// The caller's subject equals this path parameter …
    pub owner: Option<String>,
    /// … unless they hold one of these roles.
    pub unless_role: Vec<String>,
    /// A second factor was shown no longer ago than this.
    pub mfa: Option<Duration>,
}

/// What a caller brings to a requirement.
#[derive(Clone, Copy, Debug)]
pub struct Holdings<'a> {
    /// Who they are.
    pub subject: &'a str,
    /// Roles granted directly.
    pub roles: &'a [String],
    /// Effective permissions: of the roles and what they inherit, within the token's scope.
    pub permissions: &'a BTreeSet<String>,
    /// When they showed a second factor, if they did.
    pub second_factor_at: Option<Timestamp>,
    /// Whether their roles want one that they have not shown.
    pub lacks_factor: bool,
    /// Whether what they come with was narrowed to less than they may.
    pub is_narrowed: bool,
}

impl Holdings<'_> {
    /// Whether they count as somebody who holds a role. Who comes narrowed does, if that leaves them the role: what is open to
    /// a role is no way around a scope.
    fn hold(&self, role: &str, graph: &RoleGraph) -> bool {
        graph.reaches(self.roles, role) && (!self.is_narrowed || graph.is_left(role, self.permissions))
    }

    /// Holds a caller against what their roles require of them, whatever is asked for.
    pub const fn require_factor_of_roles(&self) -> Result<(), Missing> {
        if self.lacks_factor { Err(Missing::SecondFactor(None)) } else { Ok(()) }
    }
}

/// What is missing; shown to the caller, who is known by then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// These permissions.
    #[error("missing permission: {}", .0.join(" "))]
    Permissions(Vec<String>),
    /// One of these roles.
    #[error("missing role: one of {}", .0.join(" "))]
    AnyRole(Vec<String>),
    /// At least this role.
    #[error("missing role: {0}")]
    MinRole(String),
    /// It is someone else's.
    #[error("not the owner")]
    Owner,
    /// The API key may not be used from where it is.
    #[error("This API key may not be used from this address.")]
    Address,
    /// An API key is not enough.
    #[error("An API key cannot do this: it takes a person who is signed in.")]
    Person,
    /// Nobody may, but from the installation's own machine.
    #[error("super_admin is out of reach over HTTP, and so is what concerns whoever holds it")]
    OutOfReach,
    /// A second factor; if a time is stated, one that was shown no longer ago.
    #[error("{}", second_factor(*.0))]
    SecondFactor(Option<Duration>),
}

fn second_factor(max_age: Option<Duration>) -> String {
    match max_age {
        None => "A second factor is required.".to_owned(),
        Some(max_age) => format!("A second factor is required, shown in the last {} seconds.", max_age.as_secs()),
    }
}

impl Requirement {
    /// One permission, and nothing else.
    #[must_use]
    pub fn permission(name: &str) -> Self {
        Self { permissions: vec![name.to_owned()], ..Self::default() }
    }

    /// Holds a caller against the requirement at `now`. `param` looks up a path parameter. A second factor, which can be
    /// shown at once, is asked for last: not of those who may not anyway.
    pub fn check<'p>(
        &self,
        caller: Holdings<'_>,
        graph: &RoleGraph,
        param: impl Fn(&str) -> Option<&'p str>,
        now: Timestamp,
    ) -> Result<(), Missing> {
        let asked = Asked { caller, graph, now };
        self.hold_permissions(asked)?;
        self.hold_any_role(asked)?;
        self.hold_min_role(asked)?;
        self.hold_owner(asked, param)?;
        self.hold_factor(asked)
    }

    /// The same, each need by itself: what is needed, and whether it is there. What is not stated is left out.
    pub fn each<'p>(
        &self,
        caller: Holdings<'_>,
        graph: &RoleGraph,
        param: impl Fn(&str) -> Option<&'p str>,
        now: Timestamp,
    ) -> Vec<(&'static str, Result<(), Missing>)> {
        let asked = Asked { caller, graph, now };
        let stated = |is_stated: bool, name, held| is_stated.then_some((name, held));
        [
            stated(!self.permissions.is_empty(), "permissions", self.hold_permissions(asked)),
            stated(!self.any_role.is_empty(), "any_role", self.hold_any_role(asked)),
            stated(self.min_role.is_some(), "min_role", self.hold_min_role(asked)),
            stated(self.owner.is_some(), "owner", self.hold_owner(asked, param)),
            stated(self.mfa.is_some() || caller.lacks_factor, "mfa", self.hold_factor(asked)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn hold_permissions(&self, Asked { caller, .. }: Asked<'_>) -> Result<(), Missing> {
        let lacking: Vec<_> =
            self.permissions.iter().filter(|needed| !caller.permissions.contains(*needed)).cloned().collect();
        if lacking.is_empty() { Ok(()) } else { Err(Missing::Permissions(lacking)) }
    }

    fn hold_any_role(&self, asked: Asked<'_>) -> Result<(), Missing> {
        let holds = self.any_role.is_empty() || self.any_role.iter().any(|role| asked.hold(role));
        if holds { Ok(()) } else { Err(Missing::AnyRole(self.any_role.clone())) }
    }

    fn hold_min_role(&self, asked: Asked<'_>) -> Result<(), Missing> {
        match &self.min_role {
            Some(role) if !asked.hold(role) => Err(Missing::MinRole(role.clone())),
            _ => Ok(()),
        }
    }

    fn hold_owner<'p>(&self, asked: Asked<'_>, param: impl Fn(&str) -> Option<&'p str>) -> Result<(), Missing> {
        let Some(name) = &self.owner else { return Ok(()) };
        let owns = param(name).is_some_and(|value| value == asked.caller.subject);
        if owns || self.unless_role.iter().any(|role| asked.hold(role)) { Ok(()) } else { Err(Missing::Owner) }
    }

    fn hold_factor(&self, Asked { caller, now, .. }: Asked<'_>) -> Result<(), Missing> {
        match self.mfa {
            Some(max_age) if caller.second_factor_at.is_none_or(|at| now.since(at) > max_age) => {
                Err(Missing::SecondFactor(Some(max_age)))
            }
            _ => caller.require_factor_of_roles(),
        }
    }
}

/// Who is held against a requirement, by what.
#[derive(Clone, Copy)]
struct Asked<'a> {
    caller: Holdings<'a>,
    graph: &'a RoleGraph,
    now: Timestamp,
}

impl Asked<'_> {
    fn hold(&self, role: &str) -> bool {
        self.caller.hold(role, self.graph)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::rbac::RoleRecord;

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    fn graph() -> RoleGraph {
        let role = |inherits: &[&str], permissions: &[&str]| RoleRecord {
            inherits: inherits.iter().map(ToString::to_string).collect(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            require_mfa: false,
        };
        RoleGraph::new(&BTreeMap::from([
            ("user".to_owned(), role(&[], &["profile:read"])),
            ("moderator".to_owned(), role(&["user"], &["content:delete"])),
            ("admin".to_owned(), role(&["moderator"], &["users:write"])),
            ("finance".to_owned(), role(&[], &[])),
            ("a".to_owned(), role(&["b"], &["x:a"])),
            ("b".to_owned(), role(&["a"], &["x:b"])),
        ]))
    }

    fn check(requirement: &Requirement, roles: &[&str], owner: Option<&str>) -> Result<(), Missing> {
        let graph = graph();
        let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
        let permissions = graph.permissions(&roles);
        let caller = Holdings {
            subject: "me",
            roles: &roles,
            permissions: &permissions,
            second_factor_at: None,
            lacks_factor: false,
            is_narrowed: false,
        };
        requirement.check(caller, &graph, |_| owner, NOW)
    }

    #[test]
    fn every_stated_need_must_hold_and_what_is_missing_is_named() {
        let needs = Requirement {
            permissions: vec!["profile:read".into(), "users:write".into()],
            min_role: Some("moderator".into()),
            ..Requirement::default()
        };
        assert_eq!(check(&needs, &["admin"], None), Ok(()));
        assert_eq!(check(&needs, &["moderator"], None), Err(Missing::Permissions(vec!["users:write".into()])));
        assert_eq!(check(&needs, &[], None).unwrap_err().to_string(), "missing permission: profile:read users:write");
        let min = Requirement { min_role: Some("admin".into()), ..Requirement::default() };
        assert_eq!(check(&min, &["user"], None), Err(Missing::MinRole("admin".into())));
        let any = Requirement { any_role: vec!["admin".into(), "b".into()], ..Requirement::default() };
        assert_eq!(check(&any, &["a"], None), Ok(()), "a inherits b");
        assert!(matches!(check(&any, &["user"], None), Err(Missing::AnyRole(_))));
    }

    #[test]
    fn owners_and_the_privileged_pass() {
        let needs =
            Requirement { owner: Some("user_id".into()), unless_role: vec!["admin".into()], ..Requirement::default() };
        assert_eq!(check(&needs, &["user"], Some("me")), Ok(()));
        assert_eq!(check(&needs, &["user"], Some("you")), Err(Missing::Owner));
        assert_eq!(check(&needs, &["user"], None), Err(Missing::Owner));
        assert_eq!(check(&needs, &["admin"], Some("you")), Ok(()));
    }

    #[test]
    fn a_second_factor_is_asked_for_last_and_ages() {
        let needs = Requirement { mfa: Some(Duration::from_mins(5)), ..Requirement::permission("profile:read") };
        let shown = |secs_ago: Option<u64>, roles: &[&str]| {
            let (graph, roles) = (graph(), roles.iter().map(ToString::to_string).collect::<Vec<_>>());
            let second_factor_at = secs_ago.map(|secs| NOW.minus(Duration::from_secs(secs)));
            let permissions = graph.permissions(&roles);
            let caller = Holdings {
                subject: "me",
                roles: &roles,
                permissions: &permissions,
                second_factor_at,
                lacks_factor: false,
                is_narrowed: false,
            };
            needs.check(caller, &graph, |_| None, NOW)
        };
        let missing = Err(Missing::SecondFactor(Some(Duration::from_mins(5))));
        assert_eq!(shown(Some(0), &["user"]), Ok(()));
        assert_eq!(shown(Some(300), &["user"]), Ok(()));
        assert_eq!(shown(Some(301), &["user"]), missing);
        assert_eq!(shown(None, &["user"]), missing);
        assert_eq!(shown(None, &[]), Err(Missing::Permissions(vec!["profile:read".into()])));
    }

    #[test]
    fn a_role_may_require_a_second_factor_of_all_who_reach_it() {
        let role = |inherits: Option<&str>, require_mfa| RoleRecord {
            inherits: inherits.map(ToOwned::to_owned).into_iter().collect(),
            permissions: Vec::new(),
            require_mfa,
        };
        let graph = RoleGraph::new(&BTreeMap::from([
            ("user".to_owned(), role(None, false)),
            ("staff".to_owned(), role(Some("user"), true)),
            ("chief".to_owned(), role(Some("staff"), false)),
        ]));
        for (held, wants) in [("user", false), ("staff", true), ("chief", true), ("nobody", false)] {
            assert_eq!(graph.require_mfa(&[held.to_owned()]), wants, "{held}");
        }
        let (roles, permissions) = (["chief".to_owned()], BTreeSet::new());
        let caller = Holdings {
            subject: "me",
            roles: &roles,
            permissions: &permissions,
            second_factor_at: None,
            lacks_factor: true,
            is_narrowed: false,
        };
        let missing = Err(Missing::SecondFactor(None));
        assert_eq!(Requirement::default().check(caller, &graph, |_| None, NOW), missing, "whatever is asked for");
    }

    #[test]
    fn a_role_counts_as_far_as_a_scope_leaves_what_it_gives() {
        let (graph, roles) = (graph(), ["admin".to_owned(), "finance".to_owned()]);
        let check = |scope: &str| {
            let permissions = graph.permissions_within(&roles, Some(scope));
            let caller = Holdings {
                subject: "me",
                roles: &roles,
                permissions: &permissions,
                second_factor_at: None,
                lacks_factor: false,
                is_narrowed: true,
            };
            let any = Requirement { any_role: vec!["moderator".into()], ..Requirement::default() };
            let min = Requirement { min_role: Some("admin".into()), ..Requirement::default() };
            let owner = Requirement {
                owner: Some("user_id".into()),
                unless_role: vec!["moderator".into()],
                ..Requirement::default()
            };
            let name = Requirement { any_role: vec!["finance".into()], ..Requirement::default() };
            assert!(name.check(caller, &graph, |_| None, NOW).is_err(), "a role that opens by its name alone");
            assert!(name.check(Holdings { is_narrowed: false, ..caller }, &graph, |_| None, NOW).is_ok());
            [any, min, owner].map(|needs| needs.check(caller, &graph, |_| Some("you"), NOW).is_ok())
        };
        assert_eq!(check("profile:read content:delete users:write"), [true, true, true]);
        assert_eq!(
            check("profile:read content:delete"),
            [true, false, true],
            "all of a moderator's, not all of an admin's"
        );
        assert_eq!(check("users:write"), [false, false, false]);
    }

    #[test]
    fn an_empty_requirement_asks_nothing() {
        assert_eq!(check(&Requirement::default(), &[], None), Ok(()));
    }
}
