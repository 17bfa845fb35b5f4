//! Closing another's account, and removing the person from it. One batch does either; the row in the log is how the
//! rest of it knows that this request did it, once.
//!
//! To erase is to close first. What is left of the account is its id, which everything else refers to: what it was called
//! is free for whoever registers next.

use crate::{
    domain::{audit::Act, session::EndReason, time::Timestamp, user::pseudonym},
    error::ApiError,
    ports::{Database, Statement, Value},
    stores::{
        audit, erasure,
        judged::{self, Administered, Judged, State, is_as_judged},
        outbox, revocations, run,
        sessions::EndedBy,
    },
};

/// An account to be closed.
#[derive(Debug)]
pub struct Removal<'a> {
    /// Whose, and who does it.
    pub judged: Judged<'a>,
    /// The row in the log, if it was open until then.
    pub closed: &'a Act,
    /// Until when what was issued could matter.
    pub revoked_until: Timestamp,
    /// What else is to be done if the person is to be removed.
    pub erased: Option<Erasure<'a>>,
}

/// What stands in a person's place.
#[derive(Debug)]
pub struct Erasure<'a> {
    /// A hash that is no password's.
    pub password_hash: &'a str,
    /// The row in the log; of the same request and time as the other.
    pub act: &'a Act,
}

/// (1) Closes the account, if it is open, with all that this ends. (2) Removes the person, if that is wanted and was not done
/// before. (3) What came of it.
pub async fn remove(database: &dyn Database, what: Removal<'_>) -> Result<Administered, ApiError> {
    let (entry, user) = (&what.closed.entry, what.judged.user);
    let judged = what.judged.params(entry.at);
    // (1)
    let mut batch = vec![
        Statement::new(
            concat!(
                "UPDATE users SET is_active = 0, token_version = token_version + 1, updated_at = ?2
                 WHERE id = ?1 AND is_active = 1 AND NOT EXISTS (SELECT 1 FROM audit_events WHERE id = ?7) AND ",
                is_as_judged!()
            ),
            [judged.as_slice(), &[entry.id.to_string().into()]].concat(),
        ),
        audit::write_act_if_changed(what.closed),
        revocations::record_users_version_if_changed(user.id, entry.at, what.revoked_until),
        end_sessions(&what, what.closed),
        outbox::end_links_if_written(user.id, entry.at, entry.id),
    ];
    // (2)
    if let Some(erased) = &what.erased {
        batch.extend(erase(&what, erased, &judged));
    }
    // (3)
    batch.extend(what.judged.read(entry));
    let erases = what.erased.is_some();
    let is_done = |state: &State| state.is_active == 0 && (!erases || state.erased_at.is_some());
    judged::outcome(run(database, batch).await?, |_| true, is_done)
}

fn end_sessions(what: &Removal<'_>, act: &Act) -> Statement {
    let entry = &act.entry;
    let ended = EndedBy {
        user: what.judged.user.id,
        keep: None,
        reason: EndReason::Deactivated,
        until: what.revoked_until,
        entry,
    };
    ended.end()
}

/// Removes the person. Tokens that are out end by this too: the account may have been closed by hand, without a word of
/// it. `password_version` rises, as whenever the hash changes: no reset mail and no known browser outlives it.
fn erase(what: &Removal<'_>, erased: &Erasure<'_>, judged: &[Value; 6]) -> Vec<Statement> {
    let (user, act) = (what.judged.user.id, erased.act);
    let row = act.entry.id.to_string();
    let mut params = judged.to_vec();
    params.extend([pseudonym(user).into(), erased.password_hash.into()]);
    let mut batch = vec![
        Statement::new(
            concat!(
                "UPDATE users SET username = ?7, email = ?7, email_key = ?7, full_name = '', email_verified = 0,
                   mfa_enabled = 0, last_login_at = NULL, password_hash = ?8, password_version = password_version + 1,
                   is_active = 0, token_version = token_version + 1, updated_at = ?2, erased_at = ?2
                 WHERE id = ?1 AND erased_at IS NULL AND ",
                is_as_judged!()
            ),
            params,
        ),
        audit::write_act_if_changed(act),
        revocations::record_users_version_if_changed(user, act.entry.at, what.revoked_until),
        end_sessions(what, act),
        Statement::new(
            "DELETE FROM user_roles WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [user.to_string().into(), row.as_str().into()],
        ),
        erasure::note(user, act.entry.at, &row),
    ];
    batch.extend(erasure::remove_some(user));
    batch
}
