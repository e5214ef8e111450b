//! One policy by itself, which has a driver's path of its own: by its `run`, and by its layer.
use super::closing::{Failed, Guarded, asked};
use super::operation::Running;
use super::service::Scripted;
use crate::case::Request;
use seawall::{Bulkhead, CircuitBreaker, Hedge, RateLimit, Retry, Timeout};
use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

pub enum Alone {
    Timeout(Timeout),
    Retry(Retry),
    Breaker(CircuitBreaker),
    Bulkhead(Bulkhead),
    Rate(RateLimit),
    Hedge(Hedge),
}

impl Alone {
    pub fn run<'a>(&'a self, begin: impl FnMut() -> Running + 'a) -> Guarded<'a> {
        match self {
            Alone::Timeout(timeout) => Box::pin(timeout.run(begin)),
            Alone::Retry(retry) => Box::pin(retry.run(begin)),
            Alone::Breaker(breaker) => Box::pin(breaker.run(begin)),
            Alone::Bulkhead(bulkhead) => Box::pin(bulkhead.run(begin)),
            Alone::Rate(rate) => Box::pin(rate.run(begin)),
            Alone::Hedge(hedge) => Box::pin(hedge.run(begin)),
        }
    }

    /// `request`: the one that it will be asked.
    pub fn guard<'a>(&self, service: Scripted, request: Request) -> AskedOnce<'a> {
        match (self, request.copies) {
            (Alone::Timeout(timeout), _) => AskedOnce::of(timeout.layer().layer(service)),
            (Alone::Breaker(breaker), _) => AskedOnce::of(breaker.layer().layer(service)),
            (Alone::Bulkhead(bulkhead), _) => AskedOnce::of(bulkhead.layer().layer(service)),
            (Alone::Rate(rate), _) => AskedOnce::of(rate.layer().layer(service)),
            (Alone::Retry(retry), None) => AskedOnce::of(retry.layer().layer(service)),
            (Alone::Retry(retry), _) => {
                AskedOnce::of(retry.layer_with(Request::copy).layer(service))
            }
            (Alone::Hedge(hedge), None) => AskedOnce::of(hedge.layer().layer(service)),
            (Alone::Hedge(hedge), _) => {
                AskedOnce::of(hedge.layer_with(Request::copy).layer(service))
            }
        }
    }
}

/// A guarded service whose type is forgotten. Its clones are one and the same: the service itself
/// must not be cloned more often than its guard does it.
#[derive(Clone)]
pub struct AskedOnce<'a>(Rc<RefCell<Option<Asking<'a>>>>);

type Asking<'a> = Box<dyn FnOnce(Request) -> Guarded<'a> + 'a>;

impl<'a> AskedOnce<'a> {
    fn of<S>(guard: S) -> Self
    where
        S: Service<Request, Response = usize, Error = Failed, Future: 'a> + 'a,
    {
        let asking: Asking<'a> = Box::new(|request| Box::pin(asked(guard, request)));
        AskedOnce(Rc::new(RefCell::new(Some(asking))))
    }
}

impl<'a> Service<Request> for AskedOnce<'a> {
    type Response = usize;
    type Error = Failed;
    type Future = Guarded<'a>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Guarded<'a> {
        let asking = self.0.borrow_mut().take();
        asking.expect("one call, one question")(request)
    }
}
