//! What is driven: a stack of policies, and where a run finds it.
use crate::dialect::Standard;
use crate::policy::{Call, Listener, Outcome, Policy, Role, Told};
use crate::run::tickets::{Held, One};
use crate::run::walk::{Admitted, Track};
use crate::{Name, Observer};
use std::sync::Arc;

/// Policies, outermost first: one alone, or a list, which knows better how to ask its policies and
/// which of them a success passes by.
pub trait Stack {
    type Policy: Policy + ?Sized;
    type Tickets: Held;

    fn depth(&self) -> usize;
    fn at(&self, i: usize) -> &Self::Policy;
    /// Hears where the plan has nobody of its own to hear.
    #[inline(always)]
    fn observer(&self) -> Option<&dyn Observer> {
        None
    }

    /// As `at(i).enter(call)`, with the answer taken into the track.
    #[inline(always)]
    fn admit(&self, i: usize, track: &mut Track<Self::Tickets>, call: &Call<'_>) -> Admitted {
        track.admit(i, self.at(i), call)
    }

    /// `true`: a policy wants another attempt.
    #[inline(always)]
    fn outward(
        &self,
        track: &mut Track<Self::Tickets>,
        outcome: &Outcome<'_>,
        call: &Call<'_>,
    ) -> bool {
        track.outward(self, outcome, call)
    }
}

impl<P: Policy> Stack for P {
    type Policy = P;
    type Tickets = One;

    #[inline(always)]
    fn depth(&self) -> usize {
        1
    }

    #[inline(always)]
    fn at(&self, _: usize) -> &P {
        self
    }

    #[inline(always)]
    fn observer(&self) -> Option<&dyn Observer> {
        Policy::observer(self)
    }
}

/// Where a run finds its stack: borrowed by a combinator, owned by a tower future.
pub trait Plan: Told {
    type Stack: Stack;
    type Dialect;

    fn stack(&self) -> &Self::Stack;
    fn dialect(&self) -> &Self::Dialect;
    fn name(&self) -> Name;
    fn is_observed(&self) -> bool;
    /// Whether a policy may ask for more than one attempt.
    fn repeats(&self) -> bool;
}

/// A single policy, borrowed: `breaker.run(..)`.
pub struct Bare<'a, P>(pub(crate) &'a P);

impl<P: Policy> Plan for Bare<'_, P> {
    type Stack = P;
    type Dialect = Standard;

    #[inline(always)]
    fn stack(&self) -> &P {
        self.0
    }

    #[inline(always)]
    fn dialect(&self) -> &Standard {
        &Standard
    }

    fn name(&self) -> Name {
        self.0.name()
    }

    #[inline(always)]
    fn is_observed(&self) -> bool {
        self.0.observer().is_some()
    }

    #[inline(always)]
    fn repeats(&self) -> bool {
        self.0.role() != Role::Gate
    }
}

impl<P: Policy> Told for Bare<'_, P> {
    fn listener(&self) -> Option<Listener<'_>> {
        let observer = self.0.observer()?;
        Some(Listener {
            observer,
            source: self.0.name(),
        })
    }
}

/// A pipeline's immutable part, or that of a single policy's Layer.
pub struct Shared<S, D> {
    pub(crate) name: Name,
    pub(crate) stack: S,
    pub(crate) dialect: D,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) repeats: bool,
}

macro_rules! plan_for {
    ($pointer:ty) => {
        impl<S: Stack, D> Plan for $pointer {
            type Stack = S;
            type Dialect = D;

            #[inline(always)]
            fn stack(&self) -> &S {
                &self.stack
            }

            #[inline(always)]
            fn dialect(&self) -> &D {
                &self.dialect
            }

            fn name(&self) -> Name {
                self.name
            }

            #[inline(always)]
            fn is_observed(&self) -> bool {
                self.observer.is_some() || self.stack.observer().is_some()
            }

            #[inline(always)]
            fn repeats(&self) -> bool {
                self.repeats
            }
        }

        impl<S: Stack, D> Told for $pointer {
            fn listener(&self) -> Option<Listener<'_>> {
                let observer = self.observer.as_deref().or(self.stack.observer())?;
                Some(Listener {
                    observer,
                    source: self.name,
                })
            }
        }
    };
}
plan_for!(&Shared<S, D>);
plan_for!(Arc<Shared<S, D>>);
