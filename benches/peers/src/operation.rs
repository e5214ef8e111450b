//! What is guarded: an operation that is ready at once, as a future and as a service.
use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tower::Service;

/// The operation's error.
#[derive(Clone, Copy, Debug)]
pub struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl Error for Down {}

/// The operation, as a future. A type of its own at each place, as the closures of a program are:
/// one type shared by all places would be inlined in some and called in others.
macro_rules! operation {
    () => {
        async { Ok::<u64, crate::operation::Down>(std::hint::black_box(7)) }
    };
}

/// One of our policies or pipelines around the operation.
macro_rules! guarded {
    ($group:expr, $guard:expr) => {
        crate::operation::guarded!($group, "seawall", $guard)
    };
    ($group:expr, $who:expr, $guard:expr) => {{
        let guard = $guard;
        let bytes = size_of_val(&guard.run(|| crate::operation::operation!()));
        crate::case::Case::new($group, $who, bytes, move || {
            let answer = crate::operation::once(guard.run(|| crate::operation::operation!()));
            crate::operation::consume(answer);
        })
    }};
}

pub(crate) use {guarded, operation};

/// The operation while the dependency is down.
pub async fn down() -> Result<u64, Down> {
    Err(Down)
}

/// The operation, ready at its second poll.
pub fn pends_once() -> impl Future<Output = Result<u64, Down>> {
    let mut polled = false;
    std::future::poll_fn(move |_| {
        if std::mem::replace(&mut polled, true) {
            Poll::Ready(Ok(black_box(7)))
        } else {
            Poll::Pending
        }
    })
}

/// The operation, as a service.
#[derive(Clone, Copy)]
pub struct Leaf;

impl Service<u64> for Leaf {
    type Response = u64;
    type Error = Down;
    type Future = Ready<Result<u64, Down>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(black_box(request)))
    }
}

/// A dependency that always fails, to open breakers with.
#[derive(Clone, Copy)]
pub struct Broken;

impl Service<u64> for Broken {
    type Response = u64;
    type Error = Down;
    type Future = Ready<Result<u64, Down>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Self::Future {
        ready(Err(Down))
    }
}

/// One poll: the operation is ready at once, and so has the guarded call to be.
#[inline(always)]
pub fn once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("a call that need not wait has waited"),
    }
}

/// As many polls as it takes.
#[inline(always)]
pub fn drive<F: Future>(future: F) -> F::Output {
    let mut future: Pin<&mut F> = pin!(future);
    loop {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = future.as_mut().poll(&mut cx) {
            return answer;
        }
    }
}

/// As many polls as it takes for another thread to let it through.
#[inline(always)]
pub fn drive_beside<F: Future>(future: F) -> F::Output {
    let mut future: Pin<&mut F> = pin!(future);
    loop {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = future.as_mut().poll(&mut cx) {
            return answer;
        }
        std::thread::yield_now();
    }
}

/// Looks at the answer as a caller would.
#[inline(always)]
pub fn consume<T, E>(answer: Result<T, E>) {
    match answer {
        Ok(value) => _ = black_box(value),
        Err(error) => _ = black_box(&error),
    }
}
