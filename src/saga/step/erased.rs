use super::{
    Failure, Outcome, Payload, Step, StepContext, StepRetry, Verdict, undecodable, unencodable,
};
use crate::saga::{journal::Raw, store::BoxFuture};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use std::{borrow::Cow, collections::HashMap, marker::PhantomData, sync::Arc};

/// A step without its types, as the engine runs it. It holds the application, so the engine itself
/// knows nothing of it.
///
/// The outer `Err` of each is a command that cannot be decoded: the code does not fit the journal.
pub(crate) trait ErasedStep: Send + Sync {
    fn run(&self, cmd: &RawValue, cx: StepContext) -> Misfit<BoxFuture<'static, Ran>>;
    fn undo(
        &self,
        cmd: &RawValue,
        cx: StepContext,
        was: Option<&RawValue>,
    ) -> Misfit<BoxFuture<'static, Result<(), Failure>>>;
    fn verify(&self, cmd: &RawValue, cx: StepContext) -> Misfit<BoxFuture<'static, Verdict<Raw>>>;
    fn verifies(&self) -> bool;
    fn retry(&self, cmd: &RawValue) -> Misfit<Cow<'_, StepRetry>>;
    /// Whether a recorded command means the same as a new one whose bytes differ: a field gained
    /// with a default, say.
    fn same(&self, recorded: &RawValue, new: &RawValue) -> bool;
    /// Whether the step could have answered so: for outputs that an operator gives by hand.
    fn accepts(&self, out: &RawValue) -> Misfit<()>;
}

pub(crate) type Steps = HashMap<&'static str, Arc<dyn ErasedStep>>;
pub(crate) type Ran = Result<Raw, Failure>;
pub(crate) type Misfit<T> = Result<T, String>;

fn decode<T: DeserializeOwned>(what: &str, raw: &RawValue) -> Misfit<T> {
    serde_json::from_str(raw.get())
        .map_err(|e| format!("its {what} cannot be decoded {}", undecodable::<T>(&e)))
}

/// An output that cannot be kept, after the action has run: nobody can say any more what it was.
pub(crate) fn encode<T: Serialize>(out: &T) -> Ran {
    to_raw_value(out).map_err(|e| {
        let why = unencodable(out, &e);
        Failure::unknown(format!("the output cannot be encoded: {why}"))
    })
}

fn outcome<T: DeserializeOwned>(was: Option<&RawValue>) -> Misfit<Outcome<T>> {
    match was {
        Some(out) => decode("output", out).map(Outcome::Done),
        None => Ok(Outcome::Unknown),
    }
}

fn verdict<T: Serialize>(verdict: Verdict<T>) -> Verdict<Raw> {
    match verdict {
        Verdict::Applied(out) => encode(&out).map_or(Verdict::CannotTell, Verdict::Applied),
        Verdict::NotApplied => Verdict::NotApplied,
        Verdict::NotSeen => Verdict::NotSeen,
        Verdict::CannotTell => Verdict::CannotTell,
    }
}

/// Equal once both are decoded and encoded again.
pub(crate) fn same<T: Serialize + DeserializeOwned>(a: &RawValue, b: &RawValue) -> bool {
    let normal = |raw: &RawValue| {
        crate::event::contain(None, || {
            let value: T = serde_json::from_str(raw.get()).ok()?;
            serde_json::to_value(&value).ok()
        })
    };
    normal(a).is_some_and(|a| Some(a) == normal(b))
}

pub(crate) struct StructStep<App, S> {
    app: Arc<App>,
    step: PhantomData<fn() -> S>,
}

impl<App, S> StructStep<App, S> {
    pub(crate) fn new(app: Arc<App>) -> Self {
        StructStep {
            app,
            step: PhantomData,
        }
    }
}

