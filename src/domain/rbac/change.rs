//! Whether a role may be made, changed or removed: the graph stays one that can be read, and nobody gives or takes what
//! is above themselves.

use std::collections::BTreeMap;

use super::{Editor, Missing, RoleGraph, RoleRecord};

/// So many roles there are at most.
pub const MAX_ROLES: usize = 1000;
/// So many permissions there are at most.
pub const MAX_PERMISSIONS: usize = 2000;
/// So many roles stand above one another at most.
pub const MAX_DEPTH: usize = 16;

/// Why it may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It inherits roles that there are not.
    #[error("names what there is not: {}", .0.join(" "))]
    UnknownRoles(Vec<String>),
    /// It gives permissions that there are not.
    #[error("names what there is not: {}", .0.join(" "))]
    UnknownPermissions(Vec<String>),
    /// It would inherit itself, over these.
    #[error("would make a cycle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
    /// Too many would stand above one another.
    #[error("would put more than {MAX_DEPTH} roles above one another")]
    TooDeep,
    /// It is above who does it.
    #[error("{0}")]
    Above(Missing),
}

/// Judges the change of the role `name` among `records`: what it becomes, or `None` if it goes. `exists` says of a permission
/// whether there is one.
pub fn judge(
    records: &BTreeMap<String, RoleRecord>,
    name: &str,
    becomes: Option<&RoleRecord>,
    editor: &Editor,
    exists: impl Fn(&str) -> bool,
) -> Result<(), Unfit> {
    let (role, before) = ([name.to_owned()], RoleGraph::new(records));
    before.may_administer(editor, &role).map_err(Unfit::Above)?;
    let Some(record) = becomes else { return Ok(()) };
    let unknown: Vec<_> = record.inherits.iter().filter(|role| !records.contains_key(*role)).cloned().collect();
    // To inherit itself is a cycle, also of a role that is to be.
    if unknown.iter().any(|role| role != name) {
        return Err(Unfit::UnknownRoles(unknown));
    }
    let unknown: Vec<_> = record.permissions.iter().filter(|permission| !exists(permission)).cloned().collect();
    if !unknown.is_empty() {
        return Err(Unfit::UnknownPermissions(unknown));
    }
    let mut changed = records.clone();
    changed.insert(name.to_owned(), record.clone());
    if let Some(cycle) = cycle(&changed, name) {
        return Err(Unfit::Cycle(cycle));
    }
    let depth_after = depth(&changed);
    if depth_after > MAX_DEPTH && depth_after > depth(records) {
        return Err(Unfit::TooDeep);
    }
    let after = RoleGraph::new(&changed);
    // A role that is to be may have a name that opens something already.
    after.may_administer(editor, &role).map_err(Unfit::Above)?;
    may_concern_heirs(name, &before, &after, editor).map_err(Unfit::Above)
}

/// Whoever inherits the role is concerned by what it loses, and by whether it asks for a second factor: nobody takes from
/// those above them, or has something asked of them. What a role gains they have themselves, so it is for all who inherit it.
fn may_concern_heirs(name: &str, before: &RoleGraph, after: &RoleGraph, editor: &Editor) -> Result<(), Missing> {
    let is_concerned = |heir: &[String; 1]| {
        let [name] = heir;
        let has = after.inherited(name);
        before.require_mfa(heir) != after.require_mfa(heir)
            || before.inherited(name).iter().any(|role| !has.contains(role))
            || !before.permissions(heir).is_subset(&after.permissions(heir))
    };
    for heir in before.names().map(|heir| [heir.to_owned()]) {
        if !before.reaches(&heir, name) || !is_concerned(&heir) {
            continue;
        }
        match before.may_administer(editor, &heir) {
            // Nobody takes from a super_admin but another.
            Err(Missing::OutOfReach) if editor.is_unbounded => {}
            may => may?,
        }
    }
    Ok(())
}

/// The way on which a role inherits itself, if there is one: the shortest, from it back to it.
fn cycle(records: &BTreeMap<String, RoleRecord>, name: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut reached = vec![name];
    while !reached.is_empty() {
        let mut next = Vec::new();
        for role in reached {
            for inherited in records.get(role).into_iter().flat_map(|record| &record.inherits) {
                if inherited == name {
                    let mut way = vec![name.to_owned()];
                    let mut role = role;
                    while role != name {
                        way.push(role.to_owned());
                        role = came_from.get(role).copied().unwrap_or(name);
                    }
                    way.push(name.to_owned());
                    way.reverse();
                    return Some(way);
                }
                if !came_from.contains_key(inherited.as_str()) {
                    came_from.insert(inherited, role);
                    next.push(inherited.as_str());
                }
            }
        }
        reached = next;
    }
    None
}

