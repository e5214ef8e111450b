//! The books: what each service has in its own database, and whether all of them tell the same story.
//!
//! Read when the services have ended, straight from their files. Nobody's word is taken for it.
mod sagas;

use crate::{name::Name, payments::eur, service, system::Data};
use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags, Row};
use sagas::Saga;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write as _, path::Path};

/// All books together.
pub struct Books {
    orders: Vec<Entry>,
    products: Vec<Product>,
    complaints: Vec<String>,
}

/// One order, in the words of four services and of its saga.
#[derive(Debug, Default)]
struct Entry {
    key: String,
    // orders says:
    customer: String,
    product: String,
    quantity: i64,
    cents: i64,
    status: String,
    reason: String,
    // inventory says:
    reserved: i64,
    released: i64,
    // payments says:
    charged_cents: i64,
    refunded_cents: i64,
    /// Whose card it was.
    payer: String,
    // notifications says:
    told: i64,
    // the journal says:
    saga: Option<Saga>,
}

struct Product {
    sku: String,
    stock: i64,
    received: i64,
}

impl Books {
    /// Reads the databases of services that have ended.
    pub fn read(data: &Data) -> anyhow::Result<Books> {
        let mut entries = BTreeMap::new();
        let sql = "SELECT key, customer, sku, quantity, cents, status, reason FROM orders";
        for entry in book(data, Name::Orders, sql, Entry::read)? {
            entries.insert(entry.key.clone(), entry);
        }
        let mut complaints = Vec::new();
        let sql = "SELECT order_key, SUM(quantity), SUM(quantity * released)
                   FROM reservations GROUP BY order_key";
        for (key, reserved, released) in book(data, Name::Inventory, sql, sums)? {
            match entries.get_mut(&key) {
                Some(entry) => (entry.reserved, entry.released) = (reserved, released),
                None => complaints.push(format!(
                    "inventory has a reservation for {key}, orders nothing"
                )),
            }
        }
        let sql = "SELECT order_key, SUM(cents), SUM(refunded_cents), MIN(customer), MAX(customer)
                   FROM charges GROUP BY order_key";
        let charge = |row: &Row<'_>| Ok((sums(row)?, row.get(3)?, row.get(4)?));
        for ((key, charged, refunded), payer, last) in book(data, Name::Payments, sql, charge)? {
            let (payer, last): (String, String) = (payer, last);
            if payer != last {
                complaints.push(format!("{key} was charged to both {payer} and {last}"));
            }
            match entries.get_mut(&key) {
                Some(entry) => {
                    (entry.charged_cents, entry.refunded_cents) = (charged, refunded);
                    entry.payer = payer;
                }
                None => complaints.push(format!("payments has a charge for {key}, orders nothing")),
            }
        }
        let sql = "SELECT order_key, COUNT(*), 0 FROM messages GROUP BY order_key";
        for (key, told, _) in book(data, Name::Notifications, sql, sums)? {
            match entries.get_mut(&key) {
                Some(entry) => entry.told = told,
                None => complaints.push(format!(
                    "notifications has a message about {key}, orders nothing"
                )),
            }
        }
        for (key, saga) in sagas::read(data)? {
            match entries.get_mut(&key) {
                Some(entry) => entry.saga = Some(saga),
                None => complaints.extend(
                    saga.unfinished(&key)
                        .or_else(|| saga.misfit(&key, "missing")),
                ),
            }
        }
        let sql = "SELECT sku, stock, received FROM products ORDER BY sku";
        let products = book(data, Name::Inventory, sql, |row| {
            let (sku, stock, received) = sums(row)?;
            Ok(Product {
                sku,
                stock,
                received,
            })
        })?;
        let orders: Vec<Entry> = entries.into_values().collect();
        complaints.extend(orders.iter().filter_map(Entry::complaint));
        complaints.extend(
            products
                .iter()
                .filter_map(|product| product.complaint(&orders)),
        );
        Ok(Books {
            orders,
            products,
            complaints,
        })
    }

