//! What is done beside an answer, so that nobody waits for it.

use super::App;

impl App {
    /// Whether there is something to be done now. Synchronous, and cheap.
    #[must_use]
    pub fn chores_are_due(&self) -> bool {
        self.knowledge().uses.is_due()
    }

    /// Does it.
    pub async fn do_chores(&self) {
        self.write_uses().await;
    }
}
