//! What a bulkhead remembers, as plain data: the [`Word`] that every call changes, and the [`Line`]
//! that only waiting calls see. Neither locks, wakes or reads a clock.
mod line;
mod word;

pub(super) use line::{Called, Left, Line, Room, Standing};
pub(super) use word::{MAX_PLACES, ONE_PERMIT, ONE_WAITING, Word};