    /// Every order is wholly done or wholly undone, and the stock says so too.
    pub fn consistent(&self) -> bool {
        self.complaints.is_empty()
    }

    /// One line of JSON.
    pub fn json(&self) -> Value {
        let orders: Vec<Value> = self.orders.iter().map(Entry::json).collect();
        let by_sku = |count: fn(&Product) -> i64| -> Map<String, Value> {
            let count = |p: &Product| (p.sku.clone(), json!(count(p)));
            self.products.iter().map(count).collect()
        };
        json!({
            "orders": orders,
            "stock": by_sku(|p| p.stock),
            // To check the sums by: received = stock + reserved - released.
            "received": by_sku(|p| p.received),
            "consistent": self.consistent(),
        })
    }

    /// The same for people. Of a long run only what is wrong, and the sums.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, to: &mut String) -> std::fmt::Result {
        writeln!(to, "The books, read from the services' own databases:")?;
        writeln!(to)?;
        let (gap, orders, inventory) = ("", "in orders", "in inventory");
        writeln!(to, "  {gap:<36}{orders:<12}{inventory:<24}in payments")?;
        writeln!(
            to,
            "  {:<8} {:<9} {:<16} {:<10} {:>11} {:>11} {:>13} {:>13}",
            "order", "customer", "product", "status", "reserved", "released", "charged", "refunded"
        )?;
        let long = self.orders.len() > LONG;
        let shown = |entry: &&Entry| !long || entry.complaint().is_some();
        for entry in self.orders.iter().filter(shown) {
            entry.write_row(to)?;
        }
        if long {
            writeln!(
                to,
                "  ({} orders; only those that are wrong are shown)",
                self.orders.len()
            )?;
        }
        let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &self.orders {
            *by_status.entry(&entry.status).or_default() += 1;
        }
        let counts: Vec<_> = by_status.iter().map(|(s, n)| format!("{n} {s}")).collect();
        writeln!(to)?;
        writeln!(to, "  orders: {}", counts.join(", "))?;
        let stock: Vec<_> = self
            .products
            .iter()
            .map(|p| format!("{} {} of {}", p.sku, p.stock, p.received))
            .collect();
        writeln!(to, "  stock:  {}", stock.join(", "))?;
        for entry in &self.orders {
            for skipped in entry.saga.iter().flat_map(|saga| &saga.skipped) {
                let sagas::Skipped { step, by, note } = skipped;
                writeln!(to, "  *       {}: {step} stands. {by}: {note}", entry.key)?;
            }
        }
        for complaint in &self.complaints {
            writeln!(to, "  WRONG:  {complaint}")?;
        }
        let spared = self.orders.iter().any(Entry::is_spared);
        let verdict = match self.consistent() {
            true if spared => {
                "all of them agree: every order is wholly done or wholly undone, but for what a \
                 person has signed for"
            }
            true => "all of them agree: every order is wholly done or wholly undone",
            false => "they DISAGREE",
        };
        write!(to, "  {verdict}")
    }
}

/// Orders that fit on a screen.
const LONG: usize = 60;

