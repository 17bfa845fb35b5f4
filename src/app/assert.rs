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
    pub(super) async fn assert(&self, to_assert: ToAssert) -> Result<Arc<Asserted>, ApiError> {
        let bundle = self.bundle().await?;
        let made = self.assert_by(&bundle, &to_assert).await;
        if made.is_ok() || matches!(made, Err(ApiError::TokenTooLong(_))) {
            return made;
        }
        // A copy may not do, and the key may have been ended: whoever reads the record already is waited for, and else it is
        // read, but not again just after that failed.
        self.wait_for_reader().await;
        let known = self.bundle().await?;
        let is_known = Arc::ptr_eq(&known, &bundle);
        if is_known && self.knowledge().failed_lately(self.ports.clock.now()) {
            return made;
        }
        let newer = if is_known { self.read_bundle().await? } else { known };
        self.assert_by(&newer, &to_assert).await
    }

    async fn assert_by(&self, bundle: &Bundle, to_assert: &ToAssert) -> Result<Arc<Asserted>, ApiError> {
        let now = self.ports.clock.now();
        let (key, sealed) = self.asserting(bundle, now).ok_or_else(no_key)?;
        let VerifyingKey::Public(public) = &key.key else { return Err(no_key()) };
        let claims = to_assert.claims(self.config.public_url.as_str(), self.ports.new_token_id(), now);
        let unsigned = Unsigned::assertion(claims, key.kid(), key.algorithm())?;
        let signature = self.ports.crypto.sign(public, sealed, unsigned.signing_input().as_bytes()).await?;
        let token: Box<str> = unsigned.sign(&signature)?.into();
        let ToAssert { who, origin, request, .. } = to_assert;
        let asserted = Asserted { who: who.clone(), made_at: now, key: key.kid().clone(), token };
        let asserted = Arc::new(asserted);
        if request.is_none() {
            self.knowledge().remember_asserted((who.credential(), *origin), asserted.clone());
        }
        Ok(asserted)
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
