//! Texts that were tokens once, changed at random: the corpus beside this file, and whatever comes of it.
//! `PROPTEST_CASES=1000000 cargo test --test tokens fuzz` runs for longer. What ever failed is kept in
//! `proptest-regressions` and tried first.

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    domain::{
        sealed::Sealed,
        secret::SecretList,
        token::{
            algorithm::Algorithm,
            jwk::PublicKey,
            jws::{MAX_TOKEN_BYTES, Untrusted},
            refresh::RefreshToken,
        },
    },
    gateway::authenticate::bearer_token,
};
use jwt_compact::UntrustedToken;
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use serde_json::{Map, Value};

use crate::{NOW, Signer, claims};

/// One text a line.
const CORPUS: &str = include_str!("corpus.txt");
/// A smoke run; the environment may ask for more.
const CASES: u32 = 20_000;

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Insert(Index, String),
    Remove(Index, Index),
    Repeat(Index, Index),
    /// Go on with another text of the corpus from somewhere.
    Splice(Index, Index, Index),
    /// Decode a part, change a byte of what it says, and encode it again.
    Inside(Index, Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let piece = prop_oneof![
        prop::sample::select(vec![
            ".",
            "..",
            "=",
            "==",
            " ",
            "\n",
            "\t",
            "\0",
            "{",
            "}",
            "[",
            "]",
            "\"",
            ":",
            ",",
            "-",
            "_",
            "+",
            "/",
            "%2e",
            "é",
            "\u{2028}",
            "eyJ",
            "e30",
            "null",
            "true",
            "1e309",
            "-0",
            "\\u0000",
            "\\ud800",
            "\"alg\":\"none\",",
            "\"kid\":1,",
            "\"typ\":null,",
            "\"exp\":9e99,",
            "\"crit\":[],",
            "\"b64\":false,",
        ])
        .prop_map(ToOwned::to_owned),
        any::<String>().prop_map(|text| text.chars().take(8).collect()),
    ];
    prop_oneof![
        (index(), 0..7_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (index(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (index(), index()).prop_map(|(from, to)| Change::Remove(from, to)),
        (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (index(), index(), index()).prop_map(|(at, text, from)| Change::Splice(at, text, from)),
        (index(), index(), any::<u8>()).prop_map(|(part, at, byte)| Change::Inside(part, at, byte)),
    ]
}

fn corpus() -> Vec<String> {
    let lines: Vec<_> = CORPUS.lines().map(ToOwned::to_owned).collect();
    assert!(lines.len() > 20);
    lines
}

/// A place between two characters.
fn place(text: &str, index: Index) -> usize {
    let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    places[index.index(places.len())]
}

fn between(text: &str, a: Index, b: Index) -> (usize, usize) {
    let (a, b) = (place(text, a), place(text, b));
    (a.min(b), a.max(b))
}

fn changed(mut text: String, change: &Change, corpus: &[String]) -> String {
    match change {
        Change::Flip(at, bit) if !text.is_empty() => {
            let at = at.index(text.len());
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            String::from_utf8(bytes).unwrap_or(text)
        }
        Change::Flip(..) => text,
        Change::Insert(at, piece) => {
            text.insert_str(place(&text, *at), piece);
            text
        }
        Change::Remove(from, to) => {
            let (from, to) = between(&text, *from, *to);
            text.replace_range(from..to, "");
            text
        }
        Change::Repeat(from, to) => {
            let (from, to) = between(&text, *from, *to);
            let piece = text[from..to].to_owned();
            text.insert_str(to, &piece);
            text
        }
        Change::Splice(at, other, from) => {
            let other = &corpus[other.index(corpus.len())];
            format!("{}{}", &text[..place(&text, *at)], &other[place(other, *from)..])
        }
        Change::Inside(part, at, byte) => {
            let mut parts: Vec<_> = text.split('.').map(ToOwned::to_owned).collect();
            let part = part.index(parts.len());
            if let Ok(mut bytes) = Base64UrlUnpadded::decode_vec(&parts[part])
                && !bytes.is_empty()
            {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
                parts[part] = Base64UrlUnpadded::encode_string(&bytes);
            }
            parts.join(".")
        }
    }
}

fn texts() -> impl Strategy<Value = String> {
    let corpus = corpus();
    (0..corpus.len(), prop::collection::vec(change(), 0..6)).prop_map(move |(seed, changes)| {
        changes.iter().fold(corpus[seed].clone(), |text, change| changed(text, change, &corpus))
    })
}

fn runner() -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    TestRunner::new(ProptestConfig { cases, ..ProptestConfig::with_source_file("tests/tokens/fuzz.rs") })
}

/// What a part says, if it is the one way to write it.
fn said(part: &str) -> Map<String, Value> {
    let bytes = Base64UrlUnpadded::decode_vec(part).unwrap();
    assert_eq!(Base64UrlUnpadded::encode_string(&bytes), part, "two spellings of one part");
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn what_is_read_is_read_one_way() {
    let read = std::cell::Cell::new(0);
    runner()
        .run(&texts(), |text| {
            let Ok(token) = Untrusted::parse(&text) else { return Ok(()) };
            read.set(read.get() + 1);
            prop_assert!(text.len() <= MAX_TOKEN_BYTES);
            let parts: Vec<_> = text.split('.').collect();
            prop_assert_eq!(parts.len(), 3);
            let header = said(parts[0]);
            prop_assert_eq!(header.get("alg").and_then(Value::as_str), Some(token.algorithm().name()));
            prop_assert_eq!(header.get("kid").and_then(Value::as_str), Some(token.key_id()));
            prop_assert_eq!(header.get("typ").and_then(Value::as_str), token.token_type());
            prop_assert_eq!(header.len(), 2 + usize::from(token.token_type().is_some()), "a member more");
            prop_assert_eq!(&Base64UrlUnpadded::encode_string(token.signature()), parts[2]);
            prop_assert_eq!(token.signing_input(), &text[..parts[0].len() + 1 + parts[1].len()]);
            // Another reader of the same text finds the same, unless it is stricter.
            if let Ok(library) = UntrustedToken::new(&text) {
                prop_assert_eq!(library.algorithm(), token.algorithm().name());
                prop_assert_eq!(library.header().key_id.as_deref(), Some(token.key_id()));
            }
            Ok(())
        })
        .unwrap();
    assert!(read.get() > 1000, "only {} of the texts were tokens", read.get());
}

/// With a good signature over them, which no attacker has: even then claims mean one thing.
#[test]
fn what_is_believed_says_one_thing() {
    let signer = Signer::new(Algorithm::Hs256);
    let genuine = serde_json::to_string(&claims()).unwrap();
    let believed = std::cell::Cell::new(0);
    let header = Base64UrlUnpadded::encode_string(
        format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{}"}}"#, signer.key.kid).as_bytes(),
    );
    runner()
        .run(&prop::collection::vec(change(), 0..3), |changes| {
            let text = changes
                .iter()
                .fold(genuine.clone(), |text, change| changed(text, change, std::slice::from_ref(&genuine)));
            let input = format!("{header}.{}", Base64UrlUnpadded::encode_string(text.as_bytes()));
            let token = format!("{input}.{}", Base64UrlUnpadded::encode_string(&signer.signature(&input)));
            let Ok(verified) = signer.believe(&token, NOW) else { return Ok(()) };
            believed.set(believed.get() + 1);
            let said: Map<String, Value> = serde_json::from_str(&text).unwrap();
            let heard = serde_json::to_value(verified.claims()).unwrap();
            // A list that is left out is empty.
            let empty = Value::Array(Vec::new());
            for (name, value) in heard.as_object().unwrap() {
                prop_assert_eq!(said.get(name).unwrap_or(&empty), value, "{}", name);
            }
            Ok(())
        })
        .unwrap();
    assert!(believed.get() > 1000, "only {} were believed", believed.get());
}

#[test]
fn no_text_breaks_another_parser_of_tokens_and_keys() {
    let master = SecretList::parse("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG").unwrap();
    runner()
        .run(&texts(), |text| {
            prop_assert!(RefreshToken::decode(&text, &master).is_err(), "made without the key");
            if let Some(sealed) = Sealed::decode(&text) {
                prop_assert_eq!(sealed.encode(), text.clone());
            }
            for algorithm in Algorithm::ALL {
                if let Ok(key) = PublicKey::from_members(*algorithm, &text) {
                    let again = PublicKey::from_members(*algorithm, &key.canonical()).unwrap();
                    prop_assert_eq!(again.key_id(), key.key_id());
                }
            }
            if let Some(token) = bearer_token(&text) {
                prop_assert!(text.contains(token));
            }
            Ok(())
        })
        .unwrap();
}
