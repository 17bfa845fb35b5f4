//! A client of the Worker: plain HTTP, and raw bytes where a well-behaved client would not go.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use ureq::{Agent, http};

pub const PASSWORD: &str = "Correct-Horse-7";

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn str(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {self:?}"))
    }

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
}

/// A browser that signed in.
#[derive(Clone, Debug)]
pub struct Browser {
    pub cookie: String,
    pub session: String,
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_mins(1)))
        .build()
        .into()
}

fn answer(response: Result<http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = response.unwrap_or_else(|error| panic!("no answer: {error}"));
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap_or_default();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), text, body }
}

/// A Worker that can be asked.
pub trait Client {
    /// Where it is.
    fn url(&self) -> &str;

    /// An address that no other test calls from.
    fn address(&self) -> String;

    /// Any request.
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body: Vec<u8> = body.into();
        if body.is_empty() {
            return answer(agent().run(request.body(()).unwrap()));
        }
        answer(agent().run(request.body(body).unwrap()))
    }

    fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|value| ("authorization", value.as_str())).collect();
        self.send("GET", path, &headers, "")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string())
    }

    /// Has an API key made.
    fn make_key(&self, token: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send("POST", "/api/v1/api-keys", &headers, body).expect(201)
    }

    fn try_register(&self, username: &str) -> Answer {
        let email = format!("{username}@example.org");
        let body = json!({ "username": username, "email": email, "password": PASSWORD });
        self.try_register_from(&self.address(), &body)
    }

    fn try_register_from(&self, address: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json"), ("cf-connecting-ip", address)];
        self.send("POST", "/api/v1/users/register", &headers, body.to_string())
    }

    fn try_sign_in(&self, address: &str, username: &str, password: &str) -> Answer {
        let form: String = [("username", username), ("password", password)]
            .map(|(name, value)| format!("{name}={}", value.replace('@', "%40")))
            .join("&");
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.send("POST", "/api/v1/auth/token", &[kind, ("cf-connecting-ip", address)], form)
    }

    /// Registers a user and signs them in.
    fn user(&self, username: &str) -> SignedIn {
        let id = self.try_register(username).expect(201).str("/id").to_owned();
        self.sign_in(username, id)
    }

    fn sign_in(&self, username: &str, id: String) -> SignedIn {
        let answer = self.try_sign_in(&self.address(), username, PASSWORD).expect(200);
        SignedIn {
            id,
            access: answer.str("/access_token").to_owned(),
            refresh: answer.str("/refresh_token").to_owned(),
        }
    }

    /// Signs in as a browser on our own page does.
    fn log_in(&self, username: &str) -> Browser {
        let headers = [
            ("content-type", "application/json"),
            ("cf-connecting-ip", &self.address()),
            ("origin", self.url()),
            ("user-agent", "Agent/1"),
        ];
        let body = json!({ "username": username, "password": PASSWORD }).to_string();
        let answer = self.send("POST", "/api/v1/auth/login", &headers, body).expect(200);
        let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
        let line = lines.into_iter().find(|line| line.starts_with("edgewarden=")).unwrap();
        Browser { cookie: line.split(';').next().unwrap().to_owned(), session: answer.str("/session_id").to_owned() }
    }

    /// A request of a browser's, from our own page.
    fn browse(&self, browser: &Browser, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("cookie", browser.cookie.as_str()), ("origin", self.url())];
        if body.is_null() {
            return self.send(method, path, &headers, "");
        }
        self.send(method, path, &[&headers[..], &[("content-type", "application/json")]].concat(), body.to_string())
    }

    fn refresh(&self, token: &str) -> Answer {
        self.post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))
    }

    fn logout(&self, token: &str) -> Answer {
        self.send("POST", "/api/v1/auth/logout", &[("authorization", &format!("Bearer {token}"))], "")
    }

    /// Sends bytes as they are and reads until the other side closes: (status, everything).
    fn raw(&self, bytes: &[u8]) -> (u16, String) {
        self.raw_watching(bytes, |_| false)
    }

    /// The same, until these bytes have come.
    fn raw_until(&self, bytes: &[u8], last: &[u8]) -> (u16, String) {
        self.raw_watching(bytes, |read| read.as_bytes().windows(last.len()).any(|window| window == last))
    }

    /// The same, until what has been read is `enough`.
    fn raw_watching(&self, bytes: &[u8], mut enough: impl FnMut(&str) -> bool) -> (u16, String) {
        let address = self.url().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The other side may refuse before it has read everything.
        let _ = stream.write_all(bytes);
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            if enough(&text) {
                break;
            }
        }
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, text)
    }
}
