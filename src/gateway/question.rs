//! A request that is only asked about, as somebody writes it down, and who is supposed to make it.

use std::time::Duration;

use super::{caller::Supposed, headers::is_plain, policy::Credential};

/// Such a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Names and values of headers.
    pub headers: Vec<(String, String)>,
}

impl Question {
    /// Its head, for [`super::head::Head::parse`].
    ///
    /// # Errors
    /// Which part could be no request's, and why.
    pub fn head(&self) -> Result<String, (&'static str, &'static str)> {
        let method = self.method.to_ascii_uppercase();
        if http::Method::from_bytes(method.as_bytes()).is_err() {
            return Err(("method", "must be a method, such as GET"));
        }
        let is_url = self.url.starts_with("https://") || self.url.starts_with("http://");
        // What is not visible would not be on this line of the head any more.
        if !is_url || !self.url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(("url", "must be a whole URL, such as https://app.example.com/orders/7"));
        }
        let mut text = format!("{method}\n{}", self.url);
        for (name, value) in &self.headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() || !is_plain(value) {
                return Err(("headers", "must be names with values in visible ASCII"));
            }
            text.extend(["\n", &name.to_ascii_lowercase(), "\n", value]);
        }
        Ok(text)
    }
}

/// Who is supposed to call, as far as that is said: nobody, if nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// The roles that they hold directly.
    pub roles: Option<Vec<String>>,
    /// Who they are.
    pub subject: Option<String>,
    /// What they come narrowed to: names of permissions with spaces between.
    pub scope: Option<String>,
    /// By what they are known.
    pub credential: Option<Credential>,
    /// How long ago they showed a second factor.
    pub mfa: Option<Duration>,
}

impl Whom {
    /// Who that is.
    #[must_use]
    pub fn supposed(&self) -> Option<Supposed> {
        let Self { roles, subject, scope, credential, mfa } = self.clone();
        (*self != Self::default()).then(|| Supposed {
            subject: subject.unwrap_or_else(|| "somebody".to_owned()),
            username: None,
            roles: roles.unwrap_or_default(),
            scope,
            credential: credential.unwrap_or(Credential::Bearer),
            factor_age: mfa,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<String, &'static str> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Question { method: method.to_owned(), url: url.to_owned(), headers }.head().map_err(|(what, _)| what)
    }

    #[test]
    fn what_could_be_no_request_is_told() {
        let head = of("get", "https://a.example/x?y", &[("Accept", "text/html")]);
        assert_eq!(head.unwrap(), "GET\nhttps://a.example/x?y\naccept\ntext/html");
        for method in ["", "G T", "GET\nx"] {
            assert_eq!(of(method, "https://a.example/", &[]), Err("method"), "{method}");
        }
        for url in ["", "/x", "ftp://a.example/", "https://a.example/ x", "https://a.example/\nx-a\nb", "https://é/"] {
            assert_eq!(of("GET", url, &[]), Err("url"), "{url}");
        }
        for header in [("a b", "c"), ("", "c"), ("a", "b\nc\nd"), ("a\nb", "c"), ("a", " b")] {
            assert_eq!(of("GET", "https://a.example/", &[header]), Err("headers"), "{header:?}");
        }
    }

    #[test]
    fn nobody_is_supposed_where_nothing_is_said() {
        assert!(Whom::default().supposed().is_none());
        let somebody = Whom { roles: Some(vec!["user".to_owned()]), ..Whom::default() }.supposed().unwrap();
        assert_eq!((somebody.credential, somebody.subject.as_str()), (Credential::Bearer, "somebody"));
    }
}
