//! What isolates hold a copy of: our keys, and what roles give. Every change of the keys answers with
//! the bundle as it is after it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{audit, keys, run};
use crate::{
    domain::{
        audit::Entry,
        bundle::Bundle,
        rbac::{RoleGraph, RoleRecord},
        time::Timestamp,
        token::{
            algorithm::Algorithm,
            jwk::KeyId,
            rotation::{Addition, Occasion, Schedule, due},
        },
    },
    error::ApiError,
    ports::{Crypto, Database, Rows, SealedKey, Statement},
};

/// Where the bundle is kept, and what its keys follow.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    /// The record.
    pub database: &'a dyn Database,
    /// What makes keys.
    pub crypto: &'a dyn Crypto,
    /// The algorithms that always have a key; the first is that of access tokens.
    pub wanted: &'a [Algorithm],
    /// How keys follow one another.
    pub schedule: &'a Schedule,
    /// The time.
    pub now: Timestamp,
}

/// How many statements [`read_statements`] are.
const READ: usize = 3;

fn read_statements(now: Timestamp) -> [Statement; READ] {
    let roles = Statement::new(
        "SELECT r.name,
         (SELECT json_group_array(inherits) FROM role_inherits WHERE role = r.name) AS inherits,
         (SELECT json_group_array(permission) FROM role_permissions WHERE role = r.name) AS permissions
         FROM roles r",
        [],
    );
    [keys::read_version(), keys::read_live(now), roles]
}

impl Keeper<'_> {
    /// Reads the bundle. Where no key can sign for an algorithm, makes the first one.
    pub async fn read(&self) -> Result<Bundle, ApiError> {
        let bundle = self.run_and_read(Vec::new()).await?;
        let additions: Vec<_> = due(&bundle.keyring, self.wanted, self.schedule, self.now, Occasion::Regular)
            .into_iter()
            .filter(|addition| addition.sign_from <= self.now)
            .collect();
        if additions.is_empty() {
            return Ok(bundle);
        }
        let mut batch = Vec::new();
        for addition in &additions {
            batch.push(keys::add(&self.crypto.make_key(addition.algorithm).await?, addition, self.now));
        }
        batch.push(keys::raise_version());
        self.run_and_read(batch).await
    }

    /// Adds what is due to the keys of `bundle`. `entry` makes an audit row for each addition; those
    /// of keys that are in the ring in the end are given back.
    pub async fn rotate(
        &self,
        bundle: &Bundle,
        occasion: Occasion,
        mut entry: impl FnMut() -> Entry,
    ) -> Result<(Bundle, Vec<Entry>), ApiError> {
        let mut added = Vec::new();
        for addition in due(&bundle.keyring, self.wanted, self.schedule, self.now, occasion) {
            added.push((self.crypto.make_key(addition.algorithm).await?, addition, entry()));
        }
        let mut batch = Vec::new();
        for (key, addition, entry) in &added {
            batch.push(keys::add(key, addition, self.now));
            batch.push(audit::write_if_changed(entry));
        }
        if occasion == Occasion::Asked {
            batch.push(keys::bring_forward(self.schedule.lead(), self.now));
        }
        batch.extend(keys::retire_replaced(self.wanted, self.schedule.tail(), self.now));
        batch.push(keys::raise_version());
        let bundle = self.run_and_read(batch).await?;
        let there = |(key, _, entry): (SealedKey, Addition, Entry)| {
            bundle.sealed.contains_key(key.kid.as_str()).then_some(entry)
        };
        let entries = added.into_iter().filter_map(there).collect();
        Ok((bundle, entries))
    }

    /// Whether [`Keeper::rotate`] would change anything at this regular occasion.
    #[must_use]
    pub fn is_due(&self, bundle: &Bundle) -> bool {
        let unwanted =
            bundle.keyring.keys().any(|key| key.retire_at.is_none() && !self.wanted.contains(&key.algorithm()));
        unwanted || !due(&bundle.keyring, self.wanted, self.schedule, self.now, Occasion::Regular).is_empty()
    }

    /// Puts new keys in the place of all others, at once. Gives also the ids of all keys that were
    /// ended before their time, as far as that still matters.
    pub async fn replace_all(
        &self,
        until: Timestamp,
        mut entry: impl FnMut() -> Entry,
    ) -> Result<(Bundle, Vec<KeyId>, Vec<Entry>), ApiError> {
        let mut new = Vec::new();
        for algorithm in self.wanted {
            new.push((self.crypto.make_key(*algorithm).await?, entry()));
        }
        let mut batch = keys::replace_all(&new, self.now, until);
        batch.extend([keys::raise_version(), keys::read_revoked(self.now)]);
        let mut rows = self.run(batch).await?;
        let bundle = self.build(rows.split_off(rows.len().saturating_sub(READ))).await?;
        let revoked = keys::revoked(rows.pop().unwrap_or_default())?;
        Ok((bundle, revoked, new.into_iter().map(|(_, entry)| entry).collect()))
    }

    /// Seals anew what is not sealed under the master secret `current`, and forgets keys that are
    /// over. Gives the ids of keys that were ended before their time.
    pub async fn tidy(&self, bundle: &Bundle, current: &str) -> Result<Vec<KeyId>, ApiError> {
        let mut batch = vec![keys::forget_retired(self.now)];
        for (kid, sealed) in &bundle.sealed {
            if !is_sealed_under(sealed, current) {
                let anew = self.crypto.reseal(&KeyId::stored(kid.clone()), sealed).await?;
                batch.push(keys::reseal(kid, sealed, &anew));
            }
        }
        batch.push(keys::read_revoked(self.now));
        keys::revoked(super::last(run(self.database, batch).await?))
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
        let keys_version = keys::version(rows.next().unwrap_or_default())?;
        let (keyring, sealed) = keys::ring(rows.next().unwrap_or_default(), self.crypto).await?;
        let roles = roles(rows.next().unwrap_or_default())?;
        Ok(Bundle { keyring, sealed, roles, keys_version, as_of: self.now })
    }
}

/// Whether something is sealed under the master secret of that id.
fn is_sealed_under(sealed: &str, master: &str) -> bool {
    crate::domain::sealed::Sealed::decode(sealed).is_some_and(|sealed| sealed.key_id == master)
}

fn roles(rows: Rows) -> Result<RoleGraph, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        inherits: String,
        permissions: String,
    }
    let internal = |error: serde_json::Error| ApiError::Internal(error.to_string());
    let mut records = BTreeMap::new();
    for row in rows.all::<Row>()? {
        let inherits = serde_json::from_str(&row.inherits).map_err(internal)?;
        let permissions = serde_json::from_str(&row.permissions).map_err(internal)?;
        records.insert(row.name, RoleRecord { inherits, permissions });
    }
    Ok(RoleGraph::new(&records))
}
