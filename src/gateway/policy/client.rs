//! Services that prove themselves by a certificate, as a policy writes them down.

use std::collections::BTreeSet;

use super::{
    file::{Surroundings, Tables},
    issuer::check_role,
    reader::{At, Table},
};
use crate::domain::certificate::{Client, Known};

/// What stands before the name of a service where it is a subject: no account's id begins so, and no issuer's subject.
pub const SUBJECT_PREFIX: &str = "client|";

/// Reads all of them.
pub(super) fn read_all(tables: Tables<'_, '_>, surroundings: Surroundings<'_>) -> Vec<Client> {
    let mut taken = BTreeSet::new();
    tables.into_iter().filter_map(|(id, table)| read(&id.value, table, surroundings, &mut taken)).collect()
}

/// Reads one. `None` if it cannot be used, or is not there: where the variable that it names is not set.
fn read(
    id: &str,
    mut table: Table<'_, '_>,
    surroundings: Surroundings<'_>,
    taken: &mut BTreeSet<Known>,
) -> Option<Client> {
    let (sha256, from) = (table.text("certificate_sha256"), table.text("certificate_sha256_from"));
    let (subject, issuer) = (table.text("certificate_subject"), table.text("certificate_issuer"));
    let roles = table.texts("roles").unwrap_or_default();
    let by_sha256 = |table: &Table<'_, '_>, offset, what: &str, digits: &str| {
        let known = Known::by_sha256(digits).ok_or_else(|| format!("{what} must be 64 hexadecimal digits"));
        table.noted(offset, known)
    };
    let known = match (sha256, from, subject, issuer) {
        (Some(At { value, offset }), None, None, None) => by_sha256(&table, offset, "certificate_sha256", &value),
        (None, Some(At { value: name, offset }), None, None) => surroundings
            .optional_var(&name)
            .and_then(|digits| by_sha256(&table, offset, &format!("the variable {name}"), &digits)),
        (None, None, Some(subject), Some(issuer)) => {
            if subject.value.is_empty() || issuer.value.is_empty() {
                table.fault(
                    subject.offset,
                    "certificate_subject and certificate_issuer must be names as RFC 2253 writes them",
                );
            }
            Some(Known::ByName { subject: subject.value, issuer: issuer.value })
        }
        _ => {
            table.fault(table.offset, "needs certificate_sha256 or certificate_sha256_from, or both certificate_subject and certificate_issuer");
            None
        }
    };
    if known.as_ref().is_some_and(|known| !taken.insert(known.clone())) {
        table.fault(table.offset, "another client has this certificate");
    }
    if roles.is_empty() {
        table.fault(table.offset, "roles must name at least one");
    }
    for role in &roles {
        check_role(&table, role, surroundings);
    }
    table.end();
    let roles = roles.into_iter().map(|role| role.value).collect();
    Some(Client { subject: format!("{SUBJECT_PREFIX}{id}"), known: known?, roles })
}

#[cfg(test)]
mod tests {
    use super::super::{Names, Policy};
    use super::*;

    fn parse(clients: &[&str]) -> Result<Vec<Client>, String> {
        let names = Names { roles: ["user".to_owned()].into(), ..Names::default() };
        let vars = |name: &str| (name == "CERTIFICATE").then(|| "cd".repeat(32));
        let surroundings = Surroundings { names: Some(&names), ..Surroundings::new(&vars) };
        let text: Vec<_> = clients.iter().map(|client| format!("[[client]]\n{client}")).collect();
        let policy = Policy::parse_in(&format!("version = 1\n{}", text.concat()), surroundings);
        policy.map(|policy| policy.clients().to_vec()).map_err(|error| error.to_string())
    }

    const ROLES: &str = "roles = [\"user\"]\n";

    #[test]
    fn a_client_is_known_by_its_certificate_or_by_its_name_and_who_gave_it() {
        let sha256 = "AB:".repeat(32);
        let by_hash = format!("id = \"a\"\ncertificate_sha256 = \"{}\"\n{ROLES}", sha256.trim_end_matches(':'));
        let by_name = format!("id = \"b\"\ncertificate_subject = \"CN=b\"\ncertificate_issuer = \"CN=ca\"\n{ROLES}");
        let read = parse(&[&by_hash, &by_name]).unwrap();
        assert_eq!(read[0].subject, "client|a");
        assert_eq!(read[0].known, Known::by_sha256(&"ab".repeat(32)).unwrap());
        assert_eq!(read[1].known, Known::ByName { subject: "CN=b".to_owned(), issuer: "CN=ca".to_owned() });
        let from = format!("id = \"c\"\ncertificate_sha256_from = \"CERTIFICATE\"\n{ROLES}");
        assert_eq!(parse(&[&from]).unwrap()[0].known, Known::by_sha256(&"cd".repeat(32)).unwrap());
        assert_eq!(parse(&[&from.replace("CERT", "NO_CERT")]), Ok(Vec::new()), "then nobody is known");
        let again = by_hash.replace("\"a\"", "\"c\"");
        assert!(parse(&[&by_hash, &again]).unwrap_err().contains("another client has this certificate"));
    }

    #[test]
    fn what_is_wrong_with_one_is_told() {
        let hash = format!("certificate_sha256 = \"{}\"\n", "a".repeat(64));
        for (lines, why) in [
            (ROLES.to_owned(), "needs certificate_sha256 or"),
            (format!("{ROLES}certificate_subject = \"CN=a\"\n"), "needs certificate_sha256 or"),
            (format!("{ROLES}{hash}certificate_issuer = \"CN=a\"\n"), "needs certificate_sha256 or"),
            (format!("{ROLES}certificate_subject = \"\"\ncertificate_issuer = \"CN=a\"\n"), "as RFC 2253 writes them"),
            (format!("{ROLES}{}", hash.replace("aa\"", "a\"")), "must be 64 hexadecimal digits"),
            (hash.clone(), "roles must name at least one"),
            (format!("{hash}roles = [\"boss\"]\n"), "there is no role \"boss\""),
            (format!("{hash}roles = [\"super_admin\"]\n"), "no policy gives super_admin"),
            (format!("{hash}{ROLES}colour = 3\n"), "unknown key \"colour\""),
        ] {
            let found = parse(&[&format!("id = \"x\"\n{lines}")]).unwrap_err();
            assert!(found.contains("client \"x\"") && found.contains(why), "{found}\nwanted: {why}");
        }
    }
}
