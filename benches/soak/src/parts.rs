//! The policies that pipelines share, with what is known of each.
use crate::ear::Ear;
use crate::facts::{Facts, Part};
use crate::gauge::Gauge;
use crate::watch::Watch;
use fastrand::Rng;
use seawall::retry::RetryBudget;
use seawall::{Bulkhead, CircuitBreaker, RateLimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub const MS: Duration = Duration::from_millis(1);

/// Shared by those of one round, or by all. Of each kind there are four; the first two are left alone,
/// limits and states of the others are changed while calls run.
pub struct Parts {
    pub breakers: Vec<Breaker>,
    pub bulkheads: Vec<Room>,
    pub rates: Vec<Rate>,
    pub budgets: Vec<Budget>,
}

#[derive(Clone)]
pub struct Breaker {
    pub name: &'static str,
    pub breaker: CircuitBreaker,
    pub watch: Arc<Watch>,
    pub probes: u32,
}

#[derive(Clone)]
pub struct Room {
    pub name: &'static str,
    pub bulkhead: Bulkhead,
    /// Stands directly inside.
    pub gauge: Arc<Gauge>,
    /// No limit is set above it.
    pub most: u32,
    pub queue: u32,
    pub max_wait: Option<Duration>,
}

#[derive(Clone)]
pub struct Rate {
    pub name: &'static str,
    pub limit: RateLimit,
    pub waits: bool,
    pub per_second: u32,
    /// Permits that pipelines have spent, counted directly inside.
    pub spent: Arc<AtomicU64>,
    pub born: Instant,
}

#[derive(Clone)]
pub struct Budget {
    pub name: &'static str,
    pub budget: RetryBudget,
    pub ratio: f64,
    pub floor: f64,
    pub over: Duration,
    /// Calls that came to its retries, and attempts that went in.
    pub firsts: Arc<AtomicU64>,
    pub attempts: Arc<AtomicU64>,
    pub born: Instant,
}

macro_rules! names {
    ($what:literal) => {
        [
            concat!("lasting-", $what, "-0"),
            concat!("lasting-", $what, "-1"),
            concat!("lasting-", $what, "-2"),
            concat!("lasting-", $what, "-3"),
            concat!("fresh-", $what, "-0"),
            concat!("fresh-", $what, "-1"),
            concat!("fresh-", $what, "-2"),
            concat!("fresh-", $what, "-3"),
        ]
    };
}
const BREAKERS: [&str; 8] = names!("breaker");
const BULKHEADS: [&str; 8] = names!("bulkhead");
const RATES: [&str; 8] = names!("rate");
const BUDGETS: [&str; 8] = names!("budget");

impl Parts {
    pub fn draw(rng: &mut Rng, lasting: bool) -> Parts {
        let names = if lasting { 0..4 } else { 4..8 };
        Parts {
            breakers: names.clone().map(|i| breaker(i, rng)).collect(),
            bulkheads: names.clone().map(|i| room(i, rng)).collect(),
            rates: names.clone().map(|i| rate(i, rng)).collect(),
            budgets: names.map(|i| budget(i, rng)).collect(),
        }
    }
}

fn breaker(i: usize, rng: &mut Rng) -> Breaker {
    let (name, probes) = (BREAKERS[i], rng.u32(1..5));
    // The other half stands also where nobody listens.
    let complete = i.is_multiple_of(2);
    let watch = Arc::new(Watch::new(name.into(), complete));
    let mut config = CircuitBreaker::new(name)
        .break_for(MS * rng.u32(1..20))
        .half_open_probes(probes)
        .probe_lease(MS * rng.u32(20..200))
        .seed(rng.u64(..));
    config = match rng.u32(0..5) {
        0 => config.consecutive_failures(rng.u32(2..8)),
        1 => config.failure_rate(0.5).count_window(rng.u32(20..200)),
        2 => config.failure_rate(0.4).time_window(MS * rng.u32(10..100)),
        3 => config.slow_call_rate(0.3, MS).count_window(50),
        _ => config
            .consecutive_failures(5)
            .failure_rate(0.3)
            .slow_call_rate(0.5, MS * 2)
            .count_window(64)
            .time_window(MS * 50),
    };
    if rng.bool() {
        config = config.break_growth(1.5, MS * 40).break_jitter(0.2);
    }
    if rng.bool() {
        config = config.open_on_retry_after(MS * 2);
    }
    if complete {
        let facts = Facts {
            name,
            parts: vec![(name.into(), Part::Breaker(watch.clone()))],
            observed: true,
            standard: true,
            of: 0,
        };
        config = config.observer(Ear::new(Arc::new(facts)));
    }
    Breaker {
        name,
        breaker: config.build().unwrap(),
        watch,
        probes,
    }
}

fn room(i: usize, rng: &mut Rng) -> Room {
    // In the first of each set, a narrow one, callers wait for their turn however long it takes: a
    // permit that nobody hands on is missed.
    let first = i.is_multiple_of(4);
    let (name, most) = (BULKHEADS[i], rng.u32(2..if first { 8 } else { 64 }));
    let queue = if first || rng.bool() {
        rng.u32(1..64)
    } else {
        0
    };
    let max_wait = (!first && queue > 0 && rng.bool()).then(|| MS * rng.u32(1..6));
    let mut config = Bulkhead::new(most).queue(queue).name(name);
    if let Some(wait) = max_wait {
        config = config.max_wait(wait);
    }
    let gauge = Gauge::new(IN_BULKHEAD[i]).at_most(most);
    Room {
        name,
        bulkhead: config.build().unwrap(),
        gauge: Arc::new(gauge),
        most,
        queue,
        max_wait,
    }
}
const IN_BULKHEAD: [&str; 8] = names!("gauge");

fn rate(i: usize, rng: &mut Rng) -> Rate {
    let (name, waits) = (RATES[i], rng.bool());
    let per_second = if waits {
        rng.u32(50_000..500_000)
    } else {
        rng.u32(2_000..200_000)
    };
    let mut config = RateLimit::per_second(per_second)
        .burst(rng.u32(2..100))
        .name(name);
    if waits {
        config = config.max_wait(MS * rng.u32(1..4));
    }
    Rate {
        name,
        limit: config.build().unwrap(),
        waits,
        per_second,
        spent: Arc::default(),
        born: Instant::now(),
    }
}

fn budget(i: usize, rng: &mut Rng) -> Budget {
    let (name, ratio) = (BUDGETS[i], f64::from(rng.u32(1..4)) / 10.0);
    let (floor, over) = (f64::from(rng.u32(0..1_000)), MS * rng.u32(50..200));
    let config = RetryBudget::new(ratio).floor_per_second(floor).over(over);
    Budget {
        name,
        budget: config.name(name).build().unwrap(),
        ratio,
        floor,
        over,
        firsts: Arc::default(),
        attempts: Arc::default(),
        born: Instant::now(),
    }
}

impl Rate {
    /// No more than the burst, and what came back since.
    pub fn check(&self) {
        let (spent, age) = (self.spent.load(Relaxed), self.born.elapsed());
        let most = f64::from(self.limit.burst()) + f64::from(self.per_second) * age.as_secs_f64();
        if spent as f64 > most + 1.0 {
            let name = self.name;
            crate::wrong::wrong(format!("{name}: {spent} spent, {most:.0} in {age:?}"));
        }
    }
}

impl Budget {
    /// What a whole window allows whatever the traffic.
    pub fn reserve(&self) -> f64 {
        self.floor * self.over.as_secs_f64()
    }

    /// Retries are a share of first attempts, and the floor of each window. A window of books forgets
    /// after nine tenths of it at the earliest.
    pub fn check(&self) {
        let firsts = self.firsts.load(Relaxed);
        let again = self.attempts.load(Relaxed).saturating_sub(firsts);
        let windows = self.born.elapsed().as_secs_f64() / (0.9 * self.over.as_secs_f64()) + 1.0;
        let most = self.ratio * firsts as f64 + self.reserve() * windows.ceil();
        if again as f64 > most + 1.0 {
            let name = self.name;
            crate::wrong::wrong(format!(
                "{name}: {again} retries after {firsts} first attempts, {most:.0} at most"
            ));
        }
    }
}
