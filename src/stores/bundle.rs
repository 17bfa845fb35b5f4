//! What isolates hold a copy of: our keys, what roles give, and the policies that were put live. Every change of any
//! answers with the bundle as it is after it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    audit,
    keys::{self, Ring},
    policies, revocations, run,
};
use crate::{
    domain::{
        audit::Entry,
        bundle::Bundle,
        rbac::{RoleGraph, RoleRecord},
        revocation,
        sealed::Sealed,
        time::Timestamp,
        token::{
            jwk::KeyId,
            keyring::RingKey,
            rotation::{Occasion, Schedule, Wanted, due},
        },
    },
    error::ApiError,
    ports::{Crypto, Database, Rows, Statement},
};

/// Where the bundle is kept, and what its keys follow.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    /// The record.
    pub database: &'a dyn Database,
    /// What makes keys.
    pub crypto: &'a dyn Crypto,
    /// The algorithms that always have a key.
    pub wanted: Wanted,
    /// How keys follow one another.
    pub schedule: &'a Schedule,
    /// The time.
    pub now: Timestamp,
    /// The place among this isolate's questions and answers.
    pub order: u64,
}

/// What came of replacing all keys.
#[derive(Debug)]
pub struct Replaced {
    /// Keys and roles after it.
    pub bundle: Bundle,
    /// All keys that were ended before their time, as far as that still matters.
    pub revoked: Vec<revocation::Entry>,
    /// What was written about it.
    pub entries: Vec<Entry>,
}

/// What came of tidying up.
#[derive(Debug)]
pub struct Tidied {
    /// All keys that were ended before their time, as far as that still matters.
    pub revoked: Vec<revocation::Entry>,
    /// Keys that could not be sealed anew, and why.
    pub not_resealed: Vec<(String, String)>,
}

/// How many statements [`read_statements`] are.
const READ: usize = 4;

/// Reads what roles say.
pub(super) fn read_roles() -> Statement {
    Statement::new(
        "SELECT r.name, r.require_mfa,
         (SELECT json_group_array(inherits) FROM role_inherits WHERE role = r.name) AS inherits,
         (SELECT json_group_array(permission) FROM role_permissions WHERE role = r.name) AS permissions
         FROM roles r",
        [],
    )
}

fn read_statements(now: Timestamp) -> [Statement; READ] {
    [revocations::read_versions(), keys::read_live(now), read_roles(), policies::read_in_force()]
}

