//! One installation on the host: stores, and as many isolates over them as a test wants.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use edgewarden::{
    api,
    app::App,
    config::Config,
    domain::{id::RequestId, time::Timestamp},
    gateway::{
        Verdict,
        forward::{Rewrite, answer_json, forward_json, preflight_json},
        head::Head,
    },
    native::Host,
    ports::Value as Sql,
    security_headers::Transport,
};
use http::{HeaderMap, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::contract::{self, Asked};

pub const URL: &str = "https://auth.example.com";
pub const SECRET: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
pub const OTHER_SECRET: &str = "k2:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
/// The next one first, and the one it follows: what stands while a key is rotated.
pub const BOTH_SECRETS: &str =
    "k2:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT,k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// Where the issuer that is trusted has its keys.
pub const JWKS: &str = "https://keys.issuer.example/jwks.json";
/// The SHA-256 of the certificate of the service that the policy knows.
pub const CERTIFICATE: &str = "abababababababababababababababababababababababababababababababab";
pub const PASSWORD: &str = "Correct-Horse-7";
/// 2026-01-01T00:00:00Z.
const START_SECS: i64 = 1_767_225_600;

/// The variable that the shipped policy cannot do without.
pub fn demo_origin(name: &str) -> Option<String> {
    (name == "DEMO_ORIGIN").then(|| "http://origin.internal:9".to_owned())
}

/// One isolate: its own knowledge, over stores that others may share.
#[derive(Clone)]
pub struct Isolate {
    pub app: Arc<App>,
    router: Router,
}

/// Stores and one isolate.
pub struct World {
    pub host: Host,
    pub isolate: Isolate,
    overrides: Vec<(&'static str, &'static str)>,
}

/// An answer of one of our endpoints.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Asserts the status and gives the answer back.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// A signed-in user.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub id: String,
    pub access: String,
    pub refresh: String,
    pub session: String,
}

impl From<&Answer> for SignedIn {
    fn from(answer: &Answer) -> Self {
        let access = answer.text("/access_token").to_owned();
        Self {
            id: crate::common::forge::claims_of(&access)["sub"].as_str().unwrap().to_owned(),
            refresh: answer.text("/refresh_token").to_owned(),
            session: answer.text("/session_id").to_owned(),
            access,
        }
    }
}

/// An address that nobody else in a test has.
pub fn address_of(username: &str) -> String {
    format!("2001:db8:{:x}::1", username.bytes().fold(7_u16, |sum, b| sum.wrapping_mul(31) ^ u16::from(b)))
}

impl World {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With some variables other than the tests' own.
    pub fn with(overrides: &[(&'static str, &'static str)]) -> Self {
        let host = Host::new(Timestamp::from_secs(START_SECS)).unwrap();
        let isolate = Isolate::new(&host, overrides);
        Self { host, isolate, overrides: overrides.to_vec() }
    }

    /// Another isolate over the same stores.
    pub fn another_isolate(&self) -> Isolate {
        Isolate::new(&self.host, &self.overrides)
    }

    /// Another isolate, which has seen the tokens of some users.
    pub async fn warm_isolate(&self, users: &[&SignedIn]) -> Isolate {
        let isolate = self.another_isolate();
        for user in users {
            isolate.proxy_get("/demo/private/x", Some(&user.access)).await.expect(200);
        }
        isolate
    }

    /// An isolate over some stores, with variables of its own.
    pub fn isolate_over(host: &Host, overrides: &[(&'static str, &'static str)]) -> Isolate {
        Isolate::new(host, overrides)
    }

    /// Registers a user who may hold a further role.
    pub async fn register(&self, username: &str, role: Option<&str>) -> String {
        let body = json!({ "username": username, "email": format!("{username}@example.org"), "password": PASSWORD });
        let answer = self.isolate.post_from(&address_of(username), "/api/v1/users/register", &body).await.expect(201);
        let id = answer.text("/id").to_owned();
        if let Some(role) = role {
            self.give(&id, role);
        }
        id
    }

    /// Gives a role behind everyone's back.
    pub fn give(&self, id: &str, role: &str) {
        let params: [Sql; 2] = [id.into(), role.into()];
        let sql = "INSERT INTO user_roles (user_id, role, granted_at) VALUES (?1, ?2, 0)";
        self.host.database.look(sql, &params).unwrap();
    }

