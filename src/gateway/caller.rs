//! Who is calling, once that is known, in the form that authorisation and origins need.

use std::{collections::BTreeSet, time::Duration};

use super::{memory::Weigh, policy::Credential};
use crate::domain::{
    api_key::snapshot::KeySnapshot,
    id::SessionId,
    mfa::has_second_factor,
    rbac::{Holdings, OUT_OF_REACH, RoleGraph},
    session::snapshot::Snapshot,
    time::Timestamp,
    token::verify::VerifiedClaims,
};

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `sub`.
    pub subject: String,
    /// `iss`.
    pub issuer: String,
    /// The username, if the credential says it.
    pub username: Option<String>,
    /// The email address, only if it was proven.
    pub verified_email: Option<String>,
    /// Roles granted directly, as far as there still are such.
    pub roles: Vec<String>,
    /// The same with spaces between, as origins are told of them: who comes narrowed has only those that this leaves them.
    pub roles_text: String,
    /// What the caller may do: of the roles and what they inherit, within the token's scope.
    pub permissions: BTreeSet<String>,
    /// The same, with spaces between.
    pub scopes_text: String,
    /// The session; an API key has none.
    pub session: Option<SessionId>,
    /// How they proved who they are: `bearer`, `session`, `api_key` or `mtls`.
    pub method: &'static str,
    /// When they showed a second factor, if they did.
    pub second_factor_at: Option<Timestamp>,
    /// Whether their roles want one that they have not shown.
    pub lacks_factor: bool,
    /// Whether their token, session or key was narrowed to less than they may.
    pub is_narrowed: bool,
}

/// Somebody of whom there is no account here, and who vouches for them.
#[derive(Clone, Copy, Debug)]
pub struct Vouched<'a> {
    /// Who: with a prefix that no account's id has.
    pub subject: &'a str,
    /// Who vouches.
    pub issuer: &'a str,
    /// The roles that the policy gives them.
    pub roles: &'a [String],
    /// By what they are known.
    pub credential: Credential,
}

/// Somebody who is only supposed to call.
#[derive(Clone, Debug)]
pub struct Supposed {
    /// Who.
    pub subject: String,
    /// Their username, if it is to be told.
    pub username: Option<String>,
    /// The roles that they hold directly.
    pub roles: Vec<String>,
    /// What they come narrowed to, if they do.
    pub scope: Option<String>,
    /// By what they are known.
    pub credential: Credential,
    /// How long ago they showed a second factor, if they did.
    pub factor_age: Option<Duration>,
}

/// What a credential says of who shows it.
struct Shown<'a> {
    subject: String,
    issuer: &'a str,
    username: Option<&'a str>,
    verified_email: Option<&'a str>,
    roles: &'a [String],
    scope: Option<&'a str>,
    session: Option<SessionId>,
    method: &'static str,
    second_factor_at: Option<Timestamp>,
    /// Whether it is as good as if a second factor was shown, as far as roles require one.
    has_factor: bool,
}

impl Caller {
    /// Works out what verified claims give under a role graph.
    #[must_use]
    pub fn from_claims(verified: &VerifiedClaims, graph: &RoleGraph) -> Self {
        let claims = verified.claims();
        let second_factor_at = has_second_factor(&claims.amr).then_some(Timestamp::from_secs(claims.auth_time));
        let shown = Shown {
            subject: claims.sub.clone(),
            issuer: &claims.iss,
            username: claims.username.as_deref(),
            verified_email: claims.email.as_deref().filter(|_| claims.email_verified == Some(true)),
            roles: &claims.roles,
            scope: claims.scope.as_deref(),
            session: Some(verified.session()),
            method: Credential::Bearer.method(),
            second_factor_at,
            has_factor: second_factor_at.is_some(),
        };
        Self::new(shown, graph)
    }

    /// Works out what a cookie session of ours gives under a role graph; `issuer` is ours.
    #[must_use]
    pub fn from_session(session: &Snapshot, issuer: &str, graph: &RoleGraph) -> Self {
        let second_factor_at = session.authenticated_at.filter(|_| has_second_factor(&session.amr));
        let shown = Shown {
            subject: session.user.to_string(),
            issuer,
            username: Some(&session.username),
            verified_email: session.verified_email.as_deref(),
            roles: &session.roles,
            scope: session.scope.as_deref(),
            session: Some(session.session),
            method: Credential::Session.method(),
            second_factor_at,
            has_factor: second_factor_at.is_some(),
        };
        Self::new(shown, graph)
    }

    /// Works out what an API key of ours gives under a role graph; `issuer` is ours. It shows no second factor: where roles
    /// require one, its owner must have shown theirs when they made it.
    #[must_use]
    pub fn from_key(key: &KeySnapshot, issuer: &str, graph: &RoleGraph) -> Self {
        let shown = Shown {
            subject: key.user.to_string(),
            issuer,
            username: Some(&key.username),
            verified_email: key.verified_email.as_deref(),
            roles: &key.roles,
            scope: Some(&key.scopes),
            session: None,
            method: Credential::ApiKey.method(),
            second_factor_at: None,
            has_factor: key.with_factor,
        };
        Self::new(shown, graph)
    }

