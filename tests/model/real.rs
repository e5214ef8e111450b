//! The real thing: the stack as a user builds it, and operations that do what their script says.
use crate::case::{Attempt, Case, Custom, Policy, Says, Script, ms};
use crate::told::{Answer, How, NAMES, Told, name};
use seawall::policy::{self, Call, Enter, Exit, Outcome, Ticket};
use seawall::retry::RetryBudget;
use seawall::{
    Bulkhead, CircuitBreaker, Class, Classify, Error, Event, Hedge, Name, Pipeline, RateLimit,
    Reason, Replay, Retry, Timeout,
};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// What an operation fails with: the number of the attempt, and what the dialect makes of it.
#[derive(Debug)]
pub struct Fault(usize, Class);

pub struct Dialect;

impl Classify<usize, Fault> for Dialect {
    fn classify(&self, result: &Result<usize, Fault>, _: Replay) -> Class {
        match result {
            Ok(_) => Class::Success,
            Err(fault) => fault.1,
        }
    }
}

pub type Heard = Arc<Mutex<Vec<Told>>>;

/// The stack, and a handle on each of its policies.
pub struct Real {
    pub pipeline: Pipeline<Dialect>,
    pub handles: Vec<Handle>,
    pub heard: Heard,
    pub began: Instant,
}

pub enum Handle {
    None,
    Breaker(CircuitBreaker),
    Bulkhead(Bulkhead),
    Rate(RateLimit),
    Budget(RetryBudget),
}

impl Real {
    pub fn new(case: &Case) -> Self {
        let heard = Heard::default();
        let hears = heard.clone();
        let mut builder = Pipeline::builder("stack").observer(move |_: Name, event: &Event<'_>| {
            hears.lock().unwrap().push(Told::of(event))
        });
        let mut handles = Vec::new();
        for (i, policy) in case.stack.iter().enumerate() {
            let mut handle = Handle::None;
            builder = match policy {
                Policy::Timeout(after) => builder.with(Timeout::after(ms(*after)).name(name(i))),
                Policy::Hedge { after, attempts } => {
                    builder.with(Hedge::after(ms(*after)).attempts(*attempts).name(name(i)))
                }
                Policy::Retry(spec) => {
                    let (config, budget) = retry(i, spec);
                    handle = budget.map_or(Handle::None, Handle::Budget);
                    builder.with(config)
                }
                Policy::Breaker(spec) => {
                    let breaker = breaker(i, spec);
                    handle = Handle::Breaker(breaker.clone());
                    builder.with(breaker)
                }
                Policy::Bulkhead {
                    limit,
                    queue,
                    max_wait,
                } => {
                    let mut config = Bulkhead::new(*limit).queue(*queue).name(name(i));
                    if let Some(wait) = max_wait {
                        config = config.max_wait(ms(*wait));
                    }
                    let bulkhead = config.build().unwrap();
                    handle = Handle::Bulkhead(bulkhead.clone());
                    builder.with(bulkhead)
                }
                Policy::Rate {
                    interval,
                    burst,
                    max_wait,
                    weight,
                } => {
                    let config = RateLimit::new(1, ms(*interval)).burst(*burst);
                    let config = config.max_wait(ms(*max_wait)).name(name(i));
                    let rate = config.build().unwrap().weight(*weight);
                    handle = Handle::Rate(rate.clone());
                    builder.with(rate)
                }
                Policy::Custom(custom) => builder.with(Foreign {
                    i,
                    custom: *custom,
                    count: Mutex::new(0),
                    heard: heard.clone(),
                    began: now(),
                }),
            };
            handles.push(handle);
        }
        Real {
            pipeline: builder.classify(Dialect).build().unwrap(),
            handles,
            heard,
            began: now(),
        }
    }
}

pub fn now() -> Instant {
    Instant::now()
}

fn retry(
    i: usize,
    spec: &crate::case::Retry,
) -> (seawall::retry::RetryConfig, Option<RetryBudget>) {
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
    let budget = spec.budget.map(|budget| {
        let over = ms(budget.tenth * 10);
        RetryBudget::new(budget.percent as f64 / 100.0)
            .over(over)
            .floor_per_second(budget.reserve as f64 / over.as_secs_f64())
            .build()
            .unwrap()
    });
    if let Some(budget) = &budget {
        config = config.budget(budget);
    }
    (config, budget)
}

