//! A policy on trial: it decides beside the one that does, the log hears where it would have decided otherwise, and nobody else
//! hears of it. Where something must be asked for that, it is asked beside the answer.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{App, ask::MAX_ROUNDS};
use crate::{
    domain::{id::RequestId, time::Timestamp},
    gateway::{
        Findings, Moment, Verdict,
        head::Head,
        rehearsal::{Effect, rehearse},
        rules::Ruling,
    },
};

/// So many requests wait at most until somebody is asked for them.
const MAX_WAITING: usize = 64;
/// After so long, another may ask: work beside an answer is cut off after half a minute.
const TAKEN_OVER_AFTER: Duration = Duration::from_secs(40);

/// How a trial goes here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trial {
    /// Requests that it decided on beside the policy that counts.
    pub decided: u64,
    /// How many of them it decided otherwise.
    pub differed: u64,
    /// How many it could not decide on, because there were too many at once or somebody did not answer.
    pub undecided: u64,
}

/// What this isolate knows of it.
#[derive(Debug, Default)]
pub(super) struct Trials {
    version: Option<i64>,
    count: Trial,
    waiting: Vec<Waiting>,
    /// Since when somebody asks for those that waited.
    asking_since: Option<Timestamp>,
}

impl Trials {
    /// Whether somebody asks just now: one at a time does, and one that was broken off does not count for long.
    fn is_asked_for(&self, now: Timestamp) -> bool {
        self.asking_since.is_some_and(|since| now >= since && now.since(since) < TAKEN_OVER_AFTER)
    }
}

/// A request for which somebody must be asked.
#[derive(Debug)]
struct Waiting {
    head: String,
    request: RequestId,
    lived: Effect,
}

/// What came of trying.
enum Tried {
    /// The same.
    Alike,
    /// Something else, and what the log is told of it.
    Differs(String),
    /// It cannot be told.
    Unknown,
}

impl App {
    /// How the trial of a version goes here.
    #[must_use]
    pub fn trial_of(&self, version: i64) -> Trial {
        self.trials(version).count
    }

    /// Has a candidate decide on what was just decided.
    pub(super) fn try_candidate(&self, head: &Head<'_>, request: RequestId, at: Timestamp, verdict: &Verdict<'_>) {
        let Some(candidate) = self.candidate() else { return };
        let (Some(version), Some(lived)) = (candidate.version, Effect::of(verdict)) else { return };
        let (found, moment) = (Findings::of_rehearsal(), Moment { request, now: at });
        let tried = rehearse(head, &self.world(), &candidate, &self.knowledge(), &found, moment);
        if matches!(tried, Verdict::Need(_)) {
            let mut trials = self.trials(version);
            if trials.waiting.len() < MAX_WAITING {
                trials.waiting.push(Waiting { head: head.text(), request, lived });
            } else {
                trials.count.undecided += 1;
            }
            return;
        }
        let tried = self.compared(head, &candidate, &lived, &tried, request);
        self.note_tried(version, tried);
    }

    /// Whether requests wait for it that somebody is asked.
    pub(super) fn trial_is_due(&self) -> bool {
        let trials = self.lock_trials();
        !trials.waiting.is_empty() && !trials.is_asked_for(self.ports.clock.now())
    }

    /// Asks for them, and has the candidate decide.
    pub(super) async fn go_on_trying(&self) {
        let now = self.ports.clock.now();
        let waiting = {
            let mut trials = self.lock_trials();
            if trials.is_asked_for(now) {
                return;
            }
            trials.asking_since = Some(now);
            std::mem::take(&mut trials.waiting)
        };
        for one in waiting {
            let Some(candidate) = self.candidate() else { break };
            let (Some(version), Some(head)) = (candidate.version, Head::parse(&one.head)) else { break };
            let tried = self.tried_by_asking(&head, &candidate, &one).await;
            self.note_tried(version, tried);
        }
        self.lock_trials().asking_since = None;
    }

    async fn tried_by_asking(&self, head: &Head<'_>, candidate: &Arc<Ruling>, one: &Waiting) -> Tried {
        let mut found = Findings::of_rehearsal();
        for _ in 0..MAX_ROUNDS {
            let moment = Moment { request: one.request, now: self.ports.clock.now() };
            let tried = rehearse(head, &self.world(), candidate, &self.knowledge(), &found, moment);
            let Verdict::Need(want) = tried else {
                return self.compared(head, candidate, &one.lived, &tried, one.request);
            };
            if self.ask(want, &mut found).await.is_err() {
                return Tried::Unknown;
            }
        }
        Tried::Unknown
    }

    fn compared(
        &self,
        head: &Head<'_>,
        candidate: &Ruling,
        lived: &Effect,
        tried: &Verdict<'_>,
        request: RequestId,
    ) -> Tried {
        let Some(tried) = Effect::of(tried) else { return Tried::Unknown };
        if *lived == tried {
            return Tried::Alike;
        }
        let decides = self.live();
        let line = json!({
            "kind": "shadow",
            "version": candidate.version,
            "request_id": request,
            "method": head.method,
            "live": lived.told(head, &self.world().under(decides.as_deref())),
            "candidate": tried.told(head, &self.world().under(Some(candidate))),
        });
        Tried::Differs(line.to_string())
    }

    fn note_tried(&self, version: i64, tried: Tried) {
        let mut trials = self.trials(version);
        match &tried {
            Tried::Unknown => trials.count.undecided += 1,
            Tried::Alike => trials.count.decided += 1,
            Tried::Differs(_) => {
                trials.count.decided += 1;
                trials.count.differed += 1;
            }
        }
        drop(trials);
        if let Tried::Differs(line) = tried {
            self.ports.log.line(&line);
        }
    }

    /// The counts of a version: another begins anew.
    fn trials(&self, version: i64) -> MutexGuard<'_, Trials> {
        let mut trials = self.lock_trials();
        if trials.version != Some(version) {
            *trials = Trials { version: Some(version), ..Trials::default() };
        }
        trials
    }

    fn lock_trials(&self) -> MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
