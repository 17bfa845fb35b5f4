//! Certificates by which services prove themselves to whoever ends their TLS (RFC 8446, §4.4.2), as that one tells of them.

use serde_json::Value;

/// A certificate that was shown, and what came of checking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    is_good: bool,
    sha256: String,
    subject: String,
    issuer: String,
}

/// A service that the policy knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its subject.
    pub subject: String,
    /// What it is known by.
    pub known: Known,
    /// The roles that it has.
    pub roles: Vec<String>,
}

/// What a certificate is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// Itself: its SHA-256, 64 digits in lower case.
    BySha256(String),
    /// Whose it is, and who gave it, as RFC 2253 writes names: also those that come after it.
    ByName {
        /// Whose.
        subject: String,
        /// Who gave it.
        issuer: String,
    },
}

impl Known {
    /// From hexadecimal digits, which may be in pairs with colons between.
    #[must_use]
    pub fn by_sha256(text: &str) -> Option<Self> {
        let digits = text.replace(':', "").to_ascii_lowercase();
        let is_hash = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hash.then_some(Self::BySha256(digits))
    }

    fn is(&self, shown: &Shown) -> bool {
        match self {
            Self::BySha256(sha256) => *sha256 == shown.sha256,
            Self::ByName { subject, issuer } => (subject, issuer) == (&shown.subject, &shown.issuer),
        }
    }
}

impl Shown {
    /// Reads what the platform says: whether it was verified and revoked, its SHA-256, whose it is and who gave it, as a JSON
    /// array of texts. What cannot be read is no good certificate.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let said: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        let part = |at: usize| said.get(at).and_then(Value::as_str).unwrap_or_default();
        Self {
            is_good: part(0) == "SUCCESS" && part(1) == "0",
            sha256: part(2).to_ascii_lowercase(),
            subject: part(3).to_owned(),
            issuer: part(4).to_owned(),
        }
    }

    /// Whether it was verified, and is not revoked.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.is_good
    }

    /// Whose it is, of those that are known.
    #[must_use]
    pub fn of<'c>(&self, clients: &'c [Client]) -> Option<&'c Client> {
        clients.iter().find(|client| self.is_good && client.known.is(self))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(name: &str, known: Known) -> Client {
        Client { subject: name.to_owned(), known, roles: Vec::new() }
    }

    #[test]
    fn a_good_certificate_is_its_clients_and_any_other_nobodys() {
        let (hash, other) = ("ab".repeat(32), "cd".repeat(32));
        let by_name = Known::ByName { subject: "CN=b".to_owned(), issuer: "CN=ca".to_owned() };
        let clients = [client("a", Known::by_sha256(&hash).unwrap()), client("b", by_name)];
        let who = |said: Value| Shown::read(&said.to_string()).of(&clients).map(|client| client.subject.clone());
        assert_eq!(who(json!(["SUCCESS", "0", hash.to_uppercase(), "CN=x", "CN=y"])), Some("a".to_owned()));
        assert_eq!(who(json!(["SUCCESS", "0", other, "CN=b", "CN=ca"])), Some("b".to_owned()));
        for nobody in [
            json!(["SUCCESS", "0", other, "CN=b", "CN=other"]),
            json!(["SUCCESS", "0", other, "CN=c", "CN=ca"]),
            json!(["SUCCESS", "0", other, "cn=b", "CN=ca"]),
            json!(["FAILED:self signed certificate", "0", hash, "CN=b", "CN=ca"]),
            json!(["NONE", "0", hash, "CN=b", "CN=ca"]),
            json!(["SUCCESS", "1", hash, "CN=b", "CN=ca"]),
            json!(["SUCCESS", null, hash, "CN=b", "CN=ca"]),
            json!(["SUCCESS", 0, hash, "CN=b", "CN=ca"]),
            json!(["SUCCESS", "0"]),
            json!(["SUCCESS", "0", "", "", ""]),
            json!({}),
        ] {
            assert_eq!(who(nobody.clone()), None, "{nobody}");
        }
        assert!(!Shown::read("").is_good());
    }

    #[test]
    fn a_hash_is_64_digits() {
        let hash = Known::by_sha256(&"AB".repeat(32)).unwrap();
        assert_eq!(Known::by_sha256(["ab"; 32].join(":").as_str()), Some(hash));
        for bad in ["", "ab", &"x".repeat(64), &"ab".repeat(33)] {
            assert_eq!(Known::by_sha256(bad), None, "{bad}");
        }
    }
}
