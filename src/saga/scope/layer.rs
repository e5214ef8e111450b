//! A service as a step of a scope.
use super::ScopeSaga;
use crate::{Name, Rejected, saga::Outcome, service::ReadyCall};
use pin_project::{pin_project, pinned_drop};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

impl ScopeSaga {
    /// Makes a service a step of this scope.
    ///
    /// Each call of it that was applied, or may have been, is taken back by `undo`, should the
    /// scope fail. `undo` is given the request, and the response where there is one; it is called
    /// anew for every try, as with [`on_abort`](ScopeSaga::on_abort).
    ///
    /// | the call | then |
    /// |---|---|
    /// | answers | `undo` is given [`Outcome::Done`] |
    /// | fails, panics or is dropped | `undo` is given [`Outcome::Unknown`] |
    /// | is refused by a policy before anything was sent | nothing: [`Rejected::never_sent`] |
    /// | is not made: the service did not become ready | nothing |
    ///
    /// The service has to make one guarded call: in one that makes two, a refusal of the second says
    /// nothing of the first. So put its policies into one pipeline. Where they are layers of their own,
    /// only the outermost's refusals are believed: it may have sent the call before one inside refused
    /// it. That is not seen where a layer outside folds its errors into a type of yours.
    ///
    /// ```
    /// use seawall::saga::{self, Outcome};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # tokio_test::block_on(async {
    /// let stock = service_fn(async |sku: &str| Ok::<_, std::io::Error>(format!("hold {sku}")));
    /// let failed = saga::scope(async |saga| {
    ///     let reserve = saga.layer("reserve_stock", |sku, was| async move {
    ///         assert_eq!((sku, was), ("A1", Outcome::Done("hold A1".to_owned())));
    ///         Ok::<_, std::io::Error>(())
    ///     });
    ///     reserve.layer(stock).oneshot("A1").await?;
    ///     Err::<(), _>(std::io::Error::other("card declined"))
    /// });
    /// let error = failed.await.unwrap_err();
    /// assert_eq!(error.to_string(), "card declined (`saga`: undone: `reserve_stock`)");
    /// # });
    /// ```
    pub fn layer<Req, Resp, U, Undoing, T, X>(
        &self,
        step: impl Into<Name>,
        undo: U,
    ) -> StepLayer<Req, Resp>
    where
        Req: Clone + Send + 'static,
        Resp: Clone + Send + 'static,
        U: Fn(Req, Outcome<Resp>) -> Undoing + Send + Sync + 'static,
        Undoing: Future<Output = Result<T, X>> + Send + 'static,
        X: fmt::Display,
    {
        let (saga, step, undo) = (self.share(), step.into(), Arc::new(undo));
        let note = move |request: Req, was: Outcome<Resp>| {
            let undo = undo.clone();
            saga.on_abort(step, move || undo(request.clone(), was.clone()));
        };
        StepLayer {
            step,
            note: Arc::new(note),
        }
    }
}

/// Registers the compensation of one call.
type Note<Req, Resp> = Arc<dyn Fn(Req, Outcome<Resp>) + Send + Sync>;

/// Makes a tower service a step of a scope; made by [`ScopeSaga::layer`]. Clones are the same step.
///
/// Place it outermost, around the policies, so that it hears what they say: a call that they refuse
/// before it is sent is no step, and nothing is undone for it. The service's error is a
/// [`std::error::Error`]; a boxed one becomes one with `.map_err(std::io::Error::other)`. In a durable
/// saga a service is registered with the builder instead, by `Builder::service`.
///
/// ```
/// use seawall::{CircuitBreaker, saga::{self, Outcome}};
/// use std::io::{Error, Result};
/// use tower::{BoxError, ServiceBuilder, ServiceExt};
///
/// async fn reserve(sku: &str) -> Result<u32> { Ok(7) }
/// async fn release(sku: &str, hold: Outcome<u32>) -> Result<()> {
///     assert_eq!((sku, hold), ("A1", Outcome::Done(7)));
///     Ok(())
/// }
/// async fn charge(cents: u64) -> Result<()> { Err(Error::other("card declined")) }
/// async fn refund(cents: u64, _: Outcome<()>) -> Result<()> { Ok(()) }
///
/// # tokio_test::block_on(async {
/// let breaker = CircuitBreaker::new("payments").consecutive_failures(5).build()?;
/// let placed = saga::scope(async |saga| {
///     let stock = ServiceBuilder::new()
///         .layer(saga.layer("reserve_stock", release))
///         .service_fn(reserve);
///     let payments = ServiceBuilder::new()
///         .layer(saga.layer("charge_payment", refund))
///         .layer(breaker.layer())
///         .service_fn(charge);
///     let hold = stock.oneshot("A1").await?;
///     payments.oneshot(990).await?;
///     Ok::<_, BoxError>(hold)
/// });
/// assert_eq!(
///     placed.await.unwrap_err().to_string(),
///     "card declined (`saga`: undone: `reserve_stock`, `charge_payment`)",
/// );
/// # Ok::<_, BoxError>(())
/// # }).unwrap();
/// ```
pub struct StepLayer<Req, Resp> {
    step: Name,
    note: Note<Req, Resp>,
}

