//! Letters that nobody needs any more: those that have waited for their saga for too long, and the
//! ids of read ones.
//!
//! Neither has an index, which each letter would have to pay for. Letters are sorted out in the order
//! of their arrival, some between two commits, and the next call goes on where this one has stopped.
use super::db::{Db, Fail};
use super::load::{integer, text};
use super::{SqliteStore, StoreError};

/// How many letters one transaction looks at, so that writers wait a few milliseconds.
const LETTERS: usize = 1000;
/// And how many it deletes, which takes much longer than a look.
const GONE: usize = 128;
/// And about how many bytes of theirs.
const BYTES: i64 = 4 << 20;

/// Looks at the next letters, and at more while many of them go: what is found does not pile up,
/// and a million letters that stay are not looked at all at once.
pub(super) async fn sort(store: &SqliteStore, before: i64) -> Result<(), StoreError> {
    loop {
        match store.write(move |db| db.sort(before)).await {
            Ok(gone) if gone >= GONE => {}
            Err(error @ StoreError::Closed(_)) => return Err(error),
            // Sagas can go, however a page of the inbox is damaged.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

struct Sorted {
    arrival: i64,
    is_old: bool,
    is_read: bool,
    saga: String,
    key: String,
}

impl Db<'_> {
    /// How many it has deleted.
    fn sort(&mut self, before: i64) -> Result<usize, Fail> {
        let (letters, is_more) = self.next_letters(before)?;
        let mut awaited = self
            .conn
            .prepare_cached("SELECT 1 FROM saga WHERE name=?1 AND key=?2")?;
        let mut delete = self
            .conn
            .prepare_cached("DELETE FROM inbox WHERE arrival=?1")?;
        let (mut gone, mut is_any_old, mut last) = (0_usize, false, 0);
        for letter in &letters {
            last = letter.arrival;
            is_any_old |= letter.is_old;
            let is_needed = !letter.is_old
                || (!letter.is_read && awaited.exists((&letter.saga, &letter.key))?);
            if !is_needed {
                gone = gone.saturating_add(delete.execute([letter.arrival])?);
            }
            if gone >= GONE {
                break;
            }
        }
        // Where none is old, those behind them came later still.
        let goes_on = gone >= GONE || (is_more && is_any_old);
        self.sorted = if goes_on { last } else { 0 };
        Ok(gone)
    }

    /// And whether there are more behind them.
    fn next_letters(&mut self, before: i64) -> Result<(Vec<Sorted>, bool), Fail> {
        let sql = "SELECT arrival, at, body IS NULL, saga, key, octet_length(body) FROM inbox \
                   WHERE arrival>?1 ORDER BY arrival LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let limit = i64::try_from(LETTERS).unwrap_or(i64::MAX);
        let mut rows = statement.query((self.sorted, limit))?;
        let (mut letters, mut bytes) = (Vec::new(), 0_i64);
        while bytes < BYTES
            && let Some(row) = rows.next()?
        {
            bytes = bytes.saturating_add(integer(row, 5)?.unwrap_or(0));
            letters.push(Sorted {
                arrival: row.get(0)?,
                is_old: integer(row, 1)?.is_some_and(|at| at < before),
                is_read: row.get(2)?,
                saga: text(row, 3)?,
                key: text(row, 4)?,
            });
        }
        let is_more = bytes >= BYTES || letters.len() >= LETTERS;
        Ok((letters, is_more))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::Op as _;
    use super::super::{Letter, NewSaga, Next, Owner, open};
    use super::*;
    use crate::saga::journal::Row;

    fn letter(key: &str, id: usize, at: i64, body: &str) -> Letter {
        Letter {
            saga: "order".into(),
            key: key.into(),
            id: id.to_string(),
            name: "paid".into(),
            body: body.into(),
            at,
        }
    }

    /// What each call deletes, and where the next one begins, of these letters.
    fn calls(letters: &[Letter], before: i64, count: usize) -> Vec<(usize, i64)> {
        let folder = tempfile::tempdir().unwrap();
        let opened = open::open(&folder.path().join("sagas.db"), false).unwrap();
        let mut db = Db::new(&opened.conn, opened.tally).unwrap();
        let uid = [7; 16];
        let mut new = NewSaga {
            name: "order".into(),
            key: "alive".into(),
            version: 1,
            uid,
            row: Row::encode(&uid, 0, 1, 1, &[]).unwrap(),
            next: Next::Keep,
            owner: Owner(1),
        };
        let written = db.alone(|db| {
            new.write(db)?;
            letters
                .iter()
                .try_for_each(|letter| db.post(letter).map(drop))
        });
        assert!(matches!(written, Ok(Ok(()))));
        let mut seen = Vec::new();
        for _ in 0..count {
            let gone = db.alone(|db| db.sort(before)).unwrap().unwrap();
            seen.push((gone, db.sorted));
        }
        seen
    }

    /// All letters of a name and key without a saga stayed for ever.
    #[test]
    fn a_transaction_looks_at_a_thousand_letters_and_the_next_goes_on_behind_them() {
        let mut letters: Vec<_> = (0..1500).map(|n| letter("alive", n, 1, "1")).collect();
        letters.extend((0..300).map(|n| letter("none", n, 1, "1")));
        letters.extend((0..2000).map(|n| letter("none", n + 300, 5, "1")));
        // The fifth finds none that is old, and the next begins anew.
        let right = [
            (0, 1000),
            (128, 1628),
            (128, 1756),
            (44, 2756),
            (0, 0),
            (0, 1000),
        ];
        assert_eq!(calls(&letters, 5, 6), right);
    }

    #[test]
    fn long_letters_are_looked_at_a_few_at_a_time() {
        let body = "1".repeat(3 << 20);
        let letters: Vec<_> = (0..4).map(|n| letter("none", n, 1, &body)).collect();
        assert_eq!(calls(&letters, 2, 3), [(2, 2), (2, 4), (0, 0)]);
    }
}
