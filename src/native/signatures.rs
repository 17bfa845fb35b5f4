//! Asymmetric signatures on aws-lc-rs, for each algorithm of JOSE that has them.

use aws_lc_rs::{
    encoding::AsDer,
    error::Unspecified,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, ED25519,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
    },
};

use crate::domain::token::{
    algorithm::{Algorithm, Curve, Family},
    jwk::{Material, PublicKey},
};

/// Makes a pair: the public half, and the private one as PKCS #8.
pub(super) fn generate(algorithm: Algorithm) -> Result<(PublicKey, Vec<u8>), Unspecified> {
    let (material, pkcs8) = match algorithm.family() {
        Family::EdDsa => {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.as_ref()).map_err(|_| Unspecified)?;
            let point = pair.public_key().as_ref().try_into().map_err(|_| Unspecified)?;
            (Material::Ed25519(point), pkcs8.as_ref().to_vec())
        }
        Family::Ecdsa(curve) => {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(ecdsa_signing(curve), &SystemRandom::new())?;
            let pair = EcdsaKeyPair::from_pkcs8(ecdsa_signing(curve), pkcs8.as_ref()).map_err(|_| Unspecified)?;
            // SEC 1, §2.3.3: 4, then both coordinates.
            let (_, point) = pair.public_key().as_ref().split_first().ok_or(Unspecified)?;
            let (x, y) = point.split_at_checked(curve.coordinate_bytes()).ok_or(Unspecified)?;
            (Material::Ec { curve, x: x.to_vec(), y: y.to_vec() }, pkcs8.as_ref().to_vec())
        }
        Family::RsaPkcs1 | Family::RsaPss => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
            let public = pair.public_key();
            let n = public.modulus().big_endian_without_leading_zero().to_vec();
            let e = public.exponent().big_endian_without_leading_zero().to_vec();
            (Material::Rsa { n, e }, pair.as_der()?.as_ref().to_vec())
        }
        Family::Hmac => return Err(Unspecified),
    };
    Ok((PublicKey::new(algorithm, material).map_err(|_| Unspecified)?, pkcs8))
}

/// Signs with a private key as PKCS #8.
pub(super) fn sign(algorithm: Algorithm, pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    match algorithm.family() {
        Family::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| Unspecified)?;
            Ok(pair.sign(message).as_ref().to_vec())
        }
        Family::Ecdsa(curve) => {
            let pair = EcdsaKeyPair::from_pkcs8(ecdsa_signing(curve), pkcs8).map_err(|_| Unspecified)?;
            Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
        }
        Family::RsaPkcs1 | Family::RsaPss => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| Unspecified)?;
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(rsa_signing(algorithm).ok_or(Unspecified)?, &SystemRandom::new(), message, &mut signature)?;
            Ok(signature)
        }
        Family::Hmac => Err(Unspecified),
    }
}

/// Whether a signature is the key's. A key that is none has made no signature.
pub(super) fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let checked = match key.material() {
        Material::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
        Material::Ec { curve, x, y } => {
            let point = [&[4], x.as_slice(), y].concat();
            UnparsedPublicKey::new(ecdsa_verifying(*curve), point).verify(message, signature)
        }
        Material::Rsa { n, e } => match rsa_verifying(key.algorithm()) {
            Some(parameters) => RsaPublicKeyComponents { n, e }.verify(parameters, message, signature),
            None => Err(Unspecified),
        },
    };
    checked.is_ok()
}

/// Whether a key is one: whether a point is on its curve.
pub(super) fn is_key(key: &PublicKey) -> bool {
    match key.material() {
        Material::Ec { curve, x, y } => {
            ParsedPublicKey::new(ecdsa_verifying(*curve), [&[4], x.as_slice(), y].concat()).is_ok()
        }
        Material::Ed25519(_) | Material::Rsa { .. } => true,
    }
}

fn ecdsa_signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

fn ecdsa_verifying(curve: Curve) -> &'static dyn VerificationAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED,
    }
}

fn rsa_signing(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

fn rsa_verifying(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
