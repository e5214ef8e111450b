//! What the journal of the sagas says. It is read as anybody can read it, with SQL: `docs/saga-format.md`
//! tells what stands where.
use super::rows;
use crate::{saga::PLACE_ORDER, service, system::Data};
use rusqlite::Row;
use std::collections::BTreeMap;

/// The saga of an order.
#[derive(Debug)]
pub(super) struct Saga {
    /// In the words of `Status`.
    pub(super) status: &'static str,
    /// Why it is stuck.
    reason: String,
    pub(super) skipped: Vec<Skipped>,
}

/// A compensation that an operator has taken upon himself.
#[derive(Debug)]
pub(super) struct Skipped {
    pub(super) step: String,
    pub(super) by: String,
    pub(super) note: String,
}

const STATUSES: [&str; 7] = [
    "running",
    "waiting",
    "stuck",
    "finished",
    "compensated",
    "compensated with exceptions",
    "forced",
];

/// The sagas of all orders, by the order's key.
pub(super) fn read(data: &Data) -> anyhow::Result<BTreeMap<String, Saga>> {
    let file = service::sagas(data.path());
    let sql =
        format!("SELECT key, status, COALESCE(reason, '') FROM saga WHERE name = '{PLACE_ORDER}'");
    let mut sagas: BTreeMap<String, Saga> = rows(&file, &sql, saga)?.into_iter().collect();
    // A step's name stands in the event that began it.
    let sql = format!(
        "SELECT s.key, begun.value ->> '$.step.name', e.value ->> '$.skipped.by',
                e.value ->> '$.skipped.note'
         FROM saga AS s JOIN journal AS j ON j.saga = s.id, json_each(j.body) AS e
              JOIN journal AS b ON b.saga = s.id, json_each(b.body) AS begun
         WHERE s.name = '{PLACE_ORDER}' AND s.status = 5
           AND begun.value ->> '$.step.op' = e.value ->> '$.skipped.op'"
    );
    for (key, skipped) in rows(&file, &sql, skipped)? {
        if let Some(saga) = sagas.get_mut(&key) {
            saga.skipped.push(skipped);
        }
    }
    Ok(sagas)
}

fn saga(row: &Row<'_>) -> rusqlite::Result<(String, Saga)> {
    let status = STATUSES.get(usize::from(row.get::<_, u8>(1)?));
    let saga = Saga {
        status: status.unwrap_or(&"unknown"),
        reason: row.get(2)?,
        skipped: Vec::new(),
    };
    Ok((row.get(0)?, saga))
}

fn skipped(row: &Row<'_>) -> rusqlite::Result<(String, Skipped)> {
    let skipped = Skipped {
        step: row.get(1)?,
        by: row.get(2)?,
        note: row.get(3)?,
    };
    Ok((row.get(0)?, skipped))
}

impl Saga {
    /// Whether it left this step's effect as it is, because an operator said so.
    pub(super) fn spared(&self, step: &str) -> bool {
        self.skipped.iter().any(|skipped| skipped.step == step)
    }

    /// That it has not ended, if so.
    pub(super) fn unfinished(&self, key: &str) -> Option<String> {
        let reason = &self.reason;
        match self.status {
            "running" | "waiting" => Some(format!(
                "the saga of {key} has not ended; the next run goes on with it"
            )),
            "stuck" => Some(format!("the saga of {key} waits for an operator: {reason}")),
            _ => None,
        }
    }

    /// That it has ended another way than its order, if so.
    pub(super) fn misfit(&self, key: &str, order: &str) -> Option<String> {
        let saga = self.status;
        let fits = match saga {
            "finished" => order == "confirmed",
            // Missing: not even its first step was possible.
            "compensated" | "compensated with exceptions" => {
                order == "cancelled" || order == "missing"
            }
            _ => saga == "forced",
        };
        (!fits).then(|| format!("the saga of {key} is {saga}, the order {order}"))
    }
}
