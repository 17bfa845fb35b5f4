//! Forgetting what nobody looks at any more.

use std::time::Duration;

use super::App;
use crate::{
    error::ApiError,
    stores::{revocations, sign_in},
};

/// Attempts are kept for so long, or for as long as they count if that is longer.
const KEEP_ATTEMPTS: Duration = Duration::from_hours(24);

impl App {
    /// Deletes attempts to sign in that count no more, and locks that are over.
    pub async fn forget_attempts(&self) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        let keep = self.config.attempts.window.max(KEEP_ATTEMPTS);
        sign_in::forget_old(self.ports.database.as_ref(), now.minus(keep), now).await
    }

    /// Deletes revocations of what is over by itself.
    pub async fn forget_revocations(&self) -> Result<(), ApiError> {
        revocations::forget(self.ports.database.as_ref(), self.ports.clock.now()).await
    }
}
