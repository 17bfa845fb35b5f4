//! Every store call of the host adapters goes through here: it is counted, and it can be made to
//! fail before it happens or to lose its answer after.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How calls fare from now on. Calls are numbered from 0 since the last [`Switchboard::set`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// All go through.
    #[default]
    Healthy,
    /// This call's port is down from this call on.
    DownFrom(usize),
    /// This call takes effect but its answer is lost; later ones go through.
    LoseOnce(usize),
    /// This call and the one after it take effect, but their answers are lost.
    LoseTwice(usize),
    /// This call takes effect, its answer is lost, and its port is down after it.
    LoseThenDown(usize),
    /// This port is down.
    Without(&'static str),
    /// These ports are down.
    WithoutAll(&'static [&'static str]),
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    Through,
    /// It never arrives.
    Down,
    /// It takes effect, but the answer is lost.
    Lost,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    calls: Vec<&'static str>,
    down: Option<&'static str>,
}

/// Counts and decides.
#[derive(Debug, Default)]
pub struct Switchboard(Mutex<State>);

impl Switchboard {
    /// Sets the plan and begins counting anew.
    pub fn set(&self, plan: Plan) {
        *self.state() = State { plan, ..State::default() };
    }

    /// The ports called since then, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    /// How often a port was called since then.
    #[must_use]
    pub fn count(&self, port: &str) -> usize {
        self.state().calls.iter().filter(|call| **call == port).count()
    }

    /// Notes a call and says what becomes of it.
    pub(super) fn enter(&self, port: &'static str) -> Fate {
        let mut state = self.state();
        let number = state.calls.len();
        state.calls.push(port);
        if state.down == Some(port) {
            return Fate::Down;
        }
        match state.plan {
            Plan::DownFrom(at) if at == number => {
                state.down = Some(port);
                Fate::Down
            }
            Plan::LoseOnce(at) if at == number => Fate::Lost,
            Plan::LoseTwice(at) if at == number || at + 1 == number => Fate::Lost,
            Plan::LoseThenDown(at) if at == number => {
                state.down = Some(port);
                Fate::Lost
            }
            Plan::Without(down) if down == port => Fate::Down,
            Plan::WithoutAll(down) if down.contains(&port) => Fate::Down,
            _ => Fate::Through,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
