//! Where the journals end that are being written: most rows belong to a saga that was created a moment
//! ago, and looking for its epoch and its last row costs as much as writing the next one.
//!
//! Nobody else writes to the file, so what is known here is what is in it. A saga is forgotten as soon
//! as anything but a plain row comes, and all are where a transaction is undone; then the insert looks
//! for itself.
use super::{Append, NewSaga, Next, SagaId};
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Heads(HashMap<SagaId, Head>);

/// The last row of a journal.
struct Head {
    seq: u32,
    epoch: u32,
    /// When the saga was created, UTC ms.
    created: i64,
}

impl Heads {
    /// A saga that was created, and that its owner goes on with.
    pub(super) fn begin(&mut self, id: SagaId, new: &NewSaga) {
        if new.next == Next::Keep {
            let (seq, created) = (new.row.seq, new.row.at);
            let epoch = 1;
            let head = Head {
                seq,
                epoch,
                created,
            };
            self.0.insert(id, head);
        }
    }

    /// The time of the row since its saga's creation, where it is known to come next; now it is the
    /// last one.
    pub(super) fn advance(&mut self, append: &Append) -> Option<i64> {
        let (head, row) = (self.0.get_mut(&append.id)?, &append.row);
        let seq = head.seq.checked_add(1)?;
        if (row.seq, row.epoch) != (seq, head.epoch) {
            return None;
        }
        let since = row.at.checked_sub(head.created)?;
        head.seq = seq;
        Some(since)
    }

    pub(super) fn forget(&mut self, id: SagaId) {
        self.0.remove(&id);
    }

    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }
}
