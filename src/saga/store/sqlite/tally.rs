//! Numbers that are kept instead of looked for: how many sagas there are of each status, since
//! counting a million stalls all writers; and the last numbers given out, since SQLite would give
//! those of deleted sagas out again.
use super::{Counts, Status};
use rusqlite::Connection;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counts: [i64; Status::ALL.len()],
    pub(super) last_saga: i64,
    pub(super) last_letter: i64,
}

impl Tally {
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Tally> {
        let mut tally = Tally::default();
        let mut counter = conn.prepare("SELECT n FROM counter WHERE name=?1")?;
        for (name, n) in tally.named() {
            *n = counter.query_row([name], |row| row.get(0))?;
        }
        Ok(tally)
    }

    /// Writes what differs from `stored`: in the transaction that changed it.
    pub(super) fn store(&mut self, stored: &Tally, conn: &Connection) -> rusqlite::Result<()> {
        let mut was = *stored;
        let mut update = conn.prepare_cached("UPDATE counter SET n=?2 WHERE name=?1")?;
        for ((name, n), (_, was)) in self.named().zip(was.named()) {
            if n != was {
                update.execute((name, *n))?;
            }
        }
        Ok(())
    }

    fn named(&mut self) -> impl Iterator<Item = (&'static str, &mut i64)> {
        let counts = Status::ALL.iter().zip(&mut self.counts);
        let counts = counts.map(|(status, n)| (status.as_str(), n));
        counts.chain([
            ("last_saga", &mut self.last_saga),
            ("last_letter", &mut self.last_letter),
        ])
    }

    /// Takes one in.
    pub(super) fn enter(&mut self, status: Status) {
        self.add(status, 1);
    }

    /// Takes one out.
    pub(super) fn leave(&mut self, status: Status) {
        self.add(status, -1);
    }

    fn add(&mut self, status: Status, n: i64) {
        let mut counts = Status::ALL.iter().zip(&mut self.counts);
        if let Some((_, count)) = counts.find(|(s, _)| **s == status) {
            *count = count.saturating_add(n);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (status, n) in Status::ALL.iter().zip(self.counts) {
            counts.add(*status, u64::try_from(n).unwrap_or(0));
        }
        counts
    }

    /// Those that have ended.
    pub(super) fn ended(&self) -> u64 {
        let all = Status::ALL.iter().zip(self.counts);
        let ended = all.filter(|(status, _)| status.is_final());
        u64::try_from(ended.map(|(_, n)| n).sum::<i64>()).unwrap_or(0)
    }
}
