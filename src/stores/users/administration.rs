//! What those who look after accounts do to another's, beside closing it. Each is one batch: the first statement does it, or
//! notes it on the account, if all is as it was judged and this request has not done it before; what follows does its part
//! where the row in the log is.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        audit::Act,
        session::EndReason,
        time::Timestamp,
        user::{Email, FullName, RoleGrant},
    },
    error::ApiError,
    ports::{Database, Statement, Value},
    stores::{
        audit,
        judged::{self, Administered, Judged, is_as_judged},
        outbox::{self, HOUR, NewLetter},
        revocations, run,
        sessions::EndedBy,
    },
};

/// What is done, to whom, by whom.
#[derive(Debug)]
pub struct Administration<'a> {
    /// Whose account, and who does it.
    pub judged: Judged<'a>,
    /// The row in the log.
    pub act: &'a Act,
    /// More rows, for what is more than one thing.
    pub more: &'a [Act],
    /// Until when what was issued could matter.
    pub revoked_until: Timestamp,
    /// What.
    pub deed: Deed,
}

/// What is done to an account.
#[derive(Debug)]
pub enum Deed {
    /// Its roles are these from now on. What was issued before ends.
    Roles(Vec<RoleGrant>),
    /// It is changed.
    Edit(Box<Edit>),
    /// What keeps its sign-in closed goes.
    Unlock,
    /// Its address counts as proven.
    Prove,
    /// All its sessions end.
    EndSessions,
    /// Nothing; what was revoked before is read.
    Nothing,
}

/// What is changed of an account; what is left out stays.
#[derive(Debug)]
pub struct Edit {
    /// The address: all sessions end.
    pub email: Option<NewEmail>,
    /// The name.
    pub full_name: Option<FullName>,
    /// Whether it is open: if it is closed, all sessions end.
    pub is_active: Option<bool>,
}

/// Another address, which is not proven.
#[derive(Debug)]
pub struct NewEmail {
    /// The address.
    pub email: Email,
    /// The mail by which it is proven.
    pub proof: NewLetter,
    /// There may be so many of those in an hour: nobody is to have mails sent to whom they like.
    pub an_hour: u32,
    /// The mail that tells of it, to the address that was the account's if it was proven.
    pub told: Option<(NewLetter, Email)>,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Another has the address.
    EmailTaken,
    /// There were too many mails of that kind lately.
    TooManyMails,
}

/// How many mails an account had lately by which an address is proven.
macro_rules! proofs {
    ($user:literal, $since:literal) => {
        concat!(
            "SELECT COUNT(*) FROM mail_outbox WHERE account = ",
            $user,
            " AND kind = 'verify_email' AND state <> 'nobody' AND created_at > ",
            $since
        )
    };
}
/// Does it, unless it does not fit.
pub async fn administer(
    database: &dyn Database,
    what: &Administration<'_>,
) -> Result<Result<Administered, Unfit>, ApiError> {
    #[derive(Deserialize)]
    struct Obstacles {
        taken: i64,
        mails: i64,
    }
    let mut batch = match &what.deed {
        Deed::Roles(grants) => roles(what, grants),
        Deed::Edit(edit) => self::edit(what, edit),
        Deed::Unlock => unlock(what),
        Deed::Prove => prove(what),
        Deed::EndSessions => end_sessions(what),
        Deed::Nothing => Vec::new(),
    };
    let email = match &what.deed {
        Deed::Edit(edit) => edit.email.as_ref(),
        _ => None,
    };
    batch.push(Statement::new(
        concat!(
            "SELECT EXISTS (SELECT 1 FROM users WHERE email_key = ?3 AND id <> ?1) AS taken, (",
            proofs!("?1", "?2"),
            ") AS mails"
        ),
        [
            what.judged.user.id.to_string().into(),
            what.act.entry.at.minus(HOUR).millis().into(),
            email.map(|new| new.email.key()).into(),
        ],
    ));
    batch.extend(what.judged.read(&what.act.entry));
    let mut rows = run(database, batch).await?;
    let reads = rows.split_off(rows.len().saturating_sub(3));
    let obstacles = rows.pop().unwrap_or_default().first::<Obstacles>()?;
    let nothing = matches!(what.deed, Deed::Unlock | Deed::Nothing);
    let administered = judged::outcome_of(what.act, nothing, reads)?;
    Ok(match (&administered, email, obstacles) {
        (Administered::Overtaken, Some(_), Some(found)) if found.taken == 1 => Err(Unfit::EmailTaken),
        (Administered::Overtaken, Some(new), Some(found)) if found.mails >= i64::from(new.an_hour) => {
            Err(Unfit::TooManyMails)
        }
        _ => Ok(administered),
    })
}

