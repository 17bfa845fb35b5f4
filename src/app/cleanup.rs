//! Forgetting what nobody looks at any more.

use std::time::Duration;

use super::App;
use crate::{
    domain::attempts::RESOLVED_WITHIN,
    error::ApiError,
    stores::{outbox, revocations, sign_in},
};

/// Nobody looks at an attempt any more once it is out of the window and no request is left that could resolve
/// it; so much longer it is kept, since clocks differ.
const KEEP_LONGER: Duration = Duration::from_hours(1);

impl App {
    /// Deletes attempts to sign in that count no more, and locks that are over.
    pub async fn forget_attempts(&self) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        let keep = self.config.attempts.window.max(RESOLVED_WITHIN) + KEEP_LONGER;
        if !sign_in::forget_old(self.ports.database.as_ref(), now.minus(keep), now).await? {
            self.log_fault("cleanup", "there are more old sign-in attempts or locks than can be deleted at once");
        }
        Ok(())
    }

    /// Deletes mails that were sent, or given up, long ago.
    pub async fn forget_mails(&self) -> Result<(), ApiError> {
        outbox::delivery::forget(self.ports.database.as_ref(), self.ports.clock.now()).await
    }

    /// Deletes revocations of what is over by itself.
    pub async fn forget_revocations(&self) -> Result<(), ApiError> {
        revocations::forget(self.ports.database.as_ref(), self.ports.clock.now()).await
    }
}