impl<App: Send + Sync + 'static, S: Step<App>> ErasedStep for StructStep<App, S> {
    fn run(&self, cmd: &RawValue, cx: StepContext) -> Misfit<BoxFuture<'static, Ran>> {
        let (step, app) = (decode::<S>("command", cmd)?, self.app.clone());
        Ok(Box::pin(async move { encode(&step.run(&app, &cx).await?) }))
    }

    fn undo(
        &self,
        cmd: &RawValue,
        cx: StepContext,
        was: Option<&RawValue>,
    ) -> Misfit<BoxFuture<'static, Result<(), Failure>>> {
        let (step, app) = (decode::<S>("command", cmd)?, self.app.clone());
        let was = outcome(was)?;
        Ok(Box::pin(async move { step.undo(&app, &cx, was).await }))
    }

    fn verify(&self, cmd: &RawValue, cx: StepContext) -> Misfit<BoxFuture<'static, Verdict<Raw>>> {
        let (step, app) = (decode::<S>("command", cmd)?, self.app.clone());
        Ok(Box::pin(
            async move { verdict(step.verify(&app, &cx).await) },
        ))
    }

    fn verifies(&self) -> bool {
        S::VERIFIES
    }

    fn retry(&self, cmd: &RawValue) -> Misfit<Cow<'_, StepRetry>> {
        decode::<S>("command", cmd).map(|step| Cow::Owned(step.retry()))
    }

    fn same(&self, recorded: &RawValue, new: &RawValue) -> bool {
        same::<S>(recorded, new)
    }

    fn accepts(&self, out: &RawValue) -> Misfit<()> {
        decode::<S::Output>("output", out).map(drop)
    }
}

/// A function of a step, boxed.
type Call<App, In, T> =
    Box<dyn Fn(Arc<App>, StepContext, In) -> BoxFuture<'static, T> + Send + Sync>;
type Undo<App, In, Out> = Box<
    dyn Fn(Arc<App>, StepContext, In, Outcome<Out>) -> BoxFuture<'static, Result<(), Failure>>
        + Send
        + Sync,
>;

/// A step of functions.
pub(crate) struct FnStep<App, In, Out> {
    pub(crate) app: Arc<App>,
    /// With its output encoded, so that one box holds both.
    pub(crate) run: Call<App, In, Ran>,
    pub(crate) undo: Undo<App, In, Out>,
    /// What asks a participant: most steps have none.
    pub(crate) verify: Option<Call<App, In, Verdict<Out>>>,
    pub(crate) retry: StepRetry,
}

impl<App, In, Out> ErasedStep for FnStep<App, In, Out>
where
    App: Send + Sync + 'static,
    In: Payload,
    Out: Payload,
{
    fn run(&self, cmd: &RawValue, cx: StepContext) -> Misfit<BoxFuture<'static, Ran>> {
        let cmd = decode("command", cmd)?;
        Ok((self.run)(self.app.clone(), cx, cmd))
    }

    fn undo(
        &self,
        cmd: &RawValue,
        cx: StepContext,
        was: Option<&RawValue>,
    ) -> Misfit<BoxFuture<'static, Result<(), Failure>>> {
        let cmd = decode("command", cmd)?;
        Ok((self.undo)(self.app.clone(), cx, cmd, outcome(was)?))
    }

    fn verify(&self, cmd: &RawValue, cx: StepContext) -> Misfit<BoxFuture<'static, Verdict<Raw>>> {
        let cmd = decode("command", cmd)?;
        Ok(match &self.verify {
            Some(ask) => {
                let asking = ask(self.app.clone(), cx, cmd);
                Box::pin(async move { verdict(asking.await) })
            }
            None => Box::pin(std::future::ready(Verdict::CannotTell)),
        })
    }

    fn verifies(&self) -> bool {
        self.verify.is_some()
    }

    fn retry(&self, _: &RawValue) -> Misfit<Cow<'_, StepRetry>> {
        Ok(Cow::Borrowed(&self.retry))
    }

    fn same(&self, recorded: &RawValue, new: &RawValue) -> bool {
        same::<In>(recorded, new)
    }

    fn accepts(&self, out: &RawValue) -> Misfit<()> {
        decode::<Out>("output", out).map(drop)
    }
}
