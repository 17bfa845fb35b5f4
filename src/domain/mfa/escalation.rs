//! How often a second factor can be guessed. The database does the counting, in the batch that judges a code
//! ([`Failed::close`](crate::stores::sign_in::Failed)): after so many wrong codes in a row sign-in is closed for `LOCKOUT`, and each time
//! for twice as long as before.

use std::time::Duration;

/// Every so many wrong codes in a row close the account's sign-in, where they came from (see
/// [`AttemptRules`](crate::domain::attempts::AttemptRules)). In a row means since somebody last came in from there, however long ago that was:
/// who guesses slowly gets no further than who guesses fast.
pub const FAILURES: u32 = 5;
/// The longest that they close it for.
pub const LONGEST: Duration = Duration::from_hours(24);
/// So often it doubles at most; enough from the shortest `LOCKOUT` to the longest time.
pub const MOST_DOUBLINGS: u32 = 11;
/// A row of wrong codes is forgotten this long after the last one.
pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(90 * 24);
