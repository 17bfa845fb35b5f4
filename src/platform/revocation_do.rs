//! The feed of revocations on a Durable Object: one object, which everyone asks and every change tells.

#![expect(missing_docs, reason = "the macro that exports the object documents nothing it makes")]

use std::{cell::Cell, rc::Rc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, de::DeserializeOwned};
use worker::{
    DurableObject, Env, Method, ObjectNamespace, Request, RequestInit, Response, SqlStorage, SqlStorageValue, State,
    console_error, durable_object, send::SendFuture,
};

use super::{PlatformClock, PlatformRng, PlatformTimer, bounded, bounded_by, d1::D1};
use crate::{
    domain::{
        id::RowId,
        revocation::{
            Entry, Versions,
            feed::{Answer, Change, Cursor, Meta},
        },
        time::Timestamp,
    },
    ports::{Clock, Revocations, Rng, Unavailable},
    stores::feed::{Ask, Disk, Keeper, Loaded},
};

/// The name of the one object.
const NAME: &str = "root";
/// Who asks for revocations goes to the record if the feed takes longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is over is forgotten at most this often.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// The port.
pub struct RevocationsPort(ObjectNamespace);

impl RevocationsPort {
    /// The bound namespace.
    #[must_use]
    pub const fn new(namespace: ObjectNamespace) -> Self {
        Self(namespace)
    }

    async fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> worker::Result<T> {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(serde_json::to_string(ask)?.into()));
        let request = Request::new_with_init("http://feed.internal/", &init)?;
        let mut answer = self.0.get_by_name(NAME)?.fetch_with_request(request).await?;
        if answer.status_code() != 200 {
            return Err(worker::Error::RustError(format!("status {}", answer.status_code())));
        }
        answer.json().await
    }
}

#[async_trait]
impl Revocations for RevocationsPort {
    async fn push(&self, entries: &[Entry], versions: Option<Versions>) -> Result<(), Unavailable> {
        let ask = Ask::Push { entries: entries.to_vec(), versions };
        SendFuture::new(bounded("feed", self.ask(&ask))).await
    }

    async fn since(&self, cursor: Option<&Cursor>) -> Result<Answer, Unavailable> {
        let ask = Ask::Since { cursor: cursor.cloned() };
        SendFuture::new(bounded_by(PATIENCE, "feed", self.ask(&ask))).await
    }
}

/// What the object keeps: a row for each entry, and one for all the rest. Statements without a wait between them are
/// kept together, as far as they went.
struct Rows(SqlStorage);

impl Rows {
    fn prepare(&self) -> worker::Result<()> {
        self.0.exec(
            "CREATE TABLE IF NOT EXISTS meta (id INTEGER PRIMARY KEY CHECK (id = 1), meta TEXT NOT NULL)",
            None,
        )?;
        self.0.exec("CREATE TABLE IF NOT EXISTS entries (place INTEGER PRIMARY KEY, entry TEXT NOT NULL)", None)?;
        Ok(())
    }
}

impl Disk for Rows {
    type Error = worker::Error;

    fn load(&self) -> worker::Result<Option<Loaded>> {
        #[derive(Deserialize)]
        struct MetaRow {
            meta: String,
        }
        #[derive(Deserialize)]
        struct EntryRow {
            place: u64,
            entry: String,
        }
        self.prepare()?;
        let Some(row) = self.0.exec("SELECT meta FROM meta", None)?.to_array::<MetaRow>()?.pop() else {
            return Ok(None);
        };
        let meta = serde_json::from_str(&row.meta)?;
        let rows = self.0.exec("SELECT place, entry FROM entries", None)?.to_array::<EntryRow>()?;
        // One of a kind that only a later version knew is nothing that could be told here.
        let entries = rows.into_iter().filter_map(|row| Some((row.place, serde_json::from_str(&row.entry).ok()?)));
        Ok(Some((meta, entries.collect())))
    }