    /// Works out what somebody is of whom there is no account here, and who has `roles`: never the one that is out of reach. No
    /// second factor of theirs is known.
    #[must_use]
    pub fn outsider(of: Vouched<'_>, graph: &RoleGraph) -> Self {
        let is_in_reach = |role: &&String| !graph.reaches(std::slice::from_ref(*role), OUT_OF_REACH);
        let roles: Vec<_> = of.roles.iter().filter(is_in_reach).cloned().collect();
        let shown = Shown {
            subject: of.subject.to_owned(),
            issuer: of.issuer,
            username: None,
            verified_email: None,
            roles: &roles,
            scope: None,
            session: None,
            method: of.credential.method(),
            second_factor_at: None,
            has_factor: false,
        };
        Self::new(shown, graph)
    }

    /// Works out what somebody would be who is only supposed to call; `issuer` is ours.
    #[must_use]
    pub fn supposed(of: &Supposed, issuer: &str, graph: &RoleGraph, now: Timestamp) -> Self {
        let method = of.credential.method();
        // A key always names what it gives; one of which nothing is said, all that its owner has.
        let all = || graph.permissions(&of.roles).into_iter().collect::<Vec<_>>().join(" ");
        let scope = of.scope.clone().or_else(|| (of.credential == Credential::ApiKey).then(all));
        let second_factor_at = of.factor_age.map(|age| now.minus(age));
        let shown = Shown {
            subject: of.subject.clone(),
            issuer,
            username: of.username.as_deref(),
            verified_email: None,
            roles: &of.roles,
            scope: scope.as_deref(),
            session: None,
            method,
            second_factor_at,
            // An API key is as good as what its owner has shown when they made it.
            has_factor: second_factor_at.is_some() || of.credential == Credential::ApiKey,
        };
        Self::new(shown, graph)
    }

    fn new(shown: Shown<'_>, graph: &RoleGraph) -> Self {
        let (roles, is_narrowed) = (graph.known(shown.roles), shown.scope.is_some());
        let permissions = graph.permissions_within(shown.roles, shown.scope);
        let told = roles.iter().filter(|role| !is_narrowed || graph.is_left(role, &permissions));
        Self {
            subject: shown.subject,
            issuer: shown.issuer.to_owned(),
            username: shown.username.map(ToOwned::to_owned),
            verified_email: shown.verified_email.map(ToOwned::to_owned),
            roles_text: told.map(String::as_str).collect::<Vec<_>>().join(" "),
            roles,
            scopes_text: permissions.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            permissions,
            session: shown.session,
            method: shown.method,
            second_factor_at: shown.second_factor_at,
            lacks_factor: !shown.has_factor && graph.require_mfa(shown.roles),
            is_narrowed,
        }
    }

    /// What they bring to a requirement.
    #[must_use]
    pub fn holdings(&self) -> Holdings<'_> {
        Holdings {
            subject: &self.subject,
            roles: &self.roles,
            permissions: &self.permissions,
            second_factor_at: self.second_factor_at,
            lacks_factor: self.lacks_factor,
            is_narrowed: self.is_narrowed,
        }
    }
}

impl Weigh for Caller {
    fn bytes(&self) -> usize {
        /// The fixed parts, and what maps and allocations add.
        const FIXED: usize = 512;
        /// What a list's entry takes beside its text.
        const ENTRY: usize = 48;
        let list = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.len() + ENTRY).sum::<usize>();
        let optional = [&self.username, &self.verified_email];
        FIXED
            + self.issuer.len()
            + self.subject.len()
            + list(&mut optional.into_iter().flatten())
            + self.roles_text.len()
            + list(&mut self.roles.iter())
            + self.scopes_text.len()
            + list(&mut self.permissions.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rbac::RoleRecord;

    #[test]
    fn nobody_without_an_account_has_what_is_out_of_reach() {
        let record = |inherits: &[&str], require_mfa| RoleRecord {
            inherits: inherits.iter().map(ToString::to_string).collect(),
            require_mfa,
            ..RoleRecord::default()
        };
        let records = [
            ("user", record(&[], false)),
            ("careful", record(&["user"], true)),
            ("super_admin", record(&["user"], false)),
            ("heir", record(&["super_admin"], false)),
        ];
        let graph = RoleGraph::new(&records.into_iter().map(|(name, record)| (name.to_owned(), record)).collect());
        let outsider = |roles: &[&str]| {
            let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
            let (subject, issuer, credential) = ("corp|ada", "https://corp.example", Credential::Bearer);
            Caller::outsider(Vouched { subject, issuer, roles: &roles, credential }, &graph)
        };
        assert_eq!(outsider(&["super_admin", "heir", "gone"]).roles, [""; 0]);
        assert_eq!(outsider(&["heir", "user"]).roles_text, "user");
        assert!(outsider(&["careful"]).lacks_factor, "of theirs no second factor is known");
    }
}
