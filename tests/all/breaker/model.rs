//! The whole breaker against a slow model that keeps every answer there ever was.
use super::now;
use crate::support::MS;
use proptest::prelude::*;
use seawall::circuit_breaker::State;
use seawall::clock::Instant;
use seawall::policy::{Call, Enter, Outcome, Policy, Ticket};
use seawall::{CircuitBreaker, Class, Reason};

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter,
    Exit(usize, Said),
    Wait(u32),
    Isolate,
    Close,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Ok,
    Failed,
    Throttled,
    Nothing,
}

fn step() -> impl Strategy<Value = Step> {
    let said = prop_oneof![
        4 => Just(Said::Ok),
        4 => Just(Said::Failed),
        1 => Just(Said::Throttled),
        1 => Just(Said::Nothing),
    ];
    prop_oneof![
        20 => Just(Step::Enter),
        20 => (0..6usize, said).prop_map(|(i, said)| Step::Exit(i, said)),
        6 => (0..30u32).prop_map(Step::Wait),
        2 => Just(Step::Wait(60)),
        1 => Just(Step::Isolate),
        1 => Just(Step::Close),
        1 => Just(Step::Reset),
    ]
}

/// One answer: in which life of the breaker, whether it failed, whether it was slow, in which
/// bucket.
struct Answer {
    life: u32,
    failed: bool,
    slow: bool,
    bucket: u32,
}

struct Under {
    ticket: Ticket,
    life: u32,
    since: u32,
    /// Has a probe's slot.
    slot: bool,
}

/// Times in milliseconds since the breaker was built.
struct Model {
    now: u32,
    life: u32,
    state: State,
    open_until: u32,
    trips: u32,
    changes: u64,
    history: Vec<Answer>,
    out: Vec<Under>,
}

const LIMIT: usize = 4;
const WINDOW: usize = 8;
const MINIMUM: usize = 5;
const SLOW: u32 = 10;
const BUCKETS: u32 = 5;
const WIDTH: u32 = 20;
const BREAK: u32 = 50;
const LONGEST: u32 = 120;
const PROBES: usize = 3;
const LEASE: u32 = 40;

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new("b")
        .consecutive_failures(LIMIT as u32)
        .failure_rate(0.6)
        .slow_call_rate(0.5, MS * SLOW)
        .count_window(WINDOW as u32)
        .time_window(MS * BUCKETS * WIDTH)
        .time_buckets(BUCKETS)
        .minimum_calls(MINIMUM as u32)
        .break_for(MS * BREAK)
        .break_growth(2.0, MS * LONGEST)
        .half_open_probes(PROBES as u32)
        .probe_lease(MS * LEASE)
        .build()
        .unwrap()
}

impl Model {
    fn new() -> Self {
        Model {
            now: 0,
            life: 0,
            state: State::Closed,
            open_until: 0,
            trips: 0,
            changes: 0,
            history: Vec::new(),
            out: Vec::new(),
        }
    }

    fn go(&mut self, state: State) {
        self.changes += 1;
        self.life += 1;
        self.state = state;
    }

    fn open(&mut self) {
        self.trips += 1;
        self.open_until = self.now + (BREAK * 2u32.pow(self.trips.min(9) - 1)).min(LONGEST);
        self.go(State::Open);
    }

