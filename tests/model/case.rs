//! What is drawn: a stack of policies, the operations of several calls, and what happens in which
//! order. Numbers are read digit by digit, so that smaller ones are simpler cases.
use proptest::prelude::*;
use seawall::retry::Backoff;
use std::time::Duration;

/// Milliseconds since the case began: whole ones, which is what tokio's timer can meet.
pub type Ms = u64;

pub fn ms(time: Ms) -> Duration {
    Duration::from_millis(time)
}

#[derive(Clone, Debug)]
pub struct Case {
    /// Outermost first.
    pub stack: Vec<Policy>,
    pub calls: Vec<Script>,
    pub steps: Vec<Step>,
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
    /// Refuses every so-manieth.
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
    /// Run by `run_once`.
    pub once: bool,
    /// What is beyond them answers at once.
    pub attempts: Vec<Attempt>,
}

#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub takes: Ms,
    pub says: Says,
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
}

pub fn cases() -> impl Strategy<Value = Case> {
    let stack = prop::collection::vec(any::<u64>(), 0..=6);
    let calls = prop::collection::vec(
        (any::<bool>(), prop::collection::vec(any::<u16>(), 0..6)),
        1..=8,
    );
    let steps = prop::collection::vec(any::<u16>(), 0..48);
    (stack, calls, steps).prop_map(|(stack, calls, steps)| Case {
        stack: read_stack(&stack),
        calls: calls
            .into_iter()
            .map(|(once, attempts)| Script {
                // Rarely: it forbids what the rest is about.
                once: once && attempts.first().is_some_and(|n| n % 3 == 0),
                attempts: attempts.into_iter().map(attempt).collect(),
            })
            .collect(),
        steps: steps.into_iter().map(step).collect(),
    })
}

struct Digits(u64);

impl Digits {
    fn below(&mut self, n: u64) -> u64 {
        let digit = self.0 % n;
        self.0 /= n;
        digit
    }

    fn small(&mut self, n: u64) -> u32 {
        self.below(n) as u32
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn maybe<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| f(self))
    }

    /// From a few lengths, so that several things are often due at once.
    fn span(&mut self) -> Ms {
        [1, 2, 3, 5, 8, 10, 20, 40][self.below(8) as usize]
    }

    fn ratio(&mut self) -> f64 {
        [0.5, 1.0, 0.25, 0.34][self.below(4) as usize]
    }
}

/// More attempts of one call than this would not be made in one poll.
const MOST_ATTEMPTS: u32 = 24;

fn read_stack(raw: &[u64]) -> Vec<Policy> {
    let (mut attempts, mut hedged) = (1, false);
    raw.iter()
        .map(|n| {
            let mut d = Digits(*n);
            match d.below(16) {
                0..=2 => Policy::Timeout(d.span()),
                3..=5 => {
                    let retry = retry(&mut d, MOST_ATTEMPTS / attempts);
                    attempts *= retry.attempts.unwrap_or(3);
                    Policy::Retry(retry)
                }
                6..=8 => Policy::Breaker(breaker(&mut d)),
                9..=10 => {
                    let (limit, queue) = (d.small(3) + u32::from(d.below(8) != 7), d.small(4));
                    Policy::Bulkhead {
                        limit,
                        queue,
                        max_wait: d.maybe(Digits::span).filter(|_| queue > 0),
                    }
                }
                11..=12 => Policy::Rate {
                    interval: d.span(),
                    burst: d.small(3) + 1,
                    max_wait: d.maybe(Digits::span).unwrap_or(0),
                    weight: [1, 1, 1, 2, 2, 0, 4][d.below(7) as usize],
                },
                13..=14 if !hedged => {
                    hedged = true;
                    Policy::Hedge {
                        after: d.below(2) * d.span(),
                        attempts: d.small(3) + 2,
                    }
                }
                _ => Policy::Custom(match d.below(4) {
                    0 => Custom::Every(d.small(3) + 2),
                    1 => Custom::Delay(d.span()),
                    2 => Custom::Within {
                        after: d.span(),
                        more: d.span(),
                        times: d.small(3),
                    },
                    _ => Custom::Wait(d.span()),
                }),
            }
        })
        .collect()
}

fn retry(d: &mut Digits, most: u32) -> Retry {
    let wait = ms(d.span());
    let within = d.below(4);
    let backoff = match d.below(6) {
        0 => Backoff::constant(wait),
        1 if within != 3 => Backoff::none(),
        2 => Backoff::exponential(wait),
        3 => Backoff::linear(wait),
        4 => Backoff::fibonacci(wait).max(wait * 3),
        5 => Backoff::from_iter(move || [wait, wait * 2]),
        _ => Backoff::constant(wait * 2),
    };
    Retry {
        attempts: (within != 3).then_some((d.small(4) + 1).min(most.max(1))),
        within: (within >= 2).then(|| d.span()),
        backoff,
        budget: d.maybe(|d| Budget {
            percent: [50, 100, 20][d.below(3) as usize],
            reserve: d.below(3),
            tenth: d.span(),
        }),
        refusals: d.flag(),
        circuit: d.flag(),
        max_retry_after: d.span(),
    }
}

fn breaker(d: &mut Digits) -> Breaker {
    let kind = d.below(6);
    let slow = d.below(3) == 2;
    let windowed = kind != 0;
    let count = matches!(kind, 1 | 2 | 5).then(|| d.small(6) + 1);
    Breaker {
        consecutive: matches!(kind, 0 | 5).then(|| d.small(3) + 1),
        failures: (windowed && !(slow && d.flag())).then(|| d.ratio()),
        slow: (windowed && slow).then(|| (d.ratio(), d.span())),
        count,
        time: matches!(kind, 3..=5).then(|| (d.small(3) + 2, d.span())),
        minimum: (d.small(3) + 1).min(count.unwrap_or(u32::MAX)),
        break_for: d.span(),
        growth: d.maybe(|d| ([2.0, 3.0][d.below(2) as usize], 40)),
        probes: d.small(3) + 1,
        lease: d.span(),
        heed: d.maybe(Digits::span),
    }
}

fn attempt(raw: u16) -> Attempt {
    let mut d = Digits(raw.into());
    let says = match d.below(20) {
        0..=4 => Says::Ok,
        5..=9 => Says::Transient,
        10..=11 => Says::Failed,
        12..=13 => Says::Throttled(d.maybe(Digits::span)),
        14 => Says::Pushback(d.maybe(Digits::span)),
        15 => Says::Permanent,
        16 => Says::Ignored,
        17 => Says::Never,
        18 => Says::Panics,
        _ if d.flag() => Says::PanicsAtOnce,
        _ => Says::Transient,
    };
    Attempt {
        says,
        takes: if d.below(3) == 0 { 0 } else { d.span() },
    }
}

fn step(raw: u16) -> Step {
    let mut d = Digits(raw.into());
    match d.below(20) {
        0..=6 => Step::Poll(d.below(8) as usize),
        7..=9 => Step::Woken,
        10..=12 => Step::Next([0, 0, 1, 4][d.below(4) as usize]),
        13..=15 => Step::Pass(d.span()),
        16..=17 => Step::Drop(d.below(8) as usize),
        18 => Step::Limit(d.below(6) as usize, d.small(4)),
        _ => Step::ByHand(d.below(6) as usize, d.below(5) as u8),
    }
}
