//! Random pipelines of shared policies, and single policies.
use crate::attempt::{DEPENDENCIES, Dependency, Reader, Request};
use crate::ear::Ear;
use crate::facts::{Facts, Part};
use crate::gauge::Gauge;
use crate::parts::{MS, Parts, Rate, Room};
use fastrand::Rng;
use seawall::pipeline::{Builder, MAX_POLICIES};
use seawall::retry::Backoff;
use seawall::service::{CloneRequest, CopyWith, SendOnce};
use seawall::{Flat, Guard, Hedge, Pipeline, Policy, Retry, Timeout};
use std::sync::Arc;
use tower_layer::Layer;

pub type Copy = fn(&Request) -> Option<Request>;

pub struct Pipe {
    pub facts: Arc<Facts>,
    pub pipeline: Pipeline<Reader>,
    pub layer: Guard<Dependency, Reader, Flat, CloneRequest>,
    pub copying: Guard<Dependency, Reader, Flat, CopyWith<Copy>>,
    /// Where nothing repeats.
    pub once: Option<Guard<Dependency, Reader, Flat, SendOnce>>,
}

const NAMES: [&str; 4] = ["pipe-0", "pipe-1", "pipe-2", "pipe-3"];
const TIMEOUTS: [&str; 2] = ["timeout-0", "timeout-1"];
const RETRIES: [&str; 2] = ["retry-0", "retry-1"];
const GAUGES: [&str; 4] = ["gauge-0", "gauge-1", "gauge-2", "gauge-3"];

/// What is drawn, before it is put together.
#[derive(Clone, Copy, PartialEq)]
enum Draw {
    Timeout,
    Retry,
    Hedge,
    Breaker,
    Bulkhead,
    Rate,
    Gauge,
}

struct Stack<'a> {
    builder: Builder<Reader>,
    facts: Facts,
    size: usize,
    gauges: &'a mut Vec<Arc<Gauge>>,
}

impl Stack<'_> {
    fn with(&mut self, name: &'static str, policy: impl Policy + Clone, part: Part) {
        let empty = Pipeline::builder("").classify(Reader);
        let builder = std::mem::replace(&mut self.builder, empty);
        self.builder = builder.with(policy);
        self.facts.parts.push((name.into(), part));
        self.size += 1;
    }

    fn gauge(&mut self, name: &'static str, gauge: Gauge, unruly: bool) {
        let gauge = Arc::new(gauge);
        self.gauges.push(gauge.clone());
        self.with(name, gauge, Part::Gauge { unruly });
    }

    fn room(&mut self, room: &Room) {
        let part = Part::Bulkhead {
            queue: room.queue > 0,
            max_wait: room.max_wait,
        };
        self.with(room.name, room.bulkhead.clone(), part);
        self.with("room", room.gauge.clone(), Part::Gauge { unruly: false });
    }

    fn rate(&mut self, rate: &Rate, rng: &mut Rng) {
        let burst = rate.limit.burst();
        let weight = match rng.u32(0..16) {
            0 => 0,
            1 => burst + 1,
            n => 1 + n % burst.min(3),
        };
        let part = Part::Rate {
            weight,
            burst,
            waits: rate.waits,
        };
        self.with(rate.name, rate.limit.weight(weight), part);
        let gauge = Gauge::new("spent").adding(&rate.spent, weight.into());
        self.gauge("spent", gauge, false);
    }

    fn retry(&mut self, i: usize, parts: &Parts, rng: &mut Rng) {
        let attempts = rng.u32(2..5);
        let backoff = match rng.u32(0..8) {
            0 => Backoff::constant(MS),
            1 => Backoff::exponential(MS).max(MS * 4).jitter(),
            2 => Backoff::decorrelated(MS).max(MS * 4),
            _ => Backoff::none(),
        };
        let mut config = Retry::attempts(attempts)
            .backoff(backoff)
            .max_retry_after(MS * 2)
            .name(RETRIES[i]);
        if rng.u32(0..4) == 0 {
            config = config.retry_refusals();
        }
        if rng.u32(0..4) == 0 {
            config = config.wait_for_circuit();
        }
        if rng.u32(0..4) == 0 {
            config = config.max_elapsed(MS * 10);
        }
        let part = Part::Retry { attempts };
        let budget = rng.choice(&parts.budgets).filter(|_| rng.bool());
        let Some(budget) = budget else {
            return self.with(RETRIES[i], config.build().unwrap(), part);
        };
        let config = config.budget(&budget.budget);
        let firsts = Gauge::new("firsts").adding(&budget.firsts, 1);
        self.gauge("firsts", firsts, false);
        self.with(RETRIES[i], config.build().unwrap(), part);
        let attempts = Gauge::new("attempts").adding(&budget.attempts, 1);
        self.gauge("attempts", attempts, false);
    }
}

