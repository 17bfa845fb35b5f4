//! Routes, as a policy writes them down.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use super::{
    Access, Assertion, Changes, Cors, Credential, Route,
    file::{Names, Surroundings},
    limits::RouteLimits,
    reader::{At, Table},
    routes::{Host, PathPattern, Pattern},
};
use crate::domain::rbac::Requirement;

/// How long ago a second factor may have been shown, at most, in seconds.
const MFA_AGES: RangeInclusive<u64> = 1..=30 * 86_400;

/// A route, and what is asked for by it.
pub(super) struct Read {
    pub route: Route,
    pub pattern: Pattern,
}

/// Reads one. `None` if it cannot be told what it is for.
pub(super) fn read(
    id: String,
    mut table: Table<'_, '_>,
    origins: &BTreeMap<String, usize>,
    surroundings: Surroundings<'_>,
) -> Option<Read> {
    let (host, methods) = (table.text("host"), table.texts("methods"));
    let (has_methods, methods) = (methods.is_some(), methods.unwrap_or_default());
    let (path, origin) = (table.needed_text("path"), table.needed_text("origin"));
    let (access, credentials) = (table.needed_word("access"), table.words::<Credential>("credentials"));
    let Required { require, owner } =
        table.table("require").map(|inner| required(inner, surroundings.names)).unwrap_or_default();
    let revocation = table.word("revocation").unwrap_or_default();
    let (limits, on_limiter_error) = (table.tables("rate_limit"), table.word("on_limiter_error").unwrap_or_default());

    let host = match host {
        None => Some(Host::Any),
        Some(At { value, offset }) => table.noted(offset, Host::parse(&value)),
    };
    if has_methods && methods.is_empty() {
        table.fault(table.offset, "methods must name at least one: a route that names none takes all");
    }
    for odd in methods.iter().filter(|method| !Pattern::takes_method(&method.value)) {
        table.fault(odd.offset, format!("{:?} is not a method that can be routed", odd.value));
    }
    let origin = origin.and_then(|At { value, offset }| {
        let found = origins.get(&value).copied();
        table.noted(offset, found.ok_or_else(|| format!("there is no origin {value:?}")))
    });
    let text = path.as_ref().map(|path| path.value.clone()).unwrap_or_default();
    let assertion = table.word::<Assertion>("assertion");
    let (allow_encoded_slash, changes) = (table.flag("allow_encoded_slash"), Changes::read(&mut table, &text));
    let taken: Vec<_> = methods.iter().map(|method| method.value.clone()).collect();
    let cors = table.table("cors").map(|inner| Cors::read(inner, &taken));
    let path = path.and_then(|At { value, offset }| table.noted(offset, PathPattern::parse(&value)));
    if let (Some(owner), Some(path)) = (owner, &path)
        && !path.has_param(&owner.value)
    {
        table.fault(owner.offset, format!("owner names {:?}, which is no parameter of the path", owner.value));
    }
    let access = access.unwrap_or(Access::Authenticated);
    if access != Access::Authenticated && require != Requirement::default() {
        table.fault(table.offset, "require needs access = \"authenticated\"");
    }
    if access == Access::Public && credentials.is_some() {
        table.fault(table.offset, "credentials are not looked at where access = \"public\"");
    }
    if access == Access::Public && assertion.is_some() {
        table.fault(table.offset, "nobody is asserted where access = \"public\"");
    }
    let credentials = credentials.unwrap_or_else(|| Credential::USUAL.to_vec());
    if credentials.is_empty() || credentials.iter().collect::<BTreeSet<_>>().len() < credentials.len() {
        table.fault(table.offset, "credentials must name at least one, and each once");
    }
    let limits = RouteLimits::read(&id, access, &credentials, limits);
    table.end();

    let host = host?;
    let route = Route {
        id,
        host: host.clone(),
        path: text,
        origin: origin?,
        access,
        credentials,
        require,
        revocation,
        ip_limits: limits.ip,
        subject_limits: limits.subject,
        key_limits: limits.key,
        on_limiter_error,
        assertion: assertion.unwrap_or_default(),
        allow_encoded_slash,
        changes,
        cors,
    };
    Some(Read { route, pattern: Pattern { host, methods: taken, path: path? } })
}

/// What a route requires, and the parameter that it names.
#[derive(Default)]
struct Required {
    require: Requirement,
    owner: Option<At<String>>,
}

fn required(mut table: Table<'_, '_>, names: Option<&Names>) -> Required {
    let roles = |name: &str| names.is_none_or(|names| names.roles.contains(name));
    let permissions = |name: &str| names.is_none_or(|names| names.permissions.contains(name));
    let known = |table: &Table<'_, '_>, kind: &str, name: At<String>, is_known: &dyn Fn(&str) -> bool| {
        if !is_known(&name.value) {
            table.fault(name.offset, format!("there is no {kind} {:?}", name.value));
        }
        name.value
    };
    let mut list = |key, kind, is_known: &dyn Fn(&str) -> bool| -> Vec<String> {
        let texts = table.texts(key).unwrap_or_default();
        texts.into_iter().map(|name| known(&table, kind, name, is_known)).collect()
    };
    let (any_role, unless_role) = (list("any_role", "role", &roles), list("unless_role", "role", &roles));
    let permissions = list("permissions", "permission", &permissions);
    let min_role = table.text("min_role").map(|name| known(&table, "role", name, &roles));
    let (owner, mfa) = (table.text("owner"), table.duration("mfa"));
    if let Some(mfa) = &mfa
        && !MFA_AGES.contains(&mfa.value.as_secs())
    {
        table.fault(mfa.offset, "mfa must be between 1 second and 30 days");
    }
    if owner.is_none() && !unless_role.is_empty() {
        table.fault(table.offset, "unless_role excepts from owner, which is not there");
    }
    table.end();
    let mfa = mfa.map(|mfa| mfa.value);
    let parameter = owner.as_ref().map(|owner| owner.value.clone());
    Required { require: Requirement { permissions, any_role, min_role, owner: parameter, unless_role, mfa }, owner }
}
