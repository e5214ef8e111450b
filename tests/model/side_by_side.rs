//! Both sides, step by step: what they say, and what they have in hand, has to be the same.
use crate::case::{Case, Ms, Rescue, Script, Step, ms};
use crate::naive::{Closed, Shared, World};
use crate::real::{Alarms, Answering, Calling, Handle, Operations, Real, now};
use crate::told::{Answer, BY_HAND, FALLBACK};
use proptest::prelude::*;
use seawall::circuit_breaker::State;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use tokio::time::advance;
use tokio_test::task::Spawn;

struct Sides<'a> {
    case: &'a Case,
    real: &'a Real,
    world: World,
    calls: Vec<Call<'a>>,
    alarms: Alarms,
    heard: usize,
}

struct Call<'a> {
    operations: Rc<Operations>,
    fallback: Option<Rc<Operations>>,
    /// `None`: it is over.
    real: Option<Spawn<Answering<'a>>>,
    model: Closed,
}

impl<'a> Call<'a> {
    fn new(script: &Script, real: &'a Real, alarms: &Alarms) -> Self {
        let operations = Operations::new(script.clone(), 0, alarms.clone());
        let fallback = match script.closing.as_ref().map(|closing| &closing.by) {
            Some(Rescue::Run(other) | Rescue::Service(other)) => {
                let other = (**other).clone();
                Some(Operations::new(other, FALLBACK, alarms.clone()))
            }
            _ => None,
        };
        let calling = Calling {
            real,
            operations: operations.clone(),
            fallback: fallback.clone(),
        };
        Call {
            operations,
            fallback,
            real: Some(tokio_test::task::spawn(calling.begin())),
            model: Closed::new(script.clone()),
        }
    }

    /// As the model counts them.
    fn counts(&self) -> [(u32, u32); 2] {
        let count = |of: &Rc<Operations>| (of.live.get(), of.services.get());
        let fallback = self.fallback.as_ref();
        [count(&self.operations), fallback.map_or((0, 0), count)]
    }
}

/// Runs the case on both sides.
pub async fn compare(case: &Case) -> Result<(), TestCaseError> {
    let real = Real::new(case);
    let alarms = Alarms::default();
    let begin = |script: &Script| Call::new(script, &real, &alarms);
    let mut sides = Sides {
        case,
        real: &real,
        world: World::new(case),
        calls: case.calls.iter().map(begin).collect(),
        alarms: alarms.clone(),
        heard: 0,
    };
    for step in &case.steps {
        sides.step(*step).await?;
        sides.agree()?;
    }
    sides.run_out().await
}

/// More is not needed before everything that ends by itself has ended.
const LONGEST: Ms = 3_600_000;

