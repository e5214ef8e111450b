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
    /// Makes a service a step: each call of it that was applied, or may have been, is taken back by
    /// `undo`, should the scope fail. `undo` is given the request, and the response where there is
    /// one; it is called anew for every try, as with [`on_abort`](ScopeSaga::on_abort).
    ///
    /// | the call | then |
    /// |---|---|
    /// | answers | `undo` is given [`Outcome::Done`] |
    /// | fails, panics or is dropped | `undo` is given [`Outcome::Unknown`] |
    /// | is refused by a policy before anything was sent | nothing: [`Rejected::never_sent`] |
    /// | is not made: the service did not become ready | nothing |
    ///
    /// The service has to make one guarded call: in one that makes two, a refusal of the second says
    /// nothing of the first.
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
    pub fn layer<U>(&self, step: impl Into<Name>, undo: U) -> StepLayer<U> {
        StepLayer {
            saga: self.share(),
            step: step.into(),
            undo: Arc::new(undo),
        }
    }
}

/// Makes a service a step of a scope, see [`ScopeSaga::layer`]. Clones are the same step.
pub struct StepLayer<U> {
    saga: ScopeSaga,
    step: Name,
    undo: Arc<U>,
}

impl<U> Clone for StepLayer<U> {
    fn clone(&self) -> Self {
        StepLayer {
            saga: self.saga.share(),
            step: self.step,
            undo: self.undo.clone(),
        }
    }
}

impl<U> fmt::Debug for StepLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepLayer({:?})", self.step)
    }
}

impl<S, U> Layer<S> for StepLayer<U> {
    type Service = StepService<S, U>;

    fn layer(&self, inner: S) -> StepService<S, U> {
        let layer = self.clone();
        StepService { inner, layer }
    }
}

/// A service that is a step of a scope, see [`ScopeSaga::layer`].
#[derive(Debug)]
pub struct StepService<S, U> {
    inner: S,
    layer: StepLayer<U>,
}

impl<S: Clone, U> Clone for StepService<S, U> {
    fn clone(&self) -> Self {
        StepService {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, U, Req, Undoing, T, X> Service<Req> for StepService<S, U>
where
    S: Service<Req> + Clone,
    S::Response: Clone + Send + 'static,
    S::Error: std::error::Error + 'static,
    Req: Clone + Send + 'static,
    U: Fn(Req, Outcome<S::Response>) -> Undoing + Send + Sync + 'static,
    Undoing: Future<Output = Result<T, X>> + Send + 'static,
    X: fmt::Display,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = StepRun<S, Req>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> StepRun<S, Req> {
        let (StepLayer { saga, step, undo }, kept) = (self.layer.clone(), request.clone());
        StepRun {
            call: ReadyCall::new(self.inner.clone(), request),
            note: Some(Box::new(move |was: Outcome<S::Response>| {
                saga.on_abort(step, move || undo(kept.clone(), was.clone()));
            })),
        }
    }
}

/// Registers the compensation.
type Note<Resp> = Box<dyn FnOnce(Outcome<Resp>) + Send>;

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
    note: Option<Note<S::Response>>,
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
            Err(error) => match Rejected::within(error) {
                Some(refused) if refused.never_sent() => None,
                _ => Some(Outcome::Unknown),
            },
        };
        if let (Some(note), Some(was)) = (this.note.take(), was) {
            note(was);
        }
        Poll::Ready(answer)
    }
}

#[pinned_drop]
impl<S: Service<Req>, Req> PinnedDrop for StepRun<S, Req> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some(note) = this.note.take().filter(|_| this.call.was_called()) {
            note(Outcome::Unknown);
        }
    }
}

impl<S: Service<Req>, Req> fmt::Debug for StepRun<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepRun").finish_non_exhaustive()
    }
}
