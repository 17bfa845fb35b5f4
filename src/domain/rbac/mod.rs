//! Roles, what they inherit, and the one way to say what a request needs.

mod change;
mod graph;
mod name;
mod requirement;

pub use change::{MAX_DEPTH, MAX_PERMISSIONS, MAX_ROLES, Unfit, judge};
pub use graph::{Editor, RoleGraph, RoleRecord};
pub use name::{PermissionName, RoleName};
pub use requirement::{Holdings, Missing, Requirement};

/// The role whose holders are out of reach of the API: it is granted on the installation's own machine only. It has every
/// permission that there is.
pub const OUT_OF_REACH: &str = "super_admin";
