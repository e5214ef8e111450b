//! What a saga's code can do: the operations it asks for, and how it waits for them.
//!
//! The code of a saga is an ordinary async function with one rule: it awaits nothing but its own
//! operations. After a crash it is run again from the beginning, and what has an outcome in the
//! journal is answered from there; so it must ask for the same things in the same order, and all that
//! is not the same each time (the time, a random number, an answer of another service) belongs into a
//! step. Where it awaits something else it is parked on its first run and told so. (What keeps its
//! waker without waking it, such as a channel between two branches of its own, is allowed; the saga
//! stays in memory then, however long it waits.)
//!
//! | operation | what it does |
//! |---|---|
//! | [`call`](Flow::call), [`Context::step`] | runs a step; undone if the saga is given up |
//! | [`pivot`](Flow::pivot), [`Context::pivot`] | the point of no return: after it the saga only goes forward |
//! | [`child`](Flow::child) | runs another saga to its end |
//! | [`sleep`](Flow::sleep) | waits, also through restarts |
//! | [`wait_for`](Flow::wait_for), [`wait_within`](Flow::wait_within) | waits for a signal |
//! | [`ask`](Flow::ask) | a step that sends a request, then the signal that answers it |
//! | [`undo`](Flow::undo) | takes one step back while going forward |
//! | [`patched`](Flow::patched) | whether this saga meets a change of its code |
//! | [`continue_as`](Flow::continue_as) | ends this run and begins the next with a short journal |
//!
//! Several at a time: `try_join!` them. For the first of two there is [`Flow::race`], which is the
//! same each time, as `select!` is not. A step that loses a race runs on, and stays applied.
//!
//! ```
//! use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, StepContext, nothing_to_undo};
//! use std::sync::Arc;
//!
//! # tokio_test::block_on(async {
//! let mut b = Engine::builder((), MemoryStore::new());
//! let double = async |_: Arc<()>, _: StepContext, n: u32| Ok::<_, Failure>(2 * n);
//! let double = b.step("double", double, nothing_to_undo).register();
//! let both = b.saga("both", move |saga: Flow, n: u32| async move {
//!     let (a, b) = tokio::try_join!(saga.call(double, n), saga.call(double, n + 1))?;
//!     Ok::<_, Abort>(a + b)
//! });
//! let engine = b.build().await?;
//! assert_eq!(engine.start(both, "key-1", 3).await?.outcome().await?, 14);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod abort;
mod context;
mod op;
mod shared;
mod waker;

pub(crate) use abort::Given;
pub use abort::{Abort, StepFailed};
pub use op::{Numbered, Op, OpId, Raced};
pub(crate) use shared::{Ask, Delivered, Letter, Shared};
pub(crate) use waker::TurnWaker;

use super::step::{Payload, StepRef, StepSet, unencodable};
use op::Decode;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::to_raw_value;
use std::{
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// A saga as a type: its input is the value, its code is [`run`](Saga::run).
///
/// For sagas that outlive a release; functions under a name
/// ([`Builder::saga`](super::Builder::saga)) need less.
pub trait Saga<App: Send + Sync + 'static>: Payload + Sync {
    /// Its name in the journal. Never change it while sagas under it are kept.
    const NAME: &'static str;

    /// The version of its code.
    ///
    /// Register old versions beside new ones until their sagas have ended, or change the code with
    /// [`Flow::patched`].
    const VERSION: u32 = 1;

    /// What it answers.
    type Output: Payload;

    /// Every step that it runs, as a tuple: `(Reserve, Charge, Confirm)`.
    type Steps: StepSet<App>;

    /// Its code.
    ///
    /// # Errors
    /// [`Abort`] gives the saga up, and everything it attempted is undone.
    ///
    /// # Cancel safety
    /// It is dropped at any await, when the saga leaves memory or its engine ends, and runs again
    /// from the beginning.
    fn run(
        &self,
        saga: &Context<App, Self>,
    ) -> impl Future<Output = Result<Self::Output, Abort>> + Send;
}

/// A message that a saga waits for.
pub trait Signal: Payload {
    /// Its name in the journal.
    const NAME: &'static str;
}

/// A saga that was registered under a name. Only a builder makes one.
pub struct SagaRef<In, Out> {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) origin: u64,
    types: PhantomData<fn(In) -> Out>,
}

impl<In, Out> SagaRef<In, Out> {
    pub(crate) fn new(name: &'static str, version: u32, origin: u64) -> Self {
        SagaRef {
            name,
            version,
            origin,
            types: PhantomData,
        }
    }

