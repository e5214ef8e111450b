//! The operation: a future that does what its script says, and a service that makes such futures.
use crate::log::{Answer, Fail, LOGS};
use crate::script::{Deed, Readiness, Then, Wait, deed, readiness};
use crate::thrown::Thrown;
use crate::watched::current;
use crate::wrong::wrong;
use pin_project::{pin_project, pinned_drop};
use seawall::{Class, Classify, Inspect, Replay};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use tokio::time::{Sleep, sleep};
use tower_service::Service;

/// Dependencies, and whether they have a bad time just now.
pub const DEPENDENCIES: usize = 8;
pub static SICK: [AtomicBool; DEPENDENCIES] = [const { AtomicBool::new(false) }; DEPENDENCIES];

/// What an attempt has to know of its call.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub slot: usize,
    pub call: u64,
    pub of: usize,
    pub replay: Replay,
}

#[pin_project(PinnedDrop)]
pub struct Attempt {
    me: Answer,
    deed: Deed,
    yields: u8,
    answered: bool,
    #[pin]
    sleep: Option<Sleep>,
}

impl Attempt {
    pub fn start(request: Request) -> Attempt {
        let Request { slot, call, of, .. } = request;
        let sick = SICK[of].load(Relaxed);
        let mut log = LOGS[slot].0.lock().unwrap();
        if log.call != call {
            let now = log.call;
            wrong(format!("call {call} starts an attempt during call {now}"));
        }
        let deed = deed(log.seed, log.next(), sick, log.hangs);
        if deed.panics_at_once {
            drop(log);
            resume_unwind(Box::new(Thrown::Closure));
        }
        let attempt = log.start();
        Attempt {
            me: Answer {
                slot,
                call,
                attempt,
                sick,
            },
            deed,
            yields: 0,
            answered: false,
            sleep: None,
        }
    }
}

impl Future for Attempt {
    type Output = Result<Answer, Fail>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if current() != Some(this.me.slot) || *this.answered {
            wrong(format!("{:?} is polled for {:?}", this.me, current()));
        }
        match this.deed.wait {
            Wait::No => {}
            Wait::ForEver => return Poll::Pending,
            Wait::Yields(times) if *this.yields < times => {
                *this.yields += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Wait::Yields(_) => {}
            Wait::Sleeps(time) => {
                if this.sleep.is_none() {
                    this.sleep.set(Some(sleep(time)));
                }
                if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
                    ready!(sleep.poll(cx));
                }
            }
        }
        *this.answered = true;
        match this.deed.then {
            Then::Panics => resume_unwind(Box::new(Thrown::Attempt)),
            Then::Answers(class) => {
                let Answer { slot, attempt, .. } = *this.me;
                LOGS[slot].0.lock().unwrap().answers(attempt, class);
                Poll::Ready(match class {
                    Class::Success => Ok(*this.me),
                    class => Err(Fail {
                        of: *this.me,
                        class,
                    }),
                })
            }
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Attempt {
    fn drop(self: Pin<&mut Self>) {
        let Answer { slot, call, .. } = self.me;
        if current() != Some(slot) {
            wrong(format!("{:?} is dropped for {:?}", self.me, current()));
        }
        LOGS[slot].0.lock().unwrap().gone(call);
        if !self.answered && self.deed.panics_when_dropped && !std::thread::panicking() {
            resume_unwind(Box::new(Thrown::Drop));
        }
    }
}

/// Makes an attempt of each request, once it is ready. A clone starts anew.
#[derive(Default)]
pub struct Dependency {
    polls: u8,
    ready: bool,
}

impl Clone for Dependency {
    fn clone(&self) -> Self {
        Dependency::default()
    }
}

impl Service<Request> for Dependency {
    type Response = Answer;
    type Error = Fail;
    type Future = Attempt;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fail>> {
        let Some(slot) = current() else {
            wrong("a service is readied outside of any call".to_owned());
            return Poll::Pending;
        };
        let mut log = LOGS[slot].0.lock().unwrap();
        match readiness(log.seed, log.next()) {
            Readiness::Fails => {
                let class = Class::Transient;
                log.answers(0, class);
                let of = Answer {
                    slot,
                    call: log.call,
                    attempt: 0,
                    sick: false,
                };
                Poll::Ready(Err(Fail { of, class }))
            }
            Readiness::After(polls) if self.polls < polls => {
                self.polls += 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Readiness::After(_) => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn call(&mut self, request: Request) -> Attempt {
        if !std::mem::take(&mut self.ready) {
            wrong(format!("{request:?} goes to a service that is not ready"));
        }
        Attempt::start(request)
    }
}

/// The dialect: an error says how it is to be read.
#[derive(Clone, Copy)]
pub struct Reader;

impl Classify<Answer, Fail> for Reader {
    fn classify(&self, result: &Result<Answer, Fail>, _: Replay) -> Class {
        match result {
            Ok(_) => Class::Success,
            Err(fail) => fail.class,
        }
    }
}

impl Inspect<Request> for Reader {
    fn inspect(&self, request: &Request) -> Replay {
        request.replay
    }
}
