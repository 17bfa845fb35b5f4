//! What somebody types as a second factor.

use super::recovery::TypedRecovery;
use crate::domain::user::FieldProblem;

/// A code: of the app, or one to recover with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Six digits.
    Totp(String),
    /// A recovery code.
    Recovery(TypedRecovery),
}

/// Nobody types more, in bytes.
const MAX_TEXT: usize = 64;

impl Code {
    /// Reads a code with blanks and hyphens in it, as apps and people write them.
    ///
    /// # Errors
    /// What has neither form, and so could not be right.
    pub fn parse(text: &str) -> Result<Self, FieldProblem> {
        const WANTED: FieldProblem = "must be the six digits of an authenticator app, or a recovery code";
        if text.len() > MAX_TEXT {
            return Err(WANTED);
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self::Totp(text));
        }
        TypedRecovery::parse(&text).map(Self::Recovery).ok_or(WANTED)
    }

    /// How a sign-in with it is told in `amr`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Totp(_) => super::ONE_TIME_PASSWORD,
            Self::Recovery(_) => super::RECOVERY_CODE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_forms_are_read_and_nothing_else() {
        for good in ["123456", " 123 456 ", "123-456"] {
            assert_eq!(Code::parse(good), Ok(Code::Totp("123456".to_owned())), "{good}");
        }
        assert!(matches!(Code::parse("7k2mq9-xd4hna 0p3tv8-wec5rj"), Ok(Code::Recovery(_))));
        for bad in ["", "12345", "1234567", "abcdef", "+12345", "１２３４５６", &"0".repeat(70), &" ".repeat(64)]
        {
            assert!(Code::parse(bad).is_err(), "{bad:?}");
        }
    }
}