    /// Registers a user and signs them in, from an address of their own.
    pub async fn user(&self, username: &str, role: Option<&str>) -> SignedIn {
        self.register(username, role).await;
        self.isolate.sign_in(username).await
    }

    /// Time passes until a change that was made behind everyone's back has come to an isolate: the feed asks the record
    /// when it is asked, and tells it to whoever asks next.
    pub async fn hear(&self, isolate: &Isolate) {
        for _ in 0..2 {
            self.host.clock.advance(Duration::from_secs(10));
            isolate.app.refresh().await;
        }
    }

    /// The entries of the blacklist, without the edge bundle and issuers' keys that lie beside them.
    pub fn blacklisted(&self) -> Vec<String> {
        self.host
            .blacklist
            .keys()
            .into_iter()
            .filter(|key| !key.starts_with("edge-bundle:") && !key.starts_with("issuer-keys:"))
            .collect()
    }

    /// How many rows a query counts.
    pub fn count(&self, sql: &'static str) -> i64 {
        let rows = self.host.database.look(sql, &[]).unwrap();
        rows.0[0].values().next().and_then(Value::as_i64).unwrap()
    }

    /// How many audit rows there are of an event.
    pub fn audited(&self, event: &str) -> i64 {
        let params: [Sql; 1] = [event.into()];
        let sql = "SELECT COUNT(*) FROM audit_events WHERE event = ?1";
        let rows = self.host.database.look(sql, &params).unwrap();
        rows.0[0].values().next().and_then(Value::as_i64).unwrap()
    }
}

