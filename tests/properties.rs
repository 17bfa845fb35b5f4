//! What must hold for any input: parsers of hostile bytes never panic and never guess, limits are
//! exact on any schedule.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

use edgewarden::{
    domain::{
        id::SessionId,
        rate_limit::{Log, Rule},
        secret::SecretList,
        strict_json,
        time::Timestamp,
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn limits_are_exact_on_any_schedule(
        rules in prop::collection::vec((1_u32..8, 10_u32..400), 1..4),
        gaps in prop::collection::vec(0_i64..60, 1..400),
    ) {
        let rules: Vec<_> = rules.into_iter().map(|(limit, window_ms)| Rule { limit, window_ms }).collect();
        let (mut log, mut now, mut admitted) = (Log::default(), 0_i64, Vec::<i64>::new());
        for gap in gaps {
            now += gap;
            // A window of a rule is full if `limit` admissions lie in (now - window, now].
            let inside = |rule: &Rule| admitted.iter().filter(|&&at| at > now - i64::from(rule.window_ms)).count();
            let fits = rules.iter().all(|rule| inside(rule) < rule.limit as usize);
            let decision = log.admit(&rules, Timestamp::from_millis(now));
            prop_assert_eq!(decision.admitted, fits, "at {}", now);
            if fits {
                admitted.push(now);
            } else {
                // Waiting as long as it says is enough, and a moment less is not.
                let after = now + decision.retry_after_ms;
                let mut copy = log.clone();
                prop_assert!(copy.admit(&rules, Timestamp::from_millis(after)).admitted);
                let mut copy = log.clone();
                prop_assert!(!copy.admit(&rules, Timestamp::from_millis(after - 1)).admitted);
            }
        }
    }
}
