//! `POST mfa/setup`: an enrolment is begun.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        Connection,
        auth::prove::{Confirmed, confirm, excused},
        extract::{Enrolling, OptionalJsonObject},
        form::Fields,
    },
    app::App,
    config::FRESH_SIGN_IN,
    domain::mfa::{TotpSecret, svg_data_uri},
    error::{ApiError, FieldError},
    stores::{
        mfa::{self, NewSetup},
        users::{self, Confirmation},
    },
};

/// What an app is given, once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Enrolment")]
pub struct SetupAnswer {
    secret: String,
    otpauth_uri: String,
    qr_code: String,
    expires_in: u64,
}

/// Takes `{password?}`, which may be left out just after a sign-in; later, who has found an open session must not be able to
/// tie the account to an app of theirs. (1) Who it is, once more. (2) A secret, sealed. (3) It waits to be confirmed; one that waited
/// before is over.
pub async fn setup(
    State(app): State<Arc<App>>,
    connection: Connection,
    Enrolling(principal): Enrolling,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Json<SetupAnswer>, ApiError> {
    principal.require_if_narrowed("profile:write")?;
    let database = app.ports.database.as_ref();
    let mut fields = Fields::new(body);
    let password = fields.optional_text("password");
    fields.refuse()?;
    let user = users::by_id(database, principal.user()?).await?.ok_or(ApiError::Unauthenticated)?;
    if user.mfa_enabled {
        return Err(ApiError::HasSecondFactor);
    }
    // (1)
    let now = app.ports.clock.now();
    let is_fresh = now.since(principal.0.authenticated_at()) <= FRESH_SIGN_IN;
    let confirmed = match password {
        Some(password) => Some(confirm(&app, &connection, &user.username, &password).await?),
        None if is_fresh => None,
        None => {
            return Err(ApiError::Invalid(vec![FieldError::new("password", "is needed some time after signing in")]));
        }
    };
    // (2)
    let secret = TotpSecret::new(app.ports.random());
    let sealed = app.ports.crypto.seal_totp(user.id, &secret).await.map_err(ApiError::from);
    let sealed = match &confirmed {
        Some(confirmed) => excused(&app, confirmed.attempt, sealed).await?,
        None => sealed?,
    };
    let uri = secret.uri(app.config.mail.branding.app_name.as_str(), &user.email);
    let otpauth_uri = uri.ok_or_else(|| ApiError::Internal("no URI for a secret".to_owned()))?;
    let qr_code = svg_data_uri(&otpauth_uri).ok_or_else(|| ApiError::Internal("no QR code for a URI".to_owned()))?;
    // (3)
    let setup = NewSetup {
        id: app.ports.new_row_id(),
        user: user.id,
        session: principal.session(),
        sealed: &sealed,
        expires_at: now.plus(app.config.mfa_setup_ttl),
        confirmed: confirmed.as_ref().map(|Confirmed { account, attempt }| Confirmation {
            password_hash: &account.password_hash,
            attempt: *attempt,
        }),
    };
    if !mfa::begin(database, setup).await? {
        // Another request of theirs has enrolled, or ended the session, or changed the password.
        return Err(ApiError::HasChanged);
    }
    let expires_in = app.config.mfa_setup_ttl.as_secs();
    Ok(Json(SetupAnswer { secret: secret.base32(), otpauth_uri, qr_code, expires_in }))
}
