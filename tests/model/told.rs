//! What is heard, and what becomes of a call: the words that both sides speak.
use seawall::circuit_breaker::{Cause, State};
use seawall::event::GaveUp;
use seawall::policy::Outcome;
use seawall::{Class, Event, Name, Rejected};
use std::time::Duration;

/// By place in the stack.
pub const NAMES: [&str; 6] = ["p0", "p1", "p2", "p3", "p4", "p5"];

pub fn name(i: usize) -> Name {
    Name::from_static(NAMES[i])
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

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// Of the attempt with this number.
    Ok(usize),
    Err(usize),
    Refused(Rejected),
    Panicked,
}
