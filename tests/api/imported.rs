//! Accounts whose password hash is not as one is made here now: other systems' hashes, other costs, other peppers.

use std::thread;

use edgewarden::{native::switchboard::Plan, ports::Value as Sql};
use tokio::runtime::Builder;

use crate::{
    attempts::attempt,
    harness::{Isolate, PASSWORD, World},
    plans::assert_that_nothing_is_scanned,
};

/// Of [`PASSWORD`], as other systems keep it; where they come from: `domain::password::stored::tests`.
const FOREIGN: &[&str] = &[
    "$argon2id$v=19$m=256,t=1,p=2$ZWRnZXdhcmRlbi1zYWx0IQ$+rzku7S9BbtxVyvac4SdICapiupZTENAProWpHFypqc",
    "$argon2i$v=16$m=256,t=3,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$FDzhUPN7nfqRlJ7/T3VUcbtWerFbX6sKr61OV3ZxlVA",
    "$2a$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS",
    "$2b$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS",
    "$2y$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS",
    "$bcrypt-sha256$2b,4$abcdefghijklmnopqrstuu$ZTd9A92K6aoyomLIsHhy9W87FkOY3A2",
    "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$WnD..FukNjEWvPIcj8jFTi5Z.xQUcwm",
    "$pbkdf2-sha256$1000$....................IQ$A65lzg7QeiZPoA/hxj0skNupX.oYIVBkIDiFZGnmXCI",
    "$pbkdf2-sha256$i=1000,l=32$ZWRnZXdhcmRlbi1zYWx0IQ$sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk",
    "pbkdf2_sha256$1000$edgewardensalt$bJatEu3ugtT8tkRx1+NxHlIvLB69Pgp5nPYWhiQt0Y4=",
    "$scrypt$ln=6,r=8,p=1$ZWRnZXdhcmRlbi1zYWx0IQ$pxfLpqMleDB3DBFUTmQT7sTItGQ4Ncp1hddWxekHPC8",
];
/// How a hash begins that is made here, at the tests' cost.
const OURS: &str = "$argon2id$v=19$m=7168,t=1,p=1$";

pub fn plant(world: &World, hash: &str) {
    world.host.database.look("UPDATE users SET password_hash = ?1", &[hash.into()]).unwrap();
}

