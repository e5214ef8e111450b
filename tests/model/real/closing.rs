//! The ways to make a call, and what closes it: by the combinators, or by the layers.
use super::operation::{Operations, Running};
use super::service::Scripted;
use super::{Fault, Real};
use crate::case::{Closing, Falls, Form, OnlyIf, Request, Rescue};
use crate::told::{Answer, VALUE};
use seawall::Error;
use seawall::value::{self, FallbackError, Kept, ValueExt, refusals};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tower::{Layer, Service};

pub(super) type Failed = Error<Fault>;
pub type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;
pub(super) type Guarded<'a> = Pin<Box<dyn Future<Output = Result<usize, Failed>> + 'a>>;

/// A call as it is made, and its fallback where that is another call.
#[derive(Clone)]
pub struct Calling<'a> {
    pub real: &'a Real,
    pub operations: Rc<Operations>,
    pub fallback: Option<Rc<Operations>>,
}

impl<'a> Calling<'a> {
    pub fn begin(&self) -> Answering<'a> {
        let script = &self.operations.script;
        let operations = self.operations.clone();
        let request = match script.form {
            Form::Run | Form::Once => return self.close(guarded(self.real, operations)),
            Form::Service(request) => request,
        };
        let service = Scripted::new(&operations);
        let Some(pipeline) = self.real.pipelines.get(script.stack) else {
            return self.serve(self.real.alone().guard(service, request), request);
        };
        match (request.copies, pipeline.layer_once()) {
            (None, _) => self.serve(pipeline.layer().layer(service), request),
            (Some(0), Ok(once)) => self.serve(once.layer(service), request),
            _ => {
                let guard = pipeline.layer_with(Request::copy).layer(service);
                self.serve(guard, request)
            }
        }
    }

    /// By the combinators.
    fn close<F>(&self, call: F) -> Answering<'a>
    where
        F: Future<Output = Result<usize, Failed>> + 'a,
    {
        let Some(closing) = &self.operations.script.closing else {
            return answering(call);
        };
        let wanted = wanted(closing.only_if, &self.operations);
        match closing.by {
            Rescue::Value => answering(call.or_value(VALUE).only_if(wanted)),
            Rescue::With(falls) => answering(call.or_with(fall(falls)).only_if(wanted)),
            Rescue::Run(_) => answering(call.or_run(self.other()).only_if(wanted)),
            Rescue::LastGood => answering(call.or_last_good(&self.real.good).only_if(wanted)),
            Rescue::Service(_) => unreachable!("a layer alone"),
        }
    }

    fn serve<S>(&self, guard: S, request: Request) -> Answering<'a>
    where
        S: Service<Request, Response = usize, Error = Failed> + Clone + 'a,
    {
        let Some(Closing {
            by,
            only_if,
            layer: true,
        }) = &self.operations.script.closing
        else {
            return self.close(asked(guard, request));
        };
        let wanted = wanted(*only_if, &self.operations);
        match by {
            Rescue::Value => {
                let layer = value::or_value(VALUE).only_if(wanted);
                answering(asked(layer.layer(guard), request))
            }
            Rescue::With(falls) => {
                let layer = value::or_with(fall(*falls)).only_if(wanted);
                answering(asked(layer.layer(guard), request))
            }
            Rescue::Run(_) => {
                let layer = value::or_run(self.other()).only_if(wanted);
                answering(asked(layer.layer(guard), request))
            }
            Rescue::LastGood => {
                let layer = value::or_last_good(&self.real.good).only_if(wanted);
                answering(asked(layer.layer(guard), request))
            }
            Rescue::Service(script) => {
                let service = Scripted::new(self.fallback.as_ref().unwrap());
                let Some(pipeline) = self.real.pipelines.get(script.stack) else {
                    let other = self.real.alone().guard(service, request);
                    return or_service(guard, other, wanted, request);
                };
                let other = pipeline.layer_with(Request::copy).layer(service);
                or_service(guard, other, wanted, request)
            }
        }
    }

    fn other(&self) -> impl Fn(&Failed) -> Guarded<'a> + Clone + 'a {
        let (real, fallback) = (self.real, self.fallback.clone());
        move |_| guarded(real, fallback.clone().unwrap())
    }
}

fn guarded(real: &Real, operations: Rc<Operations>) -> Guarded<'_> {
    let stack = operations.script.stack;
    let is_once = matches!(operations.script.form, Form::Once);
    let begin = move || -> Running {
        let (number, attempt) = operations.draw();
        operations.begin(number, attempt)
    };
    let Some(pipeline) = real.pipelines.get(stack) else {
        return real.alone().run(begin);
    };
    if is_once {
        Box::pin(pipeline.run_once(begin))
    } else {
        Box::pin(pipeline.run(begin))
    }
}

fn answering<'a, F>(call: F) -> Answering<'a>
where
    F: Future<Output: Into<Answer>> + 'a,
{
    Box::pin(async move { call.await.into() })
}

fn or_service<'a, S, O>(
    guard: S,
    other: O,
    wanted: impl Fn(&Failed) -> bool + Clone + 'a,
    request: Request,
) -> Answering<'a>
where
    S: Service<Request, Response = usize, Error = Failed> + Clone + 'a,
    O: Service<Request, Response = usize, Error = Failed> + Clone + 'a,
{
    if request.copies.is_none() {
        let layer = value::or_service(other).only_if(wanted);
        answering(asked(layer.layer(guard), request))
    } else {
        let layer = value::or_service_with(other, Request::copy).only_if(wanted);
        answering(asked(layer.layer(guard), request))
    }
}

/// Guards are ready at once: whether what they guard is, turns out in the future.
pub(super) fn asked<S: Service<Request>>(mut service: S, request: Request) -> S::Future {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    service.call(request)
}

fn wanted(only_if: OnlyIf, call: &Rc<Operations>) -> impl Fn(&Failed) -> bool + Clone + use<> {
    let call = call.clone();
    move |error| {
        let left = (call.live.get(), call.services.get());
        assert_eq!(left, (0, 0), "the call is gone by now");
        match only_if {
            OnlyIf::Every => true,
            OnlyIf::Refusals => refusals(error),
            OnlyIf::Errors => !refusals(error),
            OnlyIf::Panics => panic!("scripted"),
        }
    }
}

fn fall(falls: Falls) -> impl Fn(Failed) -> Result<usize, Failed> + Clone {
    move |error| match falls {
        Falls::Ok => Ok(VALUE),
        Falls::Err => Err(error),
        Falls::Panics => panic!("scripted"),
    }
}

impl From<Result<Kept<usize>, Failed>> for Answer {
    fn from(result: Result<Kept<usize>, Failed>) -> Answer {
        match result {
            Ok(Kept::Fresh(value)) => Answer::Ok(value),
            Ok(Kept::Stale { value, age }) => Answer::Stale(value, age),
            Err(error) => Answer::Bad(error.into()),
        }
    }
}

impl From<Result<usize, FallbackError<Failed, Failed>>> for Answer {
    fn from(result: Result<usize, FallbackError<Failed, Failed>>) -> Answer {
        match result {
            Ok(value) => Answer::Ok(value),
            Err(FallbackError::Passed(error)) => Answer::Passed(error.into()),
            Err(FallbackError::Both { first, fallback }) => {
                Answer::Both(first.into(), fallback.into())
            }
        }
    }
}
