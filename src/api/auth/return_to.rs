//! Where a browser goes after it signed in: a path of our own, and nowhere else.

use axum::http::HeaderValue;

use crate::error::ApiError;

/// No path that anyone goes to is longer, in bytes.
const MAX_BYTES: usize = 2048;

/// A path with its query, on this very origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(HeaderValue);

impl ReturnTo {
    /// Reads what was asked for; nothing means `/`.
    ///
    /// # Errors
    /// What is no path of ours, or could be taken for another host: `//host`, or `/\host`, which browsers read as the same.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let text = text.unwrap_or("/");
        let is_path = text.starts_with('/') && !text.starts_with("//") && text.len() <= MAX_BYTES;
        let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let refused = || ApiError::InvalidRequest("The parameter return_to must be a path of this site.".to_owned());
        if !is_path || !is_plain {
            return Err(refused());
        }
        HeaderValue::try_from(text).map(Self).map_err(|_| refused())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("/")
    }

    /// The value of `Location`.
    pub fn into_value(self) -> HeaderValue {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_taken() {
        for good in ["/", "/a", "/a/b?c=//d", "/%2f%2fevil.example"] {
            assert_eq!(ReturnTo::parse(Some(good)).unwrap().into_value(), good);
        }
        assert_eq!(ReturnTo::parse(None).unwrap().into_value(), "/");
        let long = format!("/{}", "a".repeat(MAX_BYTES));
        for bad in [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/a\r\nx: y",
            "/\t/evil.example",
            "/ ",
            "/é",
            " /",
            "/a\\b",
            long.as_str(),
        ] {
            assert!(ReturnTo::parse(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
