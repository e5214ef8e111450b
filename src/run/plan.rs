//! What is driven: a stack of policies, and where a run finds it.
use crate::dialect::Standard;
use crate::policy::{Call, Listener, Outcome, Policy, Role};
use crate::run::walk::{Inward, Track};
use crate::{Name, Observer};
use arrayvec::ArrayVec;
use std::sync::Arc;

/// Policies, outermost first: one alone, or a list. The walks are methods so that a list's code is
/// compiled once, in this crate, while a single policy's folds to its own few instructions.
pub trait Stack {
    type Policy: Policy + ?Sized;
    type Tickets: Tickets;

    fn depth(&self) -> usize;
    fn at(&self, i: usize) -> &Self::Policy;
    /// Hears where the plan has nobody of its own to hear.
    #[inline(always)]
    fn observer(&self) -> Option<&dyn Observer> {
        None
    }

    #[inline(always)]
    fn inward(&self, track: &mut Track<Self::Tickets>, call: &Call<'_>) -> Inward {
        track.inward(self, call)
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
    type Tickets = ArrayVec<u64, 1>;

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

/// The tickets held, outermost first. Uninitialised until used: zeroing them at construction and
/// moving the future right after would cost more than all of a single policy.
pub trait Tickets: Default + Clone + std::ops::DerefMut<Target = [u64]> {
    fn push(&mut self, ticket: u64);
    fn pop(&mut self) -> u64;
    fn truncate(&mut self, len: usize);
}

impl<const N: usize> Tickets for ArrayVec<u64, N> {
    #[inline(always)]
    fn push(&mut self, ticket: u64) {
        let fits = self.try_push(ticket);
        debug_assert!(fits.is_ok(), "`build` bounds the number of policies");
    }

    #[inline(always)]
    fn pop(&mut self) -> u64 {
        ArrayVec::pop(self).unwrap_or_default()
    }

    fn truncate(&mut self, len: usize) {
        ArrayVec::truncate(self, len);
    }
}

/// Where a run finds its stack: borrowed by a combinator, owned by a tower future.
pub trait Plan {
    type Stack: Stack;
    type Dialect;

    fn stack(&self) -> &Self::Stack;
    fn dialect(&self) -> &Self::Dialect;
    fn name(&self) -> Name;
    fn listener(&self) -> Option<Listener<'_>>;
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
    fn listener(&self) -> Option<Listener<'_>> {
        self.0.observer().map(|observer| Listener {
            observer,
            source: self.0.name(),
        })
    }

    #[inline(always)]
    fn repeats(&self) -> bool {
        self.0.role() != Role::Gate
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
            fn listener(&self) -> Option<Listener<'_>> {
                let observer = match &self.observer {
                    Some(observer) => &**observer,
                    None => self.stack.observer()?,
                };
                Some(Listener {
                    observer,
                    source: self.name,
                })
            }

            #[inline(always)]
            fn repeats(&self) -> bool {
                self.repeats
            }
        }
    };
}
plan_for!(&Shared<S, D>);
plan_for!(Arc<Shared<S, D>>);
