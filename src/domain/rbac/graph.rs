//! The role graph, with everything inherited worked out.
//!
//! Roles and permissions are numbered, and what a role comes to is two sets of numbers: for a thousand roles and two
//! thousand permissions that is less than half a megabyte. What is written down of it ([`Stored`]) is what each role says
//! itself, which is small; whoever reads that works the rest out, once.

use std::collections::{BTreeMap, BTreeSet};

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use super::{Missing, OUT_OF_REACH};

/// One role as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleRecord {
    /// Roles whose permissions it has too.
    pub inherits: Vec<String>,
    /// Permissions of its own.
    pub permissions: Vec<String>,
    /// Whether nothing is open to its holders before they have a second factor.
    pub require_mfa: bool,
}

/// Unknown roles give nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct RoleGraph {
    stored: Stored,
    closures: Vec<Closure>,
}

/// What each role says itself. Names are sorted; everything else refers to them by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    permissions: Vec<String>,
    roles: Vec<Role>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Role {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inherits: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<usize>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    require_mfa: bool,
}

/// What a role comes to: itself and all that it inherits, and what those give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Closure {
    roles: FixedBitSet,
    permissions: FixedBitSet,
    require_mfa: bool,
}

impl RoleGraph {
    /// Works out the closure. What is named but not there is left out.
    #[must_use]
    pub fn new(records: &BTreeMap<String, RoleRecord>) -> Self {
        let permissions: BTreeSet<_> = records.values().flat_map(|record| &record.permissions).collect();
        let permissions: Vec<_> = permissions.into_iter().cloned().collect();
        let names: Vec<_> = records.keys().collect();
        let role = |(name, record): (&String, &RoleRecord)| Role {
            name: name.clone(),
            inherits: record.inherits.iter().filter_map(|name| names.binary_search(&name).ok()).collect(),
            permissions: record.permissions.iter().filter_map(|name| permissions.binary_search(name).ok()).collect(),
            require_mfa: record.require_mfa,
        };
        Stored { roles: records.iter().map(role).collect(), permissions }.into()
    }

    fn closure(&self, role: &str) -> Option<&Closure> {
        let number = self.stored.roles.binary_search_by(|other| other.name.as_str().cmp(role)).ok()?;
        self.closures.get(number)
    }

    fn closures(&self, roles: &[String]) -> impl Iterator<Item = &Closure> {
        roles.iter().filter_map(|role| self.closure(role))
    }

