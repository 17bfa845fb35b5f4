//! An installation that is only supposed to be there: its configuration, a policy, and its roles.

use crate::{
    config::Config,
    domain::{id::RequestId, rbac::RoleGraph, time::Timestamp},
    gateway::{
        Moment, World,
        caller::Caller,
        explain::{Explanation, explain},
        head::Head,
        hosts::AllowedHosts,
        policy::{Names, Ours, Policy, PolicyError, Surroundings},
        question::Whom,
    },
};

/// Reads a policy, held against all that is known.
pub(super) fn parse(
    text: &str,
    vars: &dyn Fn(&str) -> Option<String>,
    names: &Names,
    config: Option<&Config>,
) -> Result<Policy, PolicyError> {
    let ours = config.map(Ours::new);
    Policy::parse_in(text, Surroundings { names: Some(names), ours: ours.as_ref(), ..Surroundings::new(vars) })
}

pub(super) struct Installation {
    config: Config,
    policy: Policy,
    hosts: AllowedHosts,
    roles: RoleGraph,
}

impl Installation {
    pub fn new(config: Config, policy: Policy, roles: RoleGraph) -> Self {
        Self { hosts: AllowedHosts::new(&config, &policy), config, policy, roles }
    }

    /// What would become of a request.
    pub fn explain(&self, head: &str, whom: &Whom) -> Explanation {
        // Any time will do: what counts is how long ago something was.
        let now = Timestamp::from_secs(1 << 31);
        let issuer = self.config.public_url.as_str();
        let caller = whom.supposed().map(|supposed| Caller::supposed(&supposed, issuer, &self.roles, now));
        let world = World::new(&self.config, &self.policy, &self.hosts);
        let moment = Moment { request: RequestId::new(now, &[0; 10]), now };
        let head = Head::parse(head);
        head.map(|head| explain(&head, caller.as_ref(), &world, &self.roles, moment)).unwrap_or_default()
    }
}
