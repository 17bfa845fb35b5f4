//! What a new password has to be: long enough, not too long, mixed as the installation wants it, not
//! one that everybody knows, and without what anybody knows of its owner.

use super::{Password, common};
use crate::domain::user::{Email, FieldProblem, Username};

/// Passwords have at least this many characters after NFKC.
pub const MIN_CHARS: usize = 8;
/// And at most this many, so that hashing stays bounded.
pub const MAX_CHARS: usize = 128;
/// A passphrase may not simply hold these.
const PRODUCT_NAME: &str = "edgewarden";

impl Password {
    /// A password somebody chooses, held against the policy. `classes` is how many of upper,
    /// lower, digit and other it must have (0 to 4).
    pub fn choose(
        text: &str,
        classes: u8,
        username: Option<&Username>,
        email: Option<&Email>,
    ) -> Result<Self, FieldProblem> {
        let password = Self::presented(text).ok_or("must have at most 128 characters")?;
        let chars = &password.0;
        if chars.chars().count() < MIN_CHARS {
            return Err("must have at least 8 characters");
        }
        let has = |test: fn(char) -> bool| u8::from(chars.chars().any(test));
        let found =
            has(char::is_uppercase) + has(char::is_lowercase) + has(char::is_numeric) + has(|c| !c.is_alphanumeric());
        if found < classes {
            return Err(match classes {
                4.. => "must hold an upper-case letter, a lower-case letter, a digit and another character",
                _ => "must mix more kinds of characters",
            });
        }
        let lower = chars.to_lowercase();
        let holds = |word: &str| word.len() >= 3 && lower.contains(&word.to_lowercase());
        if username.is_some_and(|name| holds(name.as_str())) {
            return Err("must not contain the username");
        }
        if email.is_some_and(|email| holds(email.local_part())) {
            return Err("must not contain the email address");
        }
        if holds(PRODUCT_NAME) {
            return Err("must not contain the product's name");
        }
        if common::is_common(&lower) {
            return Err("must not be a common password, nor one with little added");
        }
        Ok(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> Result<Password, FieldProblem> {
        let (name, email) = (Username::parse("ada").unwrap(), Email::parse("countess@example.org").unwrap());
        Password::choose(text, 4, Some(&name), Some(&email))
    }

    #[test]
    fn policy() {
        assert!(choose("Correct-Horse-7").is_ok());
        for (bad, why) in [
            ("Sh0rt-x", "at least 8"),
            ("alllowercase-7", "upper-case"),
            ("NoDigitsHere-", "digit"),
            ("NoOthers77aa", "another"),
            ("xAdA-12345678", "username"),
            ("Countess-1234", "email"),
            ("Edgewarden-1234", "product"),
            ("P@ssw0rd1!", "common"),
        ] {
            let problem = choose(bad).unwrap_err();
            assert!(problem.contains(why), "{bad}: {problem}");
        }
    }

    #[test]
    fn without_classes_length_and_lists_are_all() {
        let free = |text: &str| Password::choose(text, 0, None, None).map(drop);
        for good in
            ["allinlowercase", "correct horse battery staple", "8391047562", "žluťoučký kůň", "ひみつのことば、ね"]
        {
            assert_eq!(free(good), Ok(()), "{good}");
        }
        assert!(free("password").unwrap_err().contains("common"));
        assert!(free("1234567").unwrap_err().contains("at least 8"));
    }

    #[test]
    fn length_counts_characters_after_nfkc_and_nothing_is_cut() {
        let long = format!("Aa1-{}", "é".repeat(124));
        assert!(choose(&long).is_ok());
        assert!(choose(&format!("{long}é")).is_err());
        // U+FDFA is one character that NFKC makes eighteen.
        assert!(choose(&format!("Aa1-{}", "\u{fdfa}".repeat(7))).is_err());
    }

    #[test]
    fn another_width_of_a_common_password_is_the_same_one() {
        assert!(Password::choose("ＰＡＳＳＷＯＲＤ", 0, None, None).unwrap_err().contains("common"));
    }
}
