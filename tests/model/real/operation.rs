//! Operations that do what their script says.
use super::{Fault, now};
use crate::case::{Attempt, Form, Request, Says, Script, ms};
use seawall::Replay;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// What the attempts of one call share.
pub struct Operations {
    pub script: Script,
    /// The number of the first.
    pub first: usize,
    begun: Cell<usize>,
    pub live: Cell<u32>,
    /// Clones of the service.
    pub services: Cell<u32>,
    alarms: Alarms,
}

/// Who is to be woken when.
pub type Alarms = Rc<RefCell<Vec<(Instant, Waker)>>>;

impl Operations {
    pub fn new(script: Script, first: usize, alarms: Alarms) -> Rc<Self> {
        Rc::new(Operations {
            script,
            first,
            begun: Cell::new(0),
            live: Cell::new(0),
            services: Cell::new(0),
            alarms,
        })
    }

    fn replay(&self) -> Replay {
        match self.script.form {
            Form::Run => Replay::Always,
            Form::Once => Replay::Never,
            Form::Service(Request { replay, .. }) => replay,
        }
    }

    /// The next attempt, and its number.
    pub fn draw(&self) -> (usize, Attempt) {
        let number = self.begun.get();
        self.begun.set(number + 1);
        let attempt = self.script.attempts.get(number).copied();
        (self.first + number, attempt.unwrap_or(Attempt::PLAIN))
    }

    pub fn begin(self: &Rc<Self>, number: usize, attempt: Attempt) -> Running {
        if attempt.says == Says::PanicsAtOnce {
            panic!("scripted");
        }
        self.live.set(self.live.get() + 1);
        Running {
            call: self.clone(),
            number,
            says: attempt.says,
            at: now() + ms(attempt.takes),
        }
    }

    pub fn says(&self, number: usize, says: Says) -> Fault {
        Fault(number, says.class(), self.replay())
    }

    pub fn wake_at(&self, at: Instant, cx: &Context<'_>) {
        self.alarms.borrow_mut().push((at, cx.waker().clone()));
    }
}

pub struct Running {
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
            self.call.wake_at(self.at, cx);
            return Poll::Pending;
        }
        match self.says {
            Says::Ok => Poll::Ready(Ok(self.number)),
            Says::Panics => panic!("scripted"),
            says => Poll::Ready(Err(self.call.says(self.number, says))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.call.live.set(self.call.live.get() - 1);
    }
}
