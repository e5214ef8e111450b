//! The events of the order example: its own files, on real databases, without the processes around.
//!
//! They are compiled in here, since a binary has no library to test; an example tested by itself
//! would be one more binary to link.
#[path = "../../examples/order_saga/orders/book.rs"]
mod book;
mod conflicts;
mod damage;
#[allow(dead_code)] // The other services use the rest of it.
#[path = "../../examples/order_saga/service/db.rs"]
mod db;
#[path = "../../examples/order_saga/orders/log.rs"]
mod log;
mod model;
#[allow(dead_code)] // As does the saga.
#[path = "../../examples/order_saga/orders/order.rs"]
mod order;
mod read_model;

use book::Book;
use db::Db;
use log::Versioned;
use order::{Order, OrderEvent};
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with a database of orders.
struct Shop {
    folder: TempDir,
    snapshot_every: u32,
}

impl Shop {
    fn new(snapshot_every: u32) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        Shop {
            folder,
            snapshot_every,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("orders.db")
    }

    fn db(&self) -> Db {
        Db::open(&self.file(), log::SCHEMA).unwrap()
    }

    /// What a start of the service does.
    async fn open(&self) -> anyhow::Result<Book> {
        Book::open(self.db(), self.snapshot_every).await
    }

    /// Somebody else's connection to the same file.
    fn raw(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    fn load(&self, key: &str) -> Versioned {
        log::load(&self.raw(), key).unwrap()
    }

    /// The events of an order, as they are in the file.
    fn events(&self, key: &str) -> Vec<String> {
        let connection = self.raw();
        let sql = r#"SELECT event FROM order_events WHERE "order" = ?1 ORDER BY version"#;
        let mut rows = connection.prepare(sql).unwrap();
        let events = rows.query_map([key], |row| row.get(0)).unwrap();
        events.collect::<Result<_, _>>().unwrap()
    }

    /// The rows of a table, in the order of its first column.
    fn rows(&self, table: &str) -> Vec<String> {
        let connection = self.raw();
        let sql = format!("SELECT * FROM {table} ORDER BY 1");
        let mut rows = connection.prepare(&sql).unwrap();
        let columns = rows.column_count();
        let rows = rows.query_map([], |row| {
            (0..columns)
                .map(|i| Ok(format!("{:?}", row.get_ref(i)?)))
                .collect::<rusqlite::Result<Vec<_>>>()
        });
        rows.unwrap().map(|row| row.unwrap().join(" ")).collect()
    }
}

/// Two lamps for Ada.
fn lamps(key: &str) -> Order {
    Order::new(key.to_owned(), "ada".to_owned(), "lamp".to_owned(), 2)
}

fn cancelled(code: u16) -> OrderEvent {
    let reason = format!("no {code}");
    OrderEvent::Cancelled { code, reason }
}

#[test]
fn events_are_written_as_they_always_were() {
    let placed = OrderEvent::Placed {
        customer: "ada".to_owned(),
        sku: "lamp".to_owned(),
        quantity: 2,
    };
    let stuck = OrderEvent::Stuck {
        code: 424,
        reason: "no".to_owned(),
    };
    for (event, text) in [
        (
            placed,
            r#"{"placed":{"customer":"ada","sku":"lamp","quantity":2}}"#,
        ),
        (
            OrderEvent::Confirmed { cents: 9_800 },
            r#"{"confirmed":{"cents":9800}}"#,
        ),
        (OrderEvent::Undone {}, r#"{"undone":{}}"#),
        (
            cancelled(409),
            r#"{"cancelled":{"code":409,"reason":"no 409"}}"#,
        ),
        (stuck, r#"{"stuck":{"code":424,"reason":"no"}}"#),
    ] {
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::from_str::<OrderEvent>(text).unwrap(), event);
    }
}