    /// Whether there is such a role.
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        self.closure(role).is_some()
    }

    /// Those of the roles that there are.
    #[must_use]
    pub fn known(&self, roles: &[String]) -> Vec<String> {
        roles.iter().filter(|role| self.has(role)).cloned().collect()
    }

    /// What the roles give together.
    #[must_use]
    pub fn permissions(&self, roles: &[String]) -> BTreeSet<String> {
        let mut given = FixedBitSet::with_capacity(self.stored.permissions.len());
        self.closures(roles).for_each(|closure| given.union_with(&closure.permissions));
        given.ones().filter_map(|number| self.stored.permissions.get(number)).cloned().collect()
    }

    /// The same, as far as a scope has it, if there is one: permissions with spaces between.
    #[must_use]
    pub fn permissions_within(&self, roles: &[String], scope: Option<&str>) -> BTreeSet<String> {
        let mut permissions = self.permissions(roles);
        if let Some(scope) = scope {
            let granted: BTreeSet<_> = scope.split(' ').collect();
            permissions.retain(|permission| granted.contains(permission.as_str()));
        }
        permissions
    }

    /// Whether somebody who comes narrowed to these permissions still has a role: all that it gives, and that is something. Where
    /// a role's name is all that opens, a scope would be no bound otherwise.
    #[must_use]
    pub fn is_left(&self, role: &str, permissions: &BTreeSet<String>) -> bool {
        let given = self.closure(role).map(|closure| closure.permissions.ones());
        let mut given = given.into_iter().flatten().filter_map(|number| self.stored.permissions.get(number)).peekable();
        given.peek().is_some() && given.all(|permission| permissions.contains(permission))
    }

    /// Whether any role gives a permission.
    #[must_use]
    pub fn knows(&self, permission: &str) -> bool {
        self.stored.permissions.binary_search_by(|other| other.as_str().cmp(permission)).is_ok()
    }

    /// Whether one of `held` is `role` or inherits it.
    #[must_use]
    pub fn reaches(&self, held: &[String], role: &str) -> bool {
        let number = self.stored.roles.binary_search_by(|other| other.name.as_str().cmp(role));
        number.is_ok_and(|number| self.closures(held).any(|closure| closure.roles.contains(number)))
    }

    /// Every role that a role is or inherits, sorted.
    #[must_use]
    pub fn inherited(&self, role: &str) -> Vec<&str> {
        let reached = self.closure(role).into_iter().flat_map(|closure| closure.roles.ones());
        reached.filter_map(|number| self.stored.roles.get(number)).map(|role| role.name.as_str()).collect()
    }

    /// Whether one of `held`, or what it inherits, is only for who has shown a second factor.
    #[must_use]
    pub fn require_mfa(&self, held: &[String]) -> bool {
        self.closures(held).any(|closure| closure.require_mfa)
    }

    /// Whether an editor may administer what these roles give, or somebody who holds them: nobody does so above themselves,
    /// nor any `super_admin` at all. A role that opens something by its name is above whoever has not got it.
    pub fn may_administer(&self, editor: &Editor, roles: &[String]) -> Result<(), Missing> {
        if self.reaches(roles, OUT_OF_REACH) {
            return Err(Missing::OutOfReach);
        }
        let lacking: Vec<_> = self.permissions(roles).difference(&editor.permissions).cloned().collect();
        if !lacking.is_empty() {
            return Err(Missing::Permissions(lacking));
        }
        match editor.closed.iter().find(|name| self.reaches(roles, name)) {
            Some(name) => Err(Missing::MinRole(name.clone())),
            None => Ok(()),
        }
    }

    /// The names of all roles.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.stored.roles.iter().map(|role| role.name.as_str())
    }
}

/// Who makes a change.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    /// What they may do.
    pub permissions: BTreeSet<String>,
    /// Roles that open something by their name, whatever they give, and that they have not got: before the change, since
    /// nobody has a role by making their own inherit it.
    pub closed: BTreeSet<String>,
    /// Whether no role is above them, but for what is out of everyone's reach: a `super_admin`.
    pub is_unbounded: bool,
}

impl Editor {
    /// Who holds these roles and has these permissions. Some roles open something by their name.
    #[must_use]
    pub fn new<'a>(
        permissions: BTreeSet<String>,
        roles: &[String],
        graph: &RoleGraph,
        by_name: impl Iterator<Item = &'a str>,
    ) -> Self {
        // A token that was narrowed makes no super_admin.
        let all = graph.permissions(&[OUT_OF_REACH.to_owned()]);
        let is_unbounded = graph.reaches(roles, OUT_OF_REACH) && all.is_subset(&permissions);
        let closed = by_name.filter(|name| !is_unbounded && !graph.reaches(roles, name)).map(ToOwned::to_owned);
        Self { permissions, closed: closed.collect(), is_unbounded }
    }
}

impl From<RoleGraph> for Stored {
    fn from(graph: RoleGraph) -> Self {
        graph.stored
    }
}

impl From<Stored> for RoleGraph {
    /// Each role takes over what those have that it inherits, until nobody gains anything by that. Taken in an order in
    /// which what is inherited comes first, that is once, and once more to see that it is so. A cycle, should one ever be
    /// stored, gives every role on it the same.
    fn from(stored: Stored) -> Self {
        let order = inherited_first(&stored.roles);
        let mut closures: Vec<_> =
            stored.roles.iter().enumerate().map(|(number, role)| itself(&stored, number, role)).collect();
        let mut gained = true;
        while gained {
            gained = false;
            for (number, role) in order.iter().filter_map(|number| Some((*number, stored.roles.get(*number)?))) {
                for inherited in &role.inherits {
                    gained |= take_over(&mut closures, number, *inherited);
                }
            }
        }
        Self { stored, closures }
    }
}

