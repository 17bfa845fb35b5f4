//! Trusted issuers, as a policy writes them down.

use std::collections::BTreeSet;

use url::Url;

use super::{
    client,
    file::{Surroundings, Tables},
    reader::{At, Table},
};
use crate::{
    config::Environment,
    domain::{
        host::is_loopback,
        rbac::OUT_OF_REACH,
        token::{
            algorithm::Algorithm,
            issuer::{Issuer, RoleMap},
        },
    },
    gateway::headers,
};

/// Longer names of issuers and audiences are none.
const MAX_NAME_BYTES: usize = 255;

/// Reads all of them.
pub(super) fn read_all(tables: Tables<'_, '_>, surroundings: Surroundings<'_>) -> Vec<Issuer> {
    let mut taken = BTreeSet::new();
    tables.into_iter().filter_map(|(id, table)| read(id.value, table, surroundings, &mut taken)).collect()
}

/// Reads one. `None` if it cannot be used, or is not there: where the variable that it names is not set.
fn read(
    id: String,
    mut table: Table<'_, '_>,
    surroundings: Surroundings<'_>,
    taken: &mut BTreeSet<String>,
) -> Option<Issuer> {
    let (issuer, prefix) = (table.needed_text("issuer"), table.needed_text("subject_prefix"));
    let (uri, uri_from) = (table.text("jwks_uri"), table.text("jwks_uri_from"));
    let (audience, algorithms) =
        (table.texts("audience").unwrap_or_default(), table.texts("algorithms").unwrap_or_default());
    let roles = table.table("roles");
    let (offset, has_roles) = (table.offset, roles.is_some());
    let roles = roles.map(|inner| role_map(inner, surroundings)).unwrap_or_default();
    if !has_roles {
        table.fault(offset, "roles is missing");
    }
    if let Some(At { value, offset }) = &issuer {
        let is_ours =
            surroundings.ours.is_some_and(|ours| value.split_once("://").is_some_and(|(_, at)| at == ours.authority));
        if !is_name(value) {
            table.fault(*offset, "issuer must be what tokens say in iss: visible ASCII, 1 to 255 characters");
        } else if is_ours {
            table.fault(*offset, "issuer is this gateway itself");
        } else if !taken.insert(value.clone()) {
            table.fault(*offset, "another issuer is called so, too");
        }
    }
    if let Some(At { value, offset }) = &prefix {
        let is_prefix = value.strip_suffix('|').is_some_and(super::file::is_name);
        if !is_prefix || value == client::SUBJECT_PREFIX {
            table.fault(
                *offset,
                "subject_prefix is made of a-z, 0-9, . _ and -, with | at its end, and is not \"client|\"",
            );
        } else if !taken.insert(value.clone()) {
            table.fault(*offset, "another issuer has this prefix");
        }
    }
    if audience.is_empty() || audience.iter().any(|one| !is_name(&one.value)) {
        table.fault(offset, "audience must name at least one, each in visible ASCII");
    }
    let read_algorithm = |text: &At<String>| {
        let algorithm = Algorithm::parse(&text.value).filter(|algorithm| !algorithm.is_symmetric());
        table.noted(text.offset, algorithm.ok_or_else(|| format!("{:?} is no algorithm with a public key", text.value)))
    };
    let read: Vec<_> = algorithms.iter().filter_map(read_algorithm).collect();
    if algorithms.is_empty() {
        table.fault(offset, "algorithms must name at least one");
    }
    let uri = match (uri, uri_from) {
        (Some(At { value, offset }), None) => {
            table.noted(offset, key_set_url(&value, surroundings).map_err(|why| format!("jwks_uri {why}")))
        }
        (None, Some(At { value: name, offset })) => surroundings.optional_var(&name).and_then(|uri| {
            table.noted(offset, key_set_url(&uri, surroundings).map_err(|why| format!("the variable {name} {why}")))
        }),
        _ => {
            table.fault(offset, "needs exactly one of jwks_uri and jwks_uri_from");
            None
        }
    };
    table.end();
    let audience = audience.into_iter().map(|one| one.value).collect();
    let (issuer, subject_prefix) = (issuer?.value, prefix?.value);
    Some(Issuer { id, issuer, jwks_uri: uri?, audience, algorithms: read, subject_prefix, roles })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && headers::is_plain(text)
}

