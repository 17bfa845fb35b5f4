//! Making assertions for origins.

use std::sync::Arc;

use super::App;
use crate::{
    domain::{
        bundle::Bundle,
        time::Timestamp,
        token::{
            assertion::ends_at,
            jws::Unsigned,
            keyring::{RingKey, VerifyingKey},
        },
    },
    error::ApiError,
    gateway::assertion::{Asserted, ToAssert},
};

impl App {
    /// Makes an assertion. One that is for no single request is remembered.
    ///
    /// # Errors
    /// There is no key, or it cannot sign: nobody goes on without.
    pub(super) async fn assert(&self, to_assert: ToAssert) -> Result<Arc<str>, ApiError> {
        let bundle = self.bundle().await?;
        match self.assert_by(&bundle, &to_assert).await {
            // Where a copy will not do, the record may.
            Err(_) if bundle.is_copy => {
                let bundle = self.read_bundle().await?;
                self.assert_by(&bundle, &to_assert).await
            }
            made => made,
        }
    }

    async fn assert_by(&self, bundle: &Bundle, to_assert: &ToAssert) -> Result<Arc<str>, ApiError> {
        let now = self.ports.clock.now();
        let (key, sealed) = self.asserting(bundle, now).ok_or_else(no_key)?;
        let VerifyingKey::Public(public) = &key.key else { return Err(no_key()) };
        let claims = to_assert.claims(self.config.public_url.as_str(), self.ports.new_token_id(), now);
        let unsigned = Unsigned::assertion(claims, key.kid(), key.algorithm())?;
        let signature = self.ports.crypto.sign(public, sealed, unsigned.signing_input().as_bytes()).await?;
        let token: Arc<str> = unsigned.sign(&signature)?.into();
        if to_assert.request.is_none() {
            let ToAssert { who, origin, .. } = to_assert;
            let (to, caller) = ((who.credential(), *origin), who.caller().clone());
            let asserted = Asserted { caller, made_at: now, key: key.kid().clone(), token: token.clone() };
            self.knowledge().remember_asserted(to, Arc::new(asserted));
        }
        Ok(token)
    }

    /// The key that signs assertions, and its private half, sealed: a pair, and none that was ended before its time.
    fn asserting<'b>(&self, bundle: &'b Bundle, now: Timestamp) -> Option<(&'b RingKey, &'b str)> {
        let key = bundle.signing(self.config.wanted_algorithms().assertions, now, ends_at(now))?;
        (!self.knowledge().view.ends_key(key.0.kid().as_str())).then_some(key)
    }
}

fn no_key() -> ApiError {
    ApiError::Unavailable("no key signs assertions".to_owned())
}
