//! The real thing: pipelines as a user builds them, and operations that do what their script says.
mod alone;
mod closing;
mod foreign;
mod operation;
mod service;

pub use closing::{Answering, Calling};
pub use operation::{Alarms, Operations};

use crate::case::{Case, Place, Policy, Request, ms};
use crate::told::{ALONE, Answer, Bad, Heard, NAMES, STACKS, Told, name};
use alone::Alone;
use foreign::Foreign;
use seawall::retry::RetryBudget;
use seawall::value::LastKnownGood;
use seawall::{
    Bulkhead, CircuitBreaker, Class, Classify, Error, Event, Hedge, Inspect, Name, Observer,
    Pipeline, RateLimit, Replay, Retry, Timeout, policy,
};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// What an operation fails with: the number of the attempt, what the dialect makes of it, and what
/// the dialect has to hear of the request.
#[derive(Debug)]
pub struct Fault(pub usize, pub Class, pub Replay);

pub struct Dialect;

impl Classify<usize, Fault> for Dialect {
    fn classify(&self, result: &Result<usize, Fault>, replay: Replay) -> Class {
        match result {
            Ok(_) => Class::Success,
            Err(fault) => {
                assert_eq!(fault.2, replay, "contained, and then it is `Ignored`");
                fault.1
            }
        }
    }
}

impl Inspect<Request> for Dialect {
    fn inspect(&self, request: &Request) -> Replay {
        request.replay
    }
}

pub type Ears = Arc<Mutex<Vec<Heard>>>;

/// The pipelines, the policy by itself, a handle on each of the policies, and the last good answer.
pub struct Real {
    pub pipelines: [Pipeline<Dialect>; 2],
    alone: Option<Alone>,
    pub handles: Vec<Handle>,
    pub good: LastKnownGood<usize>,
    pub ears: Ears,
    pub began: Instant,
}

pub enum Handle {
    None,
    Breaker(CircuitBreaker),
    Bulkhead(Bulkhead),
    Rate(RateLimit),
    Budget(RetryBudget),
    Foreign(Arc<dyn policy::Policy>),
}

impl Real {
    pub fn new(case: &Case) -> Self {
        let ears = Ears::default();
        let policies = case.policies.iter().enumerate();
        let handles: Vec<_> = policies.map(|(i, p)| handle(i, p, &ears)).collect();
        let hears = ears.clone();
        let good = LastKnownGood::new("good")
            .max_age(ms(case.max_age))
            .observer(move |_: Name, event: &Event<'_>| {
                hears.lock().unwrap().push((None, Told::of(event)))
            });
        Real {
            pipelines: [0, 1].map(|n| pipeline(n, &case.stacks[n], &handles, &ears)),
            alone: case.stacks[ALONE]
                .first()
                .map(|place| alone(place, &handles, &ears)),
            handles,
            good: good.build().unwrap(),
            ears,
            began: now(),
        }
    }
}

impl Real {
    pub fn alone(&self) -> &Alone {
        self.alone.as_ref().expect("a policy by itself")
    }
}

pub fn now() -> Instant {
    Instant::now()
}

fn pipeline(n: usize, places: &[Place], handles: &[Handle], ears: &Ears) -> Pipeline<Dialect> {
    let hears = ears.clone();
    let mut builder = Pipeline::builder(STACKS[n]).observer(move |of: Name, event: &Event<'_>| {
        let stack = STACKS.iter().position(|name| of.as_str() == *name);
        hears.lock().unwrap().push((stack, Told::of(event)))
    });
    for place in places {
        builder = match &handles[place.id] {
            Handle::Foreign(foreign) => builder.with(foreign.clone()),
            _ => match alone(place, handles, ears) {
                Alone::Timeout(timeout) => builder.with(timeout),
                Alone::Retry(retry) => builder.with(retry),
                Alone::Breaker(breaker) => builder.with(&breaker),
                Alone::Bulkhead(bulkhead) => builder.with(&bulkhead),
                Alone::Rate(rate) => builder.with(&rate),
                Alone::Hedge(hedge) => builder.with(hedge),
            },
        };
    }
    builder.classify(Dialect).build().unwrap()
}

fn alone(Place { id, policy }: &Place, handles: &[Handle], ears: &Ears) -> Alone {
    let hears = own(*id, ears);
    match (policy, &handles[*id]) {
        (Policy::Timeout(after), _) => {
            let timeout = Timeout::after(ms(*after)).name(name(*id));
            Alone::Timeout(timeout.observer(hears).build().unwrap())
        }
        (Policy::Hedge { after, attempts }, _) => {
            let hedge = Hedge::after(ms(*after)).attempts(*attempts);
            Alone::Hedge(hedge.name(name(*id)).observer(hears).build().unwrap())
        }
        (Policy::Retry(spec), Handle::Budget(budget)) => {
            let retry = retry(*id, spec).budget(budget).observer(hears);
            Alone::Retry(retry.build().unwrap())
        }
        (Policy::Retry(spec), _) => Alone::Retry(retry(*id, spec).observer(hears).build().unwrap()),
        (Policy::Rate { weight, .. }, Handle::Rate(rate)) => Alone::Rate(rate.weight(*weight)),
        (_, Handle::Breaker(breaker)) => Alone::Breaker(breaker.clone()),
        (_, Handle::Bulkhead(bulkhead)) => Alone::Bulkhead(bulkhead.clone()),
        _ => unreachable!("each policy of the crate has its handle"),
    }
}

