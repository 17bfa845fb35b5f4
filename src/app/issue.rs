//! Making access tokens.

use std::time::Duration;

use super::App;
use crate::{
    domain::{
        bundle::Bundle,
        id::SessionId,
        time::Timestamp,
        token::{
            claims::{Audience, Claims, Optional},
            jws::Unsigned,
            keyring::{RingKey, VerifyingKey},
            verify::LEEWAY,
        },
        user::User,
    },
    error::ApiError,
};

/// The client that tokens are made for when a person signs in here.
const FIRST_PARTY_CLIENT: &str = "edgewarden";

/// No token is made for less: they count in seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// For whom and how an access token is made.
#[derive(Debug)]
pub struct Grant<'a> {
    /// The user, with their roles.
    pub user: &'a User,
    /// The session.
    pub session: SessionId,
    /// How they proved who they are.
    pub amr: &'a [String],
    /// What the token is narrowed to, if it is.
    pub scope: Option<&'a str>,
    /// When they did.
    pub signed_in_at: Timestamp,
    /// When the session ends; no token of it outlives it.
    pub session_expires_at: Timestamp,
}

/// A fresh access token.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// Its life in seconds.
    pub expires_in: i64,
    /// What it permits, with spaces between.
    pub scope: String,
}

impl App {
    /// Makes sure that an access token could be issued: what must not be recorded without one asks
    /// this first.
    pub async fn ready_to_issue(&self) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        let until = now.plus(self.config.lifetimes.access).plus(LEEWAY);
        let mut bundle = self.bundle().await?;
        // What is to be recorded rests on the record.
        if bundle.is_copy {
            bundle = self.read_bundle().await?;
        }
        let (key, sealed) = self.signing_key(&bundle, now, until)?;
        match &key.key {
            VerifyingKey::Public(key) => Ok(self.ports.crypto.ready(key, sealed).await?),
            VerifyingKey::Shared(_) => Ok(()),
        }
    }

    /// Makes an access token. `keys_version` was read from the record by the same request, so that
    /// what a change of the keys ended signs nothing any more.
    pub async fn issue_access(&self, grant: Grant<'_>, keys_version: i64) -> Result<AccessToken, ApiError> {
        let bundle = self.bundle_of(keys_version).await?;
        let now = self.ports.clock.now();
        // Tokens are good for LEEWAY longer than they say, and a role must not be; nor is one made that is over at once.
        let sure = now.plus(LEEWAY).plus(SHORTEST);
        let (roles, roles_until) = (grant.user.roles(sure), grant.user.roles_until(sure));
        let expires_at = now.plus(self.config.lifetimes.access).min(grant.session_expires_at);
        let expires_at = roles_until.map_or(expires_at, |until| expires_at.min(until.minus(LEEWAY)));
        let scope = bundle.roles.permissions_within(&roles, grant.scope);
        let claims = self.claims(&grant, roles, now, expires_at);
        let (key, sealed) = self.signing_key(&bundle, now, expires_at.plus(LEEWAY))?;
        let unsigned = Unsigned::access(&claims, key.kid(), key.algorithm())?;
        let message = unsigned.signing_input().as_bytes();
        let signature = match &key.key {
            VerifyingKey::Public(key) => self.ports.crypto.sign(key, sealed, message).await?,
            VerifyingKey::Shared(key) => key.sign(message),
        };
        let scope: Vec<_> = scope.into_iter().collect();
        Ok(AccessToken {
            token: unsigned.sign(&signature)?,
            expires_in: claims.exp.saturating_sub(claims.iat),
            scope: scope.join(" "),
        })
    }

    fn claims(&self, grant: &Grant<'_>, roles: Vec<String>, now: Timestamp, expires_at: Timestamp) -> Claims {
        let user = grant.user;
        let wanted = |claim| self.config.token_claims.contains(&claim);
        Claims {
            iss: self.config.public_url.as_str().to_owned(),
            sub: user.id.to_string(),
            aud: Audience::new(&self.config.audience),
            exp: expires_at.secs(),
            nbf: now.secs(),
            iat: now.secs(),
            jti: self.ports.new_token_id(),
            client_id: FIRST_PARTY_CLIENT.to_owned(),
            sid: grant.session,
            ver: user.token_version,
            auth_time: grant.signed_in_at.secs(),
            amr: grant.amr.to_vec(),
            roles,
            scope: grant.scope.map(ToOwned::to_owned),
            username: wanted(Optional::Username).then(|| user.username.clone()),
            email: wanted(Optional::Email).then(|| user.email.clone()),
            email_verified: wanted(Optional::EmailVerified).then_some(user.email_verified),
            full_name: wanted(Optional::FullName).then(|| user.full_name.clone()),
        }
    }

    /// The key that signs what is to be believed until `until`, and its private half, sealed.
    fn signing_key<'a>(
        &self,
        bundle: &'a Bundle,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(&'a RingKey, &'a str), ApiError> {
        let key = bundle.signing(self.config.signing_algorithm, now, until);
        key.ok_or_else(|| ApiError::Internal("no signing key".to_owned()))
    }
}
