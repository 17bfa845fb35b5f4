//! Where the platform calls us: the events, and the functions that `edge.js` calls.
//!
//! A request comes to [`decide`] first, synchronously. If that cannot tell, [`resolve`] asks what
//! is missing. Requests for our own endpoints come to the fetch event.

use std::sync::{Arc, OnceLock};

use axum::{Router, body::Body, http::Response};
use tower::ServiceExt;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{
    Context, Env, HttpRequest, ScheduleContext, ScheduledEvent, console_error, event, send::SendFuture,
    wasm_bindgen::JsCast,
};

use crate::{
    api,
    app::App,
    config::{Config, ConfigError, Environment},
    domain::{audit::Origin, id::RequestId},
    error::ApiError,
    gateway::{
        Verdict,
        forward::{answer_json, forward_json, preflight_json},
        head::Head,
    },
    platform,
    security_headers::Transport,
};

/// What [`decide`] and [`resolve`] say of a request for our own endpoints.
const OWN: &str = "own";

/// What one isolate runs on, built at its first request.
struct Isolate {
    app: Arc<App>,
    router: Router,
}

static ISOLATE: OnceLock<Result<Isolate, ConfigError>> = OnceLock::new();

fn isolate(env: &Env) -> &'static Result<Isolate, ConfigError> {
    ISOLATE.get_or_init(|| {
        let lookup = platform::lookup(env);
        let start = || {
            let config = Config::parse(&lookup)?;
            let ports = platform::ports(env, &config)?;
            App::new(config, &lookup, ports).map(Arc::new)
        };
        let built = start();
        if let Err(error) = &built {
            console_error!("edgewarden cannot start: {error}");
        }
        built.map(|app| Isolate { router: api::router(&app), app })
    })
}

/// Decides on a request's head without asking anyone. `None` if something must be asked first.
#[wasm_bindgen]
#[must_use]
pub fn decide(head: &str) -> Option<String> {
    let Some(Ok(Isolate { app, .. })) = ISOLATE.get() else { return None };
    let head = Head::parse(head)?;
    let request = app.ports.new_request_id();
    outward(app, app.decide(&head, request), &head, request)
}

/// Decides on a request's head, asking whatever that takes.
#[wasm_bindgen]
pub async fn resolve(head: String, env: wasm_bindgen::JsValue) -> String {
    let env: Env = env.unchecked_into();
    let app = match isolate(&env) {
        Ok(Isolate { app, .. }) => app,
        Err(error) => return not_configured(&env, error, scheme_of(&head)),
    };
    let request = app.ports.new_request_id();
    let Some(head) = Head::parse(&head) else {
        return answer(app, &ApiError::Internal("no head".to_owned()), request, None, Transport::Lax);
    };
    let verdict = app.resolve(&head, request).await;
    outward(app, verdict, &head, request).unwrap_or_default()
}

/// Whether what the platform says of clients' certificates is to be told: where the policy names clients.
#[wasm_bindgen]
#[must_use]
pub fn takes_certificates(env: wasm_bindgen::JsValue) -> bool {
    let env: Env = env.unchecked_into();
    matches!(isolate(&env), Ok(Isolate { app, .. }) if !app.deployed().policy().clients().is_empty())
}

/// Whether something that this isolate knows should be asked again beside the answer. Who is told so calls
/// [`refresh`]; nobody else is told for a while.
#[wasm_bindgen]
#[must_use]
pub fn refresh_is_due() -> bool {
    matches!(ISOLATE.get(), Some(Ok(Isolate { app, .. })) if app.refresh_is_due())
}

/// Asks again for what has aged: revocations, keys and roles, issuers' keys.
#[wasm_bindgen]
pub async fn refresh() {
    if let Some(Ok(Isolate { app, .. })) = ISOLATE.get() {
        app.refresh().await;
    }
}

/// Whether a request of ours left something to be done beside its answer. Who is told so calls [`do_chores`].
#[wasm_bindgen]
#[must_use]
pub fn chores_are_due() -> bool {
    matches!(ISOLATE.get(), Some(Ok(Isolate { app, .. })) if app.chores_are_due())
}

/// Does it.
#[wasm_bindgen]
pub async fn do_chores() {
    if let Some(Ok(Isolate { app, .. })) = ISOLATE.get() {
        app.do_chores().await;
    }
}

