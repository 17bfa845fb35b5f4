//! The self-probe: a token that nobody else ever sees is revoked, and it is measured how long another isolate goes on
//! accepting it.

use std::time::Duration;

use serde_json::json;

use super::{App, Grant, Publication};
use crate::{
    domain::{
        audit::Origin,
        id::UserId,
        revocation::{Entry, Revoked},
        time::{Timestamp, millis},
        user::User,
    },
    error::ApiError,
    gateway::authenticate::{Authenticated, Freshness},
    stores::revocations,
};

/// The other isolate is asked this often …
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// … and for this much longer than the bound, before that is called a fault.
const PATIENCE: Duration = Duration::from_secs(5);
/// Its session, which no record knows, would end so long after the bound.
const CANARY_LIFE: Duration = Duration::from_mins(1);

impl App {
    /// (1) A token is made for nobody: it has no role, and no session stands behind it. (2) A fresh isolate's knowledge
    /// accepts it. (3) It is revoked as any token is. (4) How long that knowledge accepts it still, is logged: asking as
    /// seldom as an isolate does, it must be less than `REVOCATION_BOUND`.
    ///
    /// # Errors
    /// What could not be asked; or a canary that outlived the bound.
    pub async fn probe_revocation(&self, origin: &Origin) -> Result<(), ApiError> {
        let (clock, bound) = (&self.ports.clock, self.config.revocation_bound);
        // (1)
        let token = self.canary().await?;
        // (2)
        let other = self.with_fresh_knowledge();
        let Authenticated::Token(accepted) = other.authenticate(&token, Freshness::Bounded).await? else {
            return Err(ApiError::Internal("a token was taken for something else".to_owned()));
        };
        let claims = &accepted.claims;
        // (3)
        let (now, until) = (clock.now(), claims.expires_at().plus(crate::domain::token::verify::LEEWAY));
        revocations::record_token(self.ports.database.as_ref(), claims.token(), now, until).await?;
        let entry = Entry { what: Revoked::Token(claims.token()), user: None, at: now, until };
        self.publish(&[entry], None, Publication::First).await?;
        // (4)
        let revoked_at = clock.now();
        let mut looks = (bound + PATIENCE).as_millis() / LOOK_EVERY.as_millis();
        let refused_after = loop {
            match other.authenticate(&token, Freshness::Bounded).await {
                Ok(_) => {}
                Err(ApiError::InvalidToken(_)) => break clock.now().since(revoked_at),
                Err(error) => return Err(error),
            }
            if looks == 0 {
                let waited = clock.now().since(revoked_at).as_millis();
                return Err(ApiError::Internal(format!("a revoked canary was accepted for {waited} ms")));
            }
            looks -= 1;
            self.ports.timer.pause(LOOK_EVERY).await;
            if other.refresh_is_due() {
                other.refresh().await;
            }
        };
        let pulled_at = other.knowledge().view.pulled_at();
        let line = json!({
            "kind": "probe",
            "what": "revocation",
            "refused_after_ms": millis(refused_after),
            "bound_ms": millis(bound),
            "feed_pulled_ago_ms": pulled_at.map(|at| millis(clock.now().since(at))),
            "request_id": origin.request,
        });
        self.ports.log.line(&line.to_string());
        Ok(())
    }

    async fn canary(&self) -> Result<String, ApiError> {
        let now = self.ports.clock.now();
        let user = nobody(self.ports.new_user_id(), now);
        let grant = Grant {
            user: &user,
            session: self.ports.new_session_id(),
            amr: &[],
            scope: None,
            signed_in_at: now,
            session_expires_at: now.plus(self.config.revocation_bound).plus(CANARY_LIFE),
        };
        let keys_version = self.bundle().await?.versions.keys;
        Ok(self.issue_access(grant, keys_version).await?.token)
    }
}

/// A user that there is not.
fn nobody(id: UserId, now: Timestamp) -> User {
    User {
        id,
        username: "canary".to_owned(),
        email: String::new(),
        email_verified: false,
        full_name: String::new(),
        grants: Vec::new(),
        is_active: false,
        mfa_enabled: false,
        token_version: 1,
        created_at: now,
        updated_at: now,
        last_login_at: None,
    }
}
