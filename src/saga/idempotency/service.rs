use super::answer::{Answer, is_kept};
use super::body::{Cut, whole};
use super::books::{Begun, Call};
use super::config::{IdempotencyLayer, Shared};
use super::problem::Problem;
use super::request::{self, Asked};
use super::store::{Mark, Verdict};
use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tower_service::Service;

/// A service under an [`IdempotencyLayer`].
///
/// Bodies are read whole, so both body types have to be made from a `Vec<u8>`: axum's are, and
/// `http_body_util::Full`. Keyed requests need a tokio runtime, in which the handler runs as a task,
/// and are answered 503 without one. A panic of the handler goes on to the caller.
///
/// # Cancel safety
/// Dropped while it reads the body, a request has not begun. Dropped later, it runs to its end all
/// the same, and its answer is kept. A request without a key is as cancel safe as the inner service.
#[derive(Clone, Debug)]
pub struct Idempotent<S> {
    inner: S,
    layer: IdempotencyLayer,
}

impl<S> Idempotent<S> {
    pub(super) fn new(inner: S, layer: IdempotencyLayer) -> Self {
        Idempotent { inner, layer }
    }

    /// The service under it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service under it. Calls of it are not guarded.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service under it, alone.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Idempotent<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body + From<Vec<u8>> + Send + 'static,
    B::Data: Send,
    R: Body + From<Vec<u8>> + Send + 'static,
    R::Data: Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    /// Always: the inner service is made ready inside the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = self.inner.clone();
        let shared = self.layer.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            match request::read(&head, shared.config.required) {
                Ok(Asked::Plain) => pass(inner, Request::from_parts(head, body)).await,
                Ok(Asked::Keyed { key, step }) => {
                    let limit = shared.config.body_limit;
                    let body = match whole(body, limit).await {
                        Ok(body) => body,
                        Err(cut) => return Ok(own(unread(cut, limit))),
                    };
                    let call = call(&shared, &head, &body, key, step);
                    detached(keyed(inner, shared, head, body, call)).await
                }
                Err(problem) => Ok(own(problem)),
            }
        })
    }
}

/// Readies the service and calls it.
async fn pass<S: Service<Req>, Req>(mut inner: S, request: Req) -> Result<S::Response, S::Error> {
    poll_fn(|cx| inner.poll_ready(cx)).await?;
    inner.call(request).await
}

/// Runs it in a task, so that it comes to its end also if nobody waits for it.
async fn detached<R, E>(
    work: impl Future<Output = Result<Response<R>, E>> + Send + 'static,
) -> Result<Response<R>, E>
where
    R: From<Vec<u8>> + Send + 'static,
    E: Send + 'static,
{
    let stopped = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping");
    let Ok(runtime) = Handle::try_current() else {
        return Ok(own(stopped()));
    };
    match runtime.spawn(work).await {
        Ok(answer) => answer,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Ok(own(stopped())),
        },
    }
}

/// What is kept of a request.
fn call(shared: &Shared, head: &Parts, body: &[u8], key: String, step: Option<String>) -> Call {
    // An undo of another step is another call. Neither a query nor a key has a NUL in it.
    let query = head.uri.query().unwrap_or_default();
    let mut payload = Vec::with_capacity(body.len().saturating_add(query.len()));
    payload.extend_from_slice(query.as_bytes());
    payload.push(0);
    payload.extend_from_slice(step.as_deref().unwrap_or_default().as_bytes());
    payload.push(0);
    payload.extend_from_slice(body);
    let caller = shared.config.caller.as_ref();
    Call {
        caller: caller.map(|tell| tell(head)).unwrap_or_default(),
        key,
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        payload,
        step,
    }
}

async fn keyed<S, B, R>(
    inner: S,
    shared: Arc<Shared>,
    head: Parts,
    body: Vec<u8>,
    call: Call,
) -> Result<Response<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: From<Vec<u8>>,
    R: Body + From<Vec<u8>>,
{
    let undo = call.step.is_some();
    match shared.store.begin(call).await {
        Ok(Verdict::Run(mark)) => {
            let request = Request::from_parts(head, B::from(body));
            let response = pass(inner, request).await?;
            Ok(settle(mark, response, shared.config.body_limit, undo).await)
        }
        Ok(Verdict::Other(begun)) => Ok(unasked(begun).map(R::from)),
        Err(why) => {
            let detail = format!("the key cannot be kept, and nothing has been done: {why}");
            Ok(own(
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
            ))
        }
    }
}

/// Keeps the service's answer, if it may be given again.
async fn settle<R: Body + From<Vec<u8>>>(
    mark: Mark,
    response: Response<R>,
    limit: usize,
    undo: bool,
) -> Response<R> {
    let (head, body) = response.into_parts();
    let (head, body) = match whole(body, limit).await {
        Ok(body) => (head, body),
        Err(Cut::TooLong) => {
            let detail = format!("it has been done, but the answer is longer than {limit} bytes");
            let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
            let (head, body) = problem.into_response().into_parts();
            let kept = Answer::of(head.status, &head.headers, &body);
            let _ = mark.settle(kept).await;
            return Response::from_parts(head, R::from(body));
        }
        Err(Cut::Broken) => {
            let detail = "the answer broke off, and it may have been done";
            return own(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail));
        }
    };
    if is_kept(head.status, undo) {
        // If that fails the client has its answer all the same, and no reason to come again.
        let _ = mark
            .settle(Answer::of(head.status, &head.headers, &body))
            .await;
    }
    Response::from_parts(head, R::from(body))
}

/// The answer to what does not reach the service.
fn unasked(begun: Begun) -> Response<Vec<u8>> {
    let unreadable = || {
        let detail = "what is kept for this key cannot be read";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
    };
    let problem = match begun {
        Begun::Kept(answer) => return answer.replay().unwrap_or_else(unreadable),
        Begun::Nothing => {
            let mut response = Response::new(Vec::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
        // Marks are taken out before; there is none in here.
        Begun::Run(_) => return unreadable(),
        Begun::Running(seconds) => {
            let detail = "the same request, or the step that it undoes, is in progress";
            Problem::new(StatusCode::CONFLICT, detail).retry_after(seconds)
        }
        Begun::Another => {
            let detail = "this Idempotency-Key has been used for another request";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
        Begun::Undone => {
            let detail = "this step has been undone, and will not be done any more";
            Problem::new(StatusCode::GONE, detail)
        }
    };
    problem.into_response()
}

fn unread(cut: Cut, limit: usize) -> Problem {
    match cut {
        Cut::TooLong => {
            let detail = format!("the body is longer than {limit} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        }
        Cut::Broken => Problem::bad("the body broke off"),
    }
}

fn own<R: From<Vec<u8>>>(problem: Problem) -> Response<R> {
    problem.into_response().map(R::from)
}
