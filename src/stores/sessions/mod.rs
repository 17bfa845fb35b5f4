//! Sessions: ending them, listing them, and whether one still stands.

mod end;
mod forget;
mod list;
mod live;
mod renew;

pub use end::{Ended, EndedBy, EndedSessions, Holder, end, end_all, end_one, end_others};
pub use forget::forget;
pub use list::{Listed, list};
pub use live::{note_uses, snapshot, stands};
pub use renew::Proof;
pub(super) use renew::{go_on, renew};

/// Whether a session `s` may still be used at parameter `?2`, as its own row and its refresh token's tell.
macro_rules! is_live {
    () => {
        "s.ended_at IS NULL AND s.expires_at > ?2 AND ?2 < CASE s.kind
           WHEN 'cookie' THEN s.idle_until
           ELSE (SELECT expires_at FROM refresh_tokens WHERE session_id = s.id) END"
    };
}
pub(super) use is_live;
