//! The house's walls: what the platform offers is named in two places only, the domain knows
//! neither clock nor I/O, and nothing escapes the panic lints.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

/// Lines of every source file under `src`, without comments: (path from `src`, line).
fn lines() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 40, "only {} sources were found", files.len());
    let mut lines = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        lines.extend(
            text.lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| (name.clone(), line.to_owned())),
        );
    }
    lines
}

fn assert_nowhere(words: &[&str], allowed: impl Fn(&str) -> bool) {
    let found: Vec<_> = lines()
        .into_iter()
        .filter(|(file, line)| !allowed(file) && words.iter().any(|word| line.contains(word)))
        .map(|(file, line)| format!("{file}: {}", line.trim()))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_platform_is_named_in_entry_and_platform_only() {
    let words = ["worker::", "web_sys::", "js_sys::", "wasm_bindgen"];
    assert_nowhere(&words, |file| file == "entry.rs" || file.starts_with("platform/"));
}

#[test]
fn the_domain_knows_no_io_and_no_framework() {
    let words = ["axum::", "crate::ports", "crate::stores", "crate::api", "crate::platform", "async fn", ".await"];
    assert_nowhere(&words, |file| !file.starts_with("domain/"));
}

#[test]
fn only_error_rs_picks_a_status() {
    let words = ["StatusCode::"];
    // A success other than 200 is the handler's own to say.
    let own_successes = [
        "api/accounts/register.rs",
        "api/admin/policy/change.rs",
        "api/admin/roles/create.rs",
        "api/admin/roles/permissions.rs",
        "api/admin/users/create.rs",
        "api/api_keys/create.rs",
        "api/api_keys/remove.rs",
        "api/auth/opened.rs",
        "api/auth/sessions.rs",
        "api/cors.rs",
        "api/kept.rs",
        "api/openapi/problem.rs",
        "api/mail/mod.rs",
        "api/well_known.rs",
    ];
    assert_nowhere(&words, |file| file == "error.rs" || own_successes.contains(&file));
}

#[test]
fn the_last_resort_in_javascript_carries_the_same_headers() {
    let edge = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/edge.js")).unwrap();
    for (name, value) in edgewarden::security_headers::ALWAYS {
        assert!(edge.contains(&format!("\"{name}\": \"{value}\"")), "{name}");
    }
    let (name, value) = edgewarden::security_headers::STRICT_TRANSPORT;
    assert!(edge.contains(&format!("[\"{name}\", \"{value}\"]")), "{name}");
}

#[test]
fn no_panic_lint_is_lifted() {
    let lints = ["unwrap_used", "expect_used", "clippy::panic", "indexing_slicing", "string_slice", "unreachable"];
    // lib.rs lifts them for its unit tests.
    assert_nowhere(&lints, |file| file == "lib.rs");
}

#[test]
fn nobody_else_makes_verified_claims() {
    for word in ["VerifiedClaims {", "Signed {", "Claimed {"] {
        assert_nowhere(&[word], |file| file == "domain/token/verify.rs");
    }
    assert_nowhere(&["TheirClaims {", ".into_vouched()"], |file| file == "domain/token/issuer/verify.rs");
    // Only a key of a ring is put beside a token, and only the key's own answer is about it.
    let rings = ["domain/token/keyring.rs", "domain/token/issuer/keys.rs"];
    assert_nowhere(&["Claimed::new("], |file| rings.contains(&file));
    assert_nowhere(&[".answered("], |file| file == "ports/mod.rs");
}
