//! The rows that one of our sagas left in its file, so that the raw loop writes exactly those.
use super::Error;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Statement};
use std::path::Path;

/// A row: its table's columns, and what stood there.
type Columns = Vec<(String, Value)>;

/// The tables and indices, and the rows of the one saga in the file.
#[derive(Clone, Debug)]
pub struct Rows {
    pub schema: Vec<String>,
    pub page_size: i64,
    saga: Columns,
    journal: Vec<Columns>,
}

impl Rows {
    /// Reads them from a file that nobody has open.
    pub fn read(path: &Path) -> Result<Rows, Error> {
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut schema = file.prepare(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'",
        )?;
        let schema = schema.query_map([], |row| row.get(0))?;
        let mut sagas = read(&file, "SELECT * FROM saga")?;
        let journal = read(&file, "SELECT * FROM journal ORDER BY seq")?;
        let (Some(saga), true) = (sagas.pop(), sagas.is_empty()) else {
            return Err("the sample holds another number of sagas than one".into());
        };
        Ok(Rows {
            schema: schema.collect::<Result<_, _>>()?,
            page_size: file.query_row("PRAGMA page_size", [], |row| row.get(0))?,
            saga,
            journal,
        })
    }

    /// A new file with the tables of our store, empty, and with its settings.
    pub fn create(&self, path: &Path) -> Result<Connection, Error> {
        let file = Connection::open(path)?;
        file.pragma_update(None, "page_size", self.page_size)?;
        file.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;
             PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-8192;",
        )?;
        file.execute_batch(&self.schema.join(";"))?;
        Ok(file)
    }

    /// How many commits a saga takes.
    pub fn turns(&self) -> usize {
        self.journal.len()
    }
}

fn read(file: &Connection, sql: &str) -> Result<Vec<Columns>, Error> {
    let mut statement = file.prepare(sql)?;
    let names: Vec<String> = statement.column_names().map(Into::into).collect();
    let rows = statement.query_map([], |row| {
        let columns = names.iter().enumerate();
        columns
            .map(|(at, name)| Ok((name.clone(), row.get(at)?)))
            .collect::<Result<Columns, _>>()
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The statements of a saga's life, with all bound that is the same for every saga.
pub struct Statements<'c> {
    create: Statement<'c>,
    create_id: usize,
    create_key: usize,
    append: Vec<(Statement<'c>, usize)>,
    end: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub fn new(file: &'c Connection, rows: &Rows) -> Result<Self, Error> {
        let mut create = insert(file, "saga", &rows.saga)?;
        create.raw_bind_parameter(parameter(&rows.saga, "status")?, 0)?;
        create.raw_bind_parameter(parameter(&rows.saga, "owner")?, i64::MAX)?;
        // All that the end of a saga changes in its line.
        let sql = "UPDATE saga SET status=?2, owner=?3, changed=?4, last=?5 WHERE id=?1";
        let mut end = file.prepare(sql)?;
        for (at, column) in ["status", "owner", "changed", "last"].iter().enumerate() {
            let (_, value) = &rows.saga[parameter(&rows.saga, column)? - 1];
            end.raw_bind_parameter(at + 2, value)?;
        }
        let append = rows
            .journal
            .iter()
            .map(|row| Ok::<_, Error>((insert(file, "journal", row)?, parameter(row, "saga")?)));
        Ok(Statements {
            create,
            create_id: parameter(&rows.saga, "id")?,
            create_key: parameter(&rows.saga, "key")?,
            append: append.collect::<Result<_, _>>()?,
            end,
        })
    }

    /// What one turn of a saga writes.
    pub fn write(&mut self, id: i64, turn: usize) -> Result<(), Error> {
        if turn == 0 {
            self.create.raw_bind_parameter(self.create_id, id)?;
            self.create
                .raw_bind_parameter(self.create_key, format!("order-{id}"))?;
            self.create.raw_execute()?;
        }
        let last = turn + 1 == self.append.len();
        let (append, saga) = self.append.get_mut(turn).ok_or("no such turn")?;
        append.raw_bind_parameter(*saga, id)?;
        append.raw_execute()?;
        if last {
            self.end.raw_bind_parameter(1, id)?;
            self.end.raw_execute()?;
        }
        Ok(())
    }
}

/// An insert of such a row, with all of its values bound.
fn insert<'c>(file: &'c Connection, table: &str, row: &Columns) -> Result<Statement<'c>, Error> {
    let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
    let marks = vec!["?"; row.len()].join(",");
    let sql = format!("INSERT INTO {table}({}) VALUES({marks})", names.join(","));
    let mut statement = file.prepare(&sql)?;
    for (at, (_, value)) in row.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    Ok(statement)
}

/// The number of a column's parameter in that insert.
fn parameter(row: &Columns, column: &str) -> Result<usize, Error> {
    let found = row.iter().position(|(name, _)| name == column);
    found
        .map(|at| at + 1)
        .ok_or_else(|| format!("there is no column {column}").into())
}
