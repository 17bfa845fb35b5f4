//! The mailer port in memory: it remembers what it was given, each id once, and can be told to refuse.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;

use super::switchboard::{Fate, Switchboard};
use crate::{
    domain::mail::Mail,
    ports::{MailFailure, Mailer},
};

/// The name of this port in counts.
pub const PORT: &str = "mailer";

/// A mailbox for everyone.
pub struct NativeMailer {
    sent: Mutex<Vec<Mail>>,
    refuses: AtomicBool,
    switchboard: Arc<Switchboard>,
}

impl NativeMailer {
    pub(super) fn new(switchboard: Arc<Switchboard>) -> Self {
        Self { sent: Mutex::default(), refuses: AtomicBool::default(), switchboard }
    }

    /// What arrived, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Mail> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on every mail is refused for good, or none.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }
}

#[async_trait]
impl Mailer for NativeMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure> {
        let fate = self.switchboard.enter(PORT);
        if fate == Fate::Down {
            return Err(MailFailure::Unavailable("switched off".to_owned()));
        }
        if self.refuses.load(Ordering::SeqCst) {
            return Err(MailFailure::Refused("no such mailbox".to_owned()));
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.iter().all(|other| other.id != mail.id) {
            sent.push(mail.clone());
        }
        drop(sent);
        if fate == Fate::Lost { Err(MailFailure::Unavailable("answer lost".to_owned())) } else { Ok(()) }
    }
}
