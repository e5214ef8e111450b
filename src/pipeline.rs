//! A stack of policies as a value: built from configuration, cloned for the price of an `Arc`.
//!
//! Policies are given from the outside in. A call enters them in that order and leaves in reverse,
//! so their places decide what they mean: a timeout outside a retry bounds the whole call, one
//! inside bounds each attempt; a breaker inside a retry sees each attempt.
//!
//! ```
//! use seawall::{Bulkhead, CircuitBreaker, Pipeline, Retry, Timeout, retry::Backoff};
//! use std::time::Duration;
//!
//! # tokio_test::block_on(async {
//! let breaker = CircuitBreaker::new("catalog").consecutive_failures(5).build()?;
//! let catalog = Pipeline::builder("catalog")
//!     .with(Timeout::after(Duration::from_secs(3)).name("catalog-total"))
//!     .with(Retry::attempts(3).backoff(Backoff::exponential(Duration::from_millis(50))))
//!     .with(&breaker)
//!     .with(Bulkhead::new(64).queue(128))
//!     .with(Timeout::after(Duration::from_millis(800)).name("catalog-attempt"))
//!     .build()?;
//! let page = catalog.run(|| async { Ok::<_, std::io::Error>("page") }).await?;
//! assert_eq!(page, "page");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod advice;
mod builder;
mod slot;
#[cfg(feature = "http")]
mod standard;

pub use advice::Advice;
pub use builder::Builder;
pub use slot::{IntoPolicy, Slot};

use crate::dialect::Standard;
use crate::operation::{Once, Repeated};
use crate::policy::{Call, Outcome, Policy};
use crate::run::plan::{Shared, Stack};
use crate::run::tickets::Tickets;
use crate::run::walk::{Admitted, Track};
use crate::{Class, Classify, Flat, Name, Run, Target};
use std::{fmt, marker::PhantomData, sync::Arc};

/// The most policies that one pipeline holds.
pub const MAX_POLICIES: usize = 12;

/// Policies of a pipeline, outermost first.
pub struct List {
    policies: Box<[Slot]>,
    /// A bit for each policy whose `exit` does something when the call succeeds.
    minds_success: u16,
}

impl List {
    fn new(policies: Vec<Slot>) -> Self {
        let minds = policies
            .iter()
            .enumerate()
            .filter(|(_, policy)| policy.minds_success());
        let minds_success = minds.fold(0, |bits, (i, _)| bits | 1 << i);
        List {
            policies: policies.into(),
            minds_success,
        }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Slot> {
        self.policies.iter()
    }
}

impl Stack for List {
    type Policy = Slot;
    type Tickets = Tickets<MAX_POLICIES>;

    #[inline(always)]
    fn depth(&self) -> usize {
        self.policies.len()
    }

    #[inline(always)]
    #[allow(clippy::indexing_slicing)] // every caller stays below `depth`, and the check is wanted
    fn at(&self, i: usize) -> &Slot {
        &self.policies[i]
    }

    #[inline(always)]
    fn admit(&self, i: usize, track: &mut Track<Self::Tickets>, call: &Call<'_>) -> Admitted {
        self.at(i).admit(i, track, call)
    }

    #[inline(always)]
    fn outward(
        &self,
        track: &mut Track<Self::Tickets>,
        outcome: &Outcome<'_>,
        call: &Call<'_>,
    ) -> bool {
        match outcome {
            Outcome::Answered(Class::Success) => {
                track.succeed(self, self.minds_success, outcome, call)
            }
            _ => track.outward(self, outcome, call),
        }
    }
}

/// A stack of policies that guards calls. Clones share all state.
///
/// `D` is its dialect, `M` what its errors are folded into ([`Flat`]: nothing). Users write
/// `Pipeline` or `Pipeline<Http>`.
pub struct Pipeline<D = Standard, M = Flat> {
    pub(crate) shared: Arc<Shared<List, D>>,
    target: PhantomData<fn() -> M>,
}

impl<D, M> Clone for Pipeline<D, M> {
    fn clone(&self) -> Self {
        Pipeline {
            shared: self.shared.clone(),
            target: PhantomData,
        }
    }
}

impl<D, M> fmt::Debug for Pipeline<D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.shared.stack.iter().map(Policy::name);
        write!(f, "Pipeline({:?}: ", self.shared.name)?;
        f.debug_list().entries(names).finish()?;
        f.write_str(")")
    }
}

impl Pipeline {
    /// Begins a pipeline. The name is its label in events and in refusals of its own.
    pub fn builder(name: impl Into<Name>) -> Builder {
        Builder::new(name.into())
    }
}