fn breaker(i: usize, spec: &crate::case::Breaker) -> CircuitBreaker {
    let mut config = CircuitBreaker::new(NAMES[i])
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

/// A policy written elsewhere, which tells of its exits where events are told.
struct Foreign {
    i: usize,
    custom: Custom,
    count: Mutex<u32>,
    heard: Heard,
    began: Instant,
}

impl policy::Policy for Foreign {
    fn name(&self) -> Name {
        name(self.i)
    }

    fn enter(&self, call: &Call<'_>) -> Enter {
        let (ticket, since) = (Ticket(7), call.now());
        match self.custom {
            Custom::Every(n) => {
                let mut count = self.count.lock().unwrap();
                *count += 1;
                if (*count).is_multiple_of(n) {
                    return Enter::Reject(Reason::Other("every so many"));
                }
                Enter::Proceed(ticket)
            }
            Custom::Delay(wait) => Enter::Delay {
                ticket,
                until: since + ms(wait),
            },
            Custom::Within { after, .. } => Enter::Within(ms(after)),
            Custom::Wait(wait) => {
                let until = since + ms(wait);
                Enter::Wait {
                    ticket: Ticket((until - self.began).as_millis() as u64),
                    until: Some(until),
                }
            }
        }
    }

    fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
        match self.custom {
            Custom::Within { more, times, .. } => {
                let mut granted = self.count.lock().unwrap();
                if *granted >= times {
                    return Enter::Reject(Reason::Other("late"));
                }
                *granted += 1;
                Enter::Within(ms(more))
            }
            Custom::Wait(_) => match self.began + ms(ticket.0) {
                until if until <= call.now() => Enter::Proceed(ticket),
                until => Enter::Wait {
                    ticket,
                    until: Some(until),
                },
            },
            _ => Enter::Reject(Reason::Expired),
        }
    }

    fn exit(&self, _: Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        let told = Told::Exit(name(self.i), How::of(outcome));
        self.heard.lock().unwrap().push(told);
        Exit::Pass
    }
}

/// What the operations of one call share.
pub struct Operations {
    script: Script,
    begun: Cell<usize>,
    pub live: Cell<u32>,
    alarms: Alarms,
}

/// Who is to be woken when.
pub type Alarms = Rc<RefCell<Vec<(Instant, Waker)>>>;

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<usize, Error<Fault>>> + 'a>>;

impl Operations {
    pub fn new(script: Script, alarms: Alarms) -> Rc<Self> {
        Rc::new(Operations {
            script,
            begun: Cell::new(0),
            live: Cell::new(0),
            alarms,
        })
    }

    pub fn call<'a>(self: &Rc<Self>, pipeline: &'a Pipeline<Dialect>) -> Boxed<'a> {
        let this = self.clone();
        let begin = move || {
            let plain = Attempt {
                takes: 0,
                says: Says::Ok,
            };
            let number = this.begun.get();
            let Attempt { takes, says } = *this.script.attempts.get(number).unwrap_or(&plain);
            this.begun.set(number + 1);
            if says == Says::PanicsAtOnce {
                panic!("scripted");
            }
            this.live.set(this.live.get() + 1);
            Running {
                call: this.clone(),
                number,
                says,
                at: now() + ms(takes),
            }
        };
        if self.script.once {
            Box::pin(pipeline.run_once(begin))
        } else {
            Box::pin(pipeline.run(begin))
        }
    }
}

struct Running {
    call: Rc<Operations>,
    number: usize,
    says: Says,
    at: Instant,
}

impl Future for Running {
    type Output = Result<usize, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.says == Says::Never {
            return Poll::Pending;
        }
        if self.at > now() {
            let alarm = (self.at, cx.waker().clone());
            self.call.alarms.borrow_mut().push(alarm);
            return Poll::Pending;
        }
        match self.says {
            Says::Ok => Poll::Ready(Ok(self.number)),
            Says::Panics => panic!("scripted"),
            says => Poll::Ready(Err(Fault(self.number, says.class()))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.call.live.set(self.call.live.get() - 1);
    }
}

/// What came out, in the model's words.
pub fn answer(result: Result<usize, Error<Fault>>) -> Answer {
    match result {
        Ok(number) => Answer::Ok(number),
        Err(Error::Inner(fault)) => Answer::Err(fault.0),
        Err(Error::Rejected(refused)) => Answer::Refused(refused),
    }
}
