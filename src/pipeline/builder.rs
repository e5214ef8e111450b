use super::{List, MAX_POLICIES, Pipeline, slot::IntoPolicy, slot::Slot};
use crate::dialect::{By, Standard};
use crate::error::{Check, Flat, To};
use crate::policy::{Policy, Role};
use crate::run::plan::Shared;
use crate::{BuildError, Class, Name, Observer};
use std::{marker::PhantomData, sync::Arc};

/// Gathers the policies of a [`Pipeline`], from the outside in. The type does not grow with them.
///
/// # Defaults
/// - [`with`](Builder::with), [`append`](Builder::append): no policies
/// - [`classify`](Builder::classify), [`classify_with`](Builder::classify_with): [`Standard`]
/// - [`error`](Builder::error): as [`Error<E>`](crate::Error)
/// - [`observer`](Builder::observer): nobody
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<D = Standard, M = Flat> {
    name: Name,
    policies: Vec<Result<Slot, BuildError>>,
    dialect: D,
    observer: Option<Arc<dyn Observer>>,
    target: PhantomData<fn() -> M>,
}

impl Builder {
    pub(super) fn new(name: Name) -> Self {
        Builder {
            name,
            policies: Vec::new(),
            dialect: Standard,
            observer: None,
            target: PhantomData,
        }
    }
}

impl<D, M> Builder<D, M> {
    /// The next policy inward.
    ///
    /// A configuration, a handle (shared with whoever else holds it) or a reference to one, or a
    /// [`Policy`] of your own. Default: a pipeline without policies runs what it is given, bare.
    pub fn with(mut self, policy: impl IntoPolicy) -> Self {
        self.policies.push(policy.into_slot());
        self
    }

    /// The next policies inward: all of another pipeline's, state shared.
    ///
    /// Running one pipeline inside another instead would make the outer one take the inner one's
    /// refusals for failures of the dependency. Default: none.
    pub fn append<D2, M2>(mut self, other: &Pipeline<D2, M2>) -> Self {
        self.policies
            .extend(other.shared.stack.iter().cloned().map(Ok));
        self
    }

    /// How answers are read. Default: [`Standard`].
    pub fn classify<D2>(self, dialect: D2) -> Builder<D2, M> {
        let Builder {
            name,
            policies,
            observer,
            ..
        } = self;
        Builder {
            name,
            policies,
            dialect,
            observer,
            target: PhantomData,
        }
    }

    /// As [`classify`](Builder::classify), by a closure.
    ///
    /// A panic in it is contained; that answer then counts as [`Class::Ignored`]. Default:
    /// [`Standard`].
    ///
    /// ```
    /// use seawall::{CircuitBreaker, Class, Pipeline};
    /// use std::io::ErrorKind::NotFound;
    ///
    /// let files = Pipeline::builder("files")
    ///     .with(CircuitBreaker::new("disk"))
    ///     .classify_with(|result: &Result<String, std::io::Error>| match result {
    ///         Ok(_) => Class::Success,
    ///         Err(e) if e.kind() == NotFound => Class::Permanent,
    ///         Err(_) => Class::Transient,
    ///     })
    ///     .build()?;
    /// # tokio_test::block_on(async {
    /// let missing = files.run(|| async { std::fs::read_to_string("/no/such/file") }).await;
    /// assert!(missing.is_err());
    /// # });
    /// # Ok::<_, seawall::BuildError>(())
    /// ```
    pub fn classify_with<T, E, F: Fn(&Result<T, E>) -> Class>(self, f: F) -> Builder<By<F>, M> {
        self.classify(By(f))
    }

    /// Who hears of this pipeline's calls. Default: nobody, at the price of one branch.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Errors come out as `E2`, which is `From<Rejected>` and `From` the operation's error.
    ///
    /// Default: as [`Error<E>`](crate::Error).
    pub fn error<E2>(self) -> Builder<D, To<E2>> {
        let Builder {
            name,
            policies,
            dialect,
            observer,
            ..
        } = self;
        Builder {
            name,
            policies,
            dialect,
            observer,
            target: PhantomData,
        }
    }

    /// The pipeline.
    ///
    /// # Errors
    /// Everything that is wrong, at once: settings of its policies, more than [`MAX_POLICIES`],
    /// more than one hedge, the same breaker, bulkhead or rate limit twice (a bulkhead of one would
    /// wait for itself).
    pub fn build(self) -> Result<Pipeline<D, M>, BuildError> {
        let Builder {
            name,
            policies,
            dialect,
            observer,
            ..
        } = self;
        let mut check = Check::new(name);
        let count = policies.len();
        check.that(
            count <= MAX_POLICIES,
            "with",
            count,
            format!("at most {MAX_POLICIES} policies"),
        );
        let policies: Vec<Slot> = policies
            .into_iter()
            .filter_map(|built| check.absorb(built))
            .collect();
        let hedges = policies.iter().filter(|p| p.role() == Role::Hedge).count();
        check.that(
            hedges <= 1,
            "with",
            format_args!("{hedges} hedges"),
            "at most one hedge",
        );
        for (i, slot) in policies.iter().enumerate() {
            let earlier = policies.iter().take(i);
            let twice = slot
                .state_id()
                .is_some_and(|id| earlier.filter_map(Slot::state_id).any(|other| other == id));
            check.that(
                !twice,
                "with",
                slot.name(),
                "in the pipeline only once, being one shared state",
            );
        }
        check.done()?;
        let repeats = policies.iter().any(|p| p.role() != Role::Gate);
        Ok(Pipeline::of(Shared {
            name,
            stack: List::new(policies),
            dialect,
            observer,
            repeats,
        }))
    }
}
