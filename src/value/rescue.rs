//! The one trait of the value wrappers, and the one future.
use crate::Error;
use crate::event::contain;
use crate::value::{LastKnownGood, OrLastGood, OrRun, OrValue, OrWith};
use pin_project::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What to do with the result of one call.
///
/// Implement it for a wrapper of your own; `T` and `E` are the call's.
///
/// [`begin`](Rescue::begin) comes first. Then exactly one of [`keep`](Rescue::keep), for an
/// answer, and, for an error, [`pass`](Rescue::pass) or [`rescue`](Rescue::rescue), as
/// [`wants`](Rescue::wants) says; none of them if the call is dropped. The call's future is gone
/// by then.
pub trait Rescue<T, E> {
    /// What comes out.
    type Ok;
    /// What comes out otherwise.
    type Err;
    /// What gives an answer in place of an error.
    type Future: Future<Output = Result<Self::Ok, Self::Err>>;

    /// The call is polled for the first time.
    fn begin(&mut self) {}

    /// Whether this error is to be rescued.
    fn wants(&self, error: &E) -> bool {
        let _ = error;
        true
    }

    /// The call's own answer goes out.
    fn keep(&mut self, value: T) -> Self::Ok;

    /// The call's error goes out as it is.
    fn pass(&mut self, error: E) -> Self::Err;

    /// The call's error is to be answered.
    fn rescue(&mut self, error: E) -> Self::Future;
}

/// A wrapper that rescues only some errors. Made by `only_if`.
#[derive(Clone, Debug)]
pub struct OnlyIf<R, P> {
    pub(super) rescue: R,
    pub(super) wanted: P,
}

impl<T, E, R: Rescue<T, E>, P: Fn(&E) -> bool> Rescue<T, E> for OnlyIf<R, P> {
    type Ok = R::Ok;
    type Err = R::Err;
    type Future = R::Future;

    fn begin(&mut self) {
        self.rescue.begin();
    }

    fn wants(&self, error: &E) -> bool {
        contain(false, || (self.wanted)(error)) && self.rescue.wants(error)
    }

    fn keep(&mut self, value: T) -> R::Ok {
        self.rescue.keep(value)
    }

    fn pass(&mut self, error: E) -> R::Err {
        self.rescue.pass(error)
    }

    fn rescue(&mut self, error: E) -> R::Future {
        self.rescue.rescue(error)
    }
}

/// For `only_if`: refusals of policies alone, and no answer of the dependency, however bad.
pub fn refusals<E>(error: &Error<E>) -> bool {
    error.rejected().is_some()
}

/// Value wrappers on every future of a `Result`; above all on a guarded call's.
///
/// Each takes its fallback by value and uses it once. None of the names is one of the
/// `futures` crate's, so both extension traits can be in scope.
pub trait ValueExt<T, E>: Future<Output = Result<T, E>> + Sized {
    /// This value in place of an error.
    ///
    /// ```
    /// use seawall::value::ValueExt;
    ///
    /// # tokio_test::block_on(async {
    /// let stock = async { Err::<u32, _>("inventory is down") };
    /// assert_eq!(stock.or_value(0).await, Ok(0));
    /// # });
    /// ```
    ///
    /// # Cancel safety
    /// See [`Rescued`].
    fn or_value(self, value: T) -> RescuedBy<Self, OrValue<T>, T, E> {
        Rescued::new(self, OrValue::new(value))
    }

    /// What `f` makes of an error: an answer, or an error again.
    ///
    /// ```
    /// use seawall::value::ValueExt;
    ///
    /// # tokio_test::block_on(async {
    /// let only_missing = |e: &'static str| if e == "missing" { Ok(0) } else { Err(e) };
    /// assert_eq!(async { Err::<u32, _>("missing") }.or_with(only_missing).await, Ok(0));
    /// assert_eq!(async { Err::<u32, _>("down") }.or_with(only_missing).await, Err("down"));
    /// # });
    /// ```
    ///
    /// # Cancel safety
    /// See [`Rescued`].
    fn or_with<F: FnOnce(E) -> Result<T, E>>(self, f: F) -> RescuedBy<Self, OrWith<F>, T, E> {
        Rescued::new(self, OrWith::new(f))
    }

