//! Forgetting what nobody looks at any more.
//!
//! The hourly cron has it done. Each kind is deleted in batches of bounded size, and in a bounded number of them; what is
//! left waits for the next hour, and the log tells of it. Nothing is remembered between two runs: what is over is found
//! by when it was over, so a run that was cut off is simply gone on with by the next.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::App;
use crate::{
    domain::{attempts::RESOLVED_WITHIN, dashboard::DAYS},
    error::ApiError,
    ports::Unavailable,
    stores::{
        api_keys, audit, dashboard, erasure,
        mfa::{self, SealedRow},
        outbox, revocations, sessions, sign_in, users,
    },
};

/// At most so many pages of secrets are sealed anew in one run, which is 5,000.
const RESEAL_ROUNDS: usize = 100;

/// Nobody looks at an attempt any more once it is out of the window and no request is left that could resolve
/// it; so much longer it is kept, since clocks differ.
const KEEP_LONGER: Duration = Duration::from_hours(1);

/// A session that is over is kept for `REFRESH_TTL`, and for no less than this: longer than an access token of it can
/// live, its copy in KV is believed, and its revocation is kept (an hour each, and a little).
const KEEP_SESSIONS: Duration = Duration::from_hours(24);

/// An API key that was ended is not shown any more; for so long who asks again learns that it was.
const KEEP_ENDED_KEYS: Duration = Duration::from_hours(24);

/// An API key that is over by itself is shown to its owner for so long.
const KEEP_KEYS: Duration = Duration::from_hours(30 * 24);

/// A role that is over is shown for so long to those who look after accounts.
const KEEP_GRANTS: Duration = Duration::from_hours(30 * 24);

impl App {
    /// Deletes what is over. One kind failing does not stop the others: what became of each.
    pub async fn clean_up(&self) -> Vec<Result<(), ApiError>> {
        let kinds: [BoxFuture<'_, _>; 13] = [
            Box::pin(self.forget_attempts()),
            Box::pin(self.forget_revocations()),
            Box::pin(self.forget_mails()),
            Box::pin(self.forget_sessions()),
            Box::pin(self.forget_keys()),
            Box::pin(self.seal_audit()),
            Box::pin(self.renew_seals()),
            Box::pin(self.forget_audit()),
            Box::pin(self.finish_erasures()),
            Box::pin(self.forget_grants()),
            Box::pin(self.forget_days()),
            Box::pin(self.forget_factors()),
            Box::pin(self.reseal_factors()),
        ];
        let mut done = Vec::with_capacity(kinds.len());
        for kind in kinds {
            done.push(kind.await);
        }
        done
    }

