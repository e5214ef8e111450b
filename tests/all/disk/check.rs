//! What must hold of a file after anything that has happened to it.
use super::LONG;
use super::books::{Books, Order};
use super::program::{engine, journal};
use super::told::{Fact, Told};
use seawall::saga::journal::Event;
use seawall::saga::store::{Query, Status, Store, StoreError};
use seawall::saga::{SagaError, SqliteStore};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tokio::time::timeout;

/// S26: what is in the file is a prefix of every journal, undamaged, with all that was promised.
/// What is missing, if anything is.
pub async fn missing(folder: &Path, facts: &[Fact]) -> Result<(), String> {
    let store = SqliteStore::open(journal(folder)).await;
    let store = store.map_err(|e| e.to_string())?;
    let found = look(&store, facts).await;
    store.close().await;
    found?;
    let db = rusqlite::Connection::open(journal(folder)).map_err(|e| e.to_string())?;
    let whole: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|e| e.to_string())?;
    match whole.as_str() {
        "ok" => Ok(()),
        other => Err(other.to_owned()),
    }
}

/// The same of the program that has no engine.
pub fn raw_missing(folder: &Path, facts: &[Fact]) -> Result<(), String> {
    let look = || {
        let db = rusqlite::Connection::open(journal(folder))?;
        let mut rows = db.prepare("SELECT n FROM raw")?;
        let rows = rows.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<BTreeSet<i64>>>()
    };
    let rows = look().map_err(|e| e.to_string())?;
    let is_lost = |fact: &&Fact| matches!(fact, Fact::Raw(n) if !rows.contains(n));
    match facts.iter().find(is_lost) {
        None => Ok(()),
        Some(fact) => Err(format!("promised, and not there: {fact:?}")),
    }
}

pub async fn all_is_there(folder: &Path, facts: &[Fact]) {
    if let Err(why) = missing(folder, facts).await {
        panic!("{why}");
    }
}

async fn look(store: &SqliteStore, facts: &[Fact]) -> Result<(), String> {
    let mut sagas = BTreeMap::new();
    for summary in list(store).await.map_err(|e| e.to_string())? {
        let saga = store.load(summary.id, true).await;
        let saga = saga.map_err(|e| e.to_string())?;
        for (place, row) in saga.rows.iter().enumerate() {
            if row.seq as usize != place {
                return Err(format!("saga {}: row {place} is missing", saga.id));
            }
            row.decode(&saga.uid).map_err(|damage| damage.to_string())?;
        }
        sagas.insert(saga.id.0, saga);
    }
    for fact in facts {
        let there = match fact {
            Fact::Row {
                id,
                seq,
                epoch,
                sum,
            } => sagas
                .get(id)
                .and_then(|saga| saga.rows.get(*seq as usize))
                .is_some_and(|row| (row.epoch, row.sum) == (*epoch, *sum)),
            Fact::Started { number, id } => sagas
                .get(id)
                .is_some_and(|saga| saga.key == number.to_string()),
            Fact::Ended { number, out } => sagas
                .values()
                .find(|saga| saga.key == number.to_string())
                .and_then(|saga| saga.rows.last()?.decode(&saga.uid).ok())
                .is_some_and(|events| match events.last() {
                    Some(Event::Finished { .. }) => out.is_some(),
                    Some(Event::Compensated { .. }) => out.is_none(),
                    _ => false,
                }),
            _ => true,
        };
        if !there {
            return Err(format!("promised, and not there: {fact:?}"));
        }
    }
    Ok(())
}

async fn list(store: &SqliteStore) -> Result<Vec<seawall::saga::store::Summary>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let mut query = Query::new(100);
        query.after = after;
        let page = store.list(query).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = Some(last.id);
        all.extend(page);
    }
}

/// S1, S14, S15, S16: taken up again every saga ends as it must, and the participants' books say
/// the same. How many there are.
pub async fn all_ends(folder: &Path, facts: &[Fact]) -> usize {
    let store = SqliteStore::open(journal(folder)).await.unwrap();
    let told = Told {
        store: store.clone(),
        tell: Arc::new(|_| ()),
    };
    let (engine, _) = engine(folder, told).await;
    let mut ends: BTreeMap<u32, Option<u32>> = BTreeMap::new();
    for summary in list(&store).await.unwrap() {
        let mut handle = engine.handle::<u32>(summary.id);
        let outcome = timeout(LONG, handle.outcome()).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("saga {} hangs", summary.key));
        let end = match outcome {
            Ok(out) => Some(out),
            Err(SagaError::Compensated { .. }) => None,
            Err(other) => panic!("saga {}: {other}", summary.key),
        };
        ends.insert(summary.key.parse().unwrap(), end);
    }
    drop(engine);
    let statuses: BTreeSet<_> = list(&store)
        .await
        .unwrap()
        .iter()
        .map(|s| s.status as u8)
        .collect();
    let ended = [Status::Finished as u8, Status::Compensated as u8];
    assert!(statuses.iter().all(|status| ended.contains(status)));
    store.close().await;

    let net = Books::open(folder).net();
    for (&number, &end) in &ends {
        let order = Order {
            number,
            padding: String::new(),
        };
        let (out, sums) = match order.is_refused() {
            true => (None, [0; 3]),
            false => (Some(3 * number), [1; 3]),
        };
        assert_eq!(end, out, "saga {number}");
        assert_eq!(
            net.get(&number).copied().unwrap_or_default(),
            sums,
            "saga {number}"
        );
    }
    for number in net.keys() {
        assert!(
            ends.contains_key(number),
            "{number} has effects and no saga"
        );
    }
    for fact in facts {
        if let Fact::Ended { number, out } = fact {
            assert_eq!(ends[number], *out, "saga {number} ends twice");
        }
    }
    ends.len()
}
