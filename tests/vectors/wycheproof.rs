//! Project Wycheproof's sets for HMAC, `EdDSA`, ECDSA (P1363), RSA PKCS #1 v1.5 and PSS: every group that
//! JOSE can express (RFC 7518: keys as long as the digest, RSA of 2048 bits at least, MGF1 with the
//! digest's own hash, a salt as long as the digest). What cannot be expressed is counted by reason.

use std::collections::BTreeMap;

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::domain::token::algorithm::Algorithm;
use wycheproof::{
    HashFunction, Mgf, TestResult,
    ecdsa::{self, TestGroupTypeId},
    eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify,
};

use crate::case::{Case, Expected, Key};

/// Cases, and how many were left out for which reason.
#[derive(Default)]
struct Collection {
    cases: Vec<Case>,
    left_out: BTreeMap<String, usize>,
}

impl Collection {
    fn leave_out(&mut self, why: impl Into<String>, count: usize) {
        *self.left_out.entry(why.into()).or_insert(0) += count;
    }

    fn add(
        &mut self,
        source: String,
        algorithm: Algorithm,
        key: Key,
        message: &[u8],
        signature: &[u8],
        result: TestResult,
    ) {
        let expected = match result {
            TestResult::Valid => Expected::Good,
            TestResult::Invalid => Expected::Bad,
            TestResult::Acceptable => Expected::Either,
        };
        self.cases.push(Case {
            source,
            algorithm,
            key,
            message: message.to_vec(),
            signature: signature.to_vec(),
            expected,
        });
    }
}

/// All of them.
pub fn cases() -> (Vec<Case>, BTreeMap<String, usize>) {
    let mut all = Collection::default();
    hmac(&mut all);
    eddsa(&mut all);
    ecdsa(&mut all);
    rsa_pkcs1(&mut all);
    rsa_pss(&mut all);
    (all.cases, all.left_out)
}

fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn hmac(all: &mut Collection) {
    for name in mac::TestName::all() {
        let text = format!("{name:?}");
        let algorithm = match name {
            mac::TestName::HmacSha256 => Algorithm::Hs256,
            mac::TestName::HmacSha384 => Algorithm::Hs384,
            mac::TestName::HmacSha512 => Algorithm::Hs512,
            _ if text.starts_with("Hmac") => {
                let tests = mac::TestSet::load(name).unwrap().test_groups.iter().map(|group| group.tests.len()).sum();
                all.leave_out("HMAC with another digest", tests);
                continue;
            }
            _ => continue,
        };
        for group in mac::TestSet::load(name).unwrap().test_groups {
            if group.tag_size != algorithm.digest_bytes() * 8 {
                all.leave_out("HMAC with a truncated tag", group.tests.len());
            } else if group.key_size < algorithm.digest_bytes() * 8 {
                all.leave_out("HMAC with a key shorter than its digest", group.tests.len());
            } else {
                for test in group.tests {
                    let source = format!("{name:?} {}", test.tc_id);
                    all.add(source, algorithm, Key::Shared(test.key.to_vec()), &test.msg, &test.tag, test.result);
                }
            }
        }
    }
}

fn eddsa(all: &mut Collection) {
    for name in eddsa::TestName::all() {
        for group in eddsa::TestSet::load(name).unwrap().test_groups {
            if !matches!(name, eddsa::TestName::Ed25519) {
                all.leave_out(format!("{name:?}, which is not offered"), group.tests.len());
                continue;
            }
            let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(&group.jwk.x));
            for test in group.tests {
                let source = format!("{name:?} {}", test.tc_id);
                all.add(source, Algorithm::EdDsa, Key::Public(members.clone()), &test.msg, &test.sig, test.result);
            }
        }
    }
}

fn ecdsa(all: &mut Collection) {
    for name in ecdsa::TestName::all() {
        if !format!("{name:?}").ends_with("P1363") {
            continue;
        }
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            assert_eq!(group.test_type, TestGroupTypeId::EcdsaP1363);
            let (algorithm, crv) = match name {
                ecdsa::TestName::EcdsaSecp256r1Sha256P1363 => (Algorithm::Es256, "P-256"),
                ecdsa::TestName::EcdsaSecp384r1Sha384P1363 => (Algorithm::Es384, "P-384"),
                ecdsa::TestName::EcdsaSecp521r1Sha512P1363 => (Algorithm::Es512, "P-521"),
                _ => {
                    all.leave_out("ECDSA on another curve or with another digest", group.tests.len());
                    continue;
                }
            };
            // SEC 1, section 2.3.3: 4, then both coordinates.
            let (x, y) = group.key.key[1..].split_at((group.key.key.len() - 1) / 2);
            let members = format!(r#"{{"crv":"{crv}","kty":"EC","x":"{}","y":"{}"}}"#, b64(x), b64(y));
            for test in group.tests {
                let source = format!("{name:?} {}", test.tc_id);
                all.add(source, algorithm, Key::Public(members.clone()), &test.msg, &test.sig, test.result);
            }
        }
    }
}

/// A number without the zeros that DER puts before it.
fn number(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    b64(&bytes[zeros..])
}

fn rsa_members(n: &[u8], e: &[u8]) -> String {
    format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, number(e), number(n))
}

fn rsa_pkcs1(all: &mut Collection) {
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let algorithm = match group.hash {
                HashFunction::Sha2_256 => Algorithm::Rs256,
                HashFunction::Sha2_384 => Algorithm::Rs384,
                HashFunction::Sha2_512 => Algorithm::Rs512,
                _ => {
                    all.leave_out("RSA PKCS #1 with another digest", group.tests.len());
                    continue;
                }
            };
            let members = rsa_members(&group.key.n, &group.key.e);
            for test in group.tests {
                let source = format!("{name:?} {}", test.tc_id);
                all.add(source, algorithm, Key::Public(members.clone()), &test.msg, &test.sig, test.result);
            }
        }
    }
}

fn rsa_pss(all: &mut Collection) {
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let algorithm = match group.hash {
                HashFunction::Sha2_256 => Algorithm::Ps256,
                HashFunction::Sha2_384 => Algorithm::Ps384,
                HashFunction::Sha2_512 => Algorithm::Ps512,
                _ => {
                    all.leave_out("RSA PSS with another digest", group.tests.len());
                    continue;
                }
            };
            if !matches!(group.mgf, Mgf::Mgf1) || group.mgf_hash.as_ref() != Some(&group.hash) {
                all.leave_out("RSA PSS with another mask generation", group.tests.len());
                continue;
            }
            if group.salt_size != algorithm.digest_bytes() {
                all.leave_out("RSA PSS with a salt of another length", group.tests.len());
                continue;
            }
            let members = rsa_members(&group.key.n, &group.key.e);
            for test in group.tests {
                let source = format!("{name:?} {}", test.tc_id);
                all.add(source, algorithm, Key::Public(members.clone()), &test.msg, &test.sig, test.result);
            }
        }
    }
}
