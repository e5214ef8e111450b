//! The model: policies as boxes in boxes, each of which holds what is inside it.
//!
//! It knows nothing of the driver. There is no list of tickets, no walk and no timer: an outcome
//! comes back from the inner box, and the box says what becomes of it. Every policy keeps all that
//! ever happened to it in plain vectors. One poll of a call is: whoever runs or stands in line is
//! asked; then, for as long as something is due, the outermost deadline, or the delay, or the hedge.
mod boxes;
mod breaker;
mod closed;
mod counters;
mod ends;
mod race;
mod ways_in;

use crate::case::{Attempt, Case, Form, Ms, Policy, Ready, Request, Script};
use crate::told::{ALONE, Answer, Log};
use boxes::Inner;
pub use breaker::Breaker;
pub use closed::{Closed, Good};
pub use counters::{Budget, Bulkhead, Rate};
use ends::Fate;
use seawall::Replay;
use ways_in::{Pass, Turn};

/// All that the calls of a case share.
pub struct World {
    pub now: Ms,
    pub told: Log,
    pub shared: Vec<Shared>,
    pub good: Good,
}

/// What one policy remembers between calls, whichever pipeline they come through.
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
            .policies
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
                    ..
                } => Shared::Rate(Rate::new(*interval, *burst, *max_wait)),
                Policy::Retry(spec) => match spec.budget {
                    Some(spec) => Shared::Budget(Budget::new(spec)),
                    None => Shared::Nothing,
                },
                Policy::Custom(_) => Shared::Count(0),
                Policy::Timeout(_) | Policy::Hedge { .. } => Shared::Nothing,
            });
        World {
            now: 0,
            told: Log::default(),
            shared: shared.collect(),
            good: Good::new(case.max_age),
        }
    }
}

/// One call through a pipeline.
struct Calling {
    stage: Stage,
    script: Script,
    /// What is left to send. The closures have one, too, that nobody sees.
    request: Option<Request>,
    /// The number of the first attempt.
    first: usize,
    /// Attempts that were begun, that were sent and have ended, that run, and whose service is not
    /// ready yet.
    begun: usize,
    ended: u32,
    live: u32,
    readying: u32,
}

enum Stage {
    Fresh,
    Under(Inner),
    Over,
}

impl Calling {
    fn new(script: Script, first: usize) -> Self {
        let plain = |replay| Request {
            replay,
            copies: None,
        };
        let mut request = match script.form {
            Form::Run => plain(Replay::Always),
            Form::Once => plain(Replay::Never),
            Form::Service(request) => request,
        };
        if script.stack == ALONE {
            // It reads no requests.
            request.replay = Replay::Always;
        }
        Calling {
            stage: Stage::Fresh,
            script,
            request: Some(request),
            first,
            begun: 0,
            ended: 0,
            live: 0,
            readying: 0,
        }
    }

    /// The request, and what becomes of it.
    fn take(&mut self) -> Option<(usize, Attempt)> {
        let request = self.request.take()?;
        if request.replay != Replay::Never {
            self.request = request.copy();
        }
        let number = self.begun;
        self.begun += 1;
        let mut attempt = Attempt::PLAIN;
        if let Some(scripted) = self.script.attempts.get(number) {
            attempt = *scripted;
        }
        if !matches!(self.script.form, Form::Service(_)) {
            attempt.ready = Ready::AT_ONCE;
        }
        Some((self.first + number, attempt))
    }

    /// `sent`: an attempt that was may have arrived, and nobody has heard an answer.
    fn may_repeat(&self, sent: bool) -> bool {
        let request = self.request.as_ref();
        request.is_some_and(|request| request.replay == Replay::Always || !sent)
    }

    /// What it comes to in this poll, and whether the poll changed anything: if it did, somebody
    /// had to wake the call.
    fn poll(&mut self, world: &mut World, case: &Case) -> (Option<Answer>, bool) {
        let stack = &case.stacks[self.script.stack][..];
        world.told.stack = self.script.stack;
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
            Some(end) => {
                let answer = end.answer.map_or_else(Answer::Bad, Answer::Ok);
                (Some(answer), true)
            }
            None => {
                self.stage = Stage::Under(inner);
                (None, moved)
            }
        }
    }

    /// The caller goes away.
    fn leave(&mut self, world: &mut World, case: &Case) {
        world.told.stack = self.script.stack;
        if let Stage::Under(inner) = std::mem::replace(&mut self.stage, Stage::Over) {
            let mut turn = Turn {
                world,
                stack: &case.stacks[self.script.stack],
                call: self,
                moved: false,
                panicked: false,
                extended: false,
            };
            turn.settle(inner, Fate::Dropped);
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn is_fresh(&self) -> bool {
        matches!(self.stage, Stage::Fresh)
    }

    /// When something is due in it at the earliest: of its own accord, or its operation's.
    fn due(&self) -> Option<Ms> {
        match &self.stage {
            Stage::Under(inner) => [inner.due(), inner.answers_at()]
                .into_iter()
                .flatten()
                .min(),
            _ => None,
        }
    }
}
