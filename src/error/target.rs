use super::{Error, Rejected};
use std::marker::PhantomData;

/// How an [`Error<E>`] leaves a pipeline.
///
/// As it is ([`Flat`]) or folded into your own error ([`To`]). Chosen by the builder's
/// [`error`](crate::pipeline::Builder::error).
#[diagnostic::on_unimplemented(
    message = "the pipeline's error type cannot be made from `{E}`",
    note = "`.error::<M>()` needs `M: From<seawall::Rejected>` and `M: From<{E}>`"
)]
pub trait Target<E> {
    /// The error that comes out.
    type Error;

    /// Makes it.
    fn convert(error: Error<E>) -> Self::Error;
}

/// The default: [`Error<E>`] itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flat;

impl<E> Target<E> for Flat {
    type Error = Error<E>;

    #[inline]
    fn convert(error: Error<E>) -> Error<E> {
        error
    }
}

/// Folded into `M`, which is `From<E>` and `From<Rejected>`.
pub struct To<M>(PhantomData<fn() -> M>);

// Two `From`s and not one `From<Error<E>>`: `anyhow::Error` has the two but could not have the one.
impl<E, M: From<E> + From<Rejected>> Target<E> for To<M> {
    type Error = M;

    #[inline]
    fn convert(error: Error<E>) -> M {
        error.fold()
    }
}
