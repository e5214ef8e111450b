//! A breaker that remembers every call it ever counted.
use crate::case::{self, Ms, ms};
use crate::told::{ALONE, How, Log, Told, name};
use seawall::circuit_breaker::{Cause, State, Window};
use seawall::{Class, Reason};
use std::time::Duration;

pub struct Breaker {
    i: usize,
    spec: case::Breaker,
    pub state: State,
    pub cause: Option<Cause>,
    pub sequence: u64,
    pub trips: u32,
    pub open_until: Ms,
    /// Changes and resets so far: tickets of an earlier one say nothing.
    generation: u64,
    counted: Vec<Counted>,
    probes: Vec<Probe>,
}

#[derive(Clone, Copy)]
struct Counted {
    at: Ms,
    failed: bool,
    slow: bool,
}

struct Probe {
    since: Ms,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Out,
    Said {
        failed: bool,
        slow: bool,
    },
    /// It said nothing, or another has its slot.
    Gone,
}

#[derive(Clone, Copy)]
pub struct Ticket {
    generation: u64,
    since: Ms,
    probe: Option<usize>,
}

/// Calls, failures, slow ones.
pub type Counts = (u64, u64, u64);

fn counts(calls: impl Iterator<Item = (bool, bool)>) -> Counts {
    let all: Vec<_> = calls.collect();
    let count = |p: fn(&(bool, bool)) -> bool| all.iter().filter(|c| p(c)).count() as u64;
    (all.len() as u64, count(|c| c.0), count(|c| c.1))
}

fn reached(of: u64, calls: u64, limit: Option<f64>) -> bool {
    limit.is_some_and(|limit| of as f64 / calls as f64 >= limit)
}

impl Breaker {
    pub fn new(i: usize, spec: case::Breaker) -> Self {
        Breaker {
            i,
            spec,
            state: State::Closed,
            cause: None,
            sequence: 0,
            trips: 0,
            open_until: 0,
            generation: 0,
            counted: Vec::new(),
            probes: Vec::new(),
        }
    }

    pub fn enter(&mut self, now: Ms, told: &mut Log) -> Result<Ticket, Reason> {
        let mut probe = None;
        match self.state {
            State::Isolated => return Err(Reason::CircuitIsolated),
            State::Open if now < self.open_until => {
                let retry_after = Some(ms(self.open_until - now));
                return Err(Reason::CircuitOpen { retry_after });
            }
            State::Open => {
                self.probes.clear();
                self.change(State::HalfOpen, Cause::BreakOver, told);
                probe = self.probe(now);
            }
            State::HalfOpen => probe = self.probe(now),
            _ => {}
        }
        if self.state == State::HalfOpen && probe.is_none() {
            return Err(Reason::CircuitOpen { retry_after: None });
        }
        Ok(Ticket {
            generation: self.generation,
            since: now,
            probe,
        })
    }

    fn probe(&mut self, now: Ms) -> Option<usize> {
        let taken = self.probes.iter().filter(|p| p.fate != Fate::Gone).count();
        if taken >= self.spec.probes as usize {
            let lease = self.spec.lease;
            let over = |p: &&mut Probe| p.fate == Fate::Out && now - p.since >= lease;
            self.probes.iter_mut().find(over)?.fate = Fate::Gone;
        }
        self.probes.push(Probe {
            since: now,
            fate: Fate::Out,
        });
        Some(self.probes.len() - 1)
    }

    pub fn exit(&mut self, ticket: Ticket, how: &How, now: Ms, told: &mut Log) {
        if ticket.generation != self.generation {
            return;
        }
        let failed = match how {
            How::Answered(Class::Success | Class::Permanent) => false,
            How::Answered(Class::Transient | Class::Failed) | How::TimedOut | How::Panicked => true,
            How::Answered(Class::Throttled(hint) | Class::Pushback(hint)) => {
                return self.throttled(ticket, *hint, now, told);
            }
            _ => {
                if let Some(n) = ticket.probe {
                    self.probes[n].fate = Fate::Gone;
                }
                return;
            }
        };
        let slow = self.is_slow(ticket.since, now);
        match self.state {
            State::HalfOpen => self.answered(ticket, failed, now, told),
            State::Closed | State::MetricsOnly => {
                self.counted.push(Counted {
                    at: now,
                    failed,
                    slow,
                });
                if self.state == State::Closed
                    && let Some(cause) = self.broken(now)
                {
                    self.open(cause, now, told);
                }
            }
            _ => {}
        }
    }

    fn is_slow(&self, since: Ms, now: Ms) -> bool {
        self.spec.slow.is_some_and(|(_, limit)| now - since > limit)
    }

