//! A browser: it keeps our cookies, and says which page it is on.

use axum::body::Body;
use http::{Request, header};
use serde_json::{Value, json};

use crate::harness::{Answer, Isolate, PASSWORD, Proxied, URL, address_of};

/// A browser that signed in.
#[derive(Clone, Debug)]
pub struct Browser {
    /// The session cookie with its name.
    pub cookie: String,
    /// The session.
    pub session: String,
    /// What it calls itself.
    pub agent: &'static str,
}

/// The line of an answer that sets the session cookie.
pub fn session_line(answer: &Answer) -> Option<&str> {
    let lines = answer.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap());
    lines.into_iter().find(|line| line.starts_with("__Host-edgewarden="))
}

/// The session cookie that an answer sets, with its name.
pub fn session_cookie(answer: &Answer) -> Option<String> {
    session_line(answer).map(|line| line.split(';').next().unwrap().to_owned())
}

impl Isolate {
    /// Signs in as a browser does.
    pub async fn try_log_in(&self, origin: Option<&str>, ip: &str, body: &Value) -> Answer {
        let mut request = Request::post("/api/v1/auth/login")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "Agent/1")
            .header("cf-connecting-ip", ip);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    /// The same, from our own page and an address that nobody else in a test has.
    pub async fn log_in(&self, username: &str) -> Browser {
        let body = json!({ "username": username, "password": PASSWORD });
        Browser::of(&self.try_log_in(Some(URL), &address_of(username), &body).await.expect(200))
    }

    /// A request of a browser's, from our own page.
    pub async fn browse(&self, browser: &Browser, method: &str, path: &str, body: &Value) -> Answer {
        self.browse_from(Some(URL), browser, method, path, body).await
    }

    /// The same, from another page.
    pub async fn browse_from(
        &self,
        origin: Option<&str>,
        browser: &Browser,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, format!("theme=dark; {}", browser.cookie))
            .header(header::USER_AGENT, browser.agent);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        if body.is_null() {
            return self.send(request.body(Body::empty()).unwrap()).await;
        }
        request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    /// A request of a browser's through the gateway, from a page or none.
    pub async fn browse_through(&self, browser: &Browser, method: &str, path: &str, origin: Option<&str>) -> Proxied {
        let origin = origin.map(|origin| format!("\norigin\n{origin}")).unwrap_or_default();
        self.proxy(&format!("{method}\n{URL}{path}\ncookie\ntheme=dark; {}{origin}", browser.cookie)).await
    }
}

impl Browser {
    /// After a sign-in.
    pub fn of(answer: &Answer) -> Self {
        let session = answer.text("/session_id").to_owned();
        Self { cookie: session_cookie(answer).unwrap(), session, agent: "Agent/1" }
    }
}
