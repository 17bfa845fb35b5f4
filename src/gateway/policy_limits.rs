//! The limits of a policy: how they are written down, and what is checked before they count.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;

use super::policy::{Access, Credential, LimitBy, Route};
use crate::{
    domain::rate_limit::{Limit, MAX_LIMIT, Rule},
    duration,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitEntry {
    limit: u32,
    window: String,
    by: LimitBy,
    weight: Option<u32>,
    counter: Option<String>,
}

/// The limits of one route.
#[derive(Default)]
pub(super) struct RouteLimits {
    pub ip: Vec<Limit>,
    pub subject: Vec<Limit>,
    pub key: Vec<Limit>,
}

impl RouteLimits {
    /// Checks the limits of a route. Says what is wrong with the first that cannot be.
    pub fn new(
        route: &str,
        access: Access,
        credentials: &[Credential],
        entries: Vec<LimitEntry>,
    ) -> Result<Self, String> {
        let mut limits = Self::default();
        for LimitEntry { limit, window, by, weight, counter } in entries {
            let rule = rule(limit, &window)?;
            let weight = weight.unwrap_or(1);
            if !(1..=limit).contains(&weight) {
                return Err(format!(
                    "a weight is at least 1 and at most the limit, here {limit}: more is never admitted"
                ));
            }
            // What a policy names cannot be taken for a route's own counter, nor for one of ours.
            let counter = match counter {
                None => format!("route:{route}"),
                Some(name) if super::policy_file::is_name(&name) => format!("shared:{name}"),
                Some(_) => return Err("a counter's name is made of a-z, 0-9, . _ and -".to_owned()),
            };
            let list = match by {
                LimitBy::Ip => &mut limits.ip,
                LimitBy::Subject if access == Access::Authenticated => &mut limits.subject,
                LimitBy::ApiKey if access != Access::Public && credentials.contains(&Credential::ApiKey) => {
                    &mut limits.key
                }
                LimitBy::ApiKey => return Err("a limit by api_key needs a route that takes API keys".to_owned()),
                LimitBy::Subject => return Err("a limit by subject needs access = \"authenticated\"".to_owned()),
            };
            match list.iter_mut().find(|other| other.counter == counter) {
                None => list.push(Limit { weight, ..Limit::new(counter, [rule]) }),
                Some(other) if other.weight == weight => other.rules.push(rule),
                Some(_) => return Err("limits of one route that count together need one weight".to_owned()),
            }
        }
        Ok(limits)
    }
}

fn rule(limit: u32, window: &str) -> Result<Rule, String> {
    let window = duration::parse(window).map_err(|error| format!("window {error}"))?;
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
            assert!(found.starts_with("route \"r\": ") && found.contains(why), "{found}\nwanted: {why}");
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
        let sentence = "route \"r\": as another limit of the same counter looks back 86400 s, up to 100800 admissions of \
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
