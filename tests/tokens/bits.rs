//! Any single-bit change of any part, all of them.

use edgewarden::domain::token::algorithm::Algorithm;

use crate::{NOW, Signer, claims};

#[test]
fn no_token_that_differs_by_one_bit_is_believed() {
    for algorithm in
        [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256, Algorithm::Ps512, Algorithm::Es512]
    {
        let signer = Signer::new(algorithm);
        let token = signer.issue(&claims());
        assert!(signer.believe(&token, NOW).is_ok());
        let mut changed = 0;
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                // The eighth bit would leave ASCII; no header value does.
                let other = String::from_utf8(bytes).unwrap();
                assert!(signer.believe(&other, NOW).is_err(), "{}: byte {at}, bit {bit}", algorithm.name());
                changed += 1;
            }
        }
        assert!(changed > 3000, "{changed}");
    }
}

#[test]
fn no_token_that_lacks_or_repeats_a_character_is_believed() {
    let signer = Signer::new(Algorithm::EdDsa);
    let token = signer.issue(&claims());
    for at in 0..token.len() {
        let (before, after) = token.split_at(at);
        assert!(signer.believe(&format!("{before}{}", &after[1..]), NOW).is_err(), "without {at}");
        assert!(signer.believe(&format!("{before}{}{after}", &after[..1]), NOW).is_err(), "twice {at}");
        assert!(signer.believe(before, NOW).is_err(), "cut at {at}");
    }
}

#[test]
fn a_signature_of_one_key_is_none_of_another() {
    for algorithm in Algorithm::ISSUED {
        let (one, other) = (Signer::new(algorithm), Signer::new(algorithm));
        let (ours, theirs) = (one.issue(&claims()), other.issue(&claims()));
        assert!(one.believe(&theirs, NOW).is_err());
        let (input, _) = ours.rsplit_once('.').unwrap();
        let (_, signature) = theirs.rsplit_once('.').unwrap();
        assert!(one.believe(&format!("{input}.{signature}"), NOW).is_err());
    }
}