/// The observer of a policy: nobody, where a pipeline makes the call.
fn own(id: usize, ears: &Ears) -> impl Observer + use<> {
    let hears = ears.clone();
    move |of: Name, event: &Event<'_>| {
        assert_eq!(of, name(id));
        hears.lock().unwrap().push((Some(ALONE), Told::of(event)))
    }
}

fn handle(i: usize, policy: &Policy, ears: &Ears) -> Handle {
    match policy {
        Policy::Timeout(_) | Policy::Hedge { .. } => Handle::None,
        Policy::Retry(spec) => match spec.budget {
            Some(spec) => Handle::Budget(budget(spec)),
            None => Handle::None,
        },
        Policy::Breaker(spec) => Handle::Breaker(breaker(i, spec, ears)),
        Policy::Bulkhead {
            limit,
            queue,
            max_wait,
        } => {
            let config = Bulkhead::new(*limit).queue(*queue).name(name(i));
            let mut config = config.observer(own(i, ears));
            if let Some(wait) = max_wait {
                config = config.max_wait(ms(*wait));
            }
            Handle::Bulkhead(config.build().unwrap())
        }
        Policy::Rate {
            interval,
            burst,
            max_wait,
            ..
        } => {
            let config = RateLimit::new(1, ms(*interval)).burst(*burst);
            let config = config.max_wait(ms(*max_wait)).name(name(i));
            Handle::Rate(config.observer(own(i, ears)).build().unwrap())
        }
        Policy::Custom(custom) => Handle::Foreign(Arc::new(Foreign::new(i, *custom, ears.clone()))),
    }
}

fn retry(i: usize, spec: &crate::case::Retry) -> seawall::retry::RetryConfig {
    let mut config = match (spec.attempts, spec.within) {
        (Some(attempts), None) => Retry::attempts(attempts),
        (Some(attempts), Some(within)) => Retry::attempts(attempts).max_elapsed(ms(within)),
        (None, within) => Retry::within(ms(within.unwrap_or(1))),
    }
    .name(name(i))
    .backoff(spec.backoff.clone())
    .max_retry_after(ms(spec.max_retry_after));
    if spec.refusals {
        config = config.retry_refusals();
    }
    if spec.circuit {
        config = config.wait_for_circuit();
    }
    config
}

fn budget(spec: crate::case::Budget) -> RetryBudget {
    let over = ms(spec.tenth * 10);
    RetryBudget::new(spec.percent as f64 / 100.0)
        .over(over)
        .floor_per_second(spec.reserve as f64 / over.as_secs_f64())
        .build()
        .unwrap()
}

fn breaker(i: usize, spec: &crate::case::Breaker, ears: &Ears) -> CircuitBreaker {
    let mut config = CircuitBreaker::new(NAMES[i])
        .observer(own(i, ears))
        .minimum_calls(spec.minimum)
        .break_for(ms(spec.break_for))
        .half_open_probes(spec.probes)
        .probe_lease(ms(spec.lease));
    if let Some(failures) = spec.consecutive {
        config = config.consecutive_failures(failures);
    }
    if let Some(ratio) = spec.failures {
        config = config.failure_rate(ratio);
    }
    if let Some((ratio, limit)) = spec.slow {
        config = config.slow_call_rate(ratio, ms(limit));
    }
    if let Some(calls) = spec.count {
        config = config.count_window(calls);
    }
    if let Some((buckets, width)) = spec.time {
        config = config
            .time_buckets(buckets)
            .time_window(ms(width * u64::from(buckets)));
    }
    if let Some((factor, max)) = spec.growth {
        config = config.break_growth(factor, ms(max));
    }
    if let Some(max) = spec.heed {
        config = config.open_on_retry_after(ms(max));
    }
    config.build().unwrap()
}

/// What came out, in the model's words.
impl From<Result<usize, Error<Fault>>> for Answer {
    fn from(result: Result<usize, Error<Fault>>) -> Answer {
        match result {
            Ok(number) => Answer::Ok(number),
            Err(error) => Answer::Bad(error.into()),
        }
    }
}

impl From<Error<Fault>> for Bad {
    fn from(error: Error<Fault>) -> Bad {
        match error {
            Error::Inner(fault) => Bad::Err(fault.0),
            Error::Rejected(refused) => Bad::Refused(refused),
        }
    }
}
