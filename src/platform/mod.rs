//! The ports on Cloudflare Workers. Here, and in [`crate::entry`], are the only mentions of the
//! platform's own types.

pub mod d1;
pub mod kv;
pub mod limiter_do;
pub mod mail;
pub mod outbound;
#[cfg(feature = "probe")]
pub mod probe;
pub mod revocation_do;
pub mod web_crypto;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::{Either, select};
use js_sys::Reflect;
use worker::{Delay, Env, console_log, send::SendFuture};

use crate::{
    config::{Config, ConfigError},
    domain::time::Timestamp,
    ports::{Clock, Log, Ports, Rng, Timer, Unavailable},
};

/// No store may take longer than this to answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The platform's clock. On Workers it stands still during a request's computation.
pub struct PlatformClock;

impl Clock for PlatformClock {
    fn now(&self) -> Timestamp {
        // Not `worker::Date`, which makes an object each time.
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds, for ages to come")]
        Timestamp::from_millis(js_sys::Date::now() as i64)
    }
}

/// The platform's timer.
pub struct PlatformTimer;

#[async_trait]
impl Timer for PlatformTimer {
    async fn pause(&self, duration: Duration) {
        SendFuture::new(async move { Delay::from(duration).await }).await;
    }
}

/// The platform's randomness.
pub struct PlatformRng;

impl Rng for PlatformRng {
    fn fill(&self, buffer: &mut [u8]) {
        if getrandom::fill(buffer).is_err() {
            // Without randomness there are no ids and no keys. Stopping is the only safe answer:
            // the instance resets, and the request fails.
            std::process::abort();
        }
    }
}

/// The Worker's log.
pub struct PlatformLog;

impl Log for PlatformLog {
    fn line(&self, line: &str) {
        console_log!("{line}");
    }
}

/// Variables and secrets by name. Numbers and booleans, which `wrangler.toml` can hold as such, are
/// their text; what is neither is a text that no variable accepts.
pub fn lookup(env: &Env) -> impl Fn(&str) -> Option<String> + '_ {
    |name| {
        let value = Reflect::get(env, &name.into()).ok().filter(|value| !value.is_undefined() && !value.is_null())?;
        let text = || value.as_string();
        let number = || value.as_f64().map(|number| number.to_string());
        let boolean = || value.as_bool().map(|boolean| boolean.to_string());
        text().or_else(number).or_else(boolean).or_else(|| Some("[object]".to_owned()))
    }
}

/// The ports of this deployment.
///
/// # Errors
/// A binding that is missing.
pub fn ports(env: &Env, config: &Config) -> Result<Ports, ConfigError> {
    let missing = |name: &'static str| {
        move |error: worker::Error| ConfigError { name, problem: format!("must be bound in wrangler.toml: {error}") }
    };
    Ok(Ports {
        database: Arc::new(d1::D1::new(env.d1("DB").map_err(missing("DB"))?)),
        blacklist: Arc::new(kv::Kv::new("BLACKLIST", env.kv("BLACKLIST").map_err(missing("BLACKLIST"))?)),
        sessions: Arc::new(kv::Kv::new("SESSIONS", env.kv("SESSIONS").map_err(missing("SESSIONS"))?)),
        revocations: Arc::new(revocation_do::RevocationsPort::new(
            env.durable_object("REVOCATIONS").map_err(missing("REVOCATIONS"))?,
        )),
        limiter: Arc::new(limiter_do::Limiter::new(
            env.durable_object("RATE_LIMITER").map_err(missing("RATE_LIMITER"))?,
        )),
        mailer: mail::mailer(env, config),
        outbound: Arc::new(outbound::PlatformOutbound),
        crypto: Arc::new(web_crypto::WebCrypto::new(config.key_encryption_key.clone())),
        clock: Arc::new(PlatformClock),
        timer: Arc::new(PlatformTimer),
        rng: Arc::new(PlatformRng),
        log: Arc::new(PlatformLog),
    })
}

/// Waits for an answer of the platform, but no longer than [`STORE_TIMEOUT`].
async fn bounded<T, E: std::fmt::Display>(
    port: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Unavailable> {
    bounded_by(STORE_TIMEOUT, port, answer).await
}

/// The same, with another patience.
async fn bounded_by<T, E: std::fmt::Display>(
    patience: Duration,
    port: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Unavailable> {
    let unavailable = |message: String| Unavailable { port, message };
    let work = SendFuture::new(async {
        let (answer, timeout) = (std::pin::pin!(answer), std::pin::pin!(Delay::from(patience)));
        match select(answer, timeout).await {
            Either::Left((answer, _)) => answer.map_err(|error| error.to_string()),
            Either::Right(_) => Err("timed out".to_owned()),
        }
    });
    work.await.map_err(unavailable)
}
