//! How many hashes are computed, which is what a sign-in costs. Each takes its memory in one piece, so what is
//! allocated tells.

use tokio::runtime::{Builder, Runtime};

use crate::{
    attempts::{attempt, fail},
    harness::{PASSWORD, World},
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