    /// `Ok`: let in, with a probe's slot or without. `Err`: refused, for so long or until it is
    /// told otherwise.
    fn enter(&mut self) -> Result<bool, Option<u32>> {
        if self.state == State::Open && self.now >= self.open_until {
            self.go(State::HalfOpen);
        }
        match self.state {
            State::Open => Err(Some(self.open_until - self.now)),
            State::Isolated => Err(None),
            State::HalfOpen => {
                let answered = self.history.iter().filter(|a| a.life == self.life).count();
                let (life, now) = (self.life, self.now);
                let mut probes: Vec<_> = self
                    .out
                    .iter_mut()
                    .filter(|c| c.slot && c.life == life)
                    .collect();
                if answered + probes.len() >= PROBES {
                    let over = probes
                        .iter_mut()
                        .find(|c| now - c.since >= LEASE)
                        .ok_or(None)?;
                    over.slot = false;
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn exit(&mut self, call: Under, said: Said) {
        let probe = self.state == State::HalfOpen;
        let failed = said == Said::Failed || probe && said == Said::Throttled;
        let counts = failed || said == Said::Ok;
        if call.life != self.life || probe && !call.slot || !counts {
            return;
        }
        self.history.push(Answer {
            life: self.life,
            failed,
            slow: self.now - call.since > SLOW,
            bucket: self.now / WIDTH,
        });
        let life: Vec<_> = self
            .history
            .iter()
            .filter(|a| a.life == self.life)
            .collect();
        let share = |of: &[&Answer], p: fn(&Answer) -> bool| {
            of.iter().filter(|a| p(a)).count() as f64 / of.len() as f64
        };
        let bad = |of: &[&Answer]| share(of, |a| a.failed) >= 0.6 || share(of, |a| a.slow) >= 0.5;
        if probe {
            if life.len() == PROBES {
                if bad(&life) {
                    self.open();
                } else {
                    self.trips = 0;
                    self.go(State::Closed);
                }
            }
            return;
        }
        let streak = life.iter().rev().take_while(|a| a.failed).count();
        let (calls, time) = (self.last_calls(), self.last_time());
        let broken = |of: &[&Answer]| of.len() >= MINIMUM && bad(of);
        if streak >= LIMIT || broken(&calls) || broken(&time) {
            self.open();
        }
    }

    fn last_calls(&self) -> Vec<&Answer> {
        let life = self.history.iter().rev().filter(|a| a.life == self.life);
        life.take(WINDOW).collect()
    }

    fn last_time(&self) -> Vec<&Answer> {
        let newest = self.now / WIDTH;
        let held = |a: &&Answer| a.life == self.life && a.bucket + BUCKETS > newest;
        self.history.iter().filter(held).collect()
    }
}

fn agree(breaker: &CircuitBreaker, model: &Model) -> Result<(), TestCaseError> {
    let seen = breaker.snapshot();
    prop_assert_eq!(breaker.state(), model.state);
    prop_assert_eq!((seen.sequence, seen.trips), (model.changes, model.trips));
    if model.state == State::Closed {
        let numbers = |of: &[&Answer]| {
            let count = |p: fn(&Answer) -> bool| of.iter().filter(|a| p(a)).count() as u64;
            (count(|_| true), count(|a| a.failed), count(|a| a.slow))
        };
        let window = seen.count_window.unwrap();
        let held = (window.calls, window.failures, window.slow_calls);
        prop_assert_eq!(held, numbers(&model.last_calls()));
    }
    Ok(())
}

fn walk(steps: Vec<Step>, start: Instant) -> Result<(), TestCaseError> {
    let (breaker, mut model) = (breaker(), Model::new());
    for step in steps {
        let at = start + MS * model.now;
        match step {
            Step::Wait(time) => model.now += time,
            Step::Enter => match (breaker.enter(&Call::at(at)), model.enter()) {
                (Enter::Proceed(ticket), Ok(slot)) => {
                    let (life, since) = (model.life, model.now);
                    model.out.push(Under {
                        ticket,
                        life,
                        since,
                        slot,
                    });
                }
                (Enter::Reject(Reason::CircuitOpen { retry_after }), Err(left)) => {
                    prop_assert_eq!(retry_after, left.map(|left| MS * left));
                }
                (Enter::Reject(Reason::CircuitIsolated), Err(None)) => {
                    prop_assert_eq!(model.state, State::Isolated);
                }
                (entered, expected) => prop_assert!(false, "{entered:?}, not {expected:?}"),
            },
            Step::Exit(i, said) => {
                if model.out.is_empty() {
                    continue;
                }
                let call = model.out.remove(i % model.out.len());
                let outcome = match said {
                    Said::Ok => Outcome::Answered(Class::Permanent),
                    Said::Failed => Outcome::TimedOut,
                    Said::Throttled => Outcome::Answered(Class::Throttled(None)),
                    Said::Nothing => Outcome::Cancelled,
                };
                breaker.exit(call.ticket, &outcome, &Call::at(at));
                model.exit(call, said);
            }
            Step::Isolate => {
                breaker.isolate();
                if model.state != State::Isolated {
                    model.go(State::Isolated);
                    model.trips = 0;
                }
            }
            Step::Close | Step::Reset => {
                let reset = matches!(step, Step::Reset);
                if reset {
                    breaker.reset()
                } else {
                    breaker.close()
                }
                if model.state != State::Closed {
                    model.go(State::Closed);
                    model.trips = 0;
                } else if reset {
                    model.life += 1;
                    model.trips = 0;
                }
            }
        }
        agree(&breaker, &model)?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_breaker_is_its_whole_history(steps in prop::collection::vec(step(), 0..300)) {
        let paused = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _inside = paused.enter();
        walk(steps, now())?;
    }
}