fn role_map(mut table: Table<'_, '_>, surroundings: Surroundings<'_>) -> RoleMap {
    let (claim, default) = (table.text("claim"), table.text("default"));
    let map = table.texts_by_name("map");
    if map.is_empty() && default.is_none() {
        table.fault(table.offset, "roles gives none: it needs a map, or a default");
    }
    if claim.as_ref().is_some_and(|claim| claim.value.is_empty()) || claim.is_none() && !map.is_empty() {
        table.fault(table.offset, "roles needs the claim that its map is of");
    }
    for role in map.iter().map(|(_, role)| role).chain(&default) {
        check_role(&table, role, surroundings);
    }
    table.end();
    RoleMap {
        claim: claim.map(|claim| claim.value).unwrap_or_default(),
        map: map.into_iter().map(|(theirs, ours)| (theirs.value, ours.value)).collect(),
        default: default.map(|role| role.value),
    }
}

/// Holds a role against those that there are, and that a policy may give.
pub(super) fn check_role(table: &Table<'_, '_>, role: &At<String>, surroundings: Surroundings<'_>) {
    if role.value == OUT_OF_REACH {
        table.fault(role.offset, "no policy gives super_admin");
    } else if surroundings.names.is_some_and(|names| !names.roles.contains(&role.value)) {
        table.fault(role.offset, format!("there is no role {:?}", role.value));
    }
}

