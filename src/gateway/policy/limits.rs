//! The limits of a policy: how they are written down, and what is checked before they count.

use std::{collections::HashMap, time::Duration};

use super::{
    Access, Credential, LimitBy, Route,
    reader::{At, Table},
};
use crate::domain::rate_limit::{Limit, MAX_LIMIT, Rule};

/// The limits of one route.
#[derive(Default)]
pub(super) struct RouteLimits {
    pub ip: Vec<Limit>,
    pub subject: Vec<Limit>,
    pub key: Vec<Limit>,
}

impl RouteLimits {
    /// Reads the limits of a route.
    pub fn read(route: &str, access: Access, credentials: &[Credential], tables: Vec<Table<'_, '_>>) -> Self {
        let mut limits = Self::default();
        for mut table in tables {
            let (limit, window) = (table.needed_number("limit"), table.needed_duration("window"));
            let (by, weight, counter) = (table.needed_word("by"), table.number("weight"), table.text("counter"));
            let offset = table.offset;
            let rule =
                limit.zip(window).and_then(|(limit, window)| table.noted(offset, rule(limit.value, window.value)));
            let counter = counter.map_or(Ok(format!("route:{route}")), |counter| shared(&counter.value));
            let counter = table.noted(offset, counter);
            if let (Some(rule), Some(by), Some(counter)) = (rule, by, counter) {
                let weight = weight.map_or(1, |At { value, .. }| value);
                let list = limits.list(by, access, credentials);
                table.noted(offset, list.and_then(|list| add(list, counter, rule, weight)));
            }
            table.end();
        }
        limits
    }

    fn list(&mut self, by: LimitBy, access: Access, credentials: &[Credential]) -> Result<&mut Vec<Limit>, String> {
        match by {
            LimitBy::Ip => Ok(&mut self.ip),
            LimitBy::Subject if access == Access::Authenticated => Ok(&mut self.subject),
            LimitBy::ApiKey if access != Access::Public && credentials.contains(&Credential::ApiKey) => {
                Ok(&mut self.key)
            }
            LimitBy::ApiKey => Err("a limit by api_key needs a route that takes API keys".to_owned()),
            LimitBy::Subject => Err("a limit by subject needs access = \"authenticated\"".to_owned()),
        }
    }
}

/// What a policy names cannot be taken for a route's own counter, nor for one of ours.
fn shared(name: &str) -> Result<String, String> {
    let is_name = super::file::is_name(name);
    is_name
        .then(|| format!("shared:{name}"))
        .ok_or_else(|| "a counter's name is made of a-z, 0-9, . _ and -".to_owned())
}

fn add(list: &mut Vec<Limit>, counter: String, rule: Rule, weight: u32) -> Result<(), String> {
    let limit = rule.limit;
    if !(1..=limit).contains(&weight) {
        return Err(format!("a weight is at least 1 and at most the limit, here {limit}: more is never admitted"));
    }
    match list.iter_mut().find(|other| other.counter == counter) {
        None => list.push(Limit { weight, ..Limit::new(counter, [rule]) }),
        Some(other) if other.weight == weight => other.rules.push(rule),
        Some(_) => return Err("limits of one route that count together need one weight".to_owned()),
    }
    Ok(())
}

fn rule(limit: u32, window: Duration) -> Result<Rule, String> {
    if limit == 0 || !(Duration::from_secs(1)..=Duration::from_hours(24)).contains(&window) {
        return Err("a limit is at least 1 in a window of one second to one day".to_owned());
    }
    if limit > MAX_LIMIT {
        return Err(format!(
            "a limit is at most {MAX_LIMIT}: whoever counts remembers each admission of a window, to be exact"
        ));
    }
    Ok(Rule::new(limit, window))
}

/// Lets every limit keep its admissions for as long as another that counts with it looks back.
pub(super) fn keep_for_each_other(routes: &mut [Route]) {
    let mut longest: HashMap<String, u32> = HashMap::new();
    for limit in routes.iter().flat_map(Route::limits) {
        let keep_ms = longest.entry(limit.counter.clone()).or_default();
        *keep_ms = limit.rules.iter().map(|rule| rule.window_ms).fold(*keep_ms, u32::max);
    }
    for limit in routes.iter_mut().flat_map(Route::limits_mut) {
        limit.keep_ms = longest.get(&limit.counter).copied().unwrap_or(limit.keep_ms);
    }
}

