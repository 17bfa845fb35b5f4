//! Published vectors against the domain and both crypto adapters: the host's, and Web Crypto inside
//! workerd through a build of the Worker that can be asked. How many were run is asserted, so that an
//! empty set cannot pass.

#![allow(missing_docs, reason = "test names say what they show")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that meets the unexpected should stop there, and the numbers are to be seen"
)]

mod case;
mod rfc;
mod wycheproof;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use case::{Answer, Case, Expected};
use edgewarden::{domain::secret::SecretList, native::crypto::NativeCrypto};

/// Asks the host's adapter.
fn native(cases: &[Case]) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let crypto = NativeCrypto::new(SecretList::parse("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG").unwrap());
    cases.iter().map(|case| runtime.block_on(case.ask(&crypto))).collect()
}

/// Asks the one on Web Crypto, in workerd.
fn workerd(cases: &[Case]) -> Vec<Answer> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = std::env::temp_dir().join(format!("edgewarden-vectors-{}-{}.json", std::process::id(), cases.len()));
    fs::write(&file, serde_json::to_vec(&cases.iter().map(Case::json).collect::<Vec<_>>()).unwrap()).unwrap();
    let output = Command::new(checkout.join("node_modules/node/bin/node"))
        .arg(checkout.join("scripts/probe.mjs"))
        .arg(&file)
        .current_dir(checkout)
        .output()
        .unwrap();
    fs::remove_file(&file).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // The build may have said something before.
    let answers: Vec<String> = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    answers.iter().map(|answer| Answer::parse(answer)).collect()
}

/// Holds both adapters against what is expected, and prints how many cases each algorithm had.
fn check(what: &str, cases: &[Case]) -> BTreeMap<&'static str, usize> {
    let (native, workerd) = (native(cases), workerd(cases));
    assert_eq!((native.len(), workerd.len()), (cases.len(), cases.len()));
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::new());
    for (case, answers) in cases.iter().zip(native.into_iter().zip(workerd)) {
        *counts.entry(case.algorithm.name()).or_insert(0) += 1;
        let right = match case.expected {
            Expected::Good => answers == (Answer::Good, Answer::Good),
            Expected::Bad => answers.0 != Answer::Good && answers.1 != Answer::Good,
            // May be taken or not, but by both alike.
            Expected::Either => (answers.0 == Answer::Good) == (answers.1 == Answer::Good),
        };
        if !right {
            wrong.push(format!("{} {:?}: {answers:?}", case.source, case.expected));
        }
    }
    let of = |expected| cases.iter().filter(|case| case.expected == expected).count();
    let (good, bad, either) = (of(Expected::Good), of(Expected::Bad), of(Expected::Either));
    println!("{what}: {} cases in both adapters ({good} good, {bad} bad, {either} either): {counts:?}", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    counts
}

/// One test, because both ask the same build in workerd, which is made where it is not there.
#[test]
fn both_adapters_judge_every_published_signature_alike_and_rightly() {
    let counts = check("RFC 7515, 7520 and 8037", &rfc::cases());
    let expected = [("ES256", 3), ("ES512", 6), ("EdDSA", 3), ("HS256", 6), ("PS384", 3), ("RS256", 6)];
    assert_eq!(counts, BTreeMap::from(expected), "each example, and it changed in two ways");

    let (cases, left_out) = wycheproof::cases();
    println!("left out, because JOSE cannot say it:");
    for (why, count) in &left_out {
        println!("  {count:5}  {why}");
    }
    let counts = check("Wycheproof", &cases);
    let expected = [
        ("ES256", 262),
        ("ES384", 280),
        ("ES512", 318),
        ("EdDSA", 151),
        ("HS256", 84),
        ("HS384", 84),
        ("HS512", 84),
        ("PS256", 542),
        ("PS384", 284),
        ("PS512", 360),
        ("RS256", 1034),
        ("RS384", 1035),
        ("RS512", 1037),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!((cases.len(), left_out.values().sum::<usize>()), (5555, 14_010));
}
