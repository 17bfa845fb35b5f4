//! What a cookie session stands for, as of one moment.
//!
//! A snapshot is believed for [`GOOD_FOR`] after that moment, and only beside what is known of revocations since:
//! those are remembered for longer than that, so that no change of roles, and no end, falls into a gap. After it the
//! record is asked again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{
    id::{SessionId, UserId},
    time::Timestamp,
};

/// A snapshot is believed for so long. Less than revocations are told for, which is an hour at least.
pub const GOOD_FOR: Duration = Duration::from_mins(55);

/// Clocks differ by no more than that.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// A cookie session and its user, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The session.
    pub session: SessionId,
    /// What its cookie must hold, as stores keep it.
    pub salt: String,
    /// Whose it is.
    pub user: UserId,
    /// Their username.
    pub username: String,
    /// Their address, if it was proven.
    pub verified_email: Option<String>,
    /// The roles granted directly.
    pub roles: Vec<String>,
    /// When the first of them is over, if one ever is.
    #[serde(default)]
    pub roles_until: Option<Timestamp>,
    /// Their token version.
    pub version: i64,
    /// What it was narrowed to, if it was.
    pub scope: Option<String>,
    /// How its holder proved who they are. A copy of before that was kept tells nothing.
    #[serde(default)]
    pub amr: Vec<String>,
    /// When they last did.
    #[serde(default)]
    pub authenticated_at: Option<Timestamp>,
    /// When it ends whatever is done with it.
    pub expires_at: Timestamp,
    /// How long it may go unused, in milliseconds.
    pub idle_ms: i64,
    /// When it ends if it is not used from then on.
    pub idle_until: Timestamp,
    /// When its use was last noted.
    pub seen_at: Timestamp,
    /// As of when all this is so.
    pub as_of: Timestamp,
}

impl Snapshot {
    /// Whether it is still believed.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        is_believed(self.as_of, self.roles_until, now)
    }

    /// How long it may go unused.
    #[must_use]
    pub fn idle(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.idle_ms).unwrap_or(0))
    }
}

/// Whether a snapshot is still believed that was taken at `as_of`, of somebody who has their roles until some time.
#[must_use]
pub fn is_believed(as_of: Timestamp, roles_until: Option<Timestamp>, now: Timestamp) -> bool {
    // One that was taken later than now tells of clocks that differ, which they do by little.
    now.since(as_of) < GOOD_FOR && as_of.since(now) < CLOCKS_DIFFER && roles_until.is_none_or(|until| until > now)
}