/// Which kinds, in which order: at most one hedge, two of the others, and no more than there is room
/// for with the gauges beside them.
fn draw(rng: &mut Rng) -> Vec<Draw> {
    let mut drawn = Vec::new();
    let mut size = 0;
    for _ in 0..rng.u32(1..9) {
        let (kind, most, takes) = match rng.u32(0..16) {
            0..3 => (Draw::Timeout, 2, 1),
            3..6 => (Draw::Retry, 2, 3),
            6..9 => (Draw::Breaker, 2, 1),
            9..12 => (Draw::Bulkhead, 2, 2),
            12..14 => (Draw::Rate, 1, 2),
            14 => (Draw::Hedge, 1, 1),
            _ => (Draw::Gauge, 2, 1),
        };
        let there = drawn.iter().filter(|d| **d == kind).count();
        if there < most && size + takes <= MAX_POLICIES {
            drawn.push(kind);
            size += takes;
        }
    }
    drawn
}

/// So many of a kind: some that last, some that are fresh, each once.
fn pick<T: Clone>(rng: &mut Rng, lasting: &[T], fresh: &[T]) -> Vec<(usize, T)> {
    let all = lasting.iter().chain(fresh).cloned();
    let mut all: Vec<(usize, T)> = all.enumerate().collect();
    rng.shuffle(&mut all);
    all.truncate(2);
    all
}

pub fn pipe(rng: &mut Rng, lasting: &Parts, fresh: &Parts, gauges: &mut Vec<Arc<Gauge>>) -> Pipe {
    let name = NAMES[rng.usize(0..NAMES.len())];
    let observed = rng.bool();
    let mut breakers = pick(rng, &lasting.breakers, &fresh.breakers);
    // Those whose every change is followed stand only where somebody listens.
    breakers.retain(|(_, b)| observed || !b.watch.complete);
    let mut rooms = pick(rng, &lasting.bulkheads, &fresh.bulkheads);
    // In one order everywhere: two calls that each wait for the other's permit would wait for ever.
    rooms.sort_by_key(|(i, _)| std::cmp::Reverse(*i));
    let mut rates = pick(rng, &lasting.rates, &fresh.rates);
    let (mut timeouts, mut retries, mut unruly) = (0, 0, 0);
    let mut stack = Stack {
        builder: Pipeline::builder(name).classify(Reader),
        facts: Facts {
            name,
            observed,
            of: rng.usize(0..DEPENDENCIES),
            ..Facts::default()
        },
        size: 0,
        gauges,
    };
    for kind in draw(rng) {
        match kind {
            Draw::Timeout => {
                let limit = MS * rng.u32(1..20);
                let timeout = Timeout::after(limit).name(TIMEOUTS[timeouts]);
                stack.with(
                    TIMEOUTS[timeouts],
                    timeout.build().unwrap(),
                    Part::Timeout(limit),
                );
                timeouts += 1;
            }
            Draw::Retry => {
                let parts = if rng.bool() { lasting } else { fresh };
                stack.retry(retries, parts, rng);
                retries += 1;
            }
            Draw::Hedge => {
                let attempts = rng.u32(2..5);
                let hedge = Hedge::after(MS * rng.u32(0..4)).attempts(attempts);
                stack.with("hedge", hedge.build().unwrap(), Part::Hedge { attempts });
            }
            Draw::Breaker => {
                if let Some((_, b)) = breakers.pop() {
                    stack.with(b.name, b.breaker.clone(), Part::Breaker(b.watch));
                }
            }
            Draw::Bulkhead => {
                if let Some((_, room)) = rooms.pop() {
                    stack.room(&room);
                }
            }
            Draw::Rate => {
                if let Some((_, rate)) = rates.pop() {
                    stack.rate(&rate, rng);
                }
            }
            Draw::Gauge => {
                let name = GAUGES[unruly];
                stack.gauge(name, Gauge::new(name).unruly(5_000), true);
                unruly += 1;
            }
        }
    }
    finish(stack)
}

