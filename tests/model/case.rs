//! What is drawn: two stacks of policies that share some, the operations of several calls and what
//! closes them, and what happens in which order.
mod read;

pub use read::cases;
use seawall::retry::Backoff;
use seawall::{Class, Replay};
use std::time::Duration;

/// Milliseconds since the case began: whole ones, which is what tokio's timer can meet.
pub type Ms = u64;

pub fn ms(time: Ms) -> Duration {
    Duration::from_millis(time)
}

#[derive(Clone, Debug)]
pub struct Case {
    /// Each with the memory that it has, wherever it stands.
    pub policies: Vec<Policy>,
    /// Of two pipelines, outermost first; and one policy by itself, if there is one of the crate's
    /// own.
    pub stacks: [Vec<Place>; 3],
    /// Up to which age a last good answer is given.
    pub max_age: Ms,
    pub calls: Vec<Script>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub struct Place {
    /// Whose memory and name it has, of the case's policies.
    pub id: usize,
    /// That one; another retry with its budget; its rate limit with another weight.
    pub policy: Policy,
}

#[derive(Clone, Debug)]
pub enum Policy {
    Timeout(Ms),
    Retry(Retry),
    Breaker(Breaker),
    Bulkhead {
        limit: u32,
        queue: u32,
        max_wait: Option<Ms>,
    },
    Rate {
        interval: Ms,
        burst: u32,
        max_wait: Ms,
        weight: u32,
    },
    Hedge {
        after: Ms,
        attempts: u32,
    },
    Custom(Custom),
}

#[derive(Clone, Debug)]
pub struct Retry {
    pub attempts: Option<u32>,
    pub within: Option<Ms>,
    pub backoff: Backoff,
    pub budget: Option<Budget>,
    pub refusals: bool,
    pub circuit: bool,
    pub max_retry_after: Ms,
}

/// Its window in ten parts of so many milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub percent: u64,
    pub reserve: u64,
    pub tenth: Ms,
}

#[derive(Clone, Debug)]
pub struct Breaker {
    pub consecutive: Option<u32>,
    pub failures: Option<f64>,
    pub slow: Option<(f64, Ms)>,
    pub count: Option<u32>,
    /// So many buckets of so many milliseconds.
    pub time: Option<(u32, Ms)>,
    pub minimum: u32,
    pub break_for: Ms,
    pub growth: Option<(f64, Ms)>,
    pub probes: u32,
    pub lease: Ms,
    pub heed: Option<Ms>,
}

/// Policies written elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum Custom {
    /// Refuses every n-th.
    Every(u32),
    /// Lets in after this time.
    Delay(Ms),
    /// A deadline, extended so often.
    Within { after: Ms, more: Ms, times: u32 },
    /// Has a call stay in line for this time.
    Wait(Ms),
}

#[derive(Clone, Debug)]
pub struct Script {
    /// Through which of them.
    pub stack: usize,
    pub form: Form,
    /// What is beyond them answers at once.
    pub attempts: Vec<Attempt>,
    pub closing: Option<Closing>,
}

#[derive(Clone, Copy, Debug)]
pub enum Form {
    Run,
    Once,
    Service(Request),
}

/// What a service is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub replay: Replay,
    /// So often it can be copied; `None`: as often as anybody likes.
    pub copies: Option<u32>,
}

impl Request {
    pub fn copy(&self) -> Option<Request> {
        let copies = match self.copies {
            Some(left) => Some(left.checked_sub(1)?),
            None => None,
        };
        Some(Request { copies, ..*self })
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Of a service alone: before it is called.
    pub ready: Ready,
    pub takes: Ms,
    pub says: Says,
}

#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// `None`: never.
    pub after: Option<Ms>,
    pub then: Then,
}

impl Ready {
    pub const AT_ONCE: Ready = Ready {
        after: Some(0),
        then: Then::IsReady,
    };
}

impl Attempt {
    pub const PLAIN: Attempt = Attempt {
        ready: Ready::AT_ONCE,
        takes: 0,
        says: Says::Ok,
    };
}

#[derive(Clone, Copy, Debug)]
pub enum Then {
    IsReady,
    /// With what the operation would have said.
    Fails,
    Panics,
}

/// What closes a call, outside of its pipeline.
#[derive(Clone, Debug)]
pub struct Closing {
    pub by: Rescue,
    pub only_if: OnlyIf,
    /// As a layer around the guarded service, where that is the form.
    pub layer: bool,
}

#[derive(Clone, Debug)]
pub enum Rescue {
    Value,
    With(Falls),
    /// Another guarded call.
    Run(Box<Script>),
    /// A guarded service, which is asked the same.
    Service(Box<Script>),
    LastGood,
}

#[derive(Clone, Copy, Debug)]
pub enum Falls {
    Ok,
    Err,
    Panics,
}

#[derive(Clone, Copy, Debug)]
pub enum OnlyIf {
    Every,
    Refusals,
    Errors,
    Panics,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    Ok,
    Transient,
    Failed,
    Throttled(Option<Ms>),
    Pushback(Option<Ms>),
    Permanent,
    Ignored,
    Never,
    /// In its poll.
    Panics,
    /// Before there is a future.
    PanicsAtOnce,
}

impl Says {
    /// As the pipelines read it.
    pub fn class(self) -> Class {
        match self {
            Says::Ok => Class::Success,
            Says::Failed => Class::Failed,
            Says::Throttled(hint) => Class::Throttled(hint.map(ms)),
            Says::Pushback(pause) => Class::Pushback(pause.map(ms)),
            Says::Permanent => Class::Permanent,
            Says::Ignored => Class::Ignored,
            Says::Transient | Says::Never | Says::Panics | Says::PanicsAtOnce => Class::Transient,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Polls this call, woken or not; the first poll begins it.
    Poll(usize),
    /// Polls all that were woken.
    Woken,
    Pass(Ms),
    /// To the next instant at which something is due, and this much past it.
    Next(Ms),
    Drop(usize),
    Limit(usize, u32),
    ByHand(usize, u8),
    /// Sets the last good answer.
    Set,
    Clear,
}
