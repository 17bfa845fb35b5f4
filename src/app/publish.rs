//! What becomes of a change of what roles give, or of which policy decides.

use std::sync::Arc;

use futures_util::future::join;

use super::{App, Publication};
use crate::{domain::bundle::Bundle, error::ApiError};

impl App {
    /// (1) This isolate goes by it at once. (2) The others are told; only then may it be said that it is done. The edge
    /// bundle is written beside that: who finds an older one knows by its version.
    ///
    /// # Errors
    /// [`ApiError::RevocationPending`] if not everyone was told yet.
    pub async fn publish_bundle(&self, bundle: Bundle) -> Result<Arc<Bundle>, ApiError> {
        // (1) Unless it has come to know of a later change meanwhile.
        let bundle = self.knowledge().take_over(bundle);
        self.log_rules(&bundle);
        // (2)
        let told = self.publish(&[], Some(bundle.versions), Publication::First);
        let (told, copied) = join(told, self.put_copy(&bundle)).await;
        if let Err(error) = copied {
            self.log_fault("edge bundle", &error.cause());
        }
        told.map(|()| bundle)
    }
}
