//! Which rows of the log a query asks for.

use crate::{
    api::query::Query,
    domain::{
        audit::{Event, Outcome, Severity},
        id::UserId,
        net::ClientIp,
        time::Timestamp,
        user::FieldProblem,
    },
    stores::audit::list::Filter,
};

/// Reads it; what is wrong with it is noted.
pub fn read(query: &mut Query) -> Filter {
    let events = query.optional("event", events);
    let outcome = query.optional("outcome", |text| Outcome::parse(text).ok_or("must be success, failure or denied"));
    Filter {
        events: wanted(events, outcome),
        actor: query.optional("actor", user),
        subject: query.optional("subject", user),
        ip: query.optional("ip", |text| ClientIp::parse(Some(text)).text().ok_or("must be an IP address")),
        severity: query.optional("severity", |text| Severity::parse(text).ok_or("must be info or warning")),
        from: query.optional("from", time),
        to: query.optional("to", time),
    }
}

/// Names of events, with commas between.
fn events(text: &str) -> Result<Vec<&'static str>, FieldProblem> {
    let known = |name: &str| Event::ALL.iter().map(|event| event.name()).find(|known| *known == name);
    let names = text.split(',').map(|name| known(name).ok_or("must be names of events, with commas between"));
    let mut names = names.collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The events of those names that have that outcome.
fn wanted(events: Option<Vec<&'static str>>, outcome: Option<Outcome>) -> Option<Vec<&'static str>> {
    let Some(outcome) = outcome else { return events };
    let mut with: Vec<_> =
        Event::ALL.iter().filter(|event| event.outcome() == outcome).map(|event| event.name()).collect();
    with.sort_unstable();
    with.dedup();
    with.retain(|name| events.as_ref().is_none_or(|events| events.contains(name)));
    Some(with)
}

fn user(text: &str) -> Result<String, FieldProblem> {
    UserId::parse(text).map(|id| id.to_string()).map_err(|_| "must be the id of a user")
}

fn time(text: &str) -> Result<Timestamp, FieldProblem> {
    Timestamp::parse_rfc3339(text).ok_or("must be a time of RFC 3339, such as 2026-01-31T12:00:00Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Option<Filter> {
        let mut query = Query::new(Some(text));
        let filter = read(&mut query);
        query.refuse().is_ok().then_some(filter)
    }

    #[test]
    fn events_are_names_and_an_outcome_leaves_those_that_have_it() {
        let events = |text: &str| filter(text).unwrap().events;
        assert_eq!(events(""), None);
        assert_eq!(events("event=logout,register,logout"), Some(vec!["logout", "register"]));
        assert_eq!(events("outcome=denied"), Some(vec!["login_blocked", "token_reuse_detected"]));
        assert_eq!(events("outcome=failure&event=login_failure,logout"), Some(vec!["login_failure"]));
        assert_eq!(events("outcome=denied&event=logout"), Some(vec![]));
        assert_eq!(events("event=admin_action,key_rotated").unwrap().len(), 2);
    }

    #[test]
    fn an_address_is_looked_for_as_it_is_written_down() {
        for (told, stored) in [("2001:DB8:0::1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1")] {
            assert_eq!(filter(&format!("ip={told}")).unwrap().ip.as_deref(), Some(stored));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "event=",
            "event=logout,",
            "event=Logout",
            "outcome=ok",
            "severity=error",
            "ip=192.0.2",
            "ip=",
            "actor=ada",
            "subject=0190163D-8694-739B-AEA5-966C26F8AD91",
            "from=2026-01-31",
            "to=1767225600",
            "from=1969-12-31T00:00:00Z",
        ] {
            assert!(filter(bad).is_none(), "{bad}");
        }
    }
}
