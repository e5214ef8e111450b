//! What is too large is refused before it is in a batch, where it would take the others with it.
use super::{Append, Letter, NewSaga, Next, StoreError};

/// Bytes of a name: of a saga, of a signal.
pub(super) const NAME: usize = 256;
/// Bytes of a key: of a saga, of a signal.
pub(super) const KEY: usize = 1024;
/// Bytes of a journal row, and of what a signal carries.
///
/// Room for an outcome and a command of the largest payload there is, 64 MiB each, and more; SQLite
/// itself takes a thousand million.
pub(super) const BODY: usize = 512 << 20;
/// Bytes of a stuck reason. It is cut there: parking must not fail.
pub(super) const REASON: usize = 4096;

pub(super) fn new_saga(new: &NewSaga) -> Result<(), StoreError> {
    most("the saga's name", new.name.len(), NAME)?;
    most("the saga's key", new.key.len(), KEY)?;
    most("the journal row", new.row.body.len(), BODY)
}

pub(super) fn append(append: &Append) -> Result<(), StoreError> {
    most("the journal row", append.row.body.len(), BODY)?;
    append.letters.iter().try_for_each(letter)
}

pub(super) fn letter(letter: &Letter) -> Result<(), StoreError> {
    most("the saga's name", letter.saga.len(), NAME)?;
    most("the saga's key", letter.key.len(), KEY)?;
    most("the signal's name", letter.name.len(), NAME)?;
    most("the signal's key", letter.id.len(), KEY)?;
    most("the signal's body", letter.body.len(), BODY)
}

/// The reason that goes with it, as much as there is room for.
pub(super) fn reason(next: &Next) -> Option<&str> {
    match next {
        Next::Park { reason } => {
            let mut end = reason.len().min(REASON);
            while !reason.is_char_boundary(end) {
                end = end.saturating_sub(1);
            }
            reason.get(..end)
        }
        _ => None,
    }
}

fn most(field: &'static str, value: usize, most: usize) -> Result<(), StoreError> {
    if value > most {
        return Err(StoreError::TooLarge { field, value, most });
    }
    Ok(())
}