/// Where a key set may be: behind https, since whoever answers there makes callers; on this machine in development.
fn key_set_url(text: &str, surroundings: Surroundings<'_>) -> Result<String, String> {
    let is_development = surroundings.ours.is_some_and(|ours| ours.environment == Environment::Development);
    let url = Url::parse(text).ok().filter(|url| {
        let host = url.host_str().unwrap_or_default();
        let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_development && is_loopback(host);
        let nobody = url.username().is_empty() && url.password().is_none();
        is_safe && nobody && url.fragment().is_none() && !host.is_empty()
    });
    url.map(String::from).ok_or_else(|| "must be an https URL; in development http on this machine will do".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Names, Ours, Policy};
    use super::*;

    const GOOD: &str = r#"id = "corp"
issuer = "https://login.corp.example"
jwks_uri = "https://login.corp.example/jwks.json"
audience = ["edgewarden"]
algorithms = ["RS256", "ES256"]
subject_prefix = "corp|"
roles = { claim = "groups", map = { "eng leads" = "moderator" }, default = "user" }
"#;

    fn parse(issuers: &[&str], environment: Environment) -> Result<Vec<Issuer>, String> {
        let names = Names { roles: ["user".to_owned(), "moderator".to_owned()].into(), ..Names::default() };
        let ours = Ours {
            authority: "auth.example".to_owned(),
            api_prefix: "/api/v1".to_owned(),
            hosts: None,
            docs: false,
            environment,
        };
        let vars = |name: &str| match name {
            "KEYS" => Some("https://keys.example/set".to_owned()),
            "PLAIN" => Some("http://keys.example/set".to_owned()),
            _ => None,
        };
        let surroundings = Surroundings { names: Some(&names), ours: Some(&ours), ..Surroundings::new(&vars) };
        let text: Vec<_> = issuers.iter().map(|issuer| format!("[[issuer]]\n{issuer}")).collect();
        let policy = Policy::parse_in(&format!("version = 1\n{}", text.concat()), surroundings);
        policy.map(|policy| policy.issuers().to_vec()).map_err(|error| error.to_string())
    }

    fn fault(issuer: &str) -> String {
        parse(&[issuer], Environment::Production).err().unwrap_or_default()
    }

    #[test]
    fn an_issuer_is_read() {
        let read = parse(&[GOOD], Environment::Production).unwrap().remove(0);
        assert_eq!((read.id.as_str(), read.issuer.as_str()), ("corp", "https://login.corp.example"));
        assert_eq!(read.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
        assert_eq!(read.roles.map["eng leads"], "moderator");
        let from = GOOD.replace("jwks_uri = \"https://login.corp.example/jwks.json\"", "jwks_uri_from = \"KEYS\"");
        assert_eq!(parse(&[&from], Environment::Production).unwrap()[0].jwks_uri, "https://keys.example/set");
        let unset = from.replace("KEYS", "NOT_SET");
        assert_eq!(parse(&[&unset], Environment::Production), Ok(Vec::new()), "then nobody is trusted");
    }

    #[test]
    fn keys_come_over_https_but_on_this_machine_in_development() {
        let at = |uri: &str, environment| {
            parse(&[&GOOD.replace("https://login.corp.example/jwks.json", uri)], environment).is_ok()
        };
        for (uri, in_production, in_development) in [
            ("https://a.example/keys?x=y", true, true),
            ("http://127.0.0.1:9/keys", false, true),
            ("http://localhost:9/keys", false, true),
            ("http://a.example/keys", false, false),
            ("http://127.0.0.1.a.example/keys", false, false),
            ("https://user@a.example/keys", false, false),
            ("https://a.example/keys#x", false, false),
            ("ftp://a.example/keys", false, false),
            ("/keys", false, false),
            ("", false, false),
        ] {
            assert_eq!(at(uri, Environment::Production), in_production, "{uri}");
            assert_eq!(at(uri, Environment::Development), in_development, "{uri}");
        }
        let from = GOOD.replace("jwks_uri = \"https://login.corp.example/jwks.json\"", "jwks_uri_from = \"PLAIN\"");
        assert!(fault(&from).contains("the variable PLAIN must be an https URL"));
    }

    #[test]
    fn what_is_wrong_with_one_is_told() {
        for (line, other, why) in [
            ("issuer = \"https://login.corp.example\"", "", "issuer is missing"),
            ("issuer = \"https://login.corp.example\"", "issuer = \"\"", "issuer must be what tokens say"),
            ("issuer = \"https://login.corp.example\"", "issuer = \"https://auth.example\"", "this gateway itself"),
            ("jwks_uri =", "jwks_uri_from = \"KEYS\"\njwks_uri =", "exactly one of"),
            ("audience = [\"edgewarden\"]", "", "audience must name at least one"),
            ("audience = [\"edgewarden\"]", "audience = [\"\"]", "audience must name at least one"),
            ("\"RS256\"", "\"HS256\"", "\"HS256\" is no algorithm with a public key"),
            ("\"RS256\"", "\"none\"", "\"none\" is no algorithm with a public key"),
            ("algorithms = [\"RS256\", \"ES256\"]", "algorithms = []", "algorithms must name at least one"),
            ("\"corp|\"", "\"corp\"", "subject_prefix is made of"),
            ("\"corp|\"", "\"|\"", "subject_prefix is made of"),
            ("\"corp|\"", "\"a|b|\"", "subject_prefix is made of"),
            ("\"corp|\"", "\"client|\"", "subject_prefix is made of"),
            ("\"moderator\"", "\"boss\"", "there is no role \"boss\""),
            ("\"moderator\"", "\"super_admin\"", "no policy gives super_admin"),
            ("default = \"user\"", "default = \"super_admin\"", "no policy gives super_admin"),
            ("claim = \"groups\", ", "", "needs the claim"),
            ("map = { \"eng leads\" = \"moderator\" }, default = \"user\"", "", "roles gives none"),
            ("roles = {", "colour = 3\nroles = {", "unknown key \"colour\""),
            ("roles = { claim", "roles = { colour = 3, claim", "unknown key \"colour\""),
        ] {
            let found = fault(&GOOD.replace(line, other));
            assert!(found.contains("issuer \"corp\"") && found.contains(why), "{found}\nwanted: {why}");
        }
        assert!(fault(&GOOD[..GOOD.find("roles").unwrap()]).contains("roles is missing"));
    }

    #[test]
    fn two_are_never_taken_for_each_other() {
        let other = GOOD.replace("\"corp\"", "\"other\"");
        let two = |second: &str| parse(&[GOOD, second], Environment::Production);
        assert!(two(&other).unwrap_err().contains("another issuer is called so"));
        let other = other.replace("https://login.corp.example\"", "https://login.other.example\"");
        assert!(two(&other).unwrap_err().contains("another issuer has this prefix"));
        assert_eq!(two(&other.replace("corp|", "other|")).unwrap().len(), 2);
        assert!(two(GOOD).unwrap_err().contains("is defined twice"));
    }
}