/// The answer to a request whose origin gave none. `strict` is as the rewrite had it.
#[wasm_bindgen]
#[must_use]
pub fn origin_failed(request_id: &str, timed_out: bool, strict: bool) -> Option<String> {
    let Some(Ok(Isolate { app, .. })) = ISOLATE.get() else { return None };
    let request = RequestId::parse(request_id).ok()?;
    let error = if timed_out { ApiError::GatewayTimeout } else { ApiError::BadGateway };
    let transport = if strict { Transport::Strict } else { Transport::Lax };
    Some(answer(app, &error, request, None, transport))
}

fn outward(app: &App, verdict: Verdict<'_>, head: &Head<'_>, request: RequestId) -> Option<String> {
    match verdict {
        Verdict::Own => Some(OWN.to_owned()),
        Verdict::Forward(rewrite) => Some(forward_json(&rewrite)),
        Verdict::Preflight(said) => {
            Some(preflight_json(&said, request, Transport::new(app.config.environment, Some(head.scheme))))
        }
        Verdict::Refuse(error, route) => {
            let transport = Transport::new(app.config.environment, Some(head.scheme));
            let said = app.cors_of(head).unwrap_or_default();
            app.log_refusal(&error, request, route.as_deref());
            Some(answer_json(&error.reply(request), request, transport, &said))
        }
        Verdict::Need(_) => None,
    }
}

fn answer(app: &App, error: &ApiError, request: RequestId, route: Option<&str>, transport: Transport) -> String {
    app.log_refusal(error, request, route);
    answer_json(&error.reply(request), request, transport, &[])
}

/// The scheme of a request, of its head as it came.
fn scheme_of(head: &str) -> Option<&str> {
    Head::parse(head).map(|head| head.scheme)
}

/// Without a usable configuration nothing is served. Developers are told why; the world is not.
fn not_configured(env: &Env, error: &ConfigError, scheme: Option<&str>) -> String {
    use crate::ports::{Clock, Rng};
    let mut random = [0; 10];
    platform::PlatformRng.fill(&mut random);
    let request = RequestId::new(platform::PlatformClock.now(), &random);
    let lookup = platform::lookup(env);
    let is_development = lookup("ENVIRONMENT").as_deref() == Some("development");
    let mut reply = ApiError::Internal(error.to_string()).reply(request);
    if is_development {
        let bland = ApiError::Internal(String::new()).reply(request).body;
        let told = serde_json::from_str::<serde_json::Value>(&bland).ok().map(|mut problem| {
            if let Some(detail) = problem.get_mut("detail") {
                *detail = error.to_string().into();
            }
            problem.to_string()
        });
        reply.body = told.unwrap_or(bland);
    }
    let environment = if is_development { Environment::Development } else { Environment::Production };
    answer_json(&reply, request, Transport::new(environment, scheme), &[])
}

/// Our own endpoints.
#[event(fetch)]
async fn fetch(request: HttpRequest, env: Env, _context: Context) -> worker::Result<Response<Body>> {
    let Ok(Isolate { router, .. }) = isolate(&env) else {
        // `resolve` answers before any request comes here; this is for whoever calls around it.
        return Err(worker::Error::RustError("not configured".to_owned()));
    };
    let answered = SendFuture::new(router.clone().oneshot(request.map(Body::new))).await;
    answered.map_err(|never| match never {})
}

/// The schedule, in `wrangler.toml`, of mails that are tried again and of the self-probe; any other is that of the upkeep.
const PROBE_CRON: &str = "*/10 * * * *";

/// The Cron Triggers: what the product does by itself.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let Ok(Isolate { app, .. }) = isolate(&env) else { return };
    let origin = Origin { request: app.ports.new_request_id(), ip: None, user_agent: None };
    let done = if event.cron() == PROBE_CRON {
        vec![app.deliver_mails().await, app.probe_revocation(&origin).await]
    } else {
        let mut done = vec![app.keep_keys(&origin).await];
        done.extend(app.clean_up().await);
        done
    };
    for done in done {
        if let Err(error) = done {
            app.log_refusal(&error, origin.request, Some("cron"));
        }
    }
}
