//! The books of all services and the journal of the sagas, read from their files, and
//! compared by somebody who knows nothing of the program's own report.
use super::customers::Told;
use rusqlite::{Connection, OpenFlags, types::FromSql};
use std::{collections::BTreeMap, path::Path};

#[derive(Default)]
pub struct Sums {
    pub orders: usize,
    pub confirmed: usize,
    pub cancelled: usize,
}

fn open(data: &Path) -> Connection {
    let books = Connection::open_in_memory().unwrap();
    for (name, file) in [
        ("orders", "orders"),
        ("sagas", "orders-sagas"),
        ("inventory", "inventory"),
        ("payments", "payments"),
        ("notifications", "notifications"),
    ] {
        let path = data.join(format!("{file}.db"));
        let sql = format!("ATTACH ?1 AS {name}");
        books.execute(&sql, [path.to_str().unwrap()]).unwrap();
    }
    books
}

/// Sagas that have not ended, or wait for a person. Orders does not run.
pub fn unfinished(data: &Path) -> u32 {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let sagas = Connection::open_with_flags(data.join("orders-sagas.db"), flags).unwrap();
    let sql = "SELECT COUNT(*) FROM saga WHERE status < 3";
    sagas.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What must not be there: each row of each is a complaint.
const WRONG: &[(&str, &str)] = &[
    (
        "an order has not ended",
        "SELECT key FROM orders.orders WHERE status NOT IN ('confirmed', 'cancelled')",
    ),
    (
        "an order and its saga have not ended alike",
        "SELECT o.key FROM orders.orders AS o LEFT JOIN sagas.saga AS s ON s.key = o.key
         WHERE s.status IS NOT CASE o.status WHEN 'confirmed' THEN 3 ELSE 4 END",
    ),
    (
        "a saga without an order was finished",
        "SELECT s.key FROM sagas.saga AS s LEFT JOIN orders.orders AS o ON o.key = s.key
         WHERE o.key IS NULL AND s.status != 4",
    ),
    (
        "a confirmed order is not paid once, in full, by its customer",
        "SELECT o.key FROM orders.orders AS o LEFT JOIN payments.charges AS c ON c.order_key = o.key
         WHERE o.status = 'confirmed' GROUP BY o.key
         HAVING COUNT(c.step) != 1 OR SUM(c.cents) != o.cents OR SUM(c.refunded_cents) != 0
             OR MAX(c.customer) != o.customer",
    ),
    (
        "a confirmed order has not reserved once what it is about",
        "SELECT o.key FROM orders.orders AS o
             LEFT JOIN inventory.reservations AS r ON r.order_key = o.key
         WHERE o.status = 'confirmed' GROUP BY o.key
         HAVING COUNT(r.step) != 1 OR SUM(r.quantity) != o.quantity OR SUM(r.released) != 0
             OR MAX(r.sku) != o.sku",
    ),
    (
        "an order that was undone keeps goods",
        "SELECT order_key FROM inventory.reservations AS r
             LEFT JOIN orders.orders AS o ON o.key = r.order_key
         WHERE r.released = 0 AND o.status IS NOT 'confirmed'",
    ),
    (
        "an order that was undone keeps money",
        "SELECT order_key FROM payments.charges AS c
             LEFT JOIN orders.orders AS o ON o.key = c.order_key
         WHERE c.refunded_cents != c.cents AND o.status IS NOT 'confirmed'",
    ),
    (
        "an order was charged twice",
        "SELECT order_key FROM payments.charges GROUP BY order_key HAVING COUNT(*) > 1",
    ),
    (
        "an order was reserved twice",
        "SELECT order_key FROM inventory.reservations GROUP BY order_key HAVING COUNT(*) > 1",
    ),
    (
        "a confirmed order has not been told of once",
        "SELECT o.key FROM orders.orders AS o
             LEFT JOIN notifications.messages AS m ON m.order_key = o.key
         WHERE o.status = 'confirmed' GROUP BY o.key HAVING COUNT(m.step) != 1",
    ),
    (
        "an order that is not confirmed was told of",
        "SELECT m.order_key FROM notifications.messages AS m
             LEFT JOIN orders.orders AS o ON o.key = m.order_key
         WHERE o.status IS NOT 'confirmed'",
    ),
    (
        "goods are lost or made",
        "SELECT p.sku FROM inventory.products AS p
         WHERE p.received != p.stock + (
             SELECT COALESCE(SUM(r.quantity), 0) FROM inventory.reservations AS r
             WHERE r.sku = p.sku AND r.released = 0)",
    ),
    (
        "money in all is not that of all confirmed orders",
        "SELECT 'the sum' WHERE
             (SELECT COALESCE(SUM(cents - refunded_cents), 0) FROM payments.charges)
          != (SELECT COALESCE(SUM(cents), 0) FROM orders.orders WHERE status = 'confirmed')",
    ),
];

/// All of them tell the same story, which is the one that customers were told. With nothing under way.
pub fn agree(data: &Path, told: &Told) -> Sums {
    let books = open(data);
    for (complaint, sql) in WRONG {
        let wrong: Vec<String> = rows(&books, sql);
        assert!(wrong.is_empty(), "{complaint}: {wrong:?}");
    }
    let orders = rows::<String>(&books, "SELECT key || ' ' || status FROM orders.orders");
    let ends: BTreeMap<_, _> = orders
        .iter()
        .filter_map(|row| row.split_once(' '))
        .collect();
    for (key, end) in told {
        // One that could not even be created leaves nothing behind but its saga.
        let is = ends.get(key.as_str()).copied().unwrap_or("cancelled");
        assert_eq!(is, end, "{key} was told otherwise");
    }
    let with = |end: &str| ends.values().filter(|is| **is == end).count();
    Sums {
        orders: ends.len(),
        confirmed: with("confirmed"),
        cancelled: with("cancelled"),
    }
}

fn rows<T: FromSql>(books: &Connection, sql: &str) -> Vec<T> {
    let mut query = books.prepare(sql).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
