//! The second factor of who is signed in: enrolling, looking, taking it off.

pub mod codes;
pub mod confirm;
pub mod disable;
pub mod setup;
pub mod show;
pub mod status;
