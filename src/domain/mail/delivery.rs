//! When a mail is tried, and until when.

use std::time::Duration;

/// After the first failure a mail waits so long, after each further one twice as long …
pub const FIRST_WAIT: Duration = Duration::from_mins(1);
/// … and this at most.
pub const LONGEST_WAIT: Duration = Duration::from_hours(6);
/// What could not be sent for so long is a dead letter, and so is what has expired.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(3 * 24);
/// What was sent is kept for so long, and until its token is over.
pub const KEEP_SENT: Duration = Duration::from_hours(7 * 24);
/// The same of dead letters.
pub const KEEP_DEAD: Duration = Duration::from_hours(30 * 24);
