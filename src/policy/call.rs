use crate::clock::{self, Instant, NEVER};
use crate::{Event, Name, Observer, event};
use std::{cell::Cell, task::Waker};

/// What a policy sees of the call it is asked about, for the length of one poll.
///
/// # Defaults
/// Of a call that a test makes by hand; the driver sets its own.
/// - [`with_waker`](Call::with_waker): one that does nothing
/// - [`with_observer`](Call::with_observer): nobody
pub struct Call<'a> {
    /// In nanoseconds from the epoch; `NEVER`: not read yet.
    now: Cell<u64>,
    further: Cell<Further>,
    waker: &'a Waker,
    ear: Ear<'a>,
}

/// Who hears: the plan of the call, which is asked only when there is something to tell, or, in a
/// policy's own tests, an observer.
#[derive(Clone, Copy)]
enum Ear<'a> {
    Plan(&'a dyn Told),
    Observer(Listener<'a>),
}

/// Has an observer, perhaps.
pub trait Told {
    fn listener(&self) -> Option<Listener<'_>>;
}

struct Nobody;

impl Told for Nobody {
    fn listener(&self) -> Option<Listener<'_>> {
        None
    }
}

/// Whether the call can have another attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Further {
    Possible,
    /// The request cannot, or must not, be sent again.
    Denied,
    /// It is being settled.
    Settling,
}

/// An observer, and the name under which it hears.
#[derive(Clone, Copy)]
pub struct Listener<'a> {
    pub observer: &'a dyn Observer,
    pub source: Name,
}

impl<'a> Call<'a> {
    #[inline(always)]
    pub(crate) fn new(waker: &'a Waker, told: &'a dyn Told) -> Self {
        let (now, further) = (Cell::new(NEVER), Cell::new(Further::Possible));
        Call {
            now,
            further,
            waker,
            ear: Ear::Plan(told),
        }
    }

    /// A call at this instant, for testing a policy by plain function calls.
    ///
    /// Its waker does nothing.
    ///
    /// ```
    /// use seawall::policy::{Call, Enter, Policy};
    /// use seawall::{CircuitBreaker, clock::Instant};
    ///
    /// # tokio_test::block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// let breaker = CircuitBreaker::new("db").build()?;
    /// assert!(matches!(breaker.enter(&Call::at(start)), Enter::Proceed(_)));
    /// # Ok::<_, seawall::BuildError>(())
    /// # }).unwrap();
    /// ```
    pub fn at(now: Instant) -> Call<'static> {
        let call = Call::new(Waker::noop(), &Nobody);
        call.now.set(clock::nanos_of(now));
        call
    }

    /// This call with another waker. Default: one that does nothing.
    pub fn with_waker(self, waker: &'a Waker) -> Self {
        Call { waker, ..self }
    }

    /// This call with an observer that hears under the name `source`. Default: nobody.
    pub fn with_observer(self, source: Name, observer: &'a dyn Observer) -> Self {
        Call {
            ear: Ear::Observer(Listener { observer, source }),
            ..self
        }
    }

    /// One reading of the clock per poll, taken when first asked for.
    pub fn now(&self) -> Instant {
        clock::instant_of(self.nanos()).unwrap_or_else(clock::now)
    }

    /// The same, in nanoseconds from the epoch of [`clock`].
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        match self.now.get() {
            NEVER => self.look(),
            now => now,
        }
    }

    /// Not in line: in each policy it would take more from the calls that never look at the clock than
    /// it gives to those that do.
    #[inline(never)]
    fn look(&self) -> u64 {
        let now = clock::now_nanos();
        self.now.set(now);
        now
    }

    /// Whether another attempt is possible at all.
    ///
    /// It is if the request can and may be sent again, and the call is not being settled. An
    /// [`Exit::Again`](super::Exit::Again) is void otherwise.
    #[inline]
    pub fn may_repeat(&self) -> bool {
        self.further.get() == Further::Possible
    }

    /// Whether the call is being settled from outside.
    ///
    /// It was dropped, or cut off by an enclosing deadline. Nothing that a policy answers can change its end.
    #[inline]
    pub fn is_settling(&self) -> bool {
        self.further.get() == Further::Settling
    }

    /// Wakes the task that runs this call. Keep a clone; it can change between polls.
    pub fn waker(&self) -> &Waker {
        self.waker
    }

    /// Tells the observer, if there is one. Not under a lock.
    #[cold]
    pub fn emit(&self, event: Event<'_>) {
        if let Some(Listener { observer, source }) = self.listener() {
            event::notify(observer, source, &event);
        }
    }

    /// Whether [`emit`](Call::emit) has anybody to tell.
    pub fn is_observed(&self) -> bool {
        self.listener().is_some()
    }

    fn listener(&self) -> Option<Listener<'_>> {
        match self.ear {
            Ear::Plan(told) => told.listener(),
            Ear::Observer(listener) => Some(listener),
        }
    }

    /// A timer has fired: time is no earlier than this.
    pub(crate) fn advance(&self, at: u64) {
        self.now.set(self.nanos().max(at));
    }

    #[inline(always)]
    pub(crate) fn set_may_repeat(&self, may: bool) {
        self.further.set(if may {
            Further::Possible
        } else {
            Further::Denied
        });
    }

    pub(crate) fn settle(&self) {
        self.further.set(Further::Settling);
    }
}
