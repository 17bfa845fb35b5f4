//! The second factor: what is kept of it, and every change of it. Codes are used up in the batch of whatever they are
//! right for.

mod challenge;
mod change;
mod cleanup;
mod enrol;
pub(super) mod failures;
mod reset;
mod status;
mod verify;

pub use challenge::{NewChallenge, record};
pub use change::{Change, Changed, Shown, Shows, What, change};
pub use cleanup::{SealedRow, forget, not_sealed_under, put_anew};
pub use enrol::{Enrolment, NewCodes, NewSetup, Setup, begin, enrol, read_setup};
pub use reset::{Reset, reset};
pub use status::{Status, status};
pub use verify::{Try, Verification, Verified, verify};

use crate::domain::id::RowId;

/// A second factor that is enrolled.
#[derive(Clone, Debug)]
pub struct Factor {
    /// The set-up that it was confirmed from.
    pub id: RowId,
    /// Its secret, sealed.
    pub sealed: String,
    /// The last step whose code was used.
    pub last_step: i64,
}
