//! Half a sign-in: the password was right, and a second factor is asked for.

use schemars::JsonSchema;
use serde::Serialize;

use super::prove::{Proven, Wrong, fail, open_factor};
use crate::{
    api::Connection,
    app::App,
    domain::{
        audit::{Entry, Event},
        device::Known,
        mfa::{Expected, MfaToken},
        session::Holding,
    },
    error::ApiError,
    stores::{
        audit,
        mfa::{self, NewChallenge},
        sign_in::{ByPassword, VerifiedHash},
    },
};

/// What is answered then. The token opens nothing but `auth/mfa/verify`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorWanted")]
pub struct Challenge {
    mfa_required: bool,
    /// The token.
    pub mfa_token: String,
    methods: [&'static str; 2],
    expires_in: u64,
}

/// (1) What will be right is worked out. (2) One batch records it, with a new hash, where the stored one is not as one is made
/// now.
pub async fn ask(
    app: &App,
    connection: &Connection,
    proven: Proven,
    scope: Option<&str>,
    holding: Holding,
) -> Result<Challenge, ApiError> {
    let Proven { account, stale, attempt, device, .. } = proven;
    let user = &account.user;
    let factor =
        account.factor.as_ref().ok_or_else(|| ApiError::Internal("a second factor that is not there".to_owned()))?;
    let renewed = stale.map(|stale| app.config.hasher.renew(&stale)).transpose()?;
    // (1)
    let (id, key, now) = (app.ports.new_row_id(), app.config.token_mac_key.current(), app.ports.clock.now());
    let expires_at = now.plus(app.config.mfa_ttl);
    let secret = open_factor(app, user.id, factor, attempt).await?;
    let expected = Expected::between(&secret, id, key, (now, expires_at));
    // (2)
    let entry = Entry { subject: Some(user.id), ..connection.entry(app, Event::MfaChallenged, now) };
    let known = Known { user: user.id, password_version: account.password_version };
    let challenge = NewChallenge {
        id,
        attempt,
        by: ByPassword {
            user,
            hash: VerifiedHash { stored: &account.password_hash, renewed: renewed.as_deref() },
            amr: &[],
            scope,
        },
        password_version: account.password_version,
        factor,
        expected: &expected,
        is_new_device: !device.is_some_and(|device| device.users().contains(&known)) && user.last_login_at.is_some(),
        expires_at,
        entry: &entry,
    };
    if !mfa::record(app.ports.database.as_ref(), challenge).await? {
        // It changed under way: as with a password that is not right any more.
        return Err(fail(app, connection, attempt, Some(user.id), Wrong::Password).await);
    }
    audit::log(app.ports.log.as_ref(), &entry);
    Ok(Challenge {
        mfa_required: true,
        mfa_token: MfaToken { row: id, holding }.encode(&app.config.token_mac_key),
        methods: ["totp", "recovery_code"],
        expires_in: app.config.mfa_ttl.as_secs(),
    })
}
