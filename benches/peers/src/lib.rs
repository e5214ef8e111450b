//! What a guarded call costs: one operation that is ready at once, behind each policy, ours and
//! others'. A case runs it in a loop and looks at the answer as a caller would.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench table` prints the table,
//! `--bench groups` runs criterion. Sagas have a module and a bench of their own.
pub mod cases;
pub mod sagas;

use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::Service;

pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3600);

/// The same work behind one guard.
pub struct Case {
    /// What is guarded against: cases of one group are compared.
    pub group: &'static str,
    /// By whom, and in which form.
    pub who: &'static str,
    /// The size of the future of one call.
    pub bytes: usize,
    /// Makes so many calls.
    pub run: Box<dyn FnMut(u32)>,
}

impl Case {
    pub fn new(
        group: &'static str,
        who: &'static str,
        bytes: usize,
        mut call: impl FnMut() + 'static,
    ) -> Case {
        let run = Box::new(move |calls| (0..calls).for_each(|_| call()));
        Case {
            group,
            who,
            bytes,
            run,
        }
    }

    /// A closure that makes the future of one guarded call, polled once.
    pub fn future<F: Future<Output = Result<T, E>>, T, E>(
        group: &'static str,
        who: &'static str,
        mut call: impl FnMut() -> F + 'static,
    ) -> Case {
        let bytes = size_of::<F>();
        Case::new(group, who, bytes, move || consume(once(call())))
    }

    /// A guarded service: readied, called, its future polled once, as tower has it.
    pub fn service<S>(group: &'static str, who: &'static str, mut service: S) -> Case
    where
        S: Service<u64, Response = u64> + 'static,
    {
        let bytes = size_of::<S::Future>();
        Case::new(group, who, bytes, move || {
            let mut cx = Context::from_waker(Waker::noop());
            match service.poll_ready(&mut cx) {
                Poll::Ready(Ok(())) => consume(once(service.call(black_box(7)))),
                Poll::Ready(Err(e)) => _ = black_box(&e),
                Poll::Pending => panic!("{group}, {who}: not ready"),
            }
        })
    }
}

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
        async { Ok::<u64, crate::Down>(std::hint::black_box(7)) }
    };
}

/// One of our policies or pipelines around the operation.
macro_rules! guarded {
    ($group:expr, $guard:expr) => {{
        let guard = $guard;
        let bytes = size_of_val(&guard.run(|| crate::operation!()));
        crate::Case::new($group, "seawall", bytes, move || {
            crate::consume(crate::once(guard.run(|| crate::operation!())));
        })
    }};
}

pub(crate) use {guarded, operation};

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
        if let Poll::Ready(answer) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return answer;
        }
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