/// How many roles stand above one another, at most. Roles on a cycle, should one ever be stored, count once.
fn depth(records: &BTreeMap<String, RoleRecord>) -> usize {
    fn of<'a>(
        records: &'a BTreeMap<String, RoleRecord>,
        role: &'a str,
        known: &mut BTreeMap<&'a str, usize>,
        left: usize,
    ) -> usize {
        if let Some(depth) = known.get(role) {
            return *depth;
        }
        // Deeper than is allowed is deep enough to know; and nobody recurses for longer.
        if left == 0 {
            return 1;
        }
        known.insert(role, 0);
        let inherited = records.get(role).into_iter().flat_map(|record| &record.inherits);
        let depth = 1 + inherited.map(|role| of(records, role, known, left - 1)).max().unwrap_or(0);
        known.insert(role, depth);
        depth
    }
    let mut known = BTreeMap::new();
    records.keys().map(|role| of(records, role, &mut known, MAX_DEPTH + 1)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(roles: &[(&str, &[&str], &[&str])]) -> BTreeMap<String, RoleRecord> {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let role = |(name, inherits, permissions): &(&str, &[&str], &[&str])| {
            let record =
                RoleRecord { inherits: texts(inherits), permissions: texts(permissions), ..RoleRecord::default() };
            ((*name).to_owned(), record)
        };
        roles.iter().map(role).collect()
    }

    fn own(list: &[&str]) -> Editor {
        Editor { permissions: list.iter().map(ToString::to_string).collect(), ..Editor::default() }
    }

    fn change(name: &str, inherits: &[&str], permissions: &[&str], held: &[&str]) -> Result<(), Unfit> {
        let before = records(&[
            ("user", &[], &["x:user"]),
            ("staff", &["user"], &["x:staff"]),
            ("left", &["staff"], &[]),
            ("right", &["staff"], &[]),
            ("both", &["left", "right"], &[]),
            ("boss", &["staff"], &["x:boss"]),
            ("super_admin", &["boss"], &["x:root"]),
        ]);
        let becomes = records(&[(name, inherits, permissions)]).remove(name);
        judge(&before, name, becomes.as_ref(), &own(held), |permission| permission.starts_with("x:"))
    }

    const STAFF: &[&str] = &["x:user", "x:staff"];

    #[test]
    fn cycles_are_named_and_diamonds_are_none() {
        let cycle = |way: &[&str]| Err(Unfit::Cycle(way.iter().map(ToString::to_string).collect()));
        assert_eq!(change("user", &["user"], &[], STAFF), cycle(&["user", "user"]));
        assert_eq!(change("new", &["new"], &[], STAFF), cycle(&["new", "new"]));
        assert_eq!(change("user", &["both"], &[], STAFF), cycle(&["user", "both", "left", "staff", "user"]));
        assert_eq!(change("staff", &["user", "right"], &[], STAFF), cycle(&["staff", "right", "staff"]));
        assert_eq!(change("both", &["left", "right", "user"], &[], STAFF), Ok(()), "a diamond");
        let said = change("user", &["both"], &[], STAFF).unwrap_err().to_string();
        assert_eq!(said, "would make a cycle: user → both → left → staff → user");
    }

    #[test]
    fn nobody_changes_what_is_above_them_before_or_after() {
        let missing =
            |list: &[&str]| Err(Unfit::Above(Missing::Permissions(list.iter().map(ToString::to_string).collect())));
        assert_eq!(change("clerk", &["staff"], &["x:staff"], STAFF), Ok(()));
        assert_eq!(change("clerk", &["staff"], &["x:new"], STAFF), missing(&["x:new"]), "to be more than one is");
        assert_eq!(change("clerk", &["boss"], &[], STAFF), missing(&["x:boss"]));
        assert_eq!(change("boss", &[], &[], STAFF), missing(&["x:boss"]), "to make less of who is more");
        let all = &["x:user", "x:staff", "x:boss", "x:root"];
        assert_eq!(change("boss", &["staff"], &["x:boss", "x:user"], all), Ok(()));
        // Who inherits it is above them, and would lose something, be it a role by name.
        assert_eq!(change("boss", &[], &["x:boss"], all), Err(Unfit::Above(Missing::OutOfReach)));
        assert_eq!(change("staff", &["user"], &[], STAFF), missing(&["x:boss"]));
        assert_eq!(change("right", &[], &[], STAFF), Ok(()), "nobody above loses by that");
        for (name, inherits) in [("super_admin", &[][..]), ("heir", &["super_admin"][..])] {
            assert_eq!(change(name, inherits, &[], all), Err(Unfit::Above(Missing::OutOfReach)), "{name}");
        }
    }

    #[test]
    fn what_there_is_not_is_named() {
        let named = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(change("clerk", &["user", "nobody"], &[], STAFF), Err(Unfit::UnknownRoles(named(&["nobody"]))));
        let permissions = &["y:a", "x:user", "y:b"];
        assert_eq!(change("clerk", &[], permissions, STAFF), Err(Unfit::UnknownPermissions(named(&["y:a", "y:b"]))));
    }

    #[test]
    fn no_more_than_so_many_stand_above_one_another() {
        let name = |number: usize| format!("r{number:02}");
        let mut chain = BTreeMap::new();
        for number in 0..MAX_DEPTH {
            let inherits = number.checked_sub(1).map(name).into_iter().collect();
            chain.insert(name(number), RoleRecord { inherits, ..RoleRecord::default() });
        }
        let on_top = |number| RoleRecord { inherits: vec![name(number)], ..RoleRecord::default() };
        let judge = |record: &RoleRecord, role: &str| judge(&chain, role, Some(record), &own(&[]), |_| true);
        assert_eq!(judge(&on_top(MAX_DEPTH - 2), "top"), Ok(()));
        assert_eq!(judge(&on_top(MAX_DEPTH - 1), "top"), Err(Unfit::TooDeep));
        // From below as well: what inherits this is deeper by it.
        let below = chain
            .iter()
            .map(|(role, record)| (role.clone(), record.clone()))
            .chain([("base".to_owned(), RoleRecord::default())]);
        let record = RoleRecord { inherits: vec!["base".to_owned()], ..RoleRecord::default() };
        assert_eq!(super::judge(&below.collect(), &name(0), Some(&record), &own(&[]), |_| true), Err(Unfit::TooDeep));
    }

    #[test]
    fn nobody_asks_for_second_factors_of_those_above_them_or_excuses_them() {
        let asking = |asked: bool| RoleRecord { require_mfa: asked, ..RoleRecord::default() };
        let mut all = records(&[
            ("guest", &[], &[]),
            ("strict", &[], &[]),
            ("boss", &["strict", "guest"], &["x:boss"]),
            ("clerk", &[], &[]),
            ("super_admin", &["boss"], &[]),
        ]);
        all.insert("strict".to_owned(), asking(true));
        let asked_of =
            |role: &str, asked: bool, editor: &Editor| judge(&all, role, Some(&asking(asked)), editor, |_| true);
        let above = || Err(Unfit::Above(Missing::Permissions(vec!["x:boss".to_owned()])));
        assert_eq!(asked_of("strict", false, &own(&[])), above());
        assert_eq!(asked_of("guest", true, &own(&[])), Ok(()), "of a boss it is asked already");
        assert_eq!(asked_of("clerk", true, &own(&[])), Ok(()));
        assert_eq!(asked_of("strict", false, &own(&["x:boss"])), Err(Unfit::Above(Missing::OutOfReach)));
        let root = Editor { is_unbounded: true, ..own(&["x:boss"]) };
        assert_eq!(asked_of("strict", false, &root), Ok(()));
        all.insert("strict".to_owned(), asking(false));
        let of_guests = |editor: &Editor| judge(&all, "guest", Some(&asking(true)), editor, |_| true);
        assert_eq!((of_guests(&own(&[])), of_guests(&root)), (above(), Ok(())));
    }

    #[test]
    fn a_role_that_goes_must_be_within_reach() {
        let records = records(&[("boss", &[], &["x:boss"]), ("super_admin", &[], &[])]);
        assert_eq!(judge(&records, "boss", None, &own(&["x:boss"]), |_| true), Ok(()));
        assert!(matches!(judge(&records, "boss", None, &own(&[]), |_| true), Err(Unfit::Above(_))));
        assert_eq!(judge(&records, "super_admin", None, &own(&[]), |_| true), Err(Unfit::Above(Missing::OutOfReach)));
    }
}