impl<Req, Resp> Clone for StepLayer<Req, Resp> {
    fn clone(&self) -> Self {
        let (step, note) = (self.step, self.note.clone());
        StepLayer { step, note }
    }
}

impl<Req, Resp> fmt::Debug for StepLayer<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepLayer({:?})", self.step)
    }
}

/// The bounds are those of the service, so that one that does not fit is told here, and why, and not
/// where it is called.
impl<S, Req, Resp> Layer<S> for StepLayer<Req, Resp>
where
    S: Service<Req, Response = Resp>,
    S::Error: std::error::Error + 'static,
{
    type Service = StepService<S, Req, Resp>;

    fn layer(&self, inner: S) -> StepService<S, Req, Resp> {
        let layer = self.clone();
        StepService { inner, layer }
    }
}

/// A service that is a step of a scope, see [`StepLayer`].
#[derive(Debug)]
pub struct StepService<S, Req, Resp> {
    inner: S,
    layer: StepLayer<Req, Resp>,
}

impl<S: Clone, Req, Resp> Clone for StepService<S, Req, Resp> {
    fn clone(&self) -> Self {
        let (inner, layer) = (self.inner.clone(), self.layer.clone());
        StepService { inner, layer }
    }
}

impl<S, Req, Resp> Service<Req> for StepService<S, Req, Resp>
where
    S: Service<Req, Response = Resp> + Clone,
    S::Error: std::error::Error + 'static,
    Req: Clone,
    Resp: Clone,
{
    type Response = Resp;
    type Error = S::Error;
    type Future = StepRun<S, Req>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> StepRun<S, Req> {
        StepRun {
            note: Some((self.layer.note.clone(), request.clone())),
            call: ReadyCall::new(self.inner.clone(), request),
        }
    }
}

/// A call of a [`StepService`]. It readies a clone of the service, and calls that one.
///
/// # Cancel safety
/// Dropped once the service was called, the step is one of unknown outcome.
#[pin_project(PinnedDrop)]
#[must_use = "futures do nothing unless awaited"]
pub struct StepRun<S: Service<Req>, Req> {
    #[pin]
    call: ReadyCall<S, Req>,
    /// Until the step is settled.
    note: Option<(Note<Req, S::Response>, Req)>,
}

impl<S, Req> Future for StepRun<S, Req>
where
    S: Service<Req>,
    S::Response: Clone,
    S::Error: std::error::Error + 'static,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = ready!(this.call.as_mut().poll(cx));
        let was = match &answer {
            Ok(response) => Some(Outcome::Done(response.clone())),
            Err(_) if !this.call.was_called() => None,
            Err(error) if Rejected::proves_unsent(error) => None,
            Err(_) => Some(Outcome::Unknown),
        };
        if let (Some((note, request)), Some(was)) = (this.note.take(), was) {
            note(request, was);
        }
        Poll::Ready(answer)
    }
}

#[pinned_drop]
impl<S: Service<Req>, Req> PinnedDrop for StepRun<S, Req> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some((note, request)) = this.note.take().filter(|_| this.call.was_called()) {
            note(request, Outcome::Unknown);
        }
    }
}

impl<S: Service<Req>, Req> fmt::Debug for StepRun<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepRun").finish_non_exhaustive()
    }
}