fn finish(stack: Stack<'_>) -> Pipe {
    let Stack { builder, facts, .. } = stack;
    let facts = Arc::new(facts);
    let builder = match facts.observed {
        true => builder.observer(Ear::new(facts.clone())),
        false => builder,
    };
    let pipeline = builder.build().unwrap();
    let copy: Copy = |request| (request.call % 8 != 0).then_some(*request);
    let once = pipeline.layer_once().ok();
    Pipe {
        layer: pipeline.layer().layer(Dependency::default()),
        copying: pipeline.layer_with(copy).layer(Dependency::default()),
        once: once.map(|layer| layer.layer(Dependency::default())),
        pipeline,
        facts,
    }
}

/// A policy alone, with the crate's own dialect.
pub enum Alone {
    Timeout(Timeout),
    Retry(Retry),
    Hedge(Hedge),
    Breaker(crate::parts::Breaker),
    Bulkhead(Room),
    Rate(Rate),
}

pub struct Single {
    pub facts: Arc<Facts>,
    pub policy: Alone,
}

pub fn single(rng: &mut Rng, lasting: &Parts, fresh: &Parts) -> Single {
    let parts = if rng.bool() { lasting } else { fresh };
    let n = rng.usize(0..4);
    let (breaker, room, rate) = (&parts.breakers[n], &parts.bulkheads[n], &parts.rates[n]);
    let attempts = rng.u32(2..4);
    let (name, observed, part, policy) = match rng.u32(0..6) {
        0 => {
            let limit = MS * rng.u32(1..5);
            let timeout = Timeout::after(limit).name("alone").build().unwrap();
            (
                "alone",
                false,
                Part::Timeout(limit),
                Alone::Timeout(timeout),
            )
        }
        1 => {
            let retry = Retry::attempts(attempts)
                .backoff(Backoff::none())
                .name("alone");
            let retry = retry.build().unwrap();
            (
                "alone",
                false,
                Part::Retry { attempts },
                Alone::Retry(retry),
            )
        }
        2 => {
            let hedge = Hedge::after(MS).attempts(attempts).name("alone").build();
            let hedge = Alone::Hedge(hedge.unwrap());
            ("alone", false, Part::Hedge { attempts }, hedge)
        }
        3 => {
            let watch = breaker.watch.clone();
            let observed = watch.complete;
            let policy = Alone::Breaker(breaker.clone());
            (breaker.name, observed, Part::Breaker(watch), policy)
        }
        4 => {
            let part = Part::Bulkhead {
                queue: room.queue > 0,
                max_wait: room.max_wait,
            };
            (room.name, false, part, Alone::Bulkhead(room.clone()))
        }
        _ => {
            let part = Part::Rate {
                weight: 1,
                burst: rate.limit.burst(),
                waits: rate.waits,
            };
            (rate.name, false, part, Alone::Rate(rate.clone()))
        }
    };
    let facts = Facts {
        name,
        parts: vec![(name.into(), part)],
        observed,
        standard: true,
        of: rng.usize(0..DEPENDENCIES),
    };
    Single {
        facts: Arc::new(facts),
        policy,
    }
}