impl<D, M> Pipeline<D, M> {
    pub(crate) fn of(shared: Shared<List, D>) -> Self {
        Pipeline {
            shared: Arc::new(shared),
            target: PhantomData,
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> Name {
        self.shared.name
    }

    /// The names of its policies, outermost first.
    pub fn policies(&self) -> impl Iterator<Item = Name> {
        self.shared.stack.iter().map(Policy::name)
    }

    /// What is legal about the order of its policies and rarely meant. Log it when you build.
    ///
    /// ```
    /// use seawall::{Pipeline, Retry, Timeout, pipeline::Advice};
    /// use std::time::Duration;
    ///
    /// let unbounded = Pipeline::builder("orders")
    ///     .with(Retry::attempts(3))
    ///     .with(Timeout::after(Duration::from_secs(1)))
    ///     .build()?;
    /// assert!(matches!(unbounded.advice()[..], [Advice::NoTotalTimeout { .. }]));
    /// # Ok::<_, seawall::BuildError>(())
    /// ```
    pub fn advice(&self) -> Vec<Advice> {
        advice::advise(&self.shared.stack.policies)
    }

    /// Runs `f`, again when a policy says so: the caller's promise that repeating is safe.
    ///
    /// For what must be sent once there is [`run_once`](Pipeline::run_once).
    ///
    /// `f` is called once per attempt; it may borrow, and an async closure will do.
    ///
    /// # Errors
    /// The operation's own error of the last attempt, or a policy's refusal.
    ///
    /// # Cancel safety
    /// See [`Run`].
    #[inline]
    pub fn run<F, Fut, T, E>(&self, f: F) -> Run<&Shared<List, D>, Repeated<F>, M>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        D: Classify<T, E>,
        M: Target<E>,
    {
        Run::new(&*self.shared, Repeated(f))
    }

    /// Runs `f` at most once, whatever a retry or hedge would like.
    ///
    /// # Errors
    /// The operation's own error, or a policy's refusal.
    ///
    /// # Cancel safety
    /// See [`Run`].
    #[inline]
    pub fn run_once<F, Fut, T, E>(&self, f: F) -> Run<&Shared<List, D>, Once<F>, M>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        D: Classify<T, E>,
        M: Target<E>,
    {
        Run::new(&*self.shared, Once(Some(f)))
    }
}

/// Gives a policy `run` and `layer` of its own. The operation of one that never repeats may be
/// `FnOnce`, and its Layer sends each request once, so the request need not be `Clone`.
macro_rules! single {
    ($name:ty, gate) => {
        impl $name {
            /// Guards one call with this policy alone; `Err` counts as a failure.
            ///
            /// # Errors
            /// The operation's own error, or this policy's refusal.
            ///
            /// # Cancel safety
            /// See [`Run`](crate::Run).
            #[inline]
            pub fn run<F, Fut, T, E>(
                &self,
                f: F,
            ) -> crate::Run<crate::run::plan::Bare<'_, Self>, crate::operation::Once<F>, crate::Flat>
            where
                F: FnOnce() -> Fut,
                Fut: Future<Output = Result<T, E>>,
            {
                crate::Run::new(crate::run::plan::Bare(self), crate::operation::Once(Some(f)))
            }

            /// Guards a service with this policy alone; `Err` counts as a failure.
            ///
            /// Several belong into one [`Pipeline`](crate::Pipeline): to a layer around this one its
            /// refusals are errors of the service.
            pub fn layer(&self) -> crate::GuardLayer<crate::dialect::Standard, crate::Flat, crate::service::SendOnce, Self> {
                crate::GuardLayer::single(self.clone(), crate::service::SendOnce)
            }
        }
    };
    ($name:ty, repeats) => {
        impl $name {
            /// Guards one call with this policy alone; `Err` may be tried again.
            ///
            /// # Errors
            /// The operation's own error of the last attempt, or this policy's refusal.
            ///
            /// # Cancel safety
            /// See [`Run`](crate::Run).
            #[inline]
            pub fn run<F, Fut, T, E>(
                &self,
                f: F,
            ) -> crate::Run<crate::run::plan::Bare<'_, Self>, crate::operation::Repeated<F>, crate::Flat>
            where
                F: FnMut() -> Fut,
                Fut: Future<Output = Result<T, E>>,
            {
                crate::Run::new(crate::run::plan::Bare(self), crate::operation::Repeated(f))
            }

            /// Guards a service with this policy alone.
            ///
            /// Each further attempt sends a clone of the request, whatever it asks for: to let requests
            /// say whether they may be repeated, put it into a pipeline with a dialect that reads them.
            ///
            /// Several belong into one [`Pipeline`](crate::Pipeline) as well: to a layer around this one its
            /// refusals are errors of the service, and this one repeats the refusals of a layer inside.
            pub fn layer(
                &self,
            ) -> crate::GuardLayer<crate::dialect::Standard, crate::Flat, crate::service::CloneRequest, Self> {
                crate::GuardLayer::single(self.clone(), crate::service::CloneRequest)
            }

            /// As `layer`, with a function that copies the request; `None` sends that one once.
            pub fn layer_with<Req, F: Fn(&Req) -> Option<Req> + Clone>(
                &self,
                copy: F,
            ) -> crate::GuardLayer<crate::dialect::Standard, crate::Flat, crate::service::CopyWith<F>, Self> {
                crate::GuardLayer::single(self.clone(), crate::service::CopyWith(copy))
            }
        }
    };
}
pub(crate) use single;