    /// The name it was registered under.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl<In, Out> Clone for SagaRef<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for SagaRef<In, Out> {}

impl<In, Out> fmt::Debug for SagaRef<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SagaRef({:?}, version {})", self.name, self.version)
    }
}

/// A child saga with the compensation for it, registered together.
pub struct ChildRef<In, Out> {
    pub(crate) step: StepRef<In, Out>,
    pub(crate) saga: SagaRef<In, Out>,
}

impl<In, Out> Clone for ChildRef<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for ChildRef<In, Out> {}

impl<In, Out> fmt::Debug for ChildRef<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildRef({:?}, {:?})", self.step.name, self.saga)
    }
}

/// The hand of a saga's code on its engine. Clones are the same hand.
#[derive(Clone)]
pub struct Flow {
    pub(crate) shared: Arc<Shared>,
}

impl Flow {
    /// Runs a step. If the saga is given up later, the step is undone.
    ///
    /// # Errors
    /// [`StepFailed`]: it was refused, or nobody knows what became of it.
    ///
    /// # Cancel safety
    /// Dropped before its first poll, it does nothing. Later the step runs on, is waited for, and
    /// stays applied.
    pub fn call<In: Serialize, Out: DeserializeOwned>(
        &self,
        step: StepRef<In, Out>,
        args: In,
    ) -> Op<Result<Out, StepFailed>> {
        self.step_op(step.name, Some(step.origin), &args, false)
    }

    /// Runs the step that is the point of no return.
    ///
    /// Once it is done the saga only goes forward, and a step that fails then parks it for an
    /// operator. To be asked for alone: with another operation open the saga is parked.
    ///
    /// # Errors
    /// [`StepFailed`], always clean: a pivot of unknown outcome parks the saga.
    ///
    /// # Cancel safety
    /// As [`call`](Flow::call).
    pub fn pivot<In: Serialize, Out: DeserializeOwned>(
        &self,
        step: StepRef<In, Out>,
        args: In,
    ) -> Op<Result<Out, StepFailed>> {
        self.step_op(step.name, Some(step.origin), &args, true)
    }

    fn step_op<Out: DeserializeOwned>(
        &self,
        name: &'static str,
        origin: Option<u64>,
        args: &impl Serialize,
        pivot: bool,
    ) -> Op<Result<Out, StepFailed>> {
        let ask = match to_raw_value(args) {
            Ok(cmd) => Ask::Step {
                name,
                origin,
                cmd,
                pivot,
            },
            Err(e) => {
                let why = unencodable(args, &e);
                Ask::Unusable(format!(
                    "the command of step `{name}` cannot be encoded: {why}"
                ))
            }
        };
        Op::new(&self.shared, ask, name, Decode::step())
    }

    /// Starts another saga as a part of this one, and waits for its end.
    ///
    /// Its key is made from this saga's, so a restart finds the same child. If this saga is given
    /// up, a running child is cancelled, and for a completed one the compensation is called that
    /// was registered with it. A child that is stuck then is told, and undone once it goes on.
    ///
    /// # Errors
    /// [`StepFailed`]: clean where the child was compensated; unknown where it ended with exceptions
    /// or by force. A stuck child is waited for.
    ///
    /// # Cancel safety
    /// As [`call`](Flow::call).
    pub fn child<In: Serialize, Out: DeserializeOwned>(
        &self,
        child: ChildRef<In, Out>,
        input: In,
    ) -> Op<Result<Out, StepFailed>> {
        let (name, saga) = (child.step.name, child.saga);
        let ask = match to_raw_value(&input) {
            Ok(cmd) => {
                let origin = child.step.origin;
                Ask::Child {
                    name,
                    origin,
                    saga: saga.name,
                    version: saga.version,
                    cmd,
                }
            }
            Err(e) => {
                let why = unencodable(&input, &e);
                Ask::Unusable(format!(
                    "the input of child `{name}` cannot be encoded: {why}"
                ))
            }
        };
        Op::new(&self.shared, ask, name, Decode::step())
    }

    /// Waits for `after`. The time it ends is fixed once and survives restarts; it never ends early.
    ///
    /// # Cancel safety
    /// Dropped, it is forgotten.
    pub fn sleep(&self, after: Duration) -> Op<()> {
        Op::new(
            &self.shared,
            Ask::Timer { after },
            "sleep",
            Decode::of(|_, _| Ok(())),
        )
    }

