//! The model: policies as boxes in boxes, each of which holds what is inside it.
//!
//! It knows nothing of the driver. There is no list of tickets, no walk and no timer: an outcome
//! comes back from the inner box, and the box says what becomes of it. Every policy keeps all that
//! ever happened to it in plain vectors. One poll of a call is: whoever runs or stands in line is
//! asked; then, for as long as something is due, the outermost deadline, or the delay, or the hedge.
mod boxes;
mod breaker;
mod counters;
mod ends;
mod race;
mod ways_in;

use crate::case::{Case, Ms, Policy, Script};
use crate::told::{Answer, Told};
use boxes::Inner;
pub use breaker::Breaker;
pub use counters::{Budget, Bulkhead, Rate};
use ends::Fate;
use ways_in::{Pass, Turn};

/// All that the calls of a case share.
pub struct World {
    pub now: Ms,
    pub told: Vec<Told>,
    pub shared: Vec<Shared>,
}

/// What one policy of the stack remembers between calls.
pub enum Shared {
    Nothing,
    Breaker(Breaker),
    Bulkhead(Bulkhead),
    Rate(Rate),
    Budget(Budget),
    /// How often a third-party policy was entered, or has granted more time.
    Count(u32),
}

impl World {
    pub fn new(case: &Case) -> Self {
        let shared = case
            .stack
            .iter()
            .enumerate()
            .map(|(i, policy)| match policy {
                Policy::Breaker(spec) => Shared::Breaker(Breaker::new(i, spec.clone())),
                Policy::Bulkhead { limit, queue, .. } => {
                    Shared::Bulkhead(Bulkhead::new(*limit, *queue))
                }
                Policy::Rate {
                    interval,
                    burst,
                    max_wait,
                    weight,
                } => Shared::Rate(Rate::new(*interval, *burst, *max_wait, *weight)),
                Policy::Retry(spec) => match spec.budget {
                    Some(spec) => Shared::Budget(Budget::new(spec)),
                    None => Shared::Nothing,
                },
                Policy::Custom(_) => Shared::Count(0),
                Policy::Timeout(_) | Policy::Hedge { .. } => Shared::Nothing,
            });
        World {
            now: 0,
            told: Vec::new(),
            shared: shared.collect(),
        }
    }
}

/// One call.
pub struct Calling {
    stage: Stage,
    pub(in crate::naive) script: Script,
    /// Attempts that were begun, that have ended, and that run.
    pub(in crate::naive) begun: usize,
    pub(in crate::naive) ended: u32,
    pub live: u32,
}

enum Stage {
    Fresh,
    Under(Inner),
    Over,
}

impl Calling {
    pub fn new(script: Script) -> Self {
        Calling {
            stage: Stage::Fresh,
            script,
            begun: 0,
            ended: 0,
            live: 0,
        }
    }

    /// What it comes to in this poll, and whether the poll changed anything: if it did, somebody
    /// had to wake the call.
    pub fn poll(&mut self, world: &mut World, stack: &[Policy]) -> (Option<Answer>, bool) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let mut turn = Turn {
            world,
            call: self,
            stack,
            moved: false,
            panicked: false,
            extended: false,
        };
        let (mut inner, mut end) = match stage {
            Stage::Over => return (None, false),
            Stage::Under(inner) => (inner, None),
            Stage::Fresh => match turn.enter(0, None) {
                Ok(inner) => (inner, None),
                Err(end) => (Inner::Over, Some(end)),
            },
        };
        let mut pass = Pass::Asked;
        while end.is_none() {
            if !turn.panicked {
                turn.extended = false;
                end = turn.poll(&mut inner, pass, None);
            }
            if turn.panicked {
                turn.settle(inner, Fate::Dropped);
                return (Some(Answer::Panicked), true);
            }
            inner.start_clocks(turn.world.now, stack);
            if end.is_none() && inner.due().is_none_or(|at| at > turn.world.now) {
                break;
            }
            pass = Pass::Fired;
        }
        let moved = turn.moved;
        match end {
            Some(end) => (Some(end.answer), true),
            None => {
                self.stage = Stage::Under(inner);
                (None, moved)
            }
        }
    }

    /// The caller goes away.
    pub fn leave(&mut self, world: &mut World, stack: &[Policy]) {
        if let Stage::Under(inner) = std::mem::replace(&mut self.stage, Stage::Over) {
            let mut turn = Turn {
                world,
                call: self,
                stack,
                moved: false,
                panicked: false,
                extended: false,
            };
            turn.settle(inner, Fate::Dropped);
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub fn is_fresh(&self) -> bool {
        matches!(self.stage, Stage::Fresh)
    }

    /// When something is due in it at the earliest: of its own accord, or its operation's.
    pub fn due(&self) -> Option<Ms> {
        match &self.stage {
            Stage::Under(inner) => [inner.due(), inner.answers_at()]
                .into_iter()
                .flatten()
                .min(),
            _ => None,
        }
    }
}