pub fn stored(world: &World) -> String {
    let rows = world.host.database.look("SELECT password_hash FROM users WHERE username = 'ada'", &[]).unwrap();
    rows.0[0]["password_hash"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_kind_signs_in_and_is_argon2id_from_then_on() {
    for foreign in FOREIGN {
        let world = World::new();
        world.register("ada", None).await;
        plant(&world, foreign);
        attempt(&world, 0, "ada", "Wrong-Horse-7").await.expect(401);
        assert_eq!(stored(&world), *foreign, "who does not know it changes nothing");
        attempt(&world, 1, "ada", PASSWORD).await.expect(200);
        let renewed = stored(&world);
        assert!(renewed.starts_with(OURS), "{foreign}: {renewed}");
        for number in 2..4 {
            attempt(&world, number, "ada", PASSWORD).await.expect(200);
        }
        attempt(&world, 4, "ada", "Wrong-Horse-7").await.expect(401);
        assert_eq!(stored(&world), renewed, "it is made anew once");
        assert_eq!(world.count("SELECT password_version FROM users"), 1, "the password is as it was");
        assert_eq!(world.count("SELECT token_version FROM users"), 1);
        assert_eq!(world.audited("login_success"), 3);
    }
}

#[tokio::test]
async fn making_it_anew_goes_through_no_table_and_takes_no_batch_more() {
    let world = World::new();
    world.user("ada", None).await;
    plant(&world, FOREIGN[3]);
    drop(world.host.database.plans());
    world.host.switchboard.set(Plan::Healthy);
    attempt(&world, 0, "ada", PASSWORD).await.expect(200);
    assert_eq!(world.host.switchboard.count("database"), 2);
    assert_that_nothing_is_scanned(&world, 10);
    assert!(stored(&world).starts_with(OURS));
}

#[tokio::test]
async fn an_inactive_account_is_not_touched() {
    let world = World::new();
    world.register("ada", None).await;
    plant(&world, FOREIGN[2]);
    world.host.database.look("UPDATE users SET is_active = 0", &[]).unwrap();
    attempt(&world, 0, "ada", PASSWORD).await.expect(401);
    assert_eq!(stored(&world), FOREIGN[2]);
}

#[tokio::test]
async fn a_lost_answer_or_a_lost_batch_loses_no_hash() {
    // The limiter, the reservation, the signing key's business and the record: each is lost once.
    for call in 0..4 {
        for plan in [Plan::LoseOnce(call), Plan::LoseTwice(call), Plan::DownFrom(call)] {
            let world = World::new();
            world.user("ada", None).await;
            plant(&world, FOREIGN[3]);
            world.host.switchboard.set(plan);
            let status = attempt(&world, 0, "ada", PASSWORD).await.status;
            assert!(status == 200 || status == 503, "{plan:?}: {status}");
            world.host.switchboard.set(Plan::Healthy);
            let now = stored(&world);
            assert!(now == FOREIGN[3] || now.starts_with(OURS), "{plan:?}: {now}");
            assert!(status != 200 || now.starts_with(OURS), "{plan:?}: {now}");
            attempt(&world, 1, "ada", PASSWORD).await.expect(200);
            assert!(stored(&world).starts_with(OURS));
        }
    }
}

#[test]
fn two_at_once_do_not_take_each_other_for_a_change() {
    let world = World::new();
    Builder::new_current_thread().build().unwrap().block_on(async {
        world.user("ada", None).await;
        plant(&world, FOREIGN[3]);
    });
    thread::scope(|scope| {
        let sign_in = |number| {
            let world = &world;
            scope.spawn(move || {
                let runtime = Builder::new_current_thread().build().unwrap();
                runtime.block_on(attempt(world, number, "ada", PASSWORD)).expect(200);
            })
        };
        let threads: Vec<_> = (0..4).map(sign_in).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert!(stored(&world).starts_with(OURS));
    assert_eq!(world.audited("login_failure"), 0);
}

#[tokio::test]
async fn one_that_signed_in_between_is_no_change_and_another_password_is() {
    let world = World::new();
    world.user("ada", None).await;
    plant(&world, FOREIGN[3]);
    attempt(&world, 0, "ada", PASSWORD).await.expect(200);
    let renewed = stored(&world);
    // As if both had read the old hash, and the other had been faster.
    plant(&world, FOREIGN[3]);
    let faster: &'static str = Box::leak(format!("UPDATE users SET password_hash = '{renewed}'").into_boxed_str());
    world.host.database.meddle(1, faster);
    attempt(&world, 1, "ada", PASSWORD).await.expect(200);
    assert_eq!(stored(&world), renewed);
    plant(&world, FOREIGN[3]);
    world.host.database.meddle(1, "UPDATE users SET password_hash = 'another', password_version = 2");
    attempt(&world, 2, "ada", PASSWORD).await.expect(401);
    assert_eq!(stored(&world), "another");
}

/// What nobody would import, put there by hand: our fault, told as such, and soon.
#[tokio::test]
async fn what_is_absurd_is_never_computed() {
    const SALT: &str = "ZWRnZXdhcmRlbi1zYWx0IQ";
    const HASH: &str = "sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk";
    for absurd in [
        String::new(),
        "x".to_owned(),
        PASSWORD.to_owned(),
        format!("$argon2id$v=19$m=4194304,t=1,p=1${SALT}${HASH}"),
        format!("$argon2id$v=19$m=65536,t=1000000,p=1${SALT}${HASH}"),
        format!("$argon2id$v=19$m=8,t=1000000,p=1${SALT}${HASH}"),
        format!("$argon2id$v=19$m=7168,t=1,p=16777215${SALT}${HASH}"),
        format!("$argon2id$v=19$m=7168,t=1,p=1${SALT}$"),
        format!("$argon2id$v=19$m=7168,t=1,p=1${SALT}$AA"),
        format!("$argon2id$v=19$m=7168,t=1,p=1${SALT}${HASH}!"),
        "$2b$31$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS".to_owned(),
        "$2b$04$abcdefghijklmnopqrstuu".to_owned(),
        format!("$pbkdf2-sha256$1000000000${SALT}${HASH}"),
        format!("$pbkdf2-sha256$4294967295${SALT}${HASH}"),
        format!("pbkdf2_sha256$1000000000$edgewardensalt${HASH}="),
        format!("$scrypt$ln=30,r=8,p=1${SALT}${HASH}"),
        format!("$scrypt$ln=10,r=8,p=1000000000${SALT}${HASH}"),
    ] {
        let world = World::new();
        world.register("ada", None).await;
        plant(&world, &absurd);
        let answer = attempt(&world, 0, "ada", PASSWORD).await.expect(500);
        assert!(!answer.body.to_string().contains("hash"), "{answer:?}");
        let said = world.host.log.lines();
        assert!(said.iter().any(|line| line.contains("a stored password hash")), "{absurd}: {said:?}");
        assert!(absurd.len() < 10 || !said.iter().any(|line| line.contains(&absurd)), "{absurd}: {said:?}");
        assert_eq!((world.count("SELECT COUNT(*) FROM sessions"), stored(&world)), (0, absurd));
        assert_eq!((world.audited("login_failure"), world.audited("login_success")), (0, 0));
    }
}

/// What bcrypt would cut.
#[tokio::test]
async fn a_password_that_bcrypt_would_cut_is_not_the_one() {
    let world = World::new();
    world.register("ada", None).await;
    plant(&world, "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i");
    for (number, wrong) in [(0, "x".repeat(73)), (1, "x".repeat(80)), (2, format!("{}\0", "x".repeat(71)))] {
        attempt(&world, number, "ada", &wrong).await.expect(401);
    }
    attempt(&world, 3, "ada", &"x".repeat(72)).await.expect(200);
}

#[tokio::test]
async fn what_was_hashed_as_it_was_typed_signs_in_as_it_was_typed() {
    let world = World::new();
    world.register("ada", None).await;
    // passlib's, of `e` and a combining accent.
    plant(&world, "$2b$04$abcdefghijklmnopqrstuulYPvCApBsBMxF3QRSfbqZ7YoR.Tv29i");
    attempt(&world, 0, "ada", "Caf\u{e9}-Noir-7").await.expect(401);
    attempt(&world, 1, "ada", "Cafe\u{301}-Noir-7").await.expect(200);
    // From then on, both are one.
    for (number, typed) in [(2, "Caf\u{e9}-Noir-7"), (3, "Cafe\u{301}-Noir-7")] {
        attempt(&world, number, "ada", typed).await.expect(200);
    }
}

const OLD: &str = "p1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const BOTH: &str = "p2:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT,p1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const NEW: &str = "p2:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";

async fn sign_in(isolate: &Isolate, number: u16, username: &str, password: &str) -> u16 {
    isolate.try_sign_in(&format!("198.51.100.{number}"), username, password).await.status
}

#[tokio::test]
async fn a_pepper_comes_and_is_rotated_by_signing_in() {
    let world = World::new();
    world.register("ada", None).await;
    world.register("bob", None).await;
    let over = |pepper| World::isolate_over(&world.host, &[("PASSWORD_PEPPER", pepper)]);
    let (old, both, new) = (over(OLD), over(BOTH), over(NEW));
    assert!(stored(&world).starts_with(OURS));
    assert_eq!(sign_in(&old, 1, "ada", PASSWORD).await, 200);
    let peppered = "$argon2id$v=19$m=7168,t=1,p=1,keyid=cDE$";
    assert!(stored(&world).starts_with(peppered), "{}", stored(&world));
    assert_eq!(sign_in(&old, 2, "ada", "Wrong-Horse-7").await, 401);
    assert_eq!(sign_in(&both, 3, "ada", "Wrong-Horse-7").await, 401);
    assert!(stored(&world).starts_with(peppered));
    assert_eq!(sign_in(&both, 4, "ada", PASSWORD).await, 200);
    assert!(stored(&world).starts_with("$argon2id$v=19$m=7168,t=1,p=1,keyid=cDI$"), "{}", stored(&world));
    assert_eq!(sign_in(&new, 5, "ada", PASSWORD).await, 200);
    // Who has not signed in since goes on without.
    assert_eq!(sign_in(&new, 6, "bob", PASSWORD).await, 200);
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE password_version = 1"), 2);
}

#[tokio::test]
async fn a_pepper_that_is_gone_is_our_fault_and_signs_nobody_in() {
    let world = World::with(&[("PASSWORD_PEPPER", OLD)]);
    world.register("ada", None).await;
    for (number, overrides) in [(1, &[("PASSWORD_PEPPER", NEW)][..]), (2, &[])] {
        let isolate = World::isolate_over(&world.host, overrides);
        for (username, password, status) in
            [("ada", PASSWORD, 503), ("ada", "Wrong-Horse-7", 503), ("nobody", PASSWORD, 401)]
        {
            let answer = isolate.try_sign_in(&format!("198.51.101.{number}"), username, password).await.expect(status);
            assert!(!answer.body.to_string().contains("epper"), "{answer:?}");
        }
        assert!(world.host.log.lines().iter().any(|line| line.contains("pepper \\\"p1\\\"")));
    }
    let params: [Sql; 0] = [];
    world.host.database.look("DELETE FROM sign_in_attempts", &params).unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
    attempt(&world, 9, "ada", PASSWORD).await.expect(200);
}