/// Whether this request has not done it before, and all is as it was judged. Parameter 7 is the row in the log.
macro_rules! may {
    () => {
        concat!("erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM audit_events WHERE id = ?7) AND ", is_as_judged!())
    };
}

/// Whether it was done by this request. Parameter 1 is the account, 2 the row in the log.
macro_rules! is_done {
    () => {
        "EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)"
    };
}

impl Administration<'_> {
    /// For [`may`].
    fn params(&self) -> Vec<Value> {
        let mut params = self.judged.params(self.act.entry.at).to_vec();
        params.push(self.act.entry.id.to_string().into());
        params
    }

    /// For [`is_done`].
    fn done(&self, sql: &'static str) -> Statement {
        Statement::new(sql, [self.judged.user.id.to_string().into(), self.act.entry.id.to_string().into()])
    }

    /// The row in the log; and that every token which is out is over.
    fn note_and_revoke(&self) -> [Statement; 2] {
        let (user, entry) = (self.judged.user.id, &self.act.entry);
        [
            audit::write_act_if_changed(self.act),
            revocations::record_users_version_if_changed(user, entry.at, self.revoked_until),
        ]
    }

    fn ended(&self, reason: EndReason) -> EndedBy<'_> {
        let (user, entry) = (self.judged.user.id, &self.act.entry);
        EndedBy { user, keep: None, reason, until: self.revoked_until, entry }
    }
}

fn roles(what: &Administration<'_>, grants: &[RoleGrant]) -> Vec<Statement> {
    let user = what.judged.user;
    let mut raised = what.params();
    raised.push(user.token_version.into());
    let mut batch = vec![Statement::new(
        concat!(
            "UPDATE users SET token_version = token_version + 1, updated_at = ?2
             WHERE id = ?1 AND token_version = ?8 AND ",
            may!()
        ),
        raised,
    )];
    batch.extend(what.note_and_revoke());
    // As long as nobody else has changed them since.
    let shared: [Value; 4] = [
        user.id.to_string().into(),
        what.act.entry.id.to_string().into(),
        user.token_version.saturating_add(1).into(),
        json!(grants).to_string().into(),
    ];
    batch.push(Statement::new(
        concat!(
            "DELETE FROM user_roles WHERE user_id = ?1 AND role NOT IN (SELECT value ->> 'role' FROM json_each(?4))
             AND (SELECT token_version FROM users WHERE id = ?1) = ?3 AND ",
            is_done!()
        ),
        shared.clone(),
    ));
    let granted = [what.act.entry.at.millis().into(), what.act.actor.to_string().into()];
    batch.push(Statement::new(
        concat!(
            "INSERT INTO user_roles (user_id, role, granted_at, granted_by, expires_at)
             SELECT ?1, value ->> 'role', ?5, ?6, value ->> 'expires_at'
             FROM json_each(?4) JOIN roles r ON r.name = value ->> 'role'
             WHERE (SELECT token_version FROM users WHERE id = ?1) = ?3 AND ",
            is_done!(),
            " ON CONFLICT (user_id, role) DO UPDATE
              SET granted_at = excluded.granted_at, granted_by = excluded.granted_by, expires_at = excluded.expires_at
              WHERE expires_at IS NOT excluded.expires_at"
        ),
        [shared.as_slice(), &granted].concat(),
    ));
    batch
}

