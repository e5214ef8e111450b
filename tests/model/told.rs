//! What is heard, and what becomes of a call: the words that both sides speak.
use seawall::circuit_breaker::{Cause, State};
use seawall::event::GaveUp;
use seawall::policy::Outcome;
use seawall::{Class, Event, Name, Rejected};
use std::time::Duration;

/// By number of the policy.
pub const NAMES: [&str; 10] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"];

pub fn name(i: usize) -> Name {
    Name::from_static(NAMES[i])
}

/// The pipelines.
pub const STACKS: [&str; 2] = ["one", "other"];

/// In their place: the policy that is called by itself. It is told of under its own name.
pub const ALONE: usize = STACKS.len();

/// With the pipeline whose call it was; `None`: somebody tells it without one.
pub type Heard = (Option<usize>, Told);

/// What was heard, in its order.
#[derive(Default)]
pub struct Log {
    /// Whose calls are under way.
    pub stack: usize,
    pub heard: Vec<Heard>,
}

impl Log {
    pub fn push(&mut self, told: Told) {
        let alone = matches!(told, Told::Exit(..) | Told::ServedStale(_));
        self.heard.push(((!alone).then_some(self.stack), told));
    }
}

/// An event, kept; and the exits of third-party policies between them.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Waiting(Name, Option<Duration>),
    Waited(Name, Duration),
    AttemptEnded(u32, Class),
    TimedOut(Name, bool),
    RetryScheduled(Name, Duration),
    GaveUp(Name, GaveUp),
    Hedged(Name, u32),
    Rejected(Rejected),
    StateChanged(Name, State, State, Cause, u64),
    ServedStale(Duration),
    Exit(Name, How),
    Unexpected(String),
}

impl Told {
    pub fn of(event: &Event<'_>) -> Told {
        match *event {
            Event::Waiting {
                policy, at_most, ..
            } => Told::Waiting(policy, at_most),
            Event::Waited { policy, waited, .. } => Told::Waited(policy, waited),
            Event::AttemptEnded { attempt, class, .. } => Told::AttemptEnded(attempt, class),
            Event::TimedOut {
                policy, running, ..
            } => Told::TimedOut(policy, running),
            Event::RetryScheduled { policy, after, .. } => Told::RetryScheduled(policy, after),
            Event::GaveUp { policy, why, .. } => Told::GaveUp(policy, why),
            Event::Hedged {
                policy, attempts, ..
            } => Told::Hedged(policy, attempts),
            Event::Rejected(r) => Told::Rejected(*r),
            Event::StateChanged {
                policy,
                from,
                to,
                cause,
                sequence,
                ..
            } => Told::StateChanged(policy, from, to, cause, sequence),
            Event::ServedStale { age, .. } => Told::ServedStale(age),
            ref other => Told::Unexpected(format!("{other:?}")),
        }
    }
}

/// How what a policy let in has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    Answered(Class),
    TimedOut,
    Rejected(Rejected),
    Cancelled,
    Unused,
    Panicked,
}

impl How {
    pub fn of(outcome: &Outcome<'_>) -> How {
        match *outcome {
            Outcome::Answered(class) => How::Answered(class),
            Outcome::TimedOut => How::TimedOut,
            Outcome::Rejected(r) => How::Rejected(*r),
            Outcome::Cancelled => How::Cancelled,
            Outcome::Unused => How::Unused,
            _ => How::Panicked,
        }
    }
}

/// The answers of a fallback's attempts begin with this number.
pub const FALLBACK: usize = 100;
/// The answer that a value or a function gives.
pub const VALUE: usize = 200;
/// The last good answer that is set by hand.
pub const BY_HAND: usize = 300;

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// Of the attempt with this number.
    Ok(usize),
    Stale(usize, Duration),
    Bad(Bad),
    /// Of one that has another call as its fallback, which was not asked, or failed too.
    Passed(Bad),
    Both(Bad, Bad),
    Panicked,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bad {
    Err(usize),
    Refused(Rejected),
}
