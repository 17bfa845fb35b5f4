//! Known answers for every kind, and everything that is refused.
//!
//! The hashes were made with passlib 1.7.4, bcrypt 4.0.1, argon2-cffi 25.1.0, Django 5.2.19 and Python's hashlib;
//! those of PHC's PBKDF2 spelling are hashlib's, spelt by hand.

use super::*;

const PASSWORD: &[u8] = b"Correct-Horse-7";

/// One of each kind, all of [`PASSWORD`].
const KNOWN: &[&str] = &[
    "$argon2id$v=19$m=256,t=1,p=2$ZWRnZXdhcmRlbi1zYWx0IQ$+rzku7S9BbtxVyvac4SdICapiupZTENAProWpHFypqc",
    "$argon2i$v=19$m=256,t=3,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$qsn0XF19hxlFr2Yck2uP9KUPboDBimenuwRSBNFjMck",
    "$argon2i$v=16$m=256,t=3,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$FDzhUPN7nfqRlJ7/T3VUcbtWerFbX6sKr61OV3ZxlVA",
    // The same, as it was written before there was a version.
    "$argon2i$m=256,t=3,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$FDzhUPN7nfqRlJ7/T3VUcbtWerFbX6sKr61OV3ZxlVA",
    "$argon2id$v=16$m=256,t=2,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$c2qXmbLDuDuXwC1SbO/X8to5COY+0bOt",
    "$argon2id$v=19$m=512,t=1,p=4$ZWRnZXdhcmRlbi1zYWx0IQ$axT28zMzKW78klTso6AkmeTS0CaQE0u8vI94bkO3YFQ",
    "$2a$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS",
    "$2b$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS",
    "$2y$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS",
    "$bcrypt-sha256$2b,4$abcdefghijklmnopqrstuu$ZTd9A92K6aoyomLIsHhy9W87FkOY3A2",
    "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$WnD..FukNjEWvPIcj8jFTi5Z.xQUcwm",
    "$pbkdf2-sha256$1000$....................IQ$A65lzg7QeiZPoA/hxj0skNupX.oYIVBkIDiFZGnmXCI",
    "$pbkdf2-sha256$i=1000,l=32$ZWRnZXdhcmRlbi1zYWx0IQ$sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk",
    "$pbkdf2-sha256$i=1000$ZWRnZXdhcmRlbi1zYWx0IQ$sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk",
    "pbkdf2_sha256$1000$edgewardensalt$bJatEu3ugtT8tkRx1+NxHlIvLB69Pgp5nPYWhiQt0Y4=",
    "$scrypt$ln=6,r=8,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$pxfLpqMleDB3DBFUTmQT7sTItGQ4Ncp1hddWxekHPC8",
    "$scrypt$ln=10,r=8,p=2$ZWRnZXdhcmRlbi1zYWx0IQ$OSqqj47VWxV+BAWbUjpETkUyVNrdFMkNI349XJPPFZc",
];

fn is_of(stored: &str, password: &[u8]) -> bool {
    Stored::parse(stored).unwrap().is_of(password, None).unwrap()
}

#[test]
fn every_kind_knows_its_password_and_no_other() {
    for stored in KNOWN {
        assert!(ImportedHash::parse(stored).is_ok(), "{stored}");
        assert!(is_of(stored, PASSWORD), "{stored}");
        assert!(!is_of(stored, b"Correct-Horse-8"), "{stored}");
        assert!(!is_of(stored, b""), "{stored}");
    }
}

#[test]
fn published_vectors() {
    for (stored, password) in [
        // OpenBSD's own, as jBCrypt has them.
        ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", &b"a"[..]),
        ("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", b""),
        // RFC 7914, §12, the third.
        (
            "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw",
            b"pleaseletmein",
        ),
        // passlib's documentation.
        ("$bcrypt-sha256$2a,12$LrmaIX5x4TRtAwEfwJZa1.$2ehnw6LvuIUTM0iz4iz9hTxv21B6KFO", b"password"),
        ("$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2", b"password"),
    ] {
        assert!(is_of(stored, password), "{stored}");
    }
}

#[test]
fn bcrypt_cuts_nothing() {
    let full = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
    assert!(is_of(full, &[b'x'; 72]));
    assert!(!is_of(full, &[b'x'; 73]) && !is_of(full, &[b'x'; 80]) && !is_of(full, &[b'x'; 71]));
    // What C would take for the empty password.
    let empty = "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
    assert!(is_of(empty, b"") && !is_of(empty, b"\0") && !is_of(empty, b"\0x"));
    // Of a digest, any length is taken whole.
    let long = "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$VN/UtE6EwSZ/CIGnzfQAPtA5sMkMG4u";
    assert!(is_of(long, &[b'x'; 100]) && !is_of(long, &[b'x'; 99]));
}

