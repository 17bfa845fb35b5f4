//! What a policy that is only tried would have made of a request, beside what was made of it.

use serde_json::{Value, json};

use super::{
    Findings, Moment, Verdict, World,
    canonical::Path,
    cors::{self, Said},
    decide::decide_under,
    forward::Rewrite,
    head::Head,
    knowledge::Knowledge,
    rules::Ruling,
};
use crate::error::ApiError;

/// What becomes of a request, as far as two policies are compared by it.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// It is refused, with this status.
    Refused(u16),
    /// It goes on, as this.
    Forwarded(Box<Rewrite>),
    /// It is a preflight that is told this.
    Preflight(Said),
}

impl Effect {
    /// Of a verdict. Nothing is told by one that rests on what no policy says: that a limit was used up, or that somebody
    /// could not be asked.
    #[must_use]
    pub fn of(verdict: &Verdict<'_>) -> Option<Self> {
        match verdict {
            Verdict::Own
            | Verdict::Need(_)
            | Verdict::Refuse(ApiError::RateLimited(..) | ApiError::Unavailable(_) | ApiError::Internal(_), _) => None,
            Verdict::Preflight(said) => Some(Self::Preflight(said.clone())),
            Verdict::Refuse(error, _) => Some(Self::Refused(error.status_code().as_u16())),
            Verdict::Forward(rewrite) => {
                // What is signed, counted and logged differs from one request to the next, or by a name alone.
                let mut rewrite = rewrite.clone();
                rewrite.set.retain(|(name, _)| name != "x-auth-assertion");
                rewrite.answer.clear();
                (rewrite.log, rewrite.uses) = (None, None);
                Some(Self::Forwarded(rewrite))
            }
        }
    }

    /// What the log is told of it: neither its path nor its query.
    #[must_use]
    pub fn told(&self, head: &Head<'_>, world: &World<'_>) -> Value {
        let path = Path::parse(head.raw_path).ok();
        let preflighted = |path| cors::preflighted(head, path, world).map(|(route, ..)| route);
        let found = |path| world.policy.find(head.method, head.host(), path).map(|(route, _)| route);
        let route = path.as_ref().and_then(|path| preflighted(path).or_else(|| found(path)));
        let id = route.map(|route| &route.id);
        match self {
            Self::Refused(status) => json!({ "status": status, "route": id }),
            Self::Preflight(_) => json!({ "preflight": true, "route": id }),
            Self::Forwarded(_) => {
                let origin = route.and_then(|route| world.policy.origin(route)).map(|origin| &origin.id);
                json!({ "origin": origin, "route": id })
            }
        }
    }
}

/// What a policy would make of a request: nothing is counted or signed.
#[must_use]
pub fn rehearse<'a>(
    head: &Head<'a>,
    world: &World<'_>,
    candidate: &Ruling,
    knowledge: &Knowledge,
    found: &Findings,
    moment: Moment,
) -> Verdict<'a> {
    let path = Path::parse(head.raw_path).ok();
    decide_under((head, path.as_ref()), &world.under(Some(candidate)), knowledge, found, moment)
}
