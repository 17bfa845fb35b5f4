//! Others on the network, as tests have them answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::switchboard::{Fate, Switchboard};
use crate::ports::{Outbound, Unavailable};

/// The name of this port in counts.
pub const PORT: &str = "outbound";

/// What is at which address.
#[derive(Default)]
pub struct NativeOutbound {
    answers: Mutex<HashMap<String, String>>,
    switchboard: Arc<Switchboard>,
}

impl NativeOutbound {
    pub(super) fn new(switchboard: Arc<Switchboard>) -> Self {
        Self { answers: Mutex::default(), switchboard }
    }

    /// From now on this is at an address.
    pub fn serve(&self, url: &str, answer: &str) {
        self.answers().insert(url.to_owned(), answer.to_owned());
    }

    /// What is at an address.
    #[must_use]
    pub fn served(&self, url: &str) -> Option<String> {
        self.answers().get(url).cloned()
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbound for NativeOutbound {
    async fn get(&self, url: &str, most: usize) -> Result<String, Unavailable> {
        let unavailable = |message: &str| Unavailable { port: PORT, message: message.to_owned() };
        let fate = self.switchboard.enter(PORT);
        if fate != Fate::Through {
            return Err(unavailable("switched off"));
        }
        let answer = self.answers().get(url).cloned().ok_or_else(|| unavailable("it answered 404"))?;
        if answer.len() > most { Err(unavailable("it answered more than is read")) } else { Ok(answer) }
    }
}