fn edit(what: &Administration<'_>, edit: &Edit) -> Vec<Statement> {
    let user = what.judged.user.id;
    let ends = edit.email.is_some() || edit.is_active == Some(false);
    let mut params = what.params();
    params.extend([
        edit.email.as_ref().map(|new| new.email.as_str()).into(),
        edit.email.as_ref().map(|new| new.email.key()).into(),
        edit.full_name.as_ref().map(FullName::as_str).into(),
        edit.is_active.map(i64::from).into(),
        i64::from(ends).into(),
        what.judged.user.email.as_str().into(),
        what.act.entry.at.minus(HOUR).millis().into(),
        edit.email.as_ref().map(|new| new.an_hour).into(),
    ]);
    let mut batch = vec![Statement::new(
        concat!(
            "UPDATE OR IGNORE users SET email = COALESCE(?8, email), email_key = COALESCE(?9, email_key),
               email_verified = CASE WHEN ?8 IS NULL THEN email_verified ELSE 0 END,
               full_name = COALESCE(?10, full_name), is_active = COALESCE(?11, is_active),
               token_version = token_version + ?12, updated_at = ?2
             WHERE id = ?1 AND (?8 IS NULL OR (email = ?13 AND (",
            proofs!("?1", "?14"),
            ") < ?15)) AND ",
            may!()
        ),
        params,
    )];
    if ends {
        batch.extend(what.note_and_revoke());
    } else {
        batch.push(audit::write_act_if_changed(what.act));
    }
    if let Some(NewEmail { proof, told, .. }) = &edit.email {
        batch.push(outbox::write_if_changed(proof, user));
        batch.extend(told.iter().map(|(letter, address)| outbox::write_to_if_changed(letter, user, address)));
    }
    batch.extend(what.more.iter().map(|act| audit::write_act_if_written(act, what.act.entry.id)));
    if ends {
        batch.extend(what.ended(EndReason::Deactivated).statements());
    }
    if edit.is_active == Some(false) {
        batch.push(outbox::end_links_if_written(user, what.act.entry.at, what.act.entry.id));
    }
    batch
}

fn unlock(what: &Administration<'_>) -> Vec<Statement> {
    vec![
        Statement::new(
            concat!(
                "UPDATE users SET updated_at = ?2 WHERE id = ?1
                 AND (EXISTS (SELECT 1 FROM sign_in_locks WHERE account = ?1)
                   OR EXISTS (SELECT 1 FROM mfa_failures WHERE user_id = ?1)
                   OR EXISTS (SELECT 1 FROM sign_in_attempts WHERE account = ?1 AND outcome = 'failed')) AND ",
                may!()
            ),
            what.params(),
        ),
        audit::write_act_if_changed(what.act),
        what.done(concat!("DELETE FROM sign_in_locks WHERE account = ?1 AND ", is_done!())),
        what.done(concat!("DELETE FROM mfa_failures WHERE user_id = ?1 AND ", is_done!())),
        what.done(concat!("DELETE FROM sign_in_attempts WHERE account = ?1 AND outcome = 'failed' AND ", is_done!())),
    ]
}

fn prove(what: &Administration<'_>) -> Vec<Statement> {
    let mut params = what.params();
    params.push(what.judged.user.email.as_str().into());
    vec![
        Statement::new(
            concat!(
                "UPDATE users SET email_verified = 1, updated_at = ?2 WHERE id = ?1 AND email_verified = 0 AND email = ?8 AND ",
                may!()
            ),
            params,
        ),
        audit::write_act_if_changed(what.act),
    ]
}

fn end_sessions(what: &Administration<'_>) -> Vec<Statement> {
    let mut batch = vec![Statement::new(
        concat!("UPDATE users SET token_version = token_version + 1, updated_at = ?2 WHERE id = ?1 AND ", may!()),
        what.params(),
    )];
    batch.extend(what.note_and_revoke());
    batch.extend(what.ended(EndReason::LogoutAll).statements());
    batch
}
