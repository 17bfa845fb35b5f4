//! Which policy decides here, and what becomes of one that is put over the API.

use std::sync::Arc;

use serde_json::json;

use super::App;
use crate::{
    domain::bundle::Bundle,
    gateway::{
        cors::{self, Said},
        head::Head,
        policy::Policy,
        rules::{Finding, Ruling},
    },
};

impl App {
    /// What decides here, as far as is known; nothing is the file that is deployed.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Ruling>> {
        self.knowledge().rules.live().cloned()
    }

    /// What is tried beside it.
    #[must_use]
    pub fn candidate(&self) -> Option<Arc<Ruling>> {
        self.knowledge().rules.candidate().cloned()
    }

    /// One that was put nowhere, as it would decide.
    #[must_use]
    pub fn ruling(&self, policy: Policy) -> Ruling {
        Ruling { version: None, hosts: self.rules.hosts.under(&policy), policy }
    }

    /// What the answer to a request says of whose pages may read it, if its route says so.
    #[must_use]
    pub fn cors_of(&self, head: &Head<'_>) -> Option<Said> {
        let live = self.live();
        cors::said(head, &self.world().under(live.as_deref()))
    }

    /// The roles that a policy names which decides or may: to have one opens something, or will.
    #[must_use]
    pub fn roles_of_policies(&self) -> Vec<String> {
        let put = [self.live(), self.candidate()];
        let put = put.iter().flatten().flat_map(|ruling| ruling.policy.roles());
        self.deployed().policy().roles().chain(put).map(ToOwned::to_owned).collect()
    }

    /// Tells the log, once, of what was put and does not decide.
    pub(super) fn log_rules(&self, of: &Bundle) {
        if of.policies.live.is_empty() && of.policies.candidate.is_none() {
            return;
        }
        let news = self.knowledge().rules.take_news();
        for finding in news {
            match finding {
                Finding::Unreadable(version, why) => {
                    self.log_fault(
                        "policy",
                        &format!("version {version} cannot be read, the one before it decides: {why}"),
                    );
                }
                Finding::Untried(version, why) => {
                    self.log_fault("policy", &format!("version {version} cannot be read, and is not tried: {why}"));
                }
                Finding::Superseded(version) => {
                    let line = json!({ "kind": "policy", "what": "superseded", "version": version });
                    self.ports.log.line(&line.to_string());
                }
            }
        }
    }
}
