//! Who is calling, once that is known, in the form that authorisation and origins need.

use std::collections::BTreeSet;

use crate::domain::{
    id::SessionId,
    rbac::{Holdings, RoleGraph},
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
    /// Roles granted directly.
    pub roles: Vec<String>,
    /// The same, with spaces between.
    pub roles_text: String,
    /// What the caller may do: of the roles and what they inherit, within the token's scope.
    pub permissions: BTreeSet<String>,
    /// The same, with spaces between.
    pub scopes_text: String,
    /// The session.
    pub session: SessionId,
    /// How they proved who they are: `bearer`.
    pub method: &'static str,
}

impl Caller {
    /// Works out what verified claims give under a role graph.
    #[must_use]
    pub fn from_claims(verified: &VerifiedClaims, graph: &RoleGraph) -> Self {
        let claims = verified.claims();
        let mut permissions = graph.permissions(&claims.roles);
        if let Some(scope) = &claims.scope {
            let granted: BTreeSet<_> = scope.split(' ').collect();
            permissions.retain(|permission| granted.contains(permission.as_str()));
        }
        let verified_email = claims.email.clone().filter(|_| claims.email_verified == Some(true));
        Self {
            subject: claims.sub.clone(),
            issuer: claims.iss.clone(),
            username: claims.username.clone(),
            verified_email,
            roles_text: claims.roles.join(" "),
            roles: claims.roles.clone(),
            scopes_text: permissions.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            permissions,
            session: verified.session(),
            method: "bearer",
        }
    }

    /// What they bring to a requirement.
    #[must_use]
    pub fn holdings(&self) -> Holdings<'_> {
        Holdings { subject: &self.subject, roles: &self.roles, permissions: &self.permissions }
    }
}
