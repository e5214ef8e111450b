//! The same operations behind a service, each clone of which gets ready by itself.
use super::operation::{Operations, Running};
use super::{Fault, now};
use crate::case::{Attempt, Request, Then, ms};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower::Service;

pub struct Scripted {
    call: Rc<Operations>,
    attempt: Option<(usize, Attempt)>,
    ready_at: Option<Instant>,
    ready: bool,
}

impl Scripted {
    pub fn new(call: &Rc<Operations>) -> Self {
        call.services.set(call.services.get() + 1);
        Scripted {
            call: call.clone(),
            attempt: None,
            ready_at: None,
            ready: false,
        }
    }
}

impl Clone for Scripted {
    fn clone(&self) -> Self {
        Scripted::new(&self.call)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.call.services.set(self.call.services.get() - 1);
    }
}

impl Service<Request> for Scripted {
    type Response = usize;
    type Error = Fault;
    type Future = Running;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let (number, Attempt { ready, says, .. }) =
            *self.attempt.get_or_insert_with(|| self.call.draw());
        let Some(after) = ready.after else {
            return Poll::Pending;
        };
        let at = *self.ready_at.get_or_insert_with(|| now() + ms(after));
        if at > now() {
            self.call.wake_at(at, cx);
            return Poll::Pending;
        }
        match ready.then {
            Then::IsReady => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
            Then::Fails => Poll::Ready(Err(self.call.says(number, says))),
            Then::Panics => panic!("scripted"),
        }
    }

    fn call(&mut self, _: Request) -> Running {
        assert!(std::mem::take(&mut self.ready), "this clone is not ready");
        let (number, attempt) = self.attempt.take().unwrap();
        self.call.begin(number, attempt)
    }
}
