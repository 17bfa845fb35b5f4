//! The host's own commands: `import` (see [`edgewarden::native::import`]), `audit verify` (see
//! [`edgewarden::native::audit`]), `policy check` (see [`edgewarden::native::policy`]) and `openapi`.
//!
//! Nothing of this is in the Worker: where that is built, this is an empty program.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use edgewarden::{
        domain::time::Timestamp,
        native::commands::{World, run},
    };

    #[expect(clippy::disallowed_methods, reason = "here time comes from outside, as it does in platform/")]
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let world = World {
        lookup: &|name| std::env::var(name).ok(),
        now: Timestamp::default().plus(since),
        input: &mut std::io::stdin(),
        output: &mut std::io::stdout(),
        errors: &mut std::io::stderr(),
    };
    std::process::ExitCode::from(run(std::env::args().skip(1).collect(), world))
}

#[cfg(target_arch = "wasm32")]
fn main() {}
