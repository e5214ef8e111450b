use super::{Builder, StepBuilder};
use crate::saga::step::{Failure, Outcome, Payload, StepCall, StepContext, run_service};
use std::{future::Future, sync::Arc};
use tower_service::Service;

impl<App: Send + Sync + 'static> Builder<App> {
    /// A step that is one call of a tower service, with the compensation for it.
    ///
    /// As with every step, the command is written down before the service is called. The service is
    /// cloned, readied and called for each attempt, and gets a [`StepCall`]: the command and the
    /// idempotency key, which it has to send along. Where the service is behind policies of this
    /// crate and they refuse before anything was sent, no attempt is used and the step waits for as
    /// long as the policy says, as with [`StepContext::call`]. A [`Failure`] of the service is
    /// believed if it was the only attempt; every other error is of unknown effect.
    ///
    /// ```
    /// use seawall::{CircuitBreaker, saga::{Abort, Engine, Failure, Flow, MemoryStore, Outcome, StepCall, StepContext}};
    /// use std::sync::Arc;
    /// use tower::{ServiceBuilder, service_fn};
    ///
    /// async fn refund(_: Arc<()>, _: StepContext, _: u32, _: Outcome<String>) -> Result<(), Failure> {
    ///     Ok(())
    /// }
    ///
    /// # tokio_test::block_on(async {
    /// let breaker = CircuitBreaker::new("payments").consecutive_failures(5).build()?;
    /// let payments = ServiceBuilder::new().layer(breaker.layer()).service(service_fn(
    ///     async |call: StepCall<u32>| {
    ///         let (cx, cents) = call.into_parts();
    ///         Ok::<_, std::io::Error>(format!("{cents} under {}", cx.idempotency_key().len()))
    ///     },
    /// ));
    /// let mut b = Engine::builder((), MemoryStore::new());
    /// let charge = b.service("charge_payment", payments, refund).register();
    /// let pay = b.saga("pay", move |saga: Flow, cents: u32| async move {
    ///     Ok::<_, Abort>(saga.call(charge, cents).await?)
    /// });
    /// let engine = b.build().await?;
    /// assert_eq!(engine.start(pay, "order-42", 990).await?.outcome().await?, "990 under 34");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn service<S, Req, U, Undoing>(
        &mut self,
        name: &'static str,
        service: S,
        undo: U,
    ) -> StepBuilder<'_, App, Req, S::Response>
    where
        S: Service<StepCall<Req>> + Clone + Send + Sync + 'static,
        S::Response: Payload,
        S::Error: Into<Failure>,
        S::Future: Send + 'static,
        Req: Payload,
        U: Fn(Arc<App>, StepContext, Req, Outcome<S::Response>) -> Undoing + Send + Sync + 'static,
        Undoing: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.step(name, run_service(service), undo)
    }
}