/// Checks that no limit lets more be remembered than one that counts alone may: others that count with it may look
/// back further, and what it admits is kept for as long.
pub(super) fn check_memory(route: &Route) -> Result<(), String> {
    for limit in route.limits() {
        let kept = |rule: &Rule| u64::from(rule.limit) * u64::from(limit.keep_ms.div_ceil(rule.window_ms.max(1)));
        if let Some(most) = limit.rules.iter().map(kept).min().filter(|most| *most > MAX_LIMIT.into()) {
            return Err(format!(
                "as another limit of the same counter looks back {} s, up to {most} admissions of this one would be \
                 remembered, and {MAX_LIMIT} may be: lower it, or add one for a longer window",
                limit.keep_ms.div_ceil(1000)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::policy::{Policy, PolicyError};

    fn parse(routes: &[(&str, &str)]) -> Result<Policy, PolicyError> {
        let head = "version = 1\n[[origin]]\nid = \"a\"\nurl = \"https://a.example\"\n".to_owned();
        let route = |(id, limits): &(&str, &str)| {
            format!(
                "[[route]]\nid = \"{id}\"\npath = \"/{id}\"\norigin = \"a\"\naccess = \"authenticated\"\n\
                 rate_limit = [{limits}]\n"
            )
        };
        Policy::parse(&(head + &routes.iter().map(route).collect::<String>()), &|_| None)
    }

    #[test]
    fn limits_count_by_route_unless_they_name_a_counter() {
        let policy = parse(&[
            (
                "r",
                "{ limit = 5, window = \"1m\", by = \"ip\" }, { limit = 9, window = \"1h\", by = \"ip\" },
                 { limit = 20, window = \"1m\", by = \"ip\", counter = \"work\", weight = 7 },
                 { limit = 20, window = \"2m\", by = \"subject\", counter = \"work\" }",
            ),
            ("s", "{ limit = 100000, window = \"1h\", by = \"ip\", counter = \"work\" }"),
        ]);
        let policy = policy.unwrap();
        let rule = |limit, secs| Rule::new(limit, Duration::from_secs(secs));
        let hour = 3_600_000;
        let own = Limit::new("route:r", [rule(5, 60), rule(9, 3600)]);
        let work = Limit { weight: 7, keep_ms: hour, ..Limit::new("shared:work", [rule(20, 60)]) };
        assert_eq!(policy.routes()[0].ip_limits, [own, work]);
        let by_subject = Limit { keep_ms: hour, ..Limit::new("shared:work", [rule(20, 120)]) };
        assert_eq!(policy.routes()[0].subject_limits, [by_subject]);
        assert_eq!(policy.routes()[1].ip_limits, [Limit::new("shared:work", [rule(100_000, 3600)])]);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for (limits, why) in [
            ("{ limit = 0, window = \"1m\", by = \"ip\" }", "at least 1"),
            ("{ limit = 1, window = \"2d\", by = \"ip\" }", "to one day"),
            ("{ limit = 100001, window = \"1m\", by = \"ip\" }", "at most 100000: whoever counts"),
            ("{ limit = 4, window = \"1m\", by = \"ip\", weight = 5 }", "at most the limit, here 4"),
            ("{ limit = 4, window = \"1m\", by = \"ip\", weight = 0 }", "at least 1"),
            ("{ limit = 4, window = \"1m\", by = \"ip\", counter = \"a b\" }", "a counter's name"),
            (
                "{ limit = 4, window = \"1m\", by = \"ip\" }, { limit = 4, window = \"1h\", by = \"ip\", weight = 2 }",
                "need one weight",
            ),
        ] {
            let found = parse(&[("r", limits)]).unwrap_err().to_string();
            assert!(found.contains("route \"r\": ") && found.contains(why), "{found}\nwanted: {why}");
        }
    }

    #[test]
    fn a_counter_that_would_remember_too_much_is_refused() {
        let long = ("s", "{ limit = 9, window = \"1d\", by = \"ip\", counter = \"work\" }");
        let brief = |limits: &str| parse(&[("r", limits), long]);
        // 69 a minute are 99,360 a day.
        assert!(brief("{ limit = 69, window = \"1m\", by = \"ip\", counter = \"work\" }").is_ok());
        let refused =
            brief("{ limit = 70, window = \"1m\", by = \"ip\", counter = \"work\" }").unwrap_err().to_string();
        let sentence = "line 6, route \"r\": as another limit of the same counter looks back 86400 s, up to 100800 admissions of \
                        this one would be remembered, and 100000 may be: lower it, or add one for a longer window";
        assert_eq!(refused, sentence);
        // Half of a window counts as one.
        let odd = "{ limit = 50000, window = \"10h\", by = \"ip\", counter = \"work\" }";
        assert!(brief(odd).unwrap_err().to_string().contains("up to 150000"));
        assert!(
            brief(
                "{ limit = 70, window = \"1m\", by = \"ip\", counter = \"work\" },
            { limit = 1000, window = \"2h\", by = \"ip\", counter = \"work\" }"
            )
            .is_ok()
        );
        assert!(brief("{ limit = 100000, window = \"1s\", by = \"ip\" }").is_ok(), "it counts by itself");
    }
}
