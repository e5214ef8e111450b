//! A row added, and what comes after it.
use super::ask::Op;
use super::db::{Db, Fail};
use super::schema::{number, status};
use super::{Append, Next, Status, StoreError, sizes};
use crate::saga::journal::Row;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

/// The fencing is in the insert: the epoch is the saga's, the seq is free, and the one before it is
/// not. Else there is no `at`, and the row is ignored, as one whose seq is taken is.
///
/// Not `INSERT .. SELECT`, which SQLite puts into a table of its own first: that costs thrice as much.
pub(super) const ADD_ROW: &str = "INSERT OR IGNORE INTO journal VALUES (?1, ?2, ?3, \
     ?4-(SELECT created FROM saga WHERE id=?1 AND epoch=?3 \
     AND EXISTS(SELECT 1 FROM journal WHERE saga=?1 AND seq=?2-1)), ?5, ?6)";

/// The same for a saga whose [head](super::heads) is known, which is the fencing then.
pub(super) const ADD_NEXT_ROW: &str =
    "INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";

/// For parking: where the end of a journal is missing, this row may stand behind the gap.
const ADD_LAST_ROW: &str = "INSERT OR IGNORE INTO journal VALUES (?1, ?2, ?3, \
     ?4-(SELECT created FROM saga WHERE id=?1 AND epoch=?3 AND NOT EXISTS(\
     SELECT 1 FROM journal WHERE saga=?1 AND seq>=?2 AND typeof(seq)='integer')), ?5, ?6)";

/// What is changed beside the row, unless the owner simply goes on.
pub(super) const FOLLOW: &str = "UPDATE saga SET status=?2, owner=NULL, due=?3, changed=?4, \
     last=?5, reason=coalesce(?6, reason) WHERE id=?1";

pub(super) const LINE: &str = "SELECT epoch, status, name, key FROM saga WHERE id=?1";

/// JSON text that is bytes to us. The file has it as text, for whoever looks into it.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// A row's checksum as the file has it: with a sign, since SQLite gives a number beyond 31 bits two
/// bytes more.
pub(super) fn sum_of(row: &Row) -> i32 {
    row.sum.cast_signed()
}

/// Where a saga stands after a row.
pub(super) struct Place<'a> {
    pub(super) status: Status,
    pub(super) number: i64,
    pub(super) due: Option<i64>,
    pub(super) reason: Option<&'a str>,
}

pub(super) fn place_of(next: &Next, mail: bool) -> Place<'_> {
    let (status, due) = match next {
        Next::Keep => (Status::Running, None),
        Next::Leave { status, due } => (*status, if mail { Some(0) } else { *due }),
        Next::Park { .. } => (Status::Stuck, None),
        Next::End { status } => (*status, None),
    };
    Place {
        status,
        number: number(status),
        due,
        reason: sizes::reason(next),
    }
}

impl Op for Append {
    type Written = ();
    type Answer = ();

    fn write(&mut self, db: &mut Db<'_>) -> Result<(), Fail> {
        db.append(self)
    }

    /// Where a damaged journal cannot even take the row that parks its saga, the saga's line still
    /// can.
    fn write_alone(&mut self, db: &mut Db<'_>) -> rusqlite::Result<Result<(), StoreError>> {
        let answer = db.alone(|db| db.append(self))?;
        match (&answer, &self.next) {
            (Err(StoreError::Read(_)), Next::Park { .. }) => db.alone(|db| {
                let line = db.line(self)?;
                db.follow(self, &line)
            }),
            _ => Ok(answer),
        }
    }

    fn read(&mut self, _: &mut Db<'_>, (): ()) -> Result<(), Fail> {
        Ok(())
    }
}