impl Sides<'_> {
    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let calls = self.calls.len();
        match step {
            Step::Poll(n) => self.poll(n % calls),
            Step::Woken => self.poll_woken(),
            Step::Pass(time) => {
                self.pass(time).await;
                Ok(())
            }
            Step::Next(past) => {
                if let Some(at) = self.next() {
                    let time = (at + past).saturating_sub(self.world.now);
                    self.pass(time).await;
                }
                Ok(())
            }
            Step::Drop(n) => {
                let call = &mut self.calls[n % calls];
                call.real = None;
                call.model.leave(&mut self.world, self.case);
                Ok(())
            }
            Step::Limit(n, limit) => {
                self.set_limit(n, limit);
                Ok(())
            }
            Step::ByHand(n, what) => {
                self.by_hand(n, what);
                Ok(())
            }
            Step::Set => {
                self.real.good.set(BY_HAND);
                self.world.good.set(self.world.now);
                Ok(())
            }
            Step::Clear => {
                self.real.good.clear();
                self.world.good.clear();
                Ok(())
            }
        }
    }

    fn poll(&mut self, n: usize) -> Result<(), TestCaseError> {
        let call = &mut self.calls[n];
        let Some(real) = &mut call.real else {
            return Ok(());
        };
        let woken = call.model.is_fresh() || real.is_woken();
        let polled = catch_unwind(AssertUnwindSafe(|| real.poll()));
        let got = match polled {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(answer)) => Some(answer),
            Err(_) => Some(Answer::Panicked),
        };
        if got.is_some() {
            call.real = None;
        }
        let (expected, moved) = call.model.poll(&mut self.world, self.case);
        let now = self.world.now;
        prop_assert_eq!(got, expected, "call {} at {} ms", n, now);
        prop_assert!(woken || !moved, "call {n} was not woken at {now} ms");
        self.agree()
    }

    fn poll_woken(&mut self) -> Result<(), TestCaseError> {
        for n in 0..self.calls.len() {
            if self.is_woken(n) {
                self.poll(n)?;
            }
        }
        Ok(())
    }

    fn is_woken(&self, n: usize) -> bool {
        let real = self.calls[n].real.as_ref();
        real.is_some_and(|real| self.calls[n].model.is_fresh() || real.is_woken())
    }

    fn next(&self) -> Option<Ms> {
        self.calls.iter().filter_map(|call| call.model.due()).min()
    }

    async fn pass(&mut self, time: Ms) {
        advance(ms(time)).await;
        self.world.now += time;
        let now = now();
        let mut due = Vec::new();
        self.alarms.borrow_mut().retain(|alarm| {
            let over = alarm.0 <= now;
            if over {
                due.push(alarm.1.clone());
            }
            !over
        });
        due.into_iter().for_each(|waker| waker.wake());
    }

    fn set_limit(&mut self, n: usize, limit: u32) {
        let n = n % self.case.policies.len().max(1);
        if let (Some(Handle::Bulkhead(real)), Some(Shared::Bulkhead(model))) =
            (self.real.handles.get(n), self.world.shared.get_mut(n))
        {
            real.set_limit(limit);
            model.set_limit(limit);
        }
    }

    fn by_hand(&mut self, n: usize, what: u8) {
        let n = n % self.case.policies.len().max(1);
        let World { shared, told, .. } = &mut self.world;
        let (Some(Handle::Breaker(real)), Some(Shared::Breaker(model))) =
            (self.real.handles.get(n), shared.get_mut(n))
        else {
            return;
        };
        match what {
            0 => {
                real.close();
                model.by_hand(State::Closed, told);
            }
            1 => {
                real.reset();
                model.reset(told);
            }
            2 => {
                real.isolate();
                model.by_hand(State::Isolated, told);
            }
            3 => {
                real.disable();
                model.by_hand(State::Disabled, told);
            }
            _ => {
                real.metrics_only();
                model.by_hand(State::MetricsOnly, told);
            }
        }
    }

    /// What was heard, and what every policy holds.
    fn agree(&mut self) -> Result<(), TestCaseError> {
        let heard = self.real.ears.lock().unwrap();
        let (from, now) = (self.heard, self.world.now);
        let told = &self.world.told.heard;
        prop_assert_eq!(&heard[from..], &told[from..], "at {} ms", now);
        self.heard = heard.len();
        drop(heard);
        for (n, call) in self.calls.iter().enumerate() {
            let (counts, expected) = (call.counts(), call.model.counts());
            prop_assert_eq!(counts, expected, "attempts and services of {}", n);
        }
        let good = self.real.good.peek();
        prop_assert_eq!(good, self.world.good.last(now), "good at {} ms", now);
        for (i, handle) in self.real.handles.iter().enumerate() {
            match (handle, &mut self.world.shared[i]) {
                (Handle::Bulkhead(real), Shared::Bulkhead(model)) => {
                    let counts = (real.limit(), real.in_flight(), real.queued());
                    let expected = (model.limit, model.in_flight() as u32, model.queued() as u32);
                    prop_assert_eq!(counts, expected, "p{} at {} ms", i, now);
                }
                (Handle::Rate(real), Shared::Rate(model)) => {
                    let available = real.snapshot().available;
                    prop_assert_eq!(available, model.available(now), "p{} at {} ms", i, now);
                }
                (Handle::Budget(real), Shared::Budget(model)) => {
                    prop_assert_eq!(
                        real.available(),
                        model.available(now),
                        "p{} at {} ms",
                        i,
                        now
                    );
                }
                (Handle::Breaker(real), Shared::Breaker(model)) => {
                    same_breaker(real, model, now, self.real.began)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nobody drops anything any more: whoever is woken is polled, and time goes on. What can end
    /// ends, and what cannot is dropped.
    async fn run_out(mut self) -> Result<(), TestCaseError> {
        while self.calls.iter().any(|call| !call.model.is_over()) {
            if (0..self.calls.len()).any(|n| self.is_woken(n)) {
                self.poll_woken()?;
                continue;
            }
            let Some(at) = self.next().filter(|at| *at < LONGEST) else {
                break;
            };
            prop_assert!(at > self.world.now, "due at {at} ms, and nobody is woken");
            self.pass(at - self.world.now).await;
        }
        for call in &mut self.calls {
            call.real = None;
            call.model.leave(&mut self.world, self.case);
        }
        self.agree()?;
        for handle in &self.real.handles {
            if let Handle::Bulkhead(real) = handle {
                prop_assert_eq!(
                    (real.in_flight(), real.queued()),
                    (0, 0),
                    "a permit is lost"
                );
            }
        }
        Ok(())
    }
}

fn same_breaker(
    real: &seawall::CircuitBreaker,
    model: &crate::naive::Breaker,
    now: Ms,
    began: tokio::time::Instant,
) -> Result<(), TestCaseError> {
    let spec = model.spec();
    let seen = real.snapshot();
    prop_assert_eq!(
        (seen.state, seen.cause, seen.sequence, seen.trips),
        (model.state, model.cause, model.sequence, model.trips)
    );
    let next = (model.state == State::Open).then(|| began + ms(model.open_until.max(now)));
    prop_assert_eq!(seen.next_attempt_at, next);
    let streak = spec.consecutive.map(|_| model.streak());
    prop_assert_eq!(seen.consecutive_failures, streak);
    let counts = |c: seawall::circuit_breaker::Counts| (c.calls, c.failures, c.slow_calls);
    let by_count = spec.count.map(|n| model.last(n));
    prop_assert_eq!(seen.count_window.map(counts), by_count);
    let by_time = spec.time.map(|_| model.lately(now));
    prop_assert_eq!(seen.time_window.map(counts), by_time);
    let probes = seen.probes.map(|p| (p.out as usize, counts(p.answered)));
    let expected = (model.state == State::HalfOpen).then(|| (model.out(), model.said()));
    prop_assert_eq!(probes, expected);
    Ok(())
}
