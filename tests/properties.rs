//! What must hold for any input: parsers of hostile bytes never panic and never guess.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

use edgewarden::{
    domain::{
        id::SessionId,
        secret::SecretList,
        strict_json,
        token::{jws::Untrusted, refresh::RefreshToken},
    },
    gateway::{canonical::Path, head::Head},
};
use proptest::prelude::*;

/// Texts that look like paths, with everything that has ever been an attack in them.
fn paths() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a", "B", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%00", "%25", "%2561", "%", "%f", "é",
        "%c3%a9", "%ff", "//", " ", "%20", "~", "%7e", "?", "#", "@", ":", "+", "\u{1}",
    ]);
    prop::collection::vec((pieces, prop::bool::ANY), 0..8)
        .prop_map(|pieces| {
            pieces.into_iter().map(|(piece, slash)| if slash { format!("/{piece}") } else { piece.into() }).collect()
        })
        .prop_map(|path: String| format!("/{path}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_canonical_path_is_stable_and_says_one_thing(raw in paths()) {
        if let Ok(path) = Path::parse(&raw) {
            let text = path.as_str();
            prop_assert_eq!(Path::parse(text), Ok(path.clone()));
            prop_assert!(text.starts_with('/') && text.is_ascii());
            prop_assert!(!text.contains("//") && !text.contains(';') && !text.contains('\\') && !text.contains('?'));
            prop_assert!(text.split('/').all(|segment| segment != "." && segment != ".."));
            // A URL parser sees the very same path: what is decided on is what is sent.
            let url = url::Url::parse(&format!("http://origin.internal{text}")).unwrap();
            prop_assert_eq!(url.path(), text);
        }
    }

    #[test]
    fn no_text_breaks_a_parser(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let keys = SecretList::parse("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG").unwrap();
        let _ = Untrusted::parse(&text);
        let _ = Untrusted::parse(&format!("{text}.{text}.{text}"));
        let _ = Head::parse(&text);
        let _ = Path::parse(&text);
        let _ = strict_json::object(&bytes);
        let _ = strict_json::object(text.as_bytes());
        prop_assert!(RefreshToken::decode(&text, &keys).is_err());
        let prefixed = format!("ewr_k1_{text}");
        prop_assert!(RefreshToken::decode(&prefixed, &keys).is_err());
    }

    #[test]
    fn a_refresh_token_is_read_back(session in any::<[u8; 16]>(), salt in any::<[u8; 16]>(), generation in any::<u32>()) {
        let keys = SecretList::parse("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG").unwrap();
        let token = RefreshToken { session: SessionId::from_bytes(session), generation, salt };
        prop_assert_eq!(RefreshToken::decode(&token.encode(&keys), &keys), Ok(token));
    }
}
