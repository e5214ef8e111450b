//! How a case is read from numbers: digit by digit, so that smaller ones are simpler cases.
use super::*;
use crate::told::ALONE;
use proptest::prelude::*;

pub fn cases() -> impl Strategy<Value = Case> {
    let attempts = || prop::collection::vec(any::<(u16, u16)>(), 0..6);
    let stacks = (
        prop::collection::vec(any::<u64>(), 0..=6),
        prop::collection::vec(any::<u64>(), 0..=4),
    );
    let call = (any::<u32>(), attempts(), any::<u16>(), attempts());
    let calls = prop::collection::vec(call, 1..=8);
    let steps = prop::collection::vec(any::<u16>(), 0..48);
    (stacks, calls, steps, any::<u64>()).prop_map(|((first, second), calls, steps, rest)| {
        let mut policies = Vec::new();
        let first = read_stack(&first, &mut policies);
        let second = read_other(&second, first.len(), &mut policies);
        let mut rest = Digits(rest);
        let max_age = rest.span();
        let alone = read_alone(&mut rest, &policies);
        // The number of those that there are.
        let ways = 2 + alone.len() as u64;
        let call = |(manner, own, closing, other): (u32, Vec<_>, u16, Vec<_>)| {
            script(ways, manner, &own, closing, &other)
        };
        Case {
            policies,
            stacks: [first, second, alone],
            max_age,
            calls: calls.into_iter().map(call).collect(),
            steps: steps.into_iter().map(step).collect(),
        }
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

/// What a stack has already.
struct Room {
    attempts: u32,
    hedged: bool,
}

impl Room {
    fn empty() -> Self {
        Room {
            attempts: 1,
            hedged: false,
        }
    }

    fn has(&self, policy: &Policy) -> bool {
        match policy {
            Policy::Retry(retry) => self.attempts * retry.most() <= MOST_ATTEMPTS,
            Policy::Hedge { .. } => !self.hedged,
            _ => true,
        }
    }

    fn put(&mut self, policy: &Policy) {
        match policy {
            Policy::Retry(retry) => self.attempts *= retry.most(),
            Policy::Hedge { .. } => self.hedged = true,
            _ => {}
        }
    }
}

impl Retry {
    fn most(&self) -> u32 {
        self.attempts.unwrap_or(3)
    }
}

fn read_stack(raw: &[u64], policies: &mut Vec<Policy>) -> Vec<Place> {
    let mut room = Room::empty();
    let place = |n: &u64| own(&mut Digits(*n), &mut room, policies);
    raw.iter().map(place).collect()
}

/// The second pipeline: some of the first one's policies, and some of its own.
fn read_other(raw: &[u64], firsts: usize, policies: &mut Vec<Policy>) -> Vec<Place> {
    let mut room = Room::empty();
    let mut places: Vec<Place> = Vec::new();
    for n in raw {
        let mut d = Digits(*n);
        if firsts == 0 || d.below(4) == 3 {
            places.push(own(&mut d, &mut room, policies));
            continue;
        }
        let id = d.below(6) as usize % firsts;
        let policy = otherwise(&policies[id], &mut d, &room);
        // Refused at build: one state stands in a pipeline once.
        let is_one_state = matches!(
            policy,
            Policy::Breaker(_) | Policy::Bulkhead { .. } | Policy::Rate { .. }
        );
        let twice = is_one_state && places.iter().any(|place| place.id == id);
        if !twice && room.has(&policy) {
            room.put(&policy);
            places.push(Place { id, policy });
        }
    }
    places
}

/// One of the crate's own, by itself.
fn read_alone(d: &mut Digits, policies: &[Policy]) -> Vec<Place> {
    let id = d.below(10) as usize % policies.len().max(1);
    match policies.get(id) {
        None | Some(Policy::Custom(_)) => Vec::new(),
        Some(policy) => vec![Place {
            id,
            policy: otherwise(policy, d, &Room::empty()),
        }],
    }
}

/// The same policy as another pipeline may have it.
fn otherwise(policy: &Policy, d: &mut Digits, room: &Room) -> Policy {
    match policy {
        Policy::Rate {
            interval,
            burst,
            max_wait,
            ..
        } => Policy::Rate {
            interval: *interval,
            burst: *burst,
            max_wait: *max_wait,
            weight: weight(d),
        },
        Policy::Retry(first) if d.flag() => Policy::Retry(Retry {
            budget: first.budget,
            ..retry(d, MOST_ATTEMPTS / room.attempts)
        }),
        same => same.clone(),
    }
}

fn own(d: &mut Digits, room: &mut Room, policies: &mut Vec<Policy>) -> Place {
    let policy = read_policy(d, room);
    room.put(&policy);
    policies.push(policy.clone());
    let id = policies.len() - 1;
    Place { id, policy }
}

fn read_policy(d: &mut Digits, room: &Room) -> Policy {
    match d.below(16) {
        0..=2 => Policy::Timeout(d.span()),
        3..=5 => Policy::Retry(retry(d, MOST_ATTEMPTS / room.attempts)),
        6..=8 => Policy::Breaker(breaker(d)),
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
            weight: weight(d),
        },
        13..=14 if !room.hedged => Policy::Hedge {
            after: d.below(2) * d.span(),
            attempts: d.small(3) + 2,
        },
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
}

fn weight(d: &mut Digits) -> u32 {
    [1, 1, 1, 2, 2, 0, 4][d.below(7) as usize]
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

/// Two numbers for each: how it answers, and how it gets ready.
type Attempts = [(u16, u16)];

fn script(ways: u64, manner: u32, own: &Attempts, close: u16, fallback: &Attempts) -> Script {
    let mut d = Digits(manner.into());
    let form = match d.below(8) {
        0..=2 => Form::Run,
        3..=6 => Form::Service(request(&mut d)),
        // Rarely: it forbids what the rest is about.
        _ => Form::Once,
    };
    let stack = d.below(ways) as usize;
    let form = match form {
        Form::Once if stack == ALONE => Form::Run,
        form => form,
    };
    let mut d = Digits(close.into());
    let closing = (d.below(3) == 2).then(|| closing(ways, &mut d, form, fallback));
    Script {
        stack,
        form,
        attempts: own.iter().map(attempt).collect(),
        closing,
    }
}

fn request(d: &mut Digits) -> Request {
    use Replay::{Always, IfUnsent, Never};
    Request {
        replay: [Always, Always, Always, IfUnsent, IfUnsent, Never][d.below(6) as usize],
        copies: [None, None, None, Some(0), Some(1), Some(2)][d.below(6) as usize],
    }
}

fn closing(ways: u64, d: &mut Digits, form: Form, fallback: &Attempts) -> Closing {
    let (kind, layer) = (d.below(5), d.flag());
    let only_if = [
        OnlyIf::Every,
        OnlyIf::Every,
        OnlyIf::Refusals,
        OnlyIf::Errors,
        OnlyIf::Panics,
    ][d.below(5) as usize];
    let mut other = |form| {
        Box::new(Script {
            stack: d.below(ways) as usize,
            form,
            attempts: fallback.iter().map(attempt).collect(),
            closing: None,
        })
    };
    let by = match (kind, form) {
        (0, _) => Rescue::Value,
        (1, Form::Service(request)) if layer => {
            // What it is asked is a copy; where there is none, it is not asked.
            Rescue::Service(other(Form::Service(request)))
        }
        (1..=2, _) => Rescue::Run(other(Form::Run)),
        (3, _) => Rescue::LastGood,
        _ => Rescue::With([Falls::Ok, Falls::Err, Falls::Panics][d.below(3) as usize]),
    };
    Closing { by, only_if, layer }
}

fn attempt((answer, prelude): &(u16, u16)) -> Attempt {
    let mut d = Digits((*answer).into());
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
        ready: ready(&mut Digits((*prelude).into())),
    }
}

fn ready(d: &mut Digits) -> Ready {
    let (after, then) = match d.below(9) {
        0..=4 => (Some(0), Then::IsReady),
        5..=6 => (Some(d.span()), Then::IsReady),
        _ => match d.below(4) {
            0 => (None, Then::IsReady),
            1 => (Some(d.below(2) * d.span()), Then::Panics),
            _ => (Some(d.below(2) * d.span()), Then::Fails),
        },
    };
    Ready { after, then }
}

fn step(raw: u16) -> Step {
    let mut d = Digits(raw.into());
    match d.below(21) {
        0..=6 => Step::Poll(d.below(8) as usize),
        7..=9 => Step::Woken,
        10..=12 => Step::Next([0, 0, 1, 4][d.below(4) as usize]),
        13..=15 => Step::Pass(d.span()),
        16..=17 => Step::Drop(d.below(8) as usize),
        18 => Step::Limit(d.below(10) as usize, d.small(4)),
        19 => Step::ByHand(d.below(10) as usize, d.below(5) as u8),
        _ if d.below(3) == 2 => Step::Clear,
        _ => Step::Set,
    }
}
