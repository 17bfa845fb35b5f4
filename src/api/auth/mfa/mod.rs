//! The second factor at sign-in, and again later.

pub mod step_up;
pub mod verify;