    /// Deletes attempts to sign in that count no more, and locks that are over.
    pub async fn forget_attempts(&self) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        let keep = self.config.attempts.window.max(RESOLVED_WITHIN) + KEEP_LONGER;
        let all = sign_in::forget_old(self.ports.database.as_ref(), now.minus(keep), now).await?;
        self.tell_if_left(all, "old sign-in attempts or locks");
        Ok(())
    }

    /// Deletes mails that were sent, or given up, long ago.
    pub async fn forget_mails(&self) -> Result<(), ApiError> {
        let all = outbox::delivery::forget(self.ports.database.as_ref(), self.ports.clock.now()).await?;
        self.tell_if_left(all, "old mails");
        Ok(())
    }

    /// Deletes revocations of what is over by itself.
    pub async fn forget_revocations(&self) -> Result<(), ApiError> {
        let all = revocations::forget(self.ports.database.as_ref(), self.ports.clock.now()).await?;
        self.tell_if_left(all, "old revocations");
        Ok(())
    }

    /// Deletes sessions, with their refresh tokens, that have been over for so long that nothing they gave out could
    /// still be good under any reading. Until then the use of a stolen refresh token is told as what it is; after
    /// that it is a 401 like that of any token that we do not know.
    pub async fn forget_sessions(&self) -> Result<(), ApiError> {
        let keep = self.config.lifetimes.refresh.max(KEEP_SESSIONS);
        let before = self.ports.clock.now().minus(keep);
        let all = sessions::forget(self.ports.database.as_ref(), before).await?;
        self.tell_if_left(all, "old sessions");
        Ok(())
    }

    /// Deletes API keys that were ended, or over, long ago.
    pub async fn forget_keys(&self) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        let (ended, over) = (now.minus(KEEP_ENDED_KEYS), now.minus(KEEP_KEYS));
        let all = api_keys::forget(self.ports.database.as_ref(), ended, over).await?;
        self.tell_if_left(all, "old API keys");
        Ok(())
    }

    /// Deletes rows of the log that are older than `AUDIT_RETENTION`, by whole ranges, once they are sealed.
    pub async fn forget_audit(&self) -> Result<(), ApiError> {
        let now = self.ports.clock.now();
        let before = now.minus(self.config.audit_retention);
        let all = audit::seals::forget(self.ports.database.as_ref(), before, now).await?;
        self.tell_if_left(all, "old audit rows");
        Ok(())
    }

    /// Deletes roles that were granted until some time long ago. Where they are not deleted they give nothing all the same.
    pub async fn forget_grants(&self) -> Result<(), ApiError> {
        let before = self.ports.clock.now().minus(KEEP_GRANTS);
        let all = users::forget_grants(self.ports.database.as_ref(), before).await?;
        self.tell_if_left(all, "roles that are over");
        Ok(())
    }

    /// Deletes counts of days that the dashboard does not show any more. There is one row a day.
    pub async fn forget_days(&self) -> Result<(), ApiError> {
        let today = self.ports.clock.now().day();
        dashboard::forget(self.ports.database.as_ref(), today.saturating_sub(DAYS)).await
    }

    /// Removes what is left of people whose accounts were erased.
    pub async fn finish_erasures(&self) -> Result<(), ApiError> {
        let all = erasure::finish(self.ports.database.as_ref(), self.ports.clock.now()).await?;
        self.tell_if_left(all, "traces of erased accounts");
        Ok(())
    }

    /// Deletes enrolments and half sign-ins that are over, and wrong codes of long ago.
    pub async fn forget_factors(&self) -> Result<(), ApiError> {
        let all = mfa::forget(self.ports.database.as_ref(), self.ports.clock.now()).await?;
        self.tell_if_left(all, "old enrolments or half sign-ins");
        Ok(())
    }

    /// Seals secrets of second factors anew that are not sealed under the first secret of `KEY_ENCRYPTION_KEY`, so that the
    /// others can go. What cannot be opened is told, and stays as it is.
    pub async fn reseal_factors(&self) -> Result<(), ApiError> {
        let (database, current) = (self.ports.database.as_ref(), self.config.key_encryption_key.current().id());
        let mut last = None;
        for _ in 0..RESEAL_ROUNDS {
            let mut rows = mfa::not_sealed_under(database, current, last.as_ref()).await?;
            let mut anew = Vec::with_capacity(rows.len());
            for row in &rows {
                match self.seal_anew(row).await {
                    Ok(sealed) => anew.push((row, sealed)),
                    Err(error) => self.log_fault("second factor", &format!("{}: {error}", row.user_id)),
                }
            }
            mfa::put_anew(database, current, &anew).await?;
            last = rows.pop();
            if last.is_none() {
                return Ok(());
            }
        }
        self.tell_if_left(false, "second factors that are sealed under an older secret");
        Ok(())
    }

    async fn seal_anew(&self, row: &SealedRow) -> Result<String, Unavailable> {
        let (crypto, user) = (self.ports.crypto.as_ref(), row.user_id);
        crypto.seal_totp(user, &crypto.open_totp(user, &row.secret).await?).await
    }

    pub(super) fn tell_if_left(&self, all: bool, what: &str) {
        if !all {
            self.log_fault("cleanup", &format!("there are more {what} than can be seen to at once"));
        }
    }
}
