//! Sagas listed for operators, without stalling writers: a walk by number looks at a slice of sagas,
//! lets commits pass, and goes on where it stood.
use super::append::Text;
use super::db::{Db, Fail};
use super::load::{integer, text};
use super::{Query, SagaId, SqliteStore, Status, StoreError, Summary, schema};
use std::collections::BTreeMap;

/// How many sagas one request looks at.
const SLICE: usize = 2000;

/// A part of a walk.
pub(super) struct Part {
    pub(super) found: Vec<Summary>,
    /// The last saga it looked at; `None` where there are no more.
    upto: Option<SagaId>,
}

pub(super) async fn list(store: &SqliteStore, query: Query) -> Result<Vec<Summary>, StoreError> {
    if let (Some(name), Some(prefix)) = (&query.name, &query.key_prefix)
        && !prefix.is_empty()
    {
        let (query, name, prefix) = (query.clone(), name.clone(), prefix.clone());
        let few = store.read(move |db| db.with_key(&query, &name, &prefix));
        if let Some(found) = few.await? {
            return Ok(found);
        }
    }
    // All but the finished ones are in an index of their own, by status.
    if query.statuses.is_empty() || query.statuses.contains(&Status::Finished) {
        return walk(store, &query, None).await;
    }
    let mut walks = Vec::new();
    for status in Status::ALL {
        if query.statuses.contains(status) {
            walks.push(walk(store, &query, Some(*status)).await?);
        }
    }
    Ok(joined(walks, query.limit))
}

/// By number, each as it stood when it was last seen: its status may change between two walks.
fn joined(walks: Vec<Vec<Summary>>, limit: usize) -> Vec<Summary> {
    let sagas = walks.into_iter().flatten().map(|saga| (saga.id, saga));
    let found: BTreeMap<_, _> = sagas.collect();
    found.into_values().take(limit).collect()
}

/// The first ones by number that fit; of this status alone, where one is given.
async fn walk(
    store: &SqliteStore,
    query: &Query,
    status: Option<Status>,
) -> Result<Vec<Summary>, StoreError> {
    let mut found = Vec::new();
    let mut rest = query.clone();
    loop {
        rest.limit = query.limit.saturating_sub(found.len());
        if rest.limit == 0 {
            return Ok(found);
        }
        let part = rest.clone();
        let mut part = store.read(move |db| db.slice(&part, status)).await?;
        found.append(&mut part.found);
        match part.upto {
            None => return Ok(found),
            upto => rest.after = upto,
        }
    }
}

const COLUMNS: &str = "id, name, key, version, status, reason, created, changed, due";

impl Db<'_> {
    pub(super) fn slice(&mut self, query: &Query, status: Option<Status>) -> Result<Part, Fail> {
        let of_status = match status {
            Some(_) => "status <> 3 AND status=?2 AND",
            None => "?2 IS NULL AND",
        };
        let sql = format!("SELECT {COLUMNS} FROM saga WHERE {of_status} id>?1 ORDER BY id");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let after = query.after.map_or(i64::MIN, |id| id.0);
        let mut rows = statement.query((after, status.map(schema::number)))?;
        let mut part = Part {
            found: Vec::new(),
            upto: None,
        };
        for _ in 0..SLICE {
            let Some(row) = rows.next()? else {
                part.upto = None;
                return Ok(part);
            };
            let saga = summary(row)?;
            part.upto = Some(saga.id);
            if query.fits(&saga) {
                part.found.push(saga);
                if part.found.len() >= query.limit {
                    break;
                }
            }
        }
        Ok(part)
    }

    /// By name and the beginning of the key, where these are few; else `None`.
    pub(super) fn with_key(
        &mut self,
        query: &Query,
        name: &str,
        prefix: &str,
    ) -> Result<Option<Vec<Summary>>, Fail> {
        let sql = format!(
            "SELECT {COLUMNS} FROM saga WHERE name=?1 AND key>=?2 AND key<?3 LIMIT {}",
            SLICE.saturating_add(1)
        );
        // The first text after all that begin so: never 0xFF, which UTF-8 does not have.
        let mut beyond = prefix.as_bytes().to_vec();
        if let Some(last) = beyond.last_mut() {
            *last = last.saturating_add(1);
        }
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query((name, prefix, Text(&beyond)))?;
        let (mut found, mut seen) = (Vec::new(), 0_usize);
        while let Some(row) = rows.next()? {
            seen = seen.saturating_add(1);
            if seen > SLICE {
                return Ok(None);
            }
            let saga = summary(row)?;
            if query.after.is_none_or(|after| saga.id > after) && query.fits(&saga) {
                found.push(saga);
            }
        }
        found.sort_by_key(|saga| saga.id);
        found.truncate(query.limit);
        Ok(Some(found))
    }
}

fn summary(row: &rusqlite::Row<'_>) -> rusqlite::Result<Summary> {
    let status = integer(row, 4)?.map_or(Status::Stuck, schema::status);
    let version = integer(row, 3)?.and_then(|n| u32::try_from(n).ok());
    let reason: String = text(row, 5)?;
    let has_reason = !matches!(row.get_ref(5)?, rusqlite::types::ValueRef::Null);
    Ok(Summary {
        id: SagaId(row.get(0)?),
        name: text(row, 1)?,
        key: text(row, 2)?,
        version: version.unwrap_or(0),
        status,
        reason: has_reason.then_some(reason),
        created_ms: integer(row, 6)?.unwrap_or(0),
        changed_ms: integer(row, 7)?.unwrap_or(0),
        due_ms: integer(row, 8)?.filter(|_| status == Status::Waiting),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each status is walked by itself. A saga that was parked between two walks stood in the list
    /// twice.
    #[test]
    fn a_saga_whose_status_changes_between_two_walks_is_listed_once_as_it_was_last() {
        let saga = |id, status| {
            let (name, key) = ("order".to_owned(), format!("k{id}"));
            Summary::new(SagaId(id), name, key, 1, status, None, 1, 1, None)
        };
        let running = vec![saga(1, Status::Running), saga(3, Status::Running)];
        let stuck = vec![saga(1, Status::Stuck), saga(2, Status::Stuck)];
        let expected = [
            saga(1, Status::Stuck),
            saga(2, Status::Stuck),
            saga(3, Status::Running),
        ];
        assert_eq!(joined(vec![running.clone(), stuck.clone()], 9), expected);
        assert_eq!(joined(vec![running, stuck], 2), expected[..2]);
    }
}