    /// The answer of another operation, begun when the call has failed.
    ///
    /// It may be a guarded call itself.
    ///
    /// ```
    /// use seawall::value::{FallbackError, ValueExt};
    /// use std::io::Error;
    ///
    /// # tokio_test::block_on(async {
    /// let primary = async { Err::<u32, _>(Error::other("primary is down")) };
    /// let answer = primary.or_run(|_| async { Ok::<_, Error>(7) }).await;
    /// assert_eq!(answer.ok(), Some(7));
    ///
    /// let primary = async { Err::<u32, _>(Error::other("primary is down")) };
    /// let both = primary.or_run(|_| async { Err(Error::other("replica is down")) }).await.unwrap_err();
    /// assert_eq!(both.first().to_string(), "primary is down");
    /// assert_eq!(both.to_string(), "the fallback failed too: replica is down");
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`FallbackError`](crate::value::FallbackError): both errors, if the fallback fails too.
    ///
    /// # Cancel safety
    /// See [`Rescued`].
    fn or_run<F, Fut, B>(self, f: F) -> RescuedBy<Self, OrRun<F>, T, E>
    where
        F: FnOnce(&E) -> Fut,
        Fut: Future<Output = Result<T, B>>,
    {
        Rescued::new(self, OrRun::new(f))
    }

    /// The last good answer in place of an error; a good answer is kept for the next time.
    ///
    /// # Errors
    /// The call's own error, if nothing is kept that is young enough.
    ///
    /// # Cancel safety
    /// See [`Rescued`].
    fn or_last_good(self, good: &LastKnownGood<T>) -> RescuedBy<Self, OrLastGood<T>, T, E>
    where
        T: Clone,
    {
        Rescued::new(self, OrLastGood::new(good))
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> ValueExt<T, E> for F {}

/// A call and what closes it.
///
/// # Cancel safety
/// Dropping it drops the call, or the fallback that is under way; neither goes on in the
/// background, and nothing is kept of a call that has not answered.
#[pin_project]
#[must_use = "futures do nothing unless awaited"]
pub struct Rescued<F, R, L> {
    #[pin]
    stage: Stage<F, L>,
    begun: bool,
    rescue: R,
}

/// The future of the call `F` closed by `R`.
pub type RescuedBy<F, R, T, E> = Rescued<F, R, <R as Rescue<T, E>>::Future>;

#[pin_project(project = StageNow)]
enum Stage<F, L> {
    Calling(#[pin] F),
    Falling(#[pin] L),
    Over,
}

impl<F, R, L> Rescued<F, R, L> {
    #[inline]
    pub(super) fn new(call: F, rescue: R) -> Self {
        Rescued {
            stage: Stage::Calling(call),
            begun: false,
            rescue,
        }
    }
}

impl<F: Future<Output = Result<T, E>>, T, E, R: Rescue<T, E>> Rescued<F, R, R::Future> {
    /// Rescues only the errors for which `wanted` is true; the others pass as they are.
    ///
    /// A panic of `wanted` counts as false.
    ///
    /// ```
    /// use seawall::Bulkhead;
    /// use seawall::value::{ValueExt, refusals};
    ///
    /// # tokio_test::block_on(async {
    /// let search = Bulkhead::new(8).build()?;
    /// let hits = search.run(|| async { Err::<u32, _>("no such index") }).or_value(0).only_if(refusals);
    /// assert_eq!(hits.await, Err(seawall::Error::Inner("no such index")));
    /// # Ok::<_, seawall::BuildError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// See [`Rescued`].
    pub fn only_if<P: Fn(&E) -> bool>(self, wanted: P) -> RescuedBy<F, OnlyIf<R, P>, T, E> {
        let Rescued {
            stage,
            begun,
            rescue,
        } = self;
        Rescued {
            stage,
            begun,
            rescue: OnlyIf { rescue, wanted },
        }
    }
}

impl<F: Future<Output = Result<T, E>>, T, E, R: Rescue<T, E>> Future for Rescued<F, R, R::Future> {
    type Output = Result<R::Ok, R::Err>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if !*this.begun {
            *this.begun = true;
            this.rescue.begin();
        }
        if let StageNow::Calling(call) = this.stage.as_mut().project() {
            let result = ready!(call.poll(cx));
            // The call is gone before anybody reacts to its end.
            this.stage.set(Stage::Over);
            match result {
                Ok(value) => return Poll::Ready(Ok(this.rescue.keep(value))),
                Err(error) if !this.rescue.wants(&error) => {
                    return Poll::Ready(Err(this.rescue.pass(error)));
                }
                Err(error) => this.stage.set(Stage::Falling(this.rescue.rescue(error))),
            }
        }
        let StageNow::Falling(fallback) = this.stage.as_mut().project() else {
            return Poll::Pending;
        };
        let result = ready!(fallback.poll(cx));
        this.stage.set(Stage::Over);
        Poll::Ready(result)
    }
}
