//! Where a list goes on: a number and a text by which its rows are in order, in one opaque word.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::domain::user::FieldProblem;

/// A longer text is in no list of ours, in bytes.
const MAX_TEXT: usize = 512;
/// The number is one that a database carries.
const MAX_NUMBER: i64 = 1 << 53;

/// As a client is told it.
#[must_use]
pub fn encode(number: i64, text: &str) -> String {
    Base64UrlUnpadded::encode_string(&[&number.to_be_bytes(), text.as_bytes()].concat())
}

/// As a client says it again.
pub fn parse(word: &str) -> Result<(i64, String), FieldProblem> {
    const PROBLEM: FieldProblem = "must be a next_cursor of this list";
    let bytes = Base64UrlUnpadded::decode_vec(word).map_err(|_| PROBLEM)?;
    let (number, text) = bytes.split_first_chunk::<8>().ok_or(PROBLEM)?;
    let (number, text) = (i64::from_be_bytes(*number), std::str::from_utf8(text).map_err(|_| PROBLEM)?);
    let fits = (0..=MAX_NUMBER).contains(&number) && text.len() <= MAX_TEXT;
    if fits { Ok((number, text.to_owned())) } else { Err(PROBLEM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_again_and_nothing_else() {
        for (number, text) in [(0, ""), (1_767_225_600_000, "0190163d-8694-739b-aea5-966c26f8ad91"), (MAX_NUMBER, "é")]
        {
            assert_eq!(parse(&encode(number, text)), Ok((number, text.to_owned())));
        }
        let long = "x".repeat(MAX_TEXT + 1);
        for bad in [encode(-1, ""), encode(MAX_NUMBER + 1, ""), encode(0, &long), String::new(), "AAAA".to_owned()] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
        assert!(parse("AAAAAAAAAAB").is_err() && parse("AAAAAAAAAAA=").is_err(), "one spelling");
        assert!(parse("AAAAAAAAAAD_").is_err(), "no text");
    }
}