impl Db<'_> {
    fn append(&mut self, append: &Append) -> Result<(), Fail> {
        if append.is_plain() {
            return match self.heads.advance(append) {
                Some(since) => self.add_next_row(append, since),
                None => self.add_row(append),
            };
        }
        let head = self.heads.advance(append);
        self.heads.forget(append.id);
        let line = match head {
            Some(_) if !append.needs_names() => Line::RUNNING,
            _ => self.line(append)?,
        };
        match head {
            Some(since) => self.add_next_row(append, since)?,
            None if matches!(append.next, Next::Park { .. }) => self.add_last_row(append)?,
            None => self.add_row(append)?,
        }
        self.follow(append, &line)
    }

    /// Writes what goes with a row.
    fn follow(&mut self, append: &Append, line: &Line) -> Result<(), Fail> {
        let (id, seq) = (append.id.0, append.row.seq);
        self.read_mail(line, &append.consumed)?;
        if append.new_run {
            let sql = "DELETE FROM journal WHERE saga=?1 AND seq>0 AND seq<?2";
            self.conn.prepare_cached(sql)?.execute((id, seq))?;
            let sql = "UPDATE saga SET run_from=?2 WHERE id=?1";
            self.conn.prepare_cached(sql)?.execute((id, seq))?;
        }
        if append.clear_crashes {
            let sql = "UPDATE saga SET crashes=0, alone=0 WHERE id=?1";
            self.conn.prepare_cached(sql)?.execute([id])?;
        }
        if append.next != Next::Keep {
            let leaving = matches!(append.next, Next::Leave { .. });
            let mail = leaving && self.has_mail(&line.name, &line.key)?;
            let place = place_of(&append.next, mail);
            let at = append.row.at;
            self.follow
                .execute((id, place.number, place.due, at, seq, place.reason))?;
            self.tally.leave(line.status);
            self.tally.enter(place.status);
        }
        for letter in &append.letters {
            self.put(letter)?;
        }
        Ok(())
    }

    fn add_row(&mut self, append: &Append) -> Result<(), Fail> {
        let row = &append.row;
        let body = Text(&row.body);
        added(
            self.add_row
                .execute((append.id.0, row.seq, row.epoch, row.at, sum_of(row), body))?,
        )
    }

    fn add_next_row(&mut self, append: &Append, since: i64) -> Result<(), Fail> {
        let row = &append.row;
        let body = Text(&row.body);
        let rows = self.add_next_row.execute((
            append.id.0,
            row.seq,
            row.epoch,
            since,
            sum_of(row),
            body,
        ))?;
        if rows == 0 {
            self.heads.forget(append.id);
        }
        added(rows)
    }

    fn add_last_row(&mut self, append: &Append) -> Result<(), Fail> {
        let row = &append.row;
        let body = Text(&row.body);
        let mut add = self.conn.prepare_cached(ADD_LAST_ROW)?;
        added(add.execute((append.id.0, row.seq, row.epoch, row.at, sum_of(row), body))?)
    }

    /// The saga's line, where its epoch is the row's.
    fn line(&mut self, append: &Append) -> Result<Line, Fail> {
        let mut rows = self.line.query([append.id.0])?;
        let Some(row) = rows.next()? else {
            return Err(Fail::Answer(StoreError::Fenced));
        };
        if row.get_ref(0)? != ValueRef::Integer(append.row.epoch.into()) {
            return Err(Fail::Answer(StoreError::Fenced));
        }
        let named = append.needs_names();
        let text = |place| -> rusqlite::Result<String> {
            Ok(if named {
                super::load::text(row, place)?
            } else {
                String::new()
            })
        };
        Ok(Line {
            status: status(super::load::integer(row, 1)?.unwrap_or(0)),
            name: text(2)?,
            key: text(3)?,
        })
    }
}

fn added(rows: usize) -> Result<(), Fail> {
    match rows {
        0 => Err(Fail::Answer(StoreError::Fenced)),
        _ => Ok(()),
    }
}

impl Append {
    /// Whether only the row is written.
    fn is_plain(&self) -> bool {
        self.next == Next::Keep
            && self.consumed.is_empty()
            && self.letters.is_empty()
            && !self.new_run
            && !self.clear_crashes
    }

    /// Whether it looks for mail.
    fn needs_names(&self) -> bool {
        !self.consumed.is_empty() || matches!(self.next, Next::Leave { .. })
    }
}

/// What an append needs of its saga's line.
pub(super) struct Line {
    status: Status,
    pub(super) name: String,
    pub(super) key: String,
}

impl Line {
    /// That of a saga that runs, for what needs no names.
    const RUNNING: Line = Line {
        status: Status::Running,
        name: String::new(),
        key: String::new(),
    };
}