    fn save(&self, meta: &Meta, change: &Change) -> worker::Result<()> {
        let place = |place: u64| SqlStorageValue::Integer(i64::try_from(place).unwrap_or(i64::MAX));
        let meta = serde_json::to_string(meta)?;
        for (new, entry) in &change.added {
            let entry = serde_json::to_string(entry)?;
            self.0.exec("INSERT OR REPLACE INTO entries VALUES (?, ?)", vec![place(*new), entry.into()])?;
        }
        self.0.exec("INSERT OR REPLACE INTO meta VALUES (1, ?)", vec![meta.into()])?;
        for gone in &change.removed {
            self.0.exec("DELETE FROM entries WHERE place = ?", vec![place(*gone)])?;
        }
        Ok(())
    }
}

/// The one feed. It loads once, asks [`Keeper`], which writes before anyone is told, and forgets by alarm.
#[durable_object(alarm)]
pub struct RevocationFeed {
    state: State,
    env: Env,
    keeper: Rc<Keeper<Rows>>,
    /// When the alarm goes off, as far as this instance set it.
    alarm_at: Cell<Option<Timestamp>>,
}

impl DurableObject for RevocationFeed {
    fn new(state: State, env: Env) -> Self {
        let mut random = [0; 10];
        PlatformRng.fill(&mut random);
        let name = RowId::new(PlatformClock.now(), &random).to_string();
        let keeper = Rc::new(Keeper::new(Rows(state.storage().sql()), name));
        Self { state, env, keeper, alarm_at: Cell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let ask: Ask = request.json().await?;
        let now = PlatformClock.now();
        let answered = match ask {
            Ask::Push { entries, versions } => match self.keeper.push(entries, versions, now) {
                Ok(()) => Response::from_json(&()),
                Err(error) => return failed(&error),
            },
            Ask::Since { cursor } => {
                let record = D1::new(self.env.d1("DB")?);
                match self.keeper.since(cursor.as_ref(), &record, &PlatformTimer, now).await {
                    Ok(answer) => Response::from_json(&answer),
                    Err(error) => return failed(&error),
                }
            }
        };
        if self.keeper.pull_is_due(now) {
            self.pull_beside(now)?;
        }
        self.set_alarm(now).await?;
        answered
    }

    async fn alarm(&self) -> worker::Result<Response> {
        let now = PlatformClock.now();
        self.alarm_at.set(None);
        // The platform tries again what fails here.
        let forgotten = self.keeper.forget(now);
        forgotten.inspect_err(log).map_err(|error| worker::Error::RustError(error.to_string()))?;
        self.set_alarm(now).await?;
        Response::empty()
    }
}

impl RevocationFeed {
    /// Pulls what was missed while whoever asks has their answer already.
    fn pull_beside(&self, now: Timestamp) -> worker::Result<()> {
        let (keeper, record) = (self.keeper.clone(), D1::new(self.env.d1("DB")?));
        self.state.wait_until(async move {
            if let Err(error) = keeper.pull(&record, now).await {
                log(&error);
            }
        });
        Ok(())
    }

    /// Comes back when the next entries are over, if there are any.
    async fn set_alarm(&self, now: Timestamp) -> worker::Result<()> {
        if self.alarm_at.get().is_some_and(|at| at > now) {
            return Ok(());
        }
        let forgettable_at = self.keeper.forgettable_at().ok().flatten();
        let Some(at) = forgettable_at.map(|at| at.max(now.plus(FORGET_EVERY))) else { return Ok(()) };
        self.alarm_at.set(Some(at));
        let date = js_sys::Date::new_0();
        #[expect(clippy::cast_precision_loss, reason = "a time within ±2^53")]
        date.set_time(at.millis() as f64);
        self.state.storage().set_alarm(worker::ScheduledTime::new(date)).await
    }
}

fn log(error: &crate::error::ApiError) {
    let what = error.cause();
    console_error!("{}", serde_json::json!({ "kind": "fault", "what": "feed", "error": what }));
}

/// What could not be kept or read: the asker goes elsewhere.
fn failed(error: &crate::error::ApiError) -> worker::Result<Response> {
    log(error);
    Response::error("the feed cannot tell", 503)
}