#[test]
fn what_is_absurd_or_malformed_is_refused_with_a_reason() {
    const SALT: &str = "ZWRnZXdhcmRlbi1zYWx0IQ";
    const HASH: &str = "sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk";
    let argon2 = |params: &str| format!("$argon2id$v=19${params}${SALT}${HASH}");
    let pbkdf2 = |rounds: &str| format!("$pbkdf2-sha256${rounds}${SALT}${HASH}");
    let scrypt = |params: &str| format!("$scrypt${params}${SALT}${HASH}");
    let bcrypt = |cost: &str| format!("$2b${cost}$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS");
    for (text, why) in [
        (String::new(), NOT_KNOWN),
        ("$".into(), NOT_KNOWN),
        ("x".into(), NOT_KNOWN),
        ("correct-horse".into(), NOT_KNOWN),
        ("5f4dcc3b5aa765d61d8327deb882cf99".into(), NOT_KNOWN),
        ("$1$salt$hash".into(), NOT_KNOWN),
        ("$6$salt$hash".into(), NOT_KNOWN),
        ("argon2id$v=19$m=256,t=1,p=1$a$b".into(), NOT_KNOWN),
        ("$pbkdf2_sha256$1000$edgewardensalt$bJatEu3ugtT8tkRx1+NxHlIvLB69Pgp5nPYWhiQt0Y4=".into(), NOT_KNOWN),
        (
            "$argon2d$v=19$m=256,t=1,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$AAAA".into(),
            "is argon2d, which is not made for passwords",
        ),
        (format!("$2b$04${}", "a".repeat(10_000)), NOT_KNOWN),
        (argon2("m=4194304,t=1,p=1"), TOO_LARGE),
        (argon2("m=65537,t=1,p=1"), TOO_LARGE),
        (argon2("m=4294967296,t=1,p=1"), BAD_FORM),
        (argon2("m=65536,t=17,p=1"), TOO_COSTLY),
        (argon2("m=8,t=1000000,p=1"), TOO_COSTLY),
        (argon2("m=65536,t=1,p=17"), TOO_COSTLY),
        (argon2("m=256,t=1,p=16777215"), TOO_COSTLY),
        (argon2("m=256,t=1,p=4294967295"), TOO_COSTLY),
        (argon2("m=256,t=0,p=1"), BAD_FORM),
        (argon2("m=256,t=1,p=0"), BAD_FORM),
        (argon2("m=7,t=1,p=1"), BAD_FORM),
        (argon2("m=0256,t=1,p=1"), BAD_FORM),
        (argon2("m=+256,t=1,p=1"), BAD_FORM),
        (argon2("t=1,m=256,p=1"), BAD_FORM),
        (argon2("m=256,t=1"), BAD_FORM),
        (argon2("m=256,t=1,p=1,data=AAAA"), BAD_FORM),
        (argon2("m=256,t=1,p=1,keyid="), BAD_FORM),
        (format!("{}$x", argon2("m=256,t=1,p=1")), BAD_FORM),
        (format!("$argon2id$v=18$m=256,t=1,p=1${SALT}${HASH}"), "is of no version of argon2 that is known here"),
        (format!("$argon2id$v=19$m=256,t=1,p=1$c2hvcnQ${HASH}"), BAD_SALT),
        (format!("$argon2id$v=19$m=256,t=1,p=1${SALT}$AAAA"), BAD_HASH),
        (format!("$argon2id$v=19$m=256,t=1,p=1${SALT}$"), BAD_HASH),
        (format!("$argon2id$v=19$m=256,t=1,p=1${SALT}={HASH}"), BAD_FORM),
        (format!("$argon2id$v=19$m=256,t=1,p=1${SALT}${HASH}="), BAD_HASH),
        (format!("$argon2id$v=19$m=256,t=1,p=1${SALT}${HASH}!"), BAD_HASH),
        // A stray bit.
        (format!("$argon2id$v=19$m=256,t=1,p=1${SALT}${}l", &HASH[..42]), BAD_HASH),
        (format!("$argon2id$v=19$m=256,t=1,p=1${}${HASH}", "A".repeat(100)), BAD_SALT),
        (bcrypt("15"), TOO_COSTLY),
        (bcrypt("31"), TOO_COSTLY),
        (bcrypt("99"), TOO_COSTLY),
        (bcrypt("03"), BAD_FORM),
        (bcrypt("4"), BAD_FORM),
        (bcrypt("+4"), BAD_FORM),
        ("$2b$12$abc".into(), BAD_SALT),
        ("$2b$04$abcdefghijklmnopqrstuu".into(), BAD_HASH),
        ("$2b$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9Tx".into(), BAD_HASH),
        ("$2b$04$abcdefghijklmnopqrstu=IhSHOYW62MYzOCiBO1FrAHfyr5D9TxS".into(), BAD_SALT),
        ("$2b$04$abcdefghijklmnopqrstué".into(), BAD_SALT),
        ("$2x$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS".into(), "is a bcrypt of a faulty version"),
        ("$bcrypt-sha256$2x,4$abcdefghijklmnopqrstuu$ZTd9A92K6aoyomLIsHhy9W87FkOY3A2".into(), BAD_FORM),
        ("$bcrypt-sha256$v=3,t=2b,r=4$abcdefghijklmnopqrstuu$ZTd9A92K6aoyomLIsHhy9W87FkOY3A2".into(), BAD_FORM),
        ("$bcrypt-sha256$v=2,t=2b,r=31$abcdefghijklmnopqrstuu$ZTd9A92K6aoyomLIsHhy9W87FkOY3A2".into(), TOO_COSTLY),
        (pbkdf2("1000000000"), TOO_COSTLY),
        (pbkdf2("2000001"), TOO_COSTLY),
        (pbkdf2("99999999999"), BAD_FORM),
        (pbkdf2("0"), BAD_FORM),
        (pbkdf2("-1"), BAD_FORM),
        (pbkdf2("i=1000,l=31"), BAD_HASH),
        (pbkdf2("i=1000,l=32,x=1"), BAD_FORM),
        ("$pbkdf2-sha256$1000$$".into(), BAD_SALT),
        (format!("$pbkdf2-sha256$1000${SALT}$"), BAD_HASH),
        (format!("$pbkdf2-sha256$1000$++++++++++++++++++++IQ${HASH}"), BAD_FORM),
        (format!("$pbkdf2-sha256$1000${SALT}${}", "A".repeat(86)), BAD_HASH),
        ("pbkdf2_sha256$1000$short$bJatEu3ugtT8tkRx1+NxHlIvLB69Pgp5nPYWhiQt0Y4=".into(), BAD_SALT),
        ("pbkdf2_sha256$1000$edgewardensalt$bJatEu3ugtT8tkRx1+NxHlIvLB69Pgp5nPYWhiQt0Y4".into(), BAD_HASH),
        ("pbkdf2_sha256$1000$edgewardensalt".into(), BAD_FORM),
        (scrypt("ln=17,r=8,p=1"), TOO_LARGE),
        (scrypt("ln=63,r=8,p=1"), TOO_LARGE),
        (scrypt("ln=99,r=8,p=1"), TOO_LARGE),
        (scrypt("ln=4294967295,r=8,p=1"), TOO_LARGE),
        (scrypt("ln=1,r=4294967295,p=1"), TOO_LARGE),
        (scrypt("ln=1,r=65,p=1"), TOO_COSTLY),
        (scrypt("ln=10,r=8,p=9"), TOO_COSTLY),
        (scrypt("ln=10,r=8,p=4294967295"), TOO_COSTLY),
        (scrypt("ln=0,r=8,p=1"), BAD_FORM),
        (scrypt("ln=10,r=0,p=1"), BAD_FORM),
        (scrypt("ln=10,r=8"), BAD_FORM),
    ] {
        assert_eq!(ImportedHash::parse(&text), Err(why), "{text}");
        assert_eq!(Stored::parse(&text), Err(why), "{text}");
    }
    let peppered = argon2("m=256,t=1,p=1,keyid=azE");
    assert!(Stored::parse(&peppered).is_ok());
    assert!(ImportedHash::parse(&peppered).unwrap_err().contains("keyid"));
}