impl Isolate {
    fn new(host: &Host, overrides: &[(&'static str, &'static str)]) -> Self {
        let lookup = |name: &str| {
            if let Some((_, value)) = overrides.iter().find(|(other, _)| *other == name) {
                return Some((*value).to_owned());
            }
            if let Some(url) = demo_origin(name) {
                return Some(url);
            }
            let value = match name {
                "PUBLIC_URL" => URL,
                "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY" => SECRET,
                "DEMO_JWKS" => JWKS,
                "DEMO_CERTIFICATE" => CERTIFICATE,
                // The least that is allowed: tests are about what is hashed, not how long it takes.
                "ARGON2_MEMORY_KIB" => "7168",
                "ARGON2_ITERATIONS" => "1",
                // Many come from nowhere in particular, and time stands.
                "API_LIMIT" => "1000",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let config = Config::parse(&lookup).unwrap();
        let ports = host.ports(config.key_encryption_key.clone());
        let app = Arc::new(App::new(config, &lookup, ports).unwrap());
        Self { router: api::router(&app), app }
    }

    /// The answer as it is, its body not read yet.
    pub async fn respond(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (asked, request) = Self::look_at(request).await;
        let response = self.respond(request).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        contract::check(&asked, &self.app.config.api_prefix, parts.status.as_u16(), &parts.headers, &bytes);
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// What a request asks, to be held against the API's description. A body that arrives in parts is left as it is.
    async fn look_at(request: Request<Body>) -> (Asked, Request<Body>) {
        let (parts, body) = request.into_parts();
        let text = |value: &http::HeaderValue| value.to_str().ok().map(ToOwned::to_owned);
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let mut asked =
            Asked { method, path, kind: parts.headers.get(header::CONTENT_TYPE).and_then(text), body: None };
        if axum::body::HttpBody::size_hint(&body).exact().is_none() {
            return (asked, Request::from_parts(parts, body));
        }
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        asked.body = Some(bytes.to_vec());
        (asked, Request::from_parts(parts, bytes.into()))
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    /// The same, from an address.
    pub async fn post_from(&self, ip: &str, path: &str, body: &Value) -> Answer {
        let request =
            Request::post(path).header(header::CONTENT_TYPE, "application/json").header("cf-connecting-ip", ip);
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    /// The same, signed in.
    pub async fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    /// Any request of who is signed in.
    pub async fn send_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let request =
            Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        if body.is_null() {
            return self.send(request.body(Body::empty()).unwrap()).await;
        }
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    /// Posts a form from an address.
    pub async fn form(&self, ip: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post("/api/v1/auth/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("cf-connecting-ip", ip);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn try_sign_in(&self, ip: &str, username: &str, password: &str) -> Answer {
        self.form(ip, &[("username", username), ("password", password)]).await
    }

    /// Signs in from an address that nobody else in a test has.
    pub async fn sign_in(&self, username: &str) -> SignedIn {
        SignedIn::from(&self.try_sign_in(&address_of(username), username, PASSWORD).await.expect(200))
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
    }

    pub async fn logout(&self, token: &str) -> Answer {
        let request = Request::post("/api/v1/auth/logout").header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Has it come to know what every request rests on.
    pub async fn warm_up(&self) {
        self.proxy(&format!("GET\n{URL}/demo/public/x")).await.expect(200);
    }

    /// What a warm isolate says without asking anyone.
    fn app_verdict<'a>(&self, head: &Head<'a>, request: RequestId) -> Verdict<'a> {
        self.app.decide(head, request)
    }

    /// Whether a request is for our own endpoints.
    pub fn is_own(&self, head: &str) -> bool {
        let request = self.app.ports.new_request_id();
        matches!(self.app_verdict(&Head::parse(head).unwrap(), request), Verdict::Own)
    }

    /// What a warm isolate hands to `edge.js`: what is answered, or how it is forwarded.
    pub fn cross(&self, head: &str) -> Value {
        let (head, request) = (Head::parse(head).unwrap(), self.app.ports.new_request_id());
        let crossed = match self.app_verdict(&head, request) {
            Verdict::Forward(rewrite) => forward_json(&rewrite),
            Verdict::Preflight(said) => {
                preflight_json(&said, request, Transport::new(self.app.config.environment, Some(head.scheme)))
            }
            Verdict::Refuse(error, _) => {
                let transport = Transport::new(self.app.config.environment, Some(head.scheme));
                answer_json(&error.reply(request), request, transport, &self.app.cors_of(&head).unwrap_or_default())
            }
            other => panic!("nothing crosses: {other:?}"),
        };
        let crossed: Value = serde_json::from_str(&crossed).unwrap();
        crossed.as_object().unwrap().values().next().unwrap().clone()
    }

    /// What the gateway says of a request: first as a warm isolate, then asking.
    pub async fn proxy(&self, head: &str) -> Proxied {
        let head = Head::parse(head).unwrap();
        let request = self.app.ports.new_request_id();
        let (warm, verdict) = match self.app_verdict(&head, request) {
            Verdict::Need(_) => (false, self.app.resolve(&head, request).await),
            verdict => (true, verdict),
        };
        // As `edge.js` does, beside the answer; our own endpoints see to it themselves.
        if self.app.refresh_is_due() {
            self.app.refresh().await;
        }
        if self.app.chores_are_due() {
            self.app.do_chores().await;
        }
        if let Verdict::Refuse(error, route) = &verdict {
            self.app.log_refusal(error, request, route.as_deref());
        }
        Proxied::new(warm, verdict, request)
    }

    /// A GET through the gateway with a bearer token.
    pub async fn proxy_get(&self, path: &str, token: Option<&str>) -> Proxied {
        let bearer = token.map(|token| format!("\nauthorization\nBearer {token}")).unwrap_or_default();
        self.proxy(&format!("GET\n{URL}{path}{bearer}")).await
    }
}

/// What the gateway did.
#[derive(Debug)]
pub struct Proxied {
    /// Whether it was decided in one synchronous call.
    pub warm: bool,
    pub status: u16,
    pub rewrite: Option<Rewrite>,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Proxied {
    fn new(warm: bool, verdict: Verdict<'_>, request: RequestId) -> Self {
        let (status, rewrite, headers, body) = match verdict {
            Verdict::Forward(rewrite) => (StatusCode::OK, Some(*rewrite), Vec::new(), Value::Null),
            Verdict::Refuse(error, _) => {
                let reply = error.reply(request);
                let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
                let headers = reply.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
                (reply.status, None, headers, serde_json::from_str(&reply.body).unwrap())
            }
            other => panic!("the gateway did not settle: {other:?}"),
        };
        Self { warm, status: status.as_u16(), rewrite, headers, body }
    }

    /// A header that the origin gets.
    pub fn sets(&self, name: &str) -> Option<&str> {
        let rewrite = self.rewrite.as_ref()?;
        rewrite.set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}