fn itself(stored: &Stored, number: usize, role: &Role) -> Closure {
    let mut roles = FixedBitSet::with_capacity(stored.roles.len());
    roles.insert(number);
    let mut permissions = FixedBitSet::with_capacity(stored.permissions.len());
    for number in role.permissions.iter().filter(|number| **number < stored.permissions.len()) {
        permissions.insert(*number);
    }
    Closure { roles, permissions, require_mfa: role.require_mfa }
}

/// Says whether the one has gained anything by the other.
fn take_over(closures: &mut [Closure], one: usize, other: usize) -> bool {
    // A role is not its own heir.
    let Ok([one, other]) = closures.get_disjoint_mut([one, other]) else { return false };
    if other.roles.is_subset(&one.roles)
        && other.permissions.is_subset(&one.permissions)
        && one.require_mfa >= other.require_mfa
    {
        return false;
    }
    one.roles.union_with(&other.roles);
    one.permissions.union_with(&other.permissions);
    one.require_mfa |= other.require_mfa;
    true
}

/// The numbers of all roles, each after those that it inherits, as far as that can be.
fn inherited_first(roles: &[Role]) -> Vec<usize> {
    let (mut order, mut seen) = (Vec::with_capacity(roles.len()), FixedBitSet::with_capacity(roles.len()));
    for start in 0..roles.len() {
        // How far each role on the way has come with what it inherits.
        let mut way = vec![(start, 0)];
        while let Some((number, next)) = way.pop() {
            if next == 0 && seen.put(number) {
                continue;
            }
            match roles.get(number).and_then(|role| role.inherits.get(next)) {
                Some(inherited) => {
                    way.push((number, next + 1));
                    if *inherited < roles.len() && !seen.contains(*inherited) {
                        way.push((*inherited, 0));
                    }
                }
                None => order.push(number),
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(roles: &[(&str, &[&str], &[&str])]) -> RoleGraph {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let role = |(name, inherits, permissions): &(&str, &[&str], &[&str])| {
            let record = RoleRecord { inherits: texts(inherits), permissions: texts(permissions), require_mfa: false };
            ((*name).to_owned(), record)
        };
        RoleGraph::new(&roles.iter().map(role).collect())
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn own(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn inheritance_is_transitive_and_cycles_end() {
        let graph = graph(&[
            ("user", &[], &["profile:read"]),
            ("moderator", &["user"], &["content:update"]),
            ("admin", &["moderator"], &["users:write"]),
            ("a", &["b"], &["x:a"]),
            ("b", &["c"], &["x:b"]),
            ("c", &["a", "user", "gone"], &["x:c"]),
        ]);
        assert_eq!(graph.permissions(&names(&["admin"])).len(), 3);
        assert!(graph.reaches(&names(&["admin"]), "user") && !graph.reaches(&names(&["user"]), "admin"));
        for role in ["a", "b", "c"] {
            let all = own(&["profile:read", "x:a", "x:b", "x:c"]);
            assert_eq!(graph.permissions(&names(&[role])), all, "{role}");
            assert_eq!(graph.inherited(role), ["a", "b", "c", "user"]);
        }
        assert!(graph.permissions(&names(&["nobody", "gone"])).is_empty());
        assert!(graph.has("c") && !graph.has("gone") && graph.knows("x:c") && !graph.knows("x:d"));
    }

    #[test]
    fn a_diamond_gives_everything_once() {
        let graph = graph(&[
            ("base", &[], &["x:base"]),
            ("left", &["base"], &["x:left"]),
            ("right", &["base"], &["x:right"]),
            ("top", &["left", "right"], &[]),
        ]);
        assert_eq!(graph.permissions(&names(&["top"])), own(&["x:base", "x:left", "x:right"]));
        assert_eq!(graph.inherited("top"), ["base", "left", "right", "top"]);
        assert_eq!(graph.permissions(&names(&["left", "right"])), graph.permissions(&names(&["top"])));
    }

    #[test]
    fn a_thousand_roles_and_two_thousand_permissions_come_out_right() {
        // Each has two permissions of its own and inherits the next, the one after the next, and one far away: named so that
        // what is inherited comes now before, now after who inherits it.
        let name = |number: usize| format!("r{:03}", number * 7919 % 1000);
        let inherits = |number: usize| [number + 1, number + 2, number + 300].into_iter().filter(|other| *other < 1000);
        let mut records = BTreeMap::new();
        for number in 0..1000 {
            let permissions = [0, 1].map(|which| format!("x:p{:04}", 2 * number + which)).to_vec();
            let inherits = inherits(number).map(name).collect();
            records.insert(name(number), RoleRecord { inherits, permissions, require_mfa: number == 700 });
        }
        let graph = RoleGraph::new(&records);
        let written = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<RoleGraph>(&written).unwrap(), graph, "what is written down is all of it");
        for number in [0, 1, 500, 700, 701, 998, 999] {
            let role = [name(number)];
            assert_eq!(graph.permissions(&role).len(), 2 * (1000 - number), "{number}");
            assert_eq!(graph.require_mfa(&role), number <= 700, "{number}");
            assert!(graph.reaches(&role, &name(999)) && (number == 0 || !graph.reaches(&role, &name(number - 1))));
        }
    }

    #[test]
    fn what_is_written_down_may_be_nonsense() {
        let text = r#"{"permissions":["x:a"],"roles":[{"name":"a","inherits":[0,7],"permissions":[0,9]},{"name":"b","inherits":[0]}]}"#;
        let graph: RoleGraph = serde_json::from_str(text).unwrap();
        assert_eq!(graph.permissions(&names(&["b"])), own(&["x:a"]));
    }

    #[test]
    fn nobody_administers_above_themselves() {
        let graph = graph(&[
            ("user", &[], &["x:u"]),
            ("admin", &["user"], &["x:a"]),
            ("super_admin", &[], &["x:s"]),
            ("root", &["super_admin"], &["x:r"]),
        ]);
        let may = |held: &[&str], roles: &[&str]| {
            graph.may_administer(&Editor { permissions: own(held), ..Editor::default() }, &names(roles))
        };
        assert_eq!(may(&["x:u", "x:a"], &["admin"]), Ok(()));
        assert_eq!(may(&[], &[]), Ok(()));
        assert_eq!(may(&["x:u"], &["user", "admin"]), Err(Missing::Permissions(names(&["x:a"]))));
        for role in ["super_admin", "root"] {
            assert_eq!(may(&["x:u", "x:a", "x:s", "x:r"], &["user", role]), Err(Missing::OutOfReach));
        }
    }

    #[test]
    fn what_opens_something_by_its_name_is_above_who_has_not_got_it() {
        let graph = graph(&[
            ("user", &[], &[]),
            ("finance", &[], &[]),
            ("auditor", &["finance"], &[]),
            ("super_admin", &[], &[]),
        ]);
        let may = |held: &[&str], role: &str| {
            let editor = Editor::new(own(&[]), &names(held), &graph, ["finance", "gone"].into_iter());
            graph.may_administer(&editor, &names(&[role]))
        };
        assert_eq!(may(&["user"], "user"), Ok(()));
        for role in ["finance", "auditor"] {
            assert_eq!(may(&["user"], role), Err(Missing::MinRole("finance".to_owned())), "{role}");
            for held in ["finance", "auditor", "super_admin"] {
                assert_eq!(may(&[held], role), Ok(()), "{role} by {held}");
            }
        }
        assert_eq!(may(&["super_admin"], "super_admin"), Err(Missing::OutOfReach));
    }
}
