//! The host's own commands. So far there is one, `import`; see [`edgewarden::native::import`].
//!
//! Nothing of this is in the Worker: where that is built, this is an empty program.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    use edgewarden::native::import::command;
    let (mut input, mut output, mut errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let outcome = command::run(std::env::args().skip(1), &mut input, &mut output, &mut errors);
    std::process::ExitCode::from(outcome as u8)
}

#[cfg(target_arch = "wasm32")]
fn main() {}
