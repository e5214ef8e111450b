use super::{Failure, FailureKind, StepContext};
use crate::saga::store::BoxFuture;
use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};
use tower_service::Service;

/// What a service that is a step is called with: the command, and the key to send along.
///
/// Nothing can be sent for a step without taking one of them out. So where a policy hands the call
/// back unopened, the step is known to be clean; and where it was opened once, the service's own
/// [`Failure`] is believed. Policies therefore stand outside of what opens it. Each clone is another
/// attempt.
pub struct StepCall<Req> {
    request: Req,
    cx: StepContext,
    opened: AtomicBool,
    /// How many clones were opened.
    sent: Arc<AtomicU32>,
}

impl<Req> StepCall<Req> {
    fn new(cx: StepContext, request: Req) -> Self {
        StepCall {
            request,
            cx,
            opened: AtomicBool::new(false),
            sent: Arc::default(),
        }
    }

    fn open(&self) {
        if !self.opened.swap(true, SeqCst) {
            self.sent.fetch_add(1, SeqCst);
        }
    }

    /// Opens it: the command.
    pub fn request(&self) -> &Req {
        self.open();
        &self.request
    }

    /// Opens it: the [key](StepContext::idempotency_key) to send along, and its headers.
    pub fn context(&self) -> &StepContext {
        self.open();
        &self.cx
    }

    /// Opens it: both.
    pub fn into_parts(self) -> (StepContext, Req) {
        self.open();
        (self.cx, self.request)
    }

    /// Opens it as an HTTP request.
    ///
    /// The header `Idempotency-Key` is added to what `f` makes of the command.
    #[cfg(feature = "http")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    pub fn into_http<B>(self, f: impl FnOnce(Req) -> http::Request<B>) -> http::Request<B> {
        let (cx, request) = self.into_parts();
        let mut request = f(request);
        for (name, value) in cx.headers() {
            // A key is hexadecimal digits.
            if let Ok(value) = http::HeaderValue::from_str(value) {
                let name = http::HeaderName::from_static(name);
                request.headers_mut().insert(name, value);
            }
        }
        request
    }
}

impl<Req: Clone> Clone for StepCall<Req> {
    fn clone(&self) -> Self {
        StepCall {
            request: self.request.clone(),
            cx: self.cx.clone(),
            opened: AtomicBool::new(false),
            sent: self.sent.clone(),
        }
    }
}

/// Without the command, which may hold what no log should.
impl<Req> fmt::Debug for StepCall<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepCall")
            .field("context", &self.cx)
            .finish_non_exhaustive()
    }
}

/// The action of a step that is a service.
pub(crate) fn run_service<App, S, Req>(
    service: S,
) -> impl Fn(Arc<App>, StepContext, Req) -> BoxFuture<'static, Result<S::Response, Failure>>
+ Send
+ Sync
+ 'static
where
    S: Service<StepCall<Req>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Failure>,
    Req: Send + 'static,
    App: 'static,
{
    move |_, cx, request| {
        let mut service = service.clone();
        Box::pin(async move {
            if let Err(error) = poll_fn(|cx| service.poll_ready(cx)).await {
                return Err(error.into().of_service(None));
            }
            let call = StepCall::new(cx, request);
            let sent = call.sent.clone();
            let answer = service.call(call).await;
            answer.map_err(|error| error.into().of_service(Some(sent.load(SeqCst))))
        })
    }
}

impl Failure {
    /// What it means where the step is one call of a service, which has sent so many attempts;
    /// `None`: it did not become ready, and was not called.
    fn of_service(self, sent: Option<u32>) -> Failure {
        let refused = self.refusal().copied();
        match (sent, refused) {
            (None | Some(0), Some(refused)) if refused.never_sent() => {
                Failure::of_refusal(&refused, true)
            }
            (None, _) => Failure::transient(self.error()),
            (Some(0 | 1), _) => self.believed(),
            // The last attempt says nothing of those before it.
            (Some(_), _) => match self.kind() {
                FailureKind::NeverApplied => self,
                _ => Failure::unknown(self.error()),
            },
        }
    }
}
