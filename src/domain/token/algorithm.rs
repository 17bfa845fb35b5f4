//! Signature algorithms (RFC 7518, §3.1; RFC 8037, §3.1). A key is for exactly one; a token's header
//! may only agree with it.

/// An elliptic curve of ECDSA (RFC 7518, §6.2.1.1).
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    /// The name in `crv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The bytes of one coordinate.
    #[must_use]
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// What kind of key an algorithm takes, and how it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Ed25519 (RFC 8032).
    EdDsa,
    /// ECDSA; a signature is `r ‖ s` (RFC 7518, §3.4).
    Ecdsa(Curve),
    /// RSASSA-PKCS1-v1_5 (RFC 7518, §3.3).
    RsaPkcs1,
    /// RSASSA-PSS; the salt is as long as the digest, MGF1 with the same digest (RFC 7518, §3.5).
    RsaPss,
    /// HMAC (RFC 7518, §3.2): whoever verifies can also sign.
    Hmac,
}

macro_rules! algorithms {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $family:expr, $digest:literal;)*) => {
        /// An algorithm that a key may be for.
        #[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Algorithm {
            $($(#[$doc])* $variant,)*
        }

        impl Algorithm {
            /// All that are verified.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in `alg`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The algorithm of that name, in exactly that spelling. `none` is no algorithm.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// What kind of key it takes.
            #[must_use]
            pub const fn family(self) -> Family {
                match self { $(Self::$variant => $family,)* }
            }

            /// The bytes of its SHA-2 digest; for Ed25519 those of SHA-512.
            #[must_use]
            pub const fn digest_bytes(self) -> usize {
                match self { $(Self::$variant => $digest,)* }
            }
        }
    };
}

algorithms! {
    /// Ed25519 (RFC 8037).
    EdDsa = "EdDSA", Family::EdDsa, 64;
    /// ECDSA on P-256 with SHA-256.
    Es256 = "ES256", Family::Ecdsa(Curve::P256), 32;
    /// ECDSA on P-384 with SHA-384.
    Es384 = "ES384", Family::Ecdsa(Curve::P384), 48;
    /// ECDSA on P-521 with SHA-512.
    Es512 = "ES512", Family::Ecdsa(Curve::P521), 64;
    /// HMAC with SHA-256.
    Hs256 = "HS256", Family::Hmac, 32;
    /// HMAC with SHA-384.
    Hs384 = "HS384", Family::Hmac, 48;
    /// HMAC with SHA-512.
    Hs512 = "HS512", Family::Hmac, 64;
    /// RSASSA-PSS with SHA-256.
    Ps256 = "PS256", Family::RsaPss, 32;
    /// RSASSA-PSS with SHA-384.
    Ps384 = "PS384", Family::RsaPss, 48;
    /// RSASSA-PSS with SHA-512.
    Ps512 = "PS512", Family::RsaPss, 64;
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 = "RS256", Family::RsaPkcs1, 32;
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384 = "RS384", Family::RsaPkcs1, 48;
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512 = "RS512", Family::RsaPkcs1, 64;
}

impl Algorithm {
    /// Those that our own tokens may be signed with (`SIGNING_ALG`).
    pub const ISSUED: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Rs256, Self::Hs256];

    /// Whether the key that verifies is the key that signs. Such a key is never published.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self.family(), Family::Hmac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_none_is_none() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(*algorithm));
            assert_eq!(Algorithm::parse(&algorithm.name().to_lowercase()), None);
        }
        for name in ["", "none", "None", "NONE", "nOnE", "HS1", "ES256K", "Ed25519", "RSA-OAEP", "dir", "EdDSA "] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
    }
}
