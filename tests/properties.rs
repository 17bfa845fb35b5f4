//! What must hold for any input: parsers of hostile bytes never panic and never guess.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

use std::sync::Arc;

use edgewarden::{
    config::Config,
    domain::{
        bundle::Bundle,
        id::{RequestId, SessionId},
        revocation::feed::Feed,
        secret::SecretList,
        strict_json,
        time::Timestamp,
        token::{jws::Untrusted, refresh::RefreshToken},
    },
    gateway::{
        Findings, Moment, Verdict, World, canonical::Path, decide, head::Head, hosts::AllowedHosts,
        knowledge::Knowledge, policy::Policy,
    },
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

/// A path of any bytes, as they come or as escapes.
fn any_path() -> impl Strategy<Value = String> {
    let piece = (any::<u8>(), prop::bool::ANY, prop::bool::weighted(0.2));
    prop::collection::vec(piece, 0..24).prop_map(|pieces| {
        let text = |(byte, escaped, slash): (u8, bool, bool)| match (slash, escaped) {
            (true, _) => "/".to_owned(),
            (false, true) => format!("%{byte:02x}"),
            (false, false) => char::from(byte).to_string(),
        };
        format!("/{}", pieces.into_iter().map(text).collect::<String>())
    })
}

/// What an isolate knows to which somebody came before.
fn warm(now: Timestamp) -> Knowledge {
    let mut knowledge = Knowledge::default();
    knowledge.bundle = Some(Arc::new(Bundle { as_of: now, ..Bundle::default() }));
    knowledge.hear(Feed::new(String::new()).since(None, now), now, now);
    knowledge
}

/// What becomes of a GET under a policy of these routes: the URL that it is forwarded to, or why it is not.
fn decided(routes: &str, url: &str) -> Result<String, String> {
    let vars = |name: &str| match name {
        "PUBLIC_URL" => Some("https://auth.example".to_owned()),
        "KEY_ENCRYPTION_KEY" | "TOKEN_MAC_KEY" => Some("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_owned()),
        _ => None,
    };
    let text = format!("version = 1\n[[origin]]\nid = \"a\"\nurl = \"http://origin.internal\"\n{routes}");
    let (config, policy) = (Config::parse(&vars).unwrap(), Policy::parse(&text, &vars).unwrap());
    let hosts = AllowedHosts::new(&config, &policy);
    let head = format!("GET\n{url}");
    let head = Head::parse(&head).ok_or("no head")?;
    let now = Timestamp::from_secs(1_767_225_600);
    let moment = Moment { request: RequestId::new(now, &[0; 10]), now };
    let world = World::new(&config, &policy, &hosts);
    match decide(&head, &world, &warm(now), &Findings::default(), moment) {
        Verdict::Forward(rewrite) => Ok(rewrite.url),
        Verdict::Refuse(error, _) => Err(error.to_string()),
        other => Err(format!("{other:?}")),
    }
}

/// A route.
fn route(id: &str, path: &str, access: &str, more: &str) -> String {
    format!("[[route]]\nid = \"{id}\"\norigin = \"a\"\npath = \"{path}\"\naccess = \"{access}\"\n{more}\n")
}

/// What becomes of a path where everything is forwarded, encoded slashes or not.
fn forwarded(raw: &str, slashes: bool) -> Option<String> {
    let more = format!("host = \"www.example\"\nallow_encoded_slash = {slashes}");
    decided(&route("all", "/{*rest}", "public", &more), &format!("https://www.example{raw}")).ok()
}

#[test]
fn an_encoded_slash_reaches_nothing_that_a_slash_would_reach() {
    let routes = route("all", "/{*rest}", "public", "allow_encoded_slash = true")
        + &route("files", "/files/{*rest}", "authenticated", "")
        + &route("item", "/items/{name}", "public", "allow_encoded_slash = true");
    let ambiguous = Err("The path is ambiguous.".to_owned());
    for path in [
        "/files%2Fsecret",
        "/files%2fa/b",
        "/files/a%2Fb",
        "/api/v1%2Fauth%2Ftoken",
        "/api/v1/auth%2Ftoken",
        "/x%2F..%2Ffiles",
        // Of an item it is a part of its name; but what is under an item is the route's for all.
        "/items/a%2Fb",
    ] {
        assert_eq!(decided(&routes, &format!("https://auth.example{path}")), ambiguous, "{path}");
    }
    let as_it_is = |routes: &str, path: &str| {
        let found = decided(routes, &format!("https://auth.example{path}"));
        assert_eq!(found, Ok(format!("http://origin.internal{path}")), "{path}");
    };
    as_it_is(&routes, "/a%2Fb");
    as_it_is(&routes, "/other%2Ffiles");
    // A route hides what is its path by whatever method.
    let hidden = route("all", "/{*rest}", "public", "allow_encoded_slash = true")
        + &route("files", "/files/{name}", "public", "methods = [\"POST\"]");
    assert_eq!(decided(&hidden, "https://auth.example/files%2Fx"), ambiguous);
    // Nobody owns more by moving what stands before the owner.
    let owned = "allow_encoded_slash = true\nrequire = { owner = \"user_id\" }";
    for path in ["/{tenant}/{user_id}/{*rest}", "/{tenant}/{user_id}"] {
        let owned = route("owned", path, "authenticated", owned);
        for asked in ["/t%2Fvictim/me/x", "/t%2Fvictim/me", "/t/me%2Fvictim/x"] {
            let found = decided(&owned, &format!("https://auth.example{asked}"));
            assert!(
                found == ambiguous || found == Err("There is nothing here.".to_owned()),
                "{path} {asked}: {found:?}"
            );
        }
    }
    as_it_is(&route("item", "/items/{name}", "public", "allow_encoded_slash = true"), "/items/a%2Fb");
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
    fn what_is_decided_on_is_what_is_forwarded(raw in prop_oneof![paths(), any_path()], slashes in prop::bool::ANY) {
        if let Some(url) = forwarded(&raw, slashes) {
            let rest = url.strip_prefix("http://origin.internal").unwrap();
            let path = rest.split('?').next().unwrap();
            // The one spelling, which stays what it is, for us and for whoever reads the URL.
            let canonical = Path::parse(path);
            prop_assert_eq!(canonical.as_ref().map(Path::as_str), Ok(path));
            let parsed = url::Url::parse(&url).unwrap();
            prop_assert_eq!(parsed.path(), path);
            prop_assert!(slashes || !path.to_lowercase().contains("%2f"));
            let lower = path.to_lowercase();
            for odd in ["//", "%5c", "%00", ";", "%3b", "%2f/", "/%2f"] {
                prop_assert!(!lower.contains(odd), "{}: {}", odd, path);
            }
            let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
            prop_assert!(!lower.split("%25").skip(1).any(is_escape), "decodes twice: {}", path);
            // Not even whoever takes an encoded slash for one walks anywhere.
            let walks = |piece: &str| matches!(piece, "." | ".." | "%2e" | "%2e%2e");
            prop_assert!(!lower.replace("%2f", "/").split('/').any(walks), "{}", path);
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
