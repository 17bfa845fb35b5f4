//! What is issued is believed as it was meant, for exactly its time.

use edgewarden::domain::token::{
    algorithm::Algorithm,
    claims::{Audience, Claims},
    verify::Refusal,
};
use proptest::prelude::*;

use crate::{NOW, Signer, claims};

/// RFC 7519, section 4.1.4 allows a small leeway; ours is this many seconds.
const LEEWAY: i64 = 5;

fn any_claims() -> impl Strategy<Value = Claims> {
    let text = || any::<String>().prop_map(|text| text.chars().take(60).collect::<String>());
    let optional = || prop::option::of(text());
    (
        (text(), prop::collection::vec(text(), 0..5), prop::collection::vec(text(), 0..3)),
        (optional(), optional(), optional(), optional(), any::<Option<bool>>()),
        (0..1_000_000_000_i64, any::<i64>(), prop::bool::ANY),
    )
        .prop_map(
            |((sub, roles, amr), (scope, username, email, full_name, email_verified), (auth_time, ver, many))| Claims {
                sub,
                roles,
                amr,
                scope,
                username,
                email,
                full_name,
                email_verified,
                auth_time,
                ver,
                aud: if many {
                    Audience::Many(vec!["other".to_owned(), "edgewarden".to_owned()])
                } else {
                    Audience::One("edgewarden".to_owned())
                },
                ..claims()
            },
        )
}

#[test]
fn what_is_issued_is_believed_word_for_word() {
    let signers: Vec<_> = Algorithm::ISSUED.into_iter().map(Signer::new).collect();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 500, ..ProptestConfig::default() });
    runner
        .run(&(0..signers.len(), any_claims()), |(signer, claims)| {
            let signer = &signers[signer];
            let verified = signer.believe(&signer.issue(&claims), NOW).unwrap();
            prop_assert_eq!(verified.claims(), &claims);
            prop_assert_eq!(verified.key(), &signer.key.kid);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_token_is_believed_from_its_beginning_to_its_end() {
    let signer = Signer::new(Algorithm::Hs256);
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 4000, ..ProptestConfig::default() });
    // Whole seconds around each edge.
    let edge = || prop_oneof![Just(0_i64), Just(LEEWAY), Just(-LEEWAY), -20..20_i64];
    let life = prop_oneof![1..3600_i64, Just(3600), 3601..100_000_i64];
    runner
        .run(&(life, -30..30_i64, prop::bool::ANY, edge()), |(life, begins, at_end, offset)| {
            let (iat, nbf, exp) = (NOW, NOW + begins, NOW + life);
            let now = if at_end { exp } else { nbf } + offset;
            let token = signer.issue(&Claims { iat, nbf, exp, ..claims() });
            let expected = if life > 3600 {
                Err(Refusal::Malformed)
            } else if iat > now + LEEWAY {
                Err(Refusal::NotYetValid)
            } else if now >= exp + LEEWAY {
                Err(Refusal::Expired)
            } else if now < nbf - LEEWAY {
                Err(Refusal::NotYetValid)
            } else {
                Ok(())
            };
            prop_assert_eq!(signer.believe(&token, now).map(drop), expected);
            Ok(())
        })
        .unwrap();
}