    fn throttled(&mut self, ticket: Ticket, hint: Option<Duration>, now: Ms, told: &mut Log) {
        let holds = ticket
            .probe
            .is_none_or(|n| self.probes[n].fate == Fate::Out);
        if matches!(self.state, State::Closed | State::HalfOpen)
            && holds
            && let (Some(hint), Some(heed)) = (hint, self.spec.heed)
        {
            let break_for = hint.min(ms(heed));
            self.open_until = now + break_for.as_millis() as Ms;
            self.change(State::Open, Cause::RetryAfter { break_for }, told);
        } else if self.state == State::HalfOpen {
            self.answered(ticket, true, now, told);
        }
    }

    fn answered(&mut self, ticket: Ticket, failed: bool, now: Ms, told: &mut Log) {
        let Some(n) = ticket.probe.filter(|n| self.probes[*n].fate == Fate::Out) else {
            return;
        };
        let slow = self.is_slow(self.probes[n].since, now);
        self.probes[n].fate = Fate::Said { failed, slow };
        let (calls, failures, slow) = self.said();
        if calls < u64::from(self.spec.probes) {
            return;
        }
        let cause = Cause::Probes {
            probes: calls,
            failures,
            slow,
        };
        let bad = reached(failures, calls, Some(self.spec.failures.unwrap_or(0.5)))
            || reached(slow, calls, self.spec.slow.map(|s| s.0));
        if bad {
            self.open(cause, now, told);
        } else {
            self.trips = 0;
            self.change(State::Closed, cause, told);
        }
    }

    /// The first rule that is broken.
    fn broken(&self, now: Ms) -> Option<Cause> {
        let streak = self.streak();
        if self.counted.last().is_some_and(|c| c.failed)
            && self.spec.consecutive.is_some_and(|n| streak >= n.into())
        {
            return Some(Cause::ConsecutiveFailures { failures: streak });
        }
        let by_count = self.spec.count.map(|n| (self.last(n), Window::Calls(n)));
        let by_time = self.spec.time.map(|(buckets, width)| {
            let span = ms(width * u64::from(buckets));
            (self.lately(now), Window::Time(span))
        });
        let windows = by_count.into_iter().chain(by_time);
        windows
            .filter(|((calls, ..), _)| *calls >= self.spec.minimum.into())
            .find_map(|((calls, failures, slow), window)| {
                if reached(failures, calls, self.spec.failures) {
                    Some(Cause::FailureRate {
                        failures,
                        calls,
                        window,
                    })
                } else {
                    reached(slow, calls, self.spec.slow.map(|s| s.0)).then_some(
                        Cause::SlowCallRate {
                            slow,
                            calls,
                            window,
                        },
                    )
                }
            })
    }

    fn open(&mut self, cause: Cause, now: Ms, told: &mut Log) {
        self.trips += 1;
        let (factor, max) = self.spec.growth.unwrap_or((1.0, Ms::MAX));
        let mut length = self.spec.break_for as f64;
        for _ in 1..self.trips {
            length *= factor;
        }
        self.open_until = now + (length as Ms).min(max);
        self.change(State::Open, cause, told);
    }

    fn change(&mut self, to: State, cause: Cause, told: &mut Log) {
        self.sequence += 1;
        let change = Told::StateChanged(name(self.i), self.state, to, cause, self.sequence);
        told.push(change);
        (self.state, self.cause) = (to, Some(cause));
        self.begin();
    }

    /// A generation.
    fn begin(&mut self) {
        self.generation += 1;
        if matches!(self.state, State::Closed | State::MetricsOnly) {
            self.counted.clear();
        }
    }

    /// Changes made by hand are told to the handle's own observer.
    pub fn by_hand(&mut self, to: State, told: &mut Log) {
        if self.state != to {
            self.trips = 0;
            told.stack = ALONE;
            self.change(to, Cause::ByHand, told);
        }
    }

    pub fn reset(&mut self, told: &mut Log) {
        if self.state == State::Closed {
            self.begin();
        }
        self.by_hand(State::Closed, told);
        (self.trips, self.cause) = (0, None);
    }

    pub fn streak(&self) -> u64 {
        let failed = self.counted.iter().rev().take_while(|c| c.failed);
        failed.count() as u64
    }

    /// The last so many calls.
    pub fn last(&self, n: u32) -> Counts {
        let last = self.counted.iter().rev().take(n as usize);
        counts(last.map(|c| (c.failed, c.slow)))
    }

    /// The calls of the buckets that are not too old.
    pub fn lately(&self, now: Ms) -> Counts {
        let (buckets, width) = self.spec.time.unwrap_or((1, 1));
        let recent = |c: &&Counted| c.at / width + u64::from(buckets) > now / width;
        counts(
            self.counted
                .iter()
                .filter(recent)
                .map(|c| (c.failed, c.slow)),
        )
    }

    /// What the probes have said.
    pub fn said(&self) -> Counts {
        counts(self.probes.iter().filter_map(|p| match p.fate {
            Fate::Said { failed, slow } => Some((failed, slow)),
            _ => None,
        }))
    }

    pub fn out(&self) -> usize {
        self.probes.iter().filter(|p| p.fate == Fate::Out).count()
    }

    pub fn spec(&self) -> &case::Breaker {
        &self.spec
    }
}