#[test]
fn what_is_within_bounds_is_taken_up_to_them() {
    for text in [
        "$argon2id$v=19$m=65536,t=16,p=4$ZWRnZXdhcmRlbi1zYWx0IQ$sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk",
        "$2b$14$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS",
        "$pbkdf2-sha256$2000000$ZWRnZXdhcmRlbi1zYWx0IQ$sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk",
        "$scrypt$ln=16,r=8,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk",
    ] {
        assert!(ImportedHash::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn no_text_stops_the_reader() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let texts = proptest::strategy::Union::new([
        proptest::string::string_regex(r"\$?(argon2id|argon2i|2b|bcrypt-sha256|pbkdf2-sha256|pbkdf2_sha256|scrypt)\$.{0,80}")
            .unwrap(),
        proptest::string::string_regex(
            r"\$(argon2id\$v=19\$m=[0-9]{1,10},t=[0-9]{1,10},p=[0-9]{1,10}|scrypt\$ln=[0-9]{1,3},r=[0-9]{1,10},p=[0-9]{1,10})\$[A-Za-z0-9+/]{0,90}\$[A-Za-z0-9+/]{0,90}",
        )
        .unwrap(),
    ]);
    let read = |text: String| {
        if let Ok(stored) = Stored::parse(&text) {
            proptest::prop_assert!(stored.work() < 1 << 23);
        }
        Ok(())
    };
    runner.run(&texts, read).unwrap();
}
