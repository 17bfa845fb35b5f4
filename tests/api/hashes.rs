//! How many hashes are computed, which is what a sign-in costs. Each takes its memory in one piece, so what is
//! allocated tells.

use edgewarden::native::switchboard::Plan;
use tokio::runtime::{Builder, Runtime};

use crate::{
    attempts::{attempt, fail},
    harness::{PASSWORD, World},
    imported::plant,
};

/// What the harness sets as `ARGON2_MEMORY_KIB`, in bytes: far more than all else that a request allocates.
pub const HASH_BYTES: u64 = 7168 * 1024;
const WRONG: &str = "Wrong-Horse-7";

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// How many hashes a sign-in takes that is answered with this status.
fn hashes(world: &World, number: u16, username: &str, password: &str, status: u16) -> u64 {
    let sign_in = || drop(runtime().block_on(attempt(world, number, username, password)).expect(status));
    allocation_counter::measure(sign_in).bytes_total / HASH_BYTES
}

#[test]
fn a_sign_in_computes_one_hash_whoever_exists_and_a_refused_one_none() {
    let world = World::new();
    runtime().block_on(async {
        for username in ["ada", "gone"] {
            world.register(username, None).await;
        }
        world.host.database.look("UPDATE users SET is_active = 0 WHERE username = 'gone'", &[]).unwrap();
    });
    for (number, (username, password, status)) in (0..).zip([
        ("ada", PASSWORD, 200),
        ("ada", WRONG, 401),
        ("gone", PASSWORD, 401),
        ("nobody", PASSWORD, 401),
        ("nobody@example.org", WRONG, 401),
        ("ada", &"x".repeat(5000), 401),
        ("nobody", &"x".repeat(5000), 401),
    ]) {
        assert_eq!(hashes(&world, number, username, password, status), 1, "{username}, {status}");
    }
    runtime().block_on(async {
        fail(&world, "ada", 20..23).await;
        fail(&world, "nobody", 30..33).await;
    });
    for (number, username) in [(40, "ada"), (41, "nobody")] {
        assert_eq!(hashes(&world, number, username, PASSWORD, 429), 0, "{username}");
    }
}

#[test]
fn over_two_hundred_tries_each_unknown_wrong_and_inactive_take_the_same() {
    let world = World::new();
    runtime().block_on(async {
        for username in ["ada", "gone"] {
            world.register(username, None).await;
        }
        world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
        world.isolate.app.do_chores().await;
        world.host.database.look("UPDATE users SET is_active = 0 WHERE username = 'gone'", &[]).unwrap();
    });
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..200 {
        // What was tried before counts no more, so that each is looked at.
        world.host.clock.advance(std::time::Duration::from_hours(1));
        for (username, password) in [("nobody", PASSWORD), ("ada", WRONG), ("gone", PASSWORD)] {
            world.host.switchboard.set(Plan::Healthy);
            drop(world.host.database.plans());
            let hashed = hashes(&world, number, username, password, 401);
            let statements: Vec<_> = world.host.database.plans().unwrap().into_iter().map(|(sql, _)| sql).collect();
            seen.insert((hashed, world.host.switchboard.calls(), statements));
        }
    }
    assert_eq!(seen.len(), 1, "one number of hashes, one list of calls, one of statements");
    assert_eq!(seen.first().unwrap().0, 1);
}

/// How many a sign-in to a stored hash takes, right and wrong, and to a name that nobody has.
fn of_stored(stored: Option<&str>, overrides: &[(&'static str, &'static str)], typed: [&str; 2]) -> [u64; 3] {
    let world = World::with(overrides);
    runtime().block_on(async {
        world.register("ada", None).await;
        // Whoever is first makes the key that tokens are signed with.
        world.isolate.get("/.well-known/jwks.json", None).await.expect(200);
    });
    if let Some(stored) = stored {
        plant(&world, stored);
    }
    let [right, wrong] = typed;
    let hashed = |number, username, password| {
        let sign_in = || drop(runtime().block_on(attempt(&world, number, username, password)));
        allocation_counter::measure(sign_in).bytes_total / HASH_BYTES
    };
    let [wrong, nobody] = [hashed(1, "ada", wrong), hashed(2, "nobody", wrong)];
    [hashed(3, "ada", right), wrong, nobody]
}

#[test]
fn what_is_not_as_it_is_made_now_costs_one_more_when_it_is_right_and_no_less_when_it_is_wrong() {
    const OTHER_COST: &str =
        "$argon2id$v=19$m=7168,t=1,p=2$ZWRnZXdhcmRlbi1zYWx0IQ$Theikrw3GnqcP1jPkQoiAMD0hBZOzQZpVqHbyLTK21w";
    let cheap = "$2b$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS";
    let peppered =
        "$argon2id$v=19$m=7168,t=1,p=1,keyid=cDE$ZWRnZXdhcmRlbi1zYWx0IQ$sqcaCjjCohdBeSP9CcSJ3sKPrn5gOl35EwfJVL6AIrk";
    let both = [PASSWORD, WRONG];
    assert_eq!(of_stored(None, &[], both), [1, 1, 1]);
    // As it costs as much, wrong is wrong at once; right, it is made anew.
    assert_eq!(of_stored(Some(OTHER_COST), &[], both), [2, 1, 1]);
    // bcrypt takes no such memory: the decoy that makes it up, and the new one.
    assert_eq!(of_stored(Some(cheap), &[], both), [2, 1, 1]);
    // Nothing is known of it, and it costs the same.
    assert_eq!(of_stored(Some(peppered), &[], both), [1, 1, 1]);
    assert_eq!(of_stored(Some("x"), &[], both), [1, 1, 1]);
    // A text that NFKC changes is tried as both, whoever exists.
    assert_eq!(of_stored(None, &[], [PASSWORD, "Cafe\u{301}-Noir-7"]), [1, 2, 2]);
}
