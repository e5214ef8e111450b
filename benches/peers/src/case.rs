//! One case: the same operation behind one guard, called in a loop.
use crate::groups::Group;
use crate::operation::{consume, drive_beside, once};
use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use tower::Service;

/// Makes so many calls.
pub type Caller = Box<dyn FnMut(u32) + Send>;

/// The same work behind one guard.
pub struct Case {
    /// What is guarded against: cases of one group are compared.
    pub group: &'static Group,
    /// By whom, and in which form.
    pub who: &'static str,
    /// The size of the future of one call.
    pub bytes: usize,
    /// Whether it does the same as ours; if not, its name says what it does.
    pub same: bool,
    /// One, or one for each of several threads that share the guard.
    pub callers: Vec<Caller>,
}

impl Case {
    pub fn new(
        group: &'static Group,
        who: &'static str,
        bytes: usize,
        mut call: impl FnMut() + Send + 'static,
    ) -> Case {
        Case {
            group,
            who,
            bytes,
            same: true,
            callers: vec![Box::new(move |calls| (0..calls).for_each(|_| call()))],
        }
    }

    /// Shown, but nobody is set against it.
    pub fn that_does_less(self) -> Case {
        Case {
            same: false,
            ..self
        }
    }

    /// A closure that makes the future of one guarded call, polled once.
    pub fn future<F: Future<Output = Result<T, E>>, T, E>(
        group: &'static Group,
        who: &'static str,
        mut call: impl FnMut() -> F + Send + 'static,
    ) -> Case {
        let bytes = size_of::<F>();
        Case::new(group, who, bytes, move || consume(once(call())))
    }

    /// A guarded service: readied, called, its future polled once, as tower has it.
    pub fn service<S>(group: &'static Group, who: &'static str, mut service: S) -> Case
    where
        S: Service<u64, Response = u64> + Send + 'static,
    {
        let bytes = size_of::<S::Future>();
        Case::new(group, who, bytes, move || {
            if readied(&mut service) {
                consume(once(service.call(black_box(7))));
            }
        })
    }

    /// The same, in two threads. Where a lock is awaited, a call waits for the other thread's, so it
    /// is polled until it is ready.
    pub fn services<S>(group: &'static Group, who: &'static str, service: S) -> Case
    where
        S: Service<u64, Response = u64> + Clone + Send + 'static,
    {
        let bytes = size_of::<S::Future>();
        twice(service, |mut service| {
            Case::new(group, who, bytes, move || {
                if readied(&mut service) {
                    consume(drive_beside(service.call(black_box(7))));
                }
            })
        })
    }
}

#[inline(always)]
fn readied<S: Service<u64>>(service: &mut S) -> bool {
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => true,
        Poll::Ready(Err(e)) => {
            _ = black_box(&e);
            false
        }
        Poll::Pending => panic!("a service that is not ready"),
    }
}

/// The case in two threads at once: each has a clone of the guard, as tasks and connections have.
pub fn twice<G: Clone>(guard: G, case: impl Fn(G) -> Case) -> Case {
    let (mut first, second) = (case(guard.clone()), case(guard));
    first.callers.extend(second.callers);
    first
}