    /// Waits for a signal.
    ///
    /// Signals of one name are taken in the order of their arrival, by the waits in the order in
    /// which they were begun; one that came before, even before the saga was started, is there at
    /// once.
    ///
    /// # Cancel safety
    /// Dropped, the signal stays for the next wait.
    pub fn wait_for<M: Signal>(&self) -> Op<M> {
        let ask = Ask::Wait {
            name: M::NAME,
            within: None,
        };
        Op::new(&self.shared, ask, M::NAME, Decode::of(shared::signal))
    }

    /// As [`wait_for`](Flow::wait_for), for no longer than `within`: then `None`.
    ///
    /// # Cancel safety
    /// Dropped, the signal stays for the next wait.
    pub fn wait_within<M: Signal>(&self, within: Duration) -> Op<Option<M>> {
        let ask = Ask::Wait {
            name: M::NAME,
            within: Some(within),
        };
        Op::new(&self.shared, ask, M::NAME, Decode::of(shared::maybe_signal))
    }

    /// Runs a step that sends a request, then waits for the signal that answers it.
    ///
    /// `None` where it does not come within `within` of the step's end.
    ///
    /// # Errors
    /// As [`call`](Flow::call).
    ///
    /// # Cancel safety
    /// As [`call`](Flow::call) and [`wait_for`](Flow::wait_for).
    pub async fn ask<M: Signal, In: Serialize, Out: DeserializeOwned>(
        &self,
        step: StepRef<In, Out>,
        args: In,
        within: Duration,
    ) -> Result<Option<M>, StepFailed> {
        self.call(step, args).await?;
        Ok(self.wait_within(within).await)
    }

    /// The first of two to be ready; of two at once, `a`. The other is dropped.
    ///
    /// # Cancel safety
    /// As what it was given.
    pub async fn race<A: Future, B: Future>(&self, a: A, b: B) -> Raced<A::Output, B::Output> {
        let (mut a, mut b) = (pin!(a), pin!(b));
        poll_fn(|cx| match a.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Raced::First(out)),
            Poll::Pending => b.as_mut().poll(cx).map(Raced::Second),
        })
        .await
    }

    /// Takes a step back that is done, while the saga goes forward: `id` is from [`Op::numbered`].
    ///
    /// A step that is not done parks the saga.
    ///
    /// # Cancel safety
    /// Dropped before its first poll, it does nothing. Later the compensation runs on.
    pub fn undo(&self, id: OpId) -> Op<()> {
        Op::new(
            &self.shared,
            Ask::Undo { target: id.0 },
            "undo",
            Decode::of(|_, _| Ok(())),
        )
    }

    /// Whether this saga meets a change of its code here.
    ///
    /// True for one that comes by for the first time with code that has it, and for ever after;
    /// false for one that was past this place before there was the change. One whose last rows its
    /// code had not heard of yet (its engine was drained or killed just then) may count as past it. In
    /// a loop each round asks for itself: those before the change go the old way, the others the new one.
    ///
    /// ```
    /// # use seawall::saga::{Abort, Flow, StepRef};
    /// # async fn f(saga: Flow, check_fraud: StepRef<u32, ()>, order: u32) -> Result<(), Abort> {
    /// if saga.patched("check fraud first") {
    ///     saga.call(check_fraud, order).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn patched(&self, name: &str) -> bool {
        self.shared.patched(name)
    }

    /// Ends this run and begins the next one, with a new input and an empty journal.
    ///
    /// For sagas that go round for ever. To be returned: `return saga.continue_as(next);`. What was
    /// done stays done.
    ///
    /// After a pivot, or with operations open, the saga is parked instead.
    ///
    /// # Errors
    /// Always: it is the way out of the code, and no failure.
    pub fn continue_as<T>(&self, input: impl Serialize) -> Result<T, Abort> {
        Err(match to_raw_value(&input) {
            Ok(input) => Abort(Given::Continue(input)),
            Err(e) => {
                let why = unencodable(&input, &e);
                Abort::new(format!(
                    "the input to continue with cannot be encoded: {why}"
                ))
            }
        })
    }

    /// The caller's key of this saga.
    pub fn key(&self) -> &str {
        &self.shared.key
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({:?})", self.shared.key)
    }
}

/// The hand of a [`Saga`]'s code on its engine: [`Flow`], and the steps that the saga lists.
pub struct Context<App, S> {
    flow: Flow,
    types: PhantomData<fn() -> (App, S)>,
}
