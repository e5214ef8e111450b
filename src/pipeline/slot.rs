//! How a list reaches its policies: built-ins are called directly, everything else through the
//! trait object. The same contract, a fifth less time for a stack of five. Nothing but this
//! file and `advice.rs` knows a policy by name.
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use crate::run::tickets::Held;
use crate::run::walk::{Admitted, Track};
use crate::{Bulkhead, CircuitBreaker, Hedge, Name, Observer, RateLimit, Retry, Timeout};
use std::{any::Any, sync::Arc};

/// One policy of a pipeline.
#[derive(Clone)]
pub struct Slot(pub(super) Kind);

macro_rules! slots {
    ($($variant:ident($policy:ty)),*) => {
        #[derive(Clone)]
        #[repr(u8)]
        pub(super) enum Kind {
            $($variant($policy),)*
            Custom(Arc<dyn Policy>),
        }

        impl Slot {
            pub(crate) fn new<P: Policy>(policy: P) -> Slot {
                let any: &dyn Any = &policy;
                $(if let Some(policy) = any.downcast_ref::<$policy>() {
                    return Slot(Kind::$variant(policy.clone()));
                })*
                if let Some(policy) = any.downcast_ref::<Arc<dyn Policy>>() {
                    return Slot(Kind::Custom(policy.clone()));
                }
                Slot(Kind::Custom(Arc::new(policy)))
            }
        }

        macro_rules! each {
            ($slot:expr, $p:ident => $call:expr) => {
                match $slot {
                    $(Kind::$variant($p) => $call,)*
                    Kind::Custom($p) => $call,
                }
            };
        }
    };
}
slots!(
    Timeout(Timeout),
    Retry(Retry),
    CircuitBreaker(CircuitBreaker),
    Bulkhead(Bulkhead),
    RateLimit(RateLimit),
    Hedge(Hedge)
);

impl Policy for Slot {
    fn name(&self) -> Name {
        each!(&self.0, p => Policy::name(p))
    }

    #[inline(always)]
    fn enter(&self, call: &Call<'_>) -> Enter {
        each!(&self.0, p => p.enter(call))
    }

    fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
        each!(&self.0, p => p.resume(ticket, call))
    }

    #[inline(always)]
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        each!(&self.0, p => p.exit(ticket, outcome, call))
    }

    fn role(&self) -> Role {
        each!(&self.0, p => p.role())
    }

    fn observer(&self) -> Option<&dyn Observer> {
        each!(&self.0, p => p.observer())
    }
}

/// What a pipeline's [`with`](super::Builder::with) takes.
///
/// A policy's configuration, its handle or a reference to that, or a [`Policy`] of your own (or an
/// `Arc` of one).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no policy and no configuration of one",
    note = "`with` takes `Timeout::after(..)`, a built handle, `&handle`, or your own `impl Policy`"
)]
pub trait IntoPolicy {
    /// The policy.
    #[doc(hidden)]
    fn into_slot(self) -> Result<Slot, crate::BuildError>;
}

impl<P: Policy> IntoPolicy for P {
    fn into_slot(self) -> Result<Slot, crate::BuildError> {
        Ok(Slot::new(self))
    }
}

macro_rules! into_policy {
    ($($config:ty => $policy:ty),* $(,)?) => {
        $(
            impl IntoPolicy for $config {
                fn into_slot(self) -> Result<Slot, crate::BuildError> {
                    self.build().map(Slot::new)
                }
            }

            impl IntoPolicy for &$policy {
                fn into_slot(self) -> Result<Slot, crate::BuildError> {
                    Ok(Slot::new(self.clone()))
                }
            }
        )*
    };
}
into_policy!(
    crate::timeout::TimeoutConfig => Timeout,
    crate::retry::RetryConfig => Retry,
    crate::circuit_breaker::CircuitBreakerConfig => CircuitBreaker,
    crate::bulkhead::BulkheadConfig => Bulkhead,
    crate::rate_limit::RateLimitConfig => RateLimit,
    crate::hedge::HedgeConfig => Hedge,
);

impl Slot {
    /// Asks the policy where its kind is known, so that the answer needs no second look at what it
    /// is.
    #[inline(always)]
    pub(super) fn admit<A: Held>(
        &self,
        i: usize,
        track: &mut Track<A>,
        call: &Call<'_>,
    ) -> Admitted {
        each!(&self.0, p => track.admit(i, p, call))
    }

    /// Whether `exit` does anything when the call succeeds. A walk passes those by that do not.
    pub(super) fn minds_success(&self) -> bool {
        match &self.0 {
            Kind::Timeout(_) | Kind::Retry(_) | Kind::RateLimit(_) | Kind::Hedge(_) => false,
            Kind::CircuitBreaker(_) | Kind::Bulkhead(_) | Kind::Custom(_) => true,
        }
    }

    /// Which shared state this is a handle to, if any: one call must not enter the same state
    /// twice.
    pub(super) fn state_id(&self) -> Option<usize> {
        match &self.0 {
            Kind::CircuitBreaker(p) => Some(p.state_id()),
            Kind::Bulkhead(p) => Some(p.state_id()),
            Kind::RateLimit(p) => Some(p.state_id()),
            Kind::Timeout(_) | Kind::Retry(_) | Kind::Hedge(_) | Kind::Custom(_) => None,
        }
    }
}
