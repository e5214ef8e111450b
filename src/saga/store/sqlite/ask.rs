//! A request: what it writes in the transaction, what it reads after the commit, and its answer.
//!
//! SQLite refuses to write any more in a transaction that has met a damaged page, and what was being
//! written then may be half done. So reading comes after the commit, where damage is only an answer,
//! and where writing meets it, the whole transaction is undone and each request gets one of its own.
use super::StoreError;
use super::db::{Db, Fail};
use super::queue::Reply;

/// What is asked.
pub(super) trait Op: Send {
    /// What writing hands to reading.
    type Written: Send;
    /// What is answered.
    type Answer: Send;

    /// Whether it writes at all.
    const WRITES: bool = true;

    /// In the transaction. Perhaps for the second time: the first was undone.
    fn write(&mut self, db: &mut Db<'_>) -> Result<Self::Written, Fail>;

    /// The same in a transaction of its own, in a file that has a damaged page.
    fn write_alone(
        &mut self,
        db: &mut Db<'_>,
    ) -> rusqlite::Result<Result<Self::Written, StoreError>> {
        db.alone(|db| self.write(db))
    }

    /// After the commit.
    fn read(&mut self, db: &mut Db<'_>, written: Self::Written) -> Result<Self::Answer, Fail>;
}

/// An operation on its way to its answer.
pub(super) struct Ask<O: Op> {
    op: O,
    written: Option<Result<O::Written, StoreError>>,
    answer: Option<Result<O::Answer, StoreError>>,
    reply: Reply<O::Answer>,
}

impl<O: Op> Ask<O> {
    pub(super) fn new(op: O, reply: Reply<O::Answer>) -> Self {
        Ask {
            op,
            written: None,
            answer: None,
            reply,
        }
    }
}

/// An operation of any kind.
pub(super) trait Work: Send {
    fn writes(&self) -> bool;
    fn write(&mut self, db: &mut Db<'_>) -> rusqlite::Result<()>;
    fn write_alone(&mut self, db: &mut Db<'_>) -> rusqlite::Result<()>;
    fn read(&mut self, db: &mut Db<'_>);
    fn tell(self: Box<Self>);
}

impl<O: Op> Work for Ask<O> {
    fn writes(&self) -> bool {
        O::WRITES
    }

    fn write(&mut self, db: &mut Db<'_>) -> rusqlite::Result<()> {
        self.written = Some(match self.op.write(db) {
            Ok(written) => Ok(written),
            Err(Fail::Answer(e)) => Err(e),
            Err(Fail::Sqlite(e)) => return Err(e),
        });
        Ok(())
    }

    fn write_alone(&mut self, db: &mut Db<'_>) -> rusqlite::Result<()> {
        self.written = Some(self.op.write_alone(db)?);
        Ok(())
    }

    fn read(&mut self, db: &mut Db<'_>) {
        self.answer = Some(match self.written.take() {
            Some(Ok(written)) => self.op.read(db, written).map_err(Fail::told),
            Some(Err(e)) => Err(e),
            None => return,
        });
    }

    fn tell(self: Box<Self>) {
        Ask::tell(*self);
    }
}

impl<O: Op> Ask<O> {
    pub(super) fn tell(self) {
        if let Some(answer) = self.answer {
            // Who does not wait any more does not mind.
            drop(self.reply.send(answer));
        }
    }
}

/// An operation that only writes.
pub(super) struct Write<F>(pub(super) F);

impl<T: Send, F> Op for Write<F>
where
    F: FnMut(&mut Db<'_>) -> Result<T, Fail> + Send,
{
    type Written = T;
    type Answer = T;

    fn write(&mut self, db: &mut Db<'_>) -> Result<T, Fail> {
        (self.0)(db)
    }

    fn read(&mut self, _: &mut Db<'_>, written: T) -> Result<T, Fail> {
        Ok(written)
    }
}

/// An operation that only reads.
pub(super) struct Read<F>(pub(super) F);

impl<T: Send, F> Op for Read<F>
where
    F: FnMut(&mut Db<'_>) -> Result<T, Fail> + Send,
{
    type Written = ();
    type Answer = T;
    const WRITES: bool = false;

    fn write(&mut self, _: &mut Db<'_>) -> Result<(), Fail> {
        Ok(())
    }

    fn write_alone(&mut self, _: &mut Db<'_>) -> rusqlite::Result<Result<(), StoreError>> {
        Ok(Ok(()))
    }

    fn read(&mut self, db: &mut Db<'_>, (): ()) -> Result<T, Fail> {
        (self.0)(db)
    }
}