impl Entry {
    fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
        Ok(Entry {
            key: row.get(0)?,
            customer: row.get(1)?,
            product: row.get(2)?,
            quantity: row.get(3)?,
            cents: row.get(4)?,
            status: row.get(5)?,
            reason: row.get(6)?,
            ..Entry::default()
        })
    }

    /// What is wrong with it, if anything.
    fn complaint(&self) -> Option<String> {
        let Entry {
            key,
            status,
            reason,
            ..
        } = self;
        let kept = self.reserved - self.released;
        let paid = self.charged_cents - self.refunded_cents;
        let done = (self.quantity, self.cents, 0, 0);
        let facts = (
            self.reserved,
            self.charged_cents,
            self.released,
            self.refunded_cents,
        );
        let payer = &self.payer;
        let saga = self.saga.as_ref();
        if let Some(unfinished) = saga.and_then(|saga| saga.unfinished(key)) {
            return Some(unfinished);
        }
        let misfit = || saga.and_then(|saga| saga.misfit(key, status));
        let spared = |step| saga.is_some_and(|saga| saga.spared(step));
        match status.as_str() {
            _ if !payer.is_empty() && *payer != self.customer => Some(format!(
                "{key} is {}'s, and {payer} was charged for it",
                self.customer
            )),
            // A message that never came is a pity (see `saga.rs`); one too many is wrong.
            "confirmed" if self.told > 1 => Some(format!("{key} was told {} times", self.told)),
            "cancelled" if self.told > 0 => Some(format!(
                "{key} is cancelled, and its customer was told the opposite"
            )),
            "confirmed" if facts == done => misfit(),
            "confirmed" => Some(format!(
                "{key} is confirmed, with {kept} of {} kept and {} of {} paid",
                self.quantity,
                eur(paid),
                eur(self.cents)
            )),
            "cancelled"
                if (kept == 0 || spared("reserve_stock"))
                    && (paid == 0 || spared("charge_payment")) =>
            {
                misfit()
            }
            "cancelled" => Some(format!(
                "{key} is cancelled, with {kept} kept and {} paid",
                eur(paid)
            )),
            _ => Some(format!("{key} is {status}: {reason}")),
        }
    }

    fn is_spared(&self) -> bool {
        let saga = self.saga.as_ref();
        saga.is_some_and(|saga| !saga.skipped.is_empty())
    }

    fn json(&self) -> Value {
        json!({
            "key": self.key,
            "product": self.product,
            "status": self.status,
            "saga": self.saga.as_ref().map(|saga| saga.status),
            "reserved": self.reserved,
            "released": self.released,
            "charged_cents": self.charged_cents,
            "refunded_cents": self.refunded_cents,
        })
    }

    fn write_row(&self, to: &mut String) -> std::fmt::Result {
        let some = |n: i64| {
            if n == 0 {
                "-".to_owned()
            } else {
                n.to_string()
            }
        };
        let money = |n: i64| if n == 0 { "-".to_owned() } else { eur(n) };
        writeln!(
            to,
            "  {:<8} {:<9} {:<16} {:<10} {:>11} {:>11} {:>13} {:>13}{}",
            self.key,
            self.customer,
            format!("{} x {}", self.quantity, self.product),
            self.status,
            some(self.reserved),
            some(self.released),
            money(self.charged_cents),
            money(self.refunded_cents),
            match self.complaint() {
                Some(_) => "  WRONG",
                None if self.is_spared() => "  *",
                None => "",
            },
        )
    }
}

impl Product {
    fn complaint(&self, orders: &[Entry]) -> Option<String> {
        let kept: i64 = orders
            .iter()
            .filter(|order| order.product == self.sku)
            .map(|order| order.reserved - order.released)
            .sum();
        let Product {
            sku,
            stock,
            received,
        } = self;
        (stock + kept != *received).then(|| {
            format!("{sku}: {received} came in, {kept} are kept for orders, {stock} are left")
        })
    }
}

fn sums(row: &Row<'_>) -> rusqlite::Result<(String, i64, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Rows of a service's own database.
fn book<T>(
    data: &Data,
    of: Name,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> anyhow::Result<Vec<T>> {
    rows(&service::database(data.path(), of), sql, read)
}

fn rows<T>(
    file: &Path,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let all = || {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.prepare(sql)?.query_map([], read)?.collect()
    };
    let all: rusqlite::Result<_> = all();
    all.with_context(|| format!("cannot read the book `{}`", file.display()))
}

/// The number of the next order in this folder: a second run goes on where the first one ended.
pub fn next_order(data: &Data) -> anyhow::Result<u32> {
    let sql = "SELECT COALESCE(MAX(CAST(SUBSTR(key, 3) AS INTEGER)), 0) FROM orders
               WHERE key GLOB 'o-[0-9]*' AND LENGTH(key) < 10";
    let last = book(data, Name::Orders, sql, |row| row.get::<_, u32>(0))?;
    Ok(last.first().map_or(1, |last| last + 1))
}

/// The key of order number `n`.
pub fn order_key(n: u32) -> String {
    format!("o-{n:04}")
}