impl Keeper<'_> {
    /// Reads the bundle, and says whether that changed it: where no key can sign for an algorithm, the first one is
    /// made.
    pub async fn read(&self) -> Result<(Bundle, bool), ApiError> {
        let bundle = self.run_and_read(Vec::new()).await?;
        let additions: Vec<_> = due(&bundle.keyring, self.wanted, self.schedule, self.now, Occasion::Regular)
            .into_iter()
            .filter(|addition| addition.sign_from <= self.now)
            .collect();
        if additions.is_empty() {
            return Ok((bundle, false));
        }
        let mut batch = Vec::new();
        for addition in &additions {
            let key = self.crypto.make_key(addition.algorithm).await?;
            batch.push(keys::add(&key, addition, self.now));
        }
        Ok((self.run_and_read(batch).await?, true))
    }

    /// Adds what is due to the keys of `bundle`, and lets what waits sign earlier where that is asked
    /// for. `entry` makes an audit row for each change; those that were written are given back.
    pub async fn rotate(
        &self,
        bundle: &Bundle,
        occasion: Occasion,
        mut entry: impl FnMut() -> Entry,
    ) -> Result<(Bundle, Vec<Entry>), ApiError> {
        let (mut batch, mut entries) = (Vec::new(), Vec::new());
        let mut told = |change: Statement| {
            let entry = entry();
            batch.extend([change, audit::write_if_changed(&entry)]);
            entries.push(entry);
        };
        if occasion == Occasion::Asked {
            for algorithm in self.wanted.each() {
                told(keys::bring_forward(algorithm, self.schedule.lead(), self.now));
            }
        }
        for addition in due(&bundle.keyring, self.wanted, self.schedule, self.now, occasion) {
            told(keys::add(&self.crypto.make_key(addition.algorithm).await?, &addition, self.now));
        }
        batch.extend(keys::retire_replaced(self.wanted, self.schedule.tail(), self.now));
        batch.extend(entries.first().map(audit::read_written));
        let mut rows = self.run(batch).await?;
        let bundle = self.build(rows.split_off(rows.len().saturating_sub(READ))).await?;
        let written = audit::written(rows.pop().filter(|_| !entries.is_empty()).unwrap_or_default())?;
        entries.retain(|entry| written.contains(&entry.id.to_string()));
        Ok((bundle, entries))
    }

    /// Whether [`Keeper::rotate`] would change anything at this regular occasion.
    #[must_use]
    pub fn is_due(&self, bundle: &Bundle) -> bool {
        let wanted: Vec<_> = self.wanted.each().collect();
        let unwanted = |key: &RingKey| key.retire_at.is_none() && !wanted.contains(&key.algorithm());
        bundle.keyring.keys().any(unwanted)
            || !due(&bundle.keyring, self.wanted, self.schedule, self.now, Occasion::Regular).is_empty()
    }

    /// Changes what roles give, or which policy decides, by a batch. What its statements gave, and the bundle after it.
    pub async fn change(&self, batch: Vec<Statement>) -> Result<(Vec<Rows>, Bundle), ApiError> {
        let mut rows = self.run(batch).await?;
        let bundle = self.build(rows.split_off(rows.len().saturating_sub(READ))).await?;
        Ok((rows, bundle))
    }

    /// Puts new keys in the place of all others, at once.
    pub async fn replace_all(&self, until: Timestamp, mut entry: impl FnMut() -> Entry) -> Result<Replaced, ApiError> {
        let mut new = Vec::new();
        for algorithm in self.wanted.each() {
            new.push((self.crypto.make_key(algorithm).await?, entry()));
        }
        let mut batch = keys::replace_all(&new, self.now, until);
        batch.push(revocations::read_keys(self.now));
        let mut rows = self.run(batch).await?;
        let bundle = self.build(rows.split_off(rows.len().saturating_sub(READ))).await?;
        let revoked = revocations::entries(rows.pop().unwrap_or_default())?;
        Ok(Replaced { bundle, revoked, entries: new.into_iter().map(|(_, entry)| entry).collect() })
    }

    /// Seals anew what is not sealed under the master secret `current`, and forgets keys that are over.
    pub async fn tidy(&self, bundle: &Bundle, current: &str) -> Result<Tidied, ApiError> {
        let (mut batch, mut not_resealed) = (vec![keys::forget_retired(self.now)], Vec::new());
        for (kid, sealed) in &bundle.sealed {
            if Sealed::key_id_of(sealed).as_deref() == Some(current) {
                continue;
            }
            match self.crypto.reseal(&KeyId::stored(kid.clone()), sealed).await {
                Ok(anew) => batch.push(keys::reseal(kid, sealed, &anew)),
                Err(error) => not_resealed.push((kid.clone(), error.to_string())),
            }
        }
        batch.push(revocations::read_keys(self.now));
        let revoked = revocations::entries(super::last(run(self.database, batch).await?))?;
        Ok(Tidied { revoked, not_resealed })
    }

    async fn run(&self, mut batch: Vec<Statement>) -> Result<Vec<Rows>, ApiError> {
        batch.extend(read_statements(self.now));
        Ok(run(self.database, batch).await?)
    }

    async fn run_and_read(&self, batch: Vec<Statement>) -> Result<Bundle, ApiError> {
        let mut rows = self.run(batch).await?;
        self.build(rows.split_off(rows.len().saturating_sub(READ))).await
    }

    /// Rows to knowledge.
    async fn build(&self, rows: Vec<Rows>) -> Result<Bundle, ApiError> {
        let mut rows = rows.into_iter();
        let versions = revocations::versions(rows.next().unwrap_or_default())?;
        let keys = rows.next().unwrap_or_default().all::<keys::Row>()?;
        let Ring { keys, sealed, unreadable } = keys::ring(keys, self.crypto).await;
        let (keyring, roles) = (keys.into_iter().collect(), RoleGraph::new(&records(rows.next().unwrap_or_default())?));
        let policies = policies::put(rows.next().unwrap_or_default())?;
        let (as_of, order) = (self.now, self.order);
        Ok(Bundle { keyring, sealed, unreadable, roles, policies, versions, as_of, is_copy: false, order })
    }
}

/// What roles say, as it was read.
pub(super) fn records(rows: Rows) -> Result<BTreeMap<String, RoleRecord>, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        require_mfa: i64,
        inherits: String,
        permissions: String,
    }
    let internal = |error: serde_json::Error| ApiError::Internal(error.to_string());
    let mut records = BTreeMap::new();
    for row in rows.all::<Row>()? {
        let inherits = serde_json::from_str(&row.inherits).map_err(internal)?;
        let permissions = serde_json::from_str(&row.permissions).map_err(internal)?;
        records.insert(row.name, RoleRecord { inherits, permissions, require_mfa: row.require_mfa != 0 });
    }
    Ok(records)
}
