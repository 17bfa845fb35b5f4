//! Sealing the log: the hourly cron seals every range that is closed, which is one a day where little happens.
//!
//! What is sealed never changes again, so it does not matter who seals, or how often: of several at once one is first, and the
//! others have made the same. What was broken off is begun anew by the next run. Each head is a line of the log as well: a
//! sink that keeps it can tell whether the database's own seals were rewritten by somebody who knows the secret.

use serde_json::json;

use super::App;
use crate::{
    domain::{
        audit::{
            record::{OriginIs, Record},
            seal::{Range, RowsDigest, SETTLED_AFTER, Seal},
        },
        time::Timestamp,
    },
    error::ApiError,
    stores::audit::seals::{self, Rest, Stamp},
};

/// So many questions to the database are asked in one run, and what the last range takes: for some 200,000 rows, or eighty ranges
/// of few.
const QUESTIONS: usize = 250;
/// So often a page is stamped, if rows come to it meanwhile.
const TRIES: usize = 3;
/// At most so many pages of seals are renewed in one run, which is 1,000.
const RENEWAL_ROUNDS: usize = 10;

impl App {
    /// Seals what is closed.
    pub async fn seal_audit(&self) -> Result<(), ApiError> {
        let (database, mut asked) = (self.ports.database.as_ref(), 0);
        while asked < QUESTIONS {
            let next = seals::next(database).await?;
            if let Some(newest) = next.newest.as_ref().filter(|seal| !seal.is_genuine(&self.config.token_mac_key)) {
                // It is for `audit verify` to say more. What comes after it is sealed all the same.
                self.log_fault("audit seal", &format!("range {} is not as it was sealed", newest.range.number));
            }
            let Some((from, to)) = next.span.filter(|(_, to)| to.plus(SETTLED_AFTER) <= self.ports.clock.now()) else {
                return Ok(());
            };
            let ((rows, digest), pages) = self.digest(from, to).await?;
            let (number, previous) = next.newest.map(|seal| (seal.range.number, seal.head)).unwrap_or_default();
            let range = Range { number: number + 1, from_at: from, to_at: to, rows, digest, previous };
            let seal = Seal::new(range, self.config.token_mac_key.current());
            if seals::put(database, &seal, self.ports.clock.now()).await? {
                self.log_seal(&seal);
            }
            asked += pages + 2;
        }
        self.tell_if_left(false, "closed ranges of the log");
        Ok(())
    }

    /// Hashes the rows of a range, page by page, after what is sealed of their origins was written down. How many pages it took.
    async fn digest(&self, from: Timestamp, to: Timestamp) -> Result<((i64, String), usize), ApiError> {
        let database = self.ports.database.as_ref();
        let (mut digest, mut pages, mut rest) = (RowsDigest::default(), 0, Some(Rest::of(from, to)));
        while let Some(here) = rest {
            let mut rows = seals::read(database, &here).await?;
            // A row that came in between has none yet.
            for _ in 0..TRIES {
                let stamps = self.stamps(&rows);
                if stamps.is_empty() {
                    break;
                }
                rows = seals::stamp(database, &stamps, &here).await?;
            }
            for row in &rows {
                if row.origin() == OriginIs::Changed {
                    // It was touched before. It is sealed all the same, or nothing after it ever were; `audit verify` names it.
                    self.log_fault("audit seal", &format!("row {} has not the origin that it had", row.id));
                }
                digest.add(row);
            }
            pages += 1;
            rest = here.after(&rows);
        }
        Ok((digest.finish(), pages))
    }

    fn stamps<'a>(&self, rows: &'a [Record]) -> Vec<Stamp<'a>> {
        let stamp = |row: &'a Record| row.stamp(self.ports.random()).map(|(salt, hash)| (row, salt, hash));
        rows.iter().filter_map(stamp).collect()
    }

    fn log_seal(&self, seal: &Seal) {
        let Range { number, from_at, to_at, rows, .. } = &seal.range;
        let line = json!({
            "kind": "audit_seal",
            "number": number,
            "from": from_at.rfc3339(),
            "to": to_at.rfc3339(),
            "rows": rows,
            "head": seal.head,
            "key_id": seal.key_id,
        });
        self.ports.log.line(&line.to_string());
    }

    /// Has the first secret of `TOKEN_MAC_KEY` vouch for what another one does, so that the others can go. What none vouches
    /// for is told, and stays as it is.
    pub async fn renew_seals(&self) -> Result<(), ApiError> {
        let (database, keys) = (self.ports.database.as_ref(), &self.config.token_mac_key);
        let mut last = None;
        for _ in 0..RENEWAL_ROUNDS {
            let mut found = seals::not_under(database, keys.current().id(), last.as_ref()).await?;
            let (genuine, others): (Vec<_>, Vec<_>) = found.iter().partition(|seal| seal.is_genuine(keys));
            for seal in others {
                self.log_fault("audit seal", &format!("range {} is not as it was sealed", seal.range.number));
            }
            let anew: Vec<_> =
                genuine.into_iter().map(|seal| (seal, Seal::new(seal.range.clone(), keys.current()))).collect();
            seals::renew(database, &anew).await?;
            last = found.pop();
            if last.is_none() {
                return Ok(());
            }
        }
        self.tell_if_left(false, "seals that an older secret vouches for");
        Ok(())
    }
}
