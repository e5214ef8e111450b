use super::{ErasedStep, Step, StructStep};
use std::{collections::HashMap, sync::Arc};

/// The steps of a saga: a tuple of at most twelve.
pub trait StepSet<App: Send + Sync + 'static> {
    #[doc(hidden)]
    #[allow(private_interfaces)] // only the engine calls it
    fn add(to: &mut StepSink<App>);
}

/// Where a set registers its steps.
pub(crate) struct StepSink<App> {
    pub(crate) app: Arc<App>,
    pub(crate) steps: HashMap<&'static str, Arc<dyn ErasedStep>>,
    pub(crate) twice: Vec<&'static str>,
}

impl<App: Send + Sync + 'static> StepSink<App> {
    fn step<S: Step<App>>(&mut self) {
        let step = Arc::new(StructStep::<App, S>::new(self.app.clone()));
        if self.steps.insert(S::NAME, step).is_some() {
            self.twice.push(S::NAME);
        }
    }
}

/// The place of a step in its saga's `type Steps`; inferred.
pub struct At<const N: usize>;

/// A step that stands in the tuple `L`, so that it is registered and can be undone after a restart.
#[diagnostic::on_unimplemented(
    message = "step `{Self}` is not listed in this saga's `type Steps = {L}`",
    label = "not in `type Steps`",
    note = "a saga lists every step that it runs, so that each can be undone after a restart"
)]
pub trait ListedIn<L, I> {}

/// For each length the set itself, and each place in it.
macro_rules! tuples {
    (@ [$($all:ident)*]) => { tuples!(% $($all)*); };
    (@ [$($all:ident)*] $next:ident $($rest:ident)*) => {
        tuples!(% $($all)*);
        tuples!(@ [$($all)* $next] $($rest)*);
    };
    (% $($step:ident)*) => {
        #[allow(private_interfaces)]
        impl<App: Send + Sync + 'static, $($step: Step<App>),*> StepSet<App> for ($($step,)*) {
            #[allow(unused_variables)]
            fn add(to: &mut StepSink<App>) {
                $(to.step::<$step>();)*
            }
        }
        tuples!(# [$($step)*] 0 1 2 3 4 5 6 7 8 9 10 11; $($step)*);
    };
    (# $all:tt $($at:literal)*;) => {};
    (# $all:tt $at:literal $($later:literal)*; $here:ident $($rest:ident)*) => {
        tuples!(= $all $at $here);
        tuples!(# $all $($later)*; $($rest)*);
    };
    (= [$($all:ident)*] $at:literal $here:ident) => {
        impl<$($all),*> ListedIn<($($all,)*), At<$at>> for $here {}
    };
    ($($step:ident)*) => { tuples!(@ [] $($step)*); };
}
tuples!(S0 S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11);
