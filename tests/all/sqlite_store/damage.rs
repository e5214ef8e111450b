//! Rows that something else has changed: noticed, told with their place, and no harm to others (S36).
use super::*;
use rusqlite::Connection;
use seawall::saga::Status;
use seawall::saga::store::{Claim, Expired, Query};
use std::os::unix::fs::FileExt;
use std::path::Path;

fn waits() -> Next {
    Next::leave(Status::Waiting, Some(0))
}

/// Two sagas of three rows, closed.
async fn two(file: &Path) -> [SagaId; 2] {
    let store = SqliteStore::open(file).await.unwrap();
    let sagas = [create(&store, "a").await, create(&store, "b").await];
    for id in sagas {
        store
            .append(append(id, row(1, 1, 2000), Next::Keep))
            .await
            .unwrap();
        store
            .append(append(id, row(2, 1, 3000), waits()))
            .await
            .unwrap();
    }
    store.close().await;
    sagas
}

/// The seqs of the rows that do not decode, as the next owner sees them.
async fn damage(store: &SqliteStore, id: SagaId) -> Vec<u32> {
    let saga = store.load(id, true).await.unwrap();
    let failed = saga
        .rows
        .iter()
        .filter_map(|row| row.decode(&saga.uid).err());
    failed.map(|damage| damage.seq).collect()
}

/// Changes one row by `sql`, tells what is noticed, and puts the row back.
async fn after(file: &Path, sagas: [SagaId; 2], sql: &str) -> Vec<u32> {
    let before = std::fs::read(file).unwrap();
    let changed = Connection::open(file).unwrap().execute(sql, []).unwrap();
    assert_eq!(changed, 1, "{sql}");
    let store = SqliteStore::open(file).await.unwrap();
    let noticed = damage(&store, sagas[0]).await;
    assert_eq!(damage(&store, sagas[1]).await, [0; 0], "{sql}");
    let claimed = store.claim(Claim::new(ME, 0, 9)).await.unwrap();
    assert_eq!(claimed.sagas.len(), 2, "{sql}");
    store.close().await;
    std::fs::write(file, before).unwrap();
    noticed
}

#[tokio::test]
async fn one_changed_bit_in_any_column_of_a_row_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let sagas = two(&file).await;
    for seq in 0..3 {
        let place = format!("WHERE saga={} AND seq={seq}", sagas[0].0);
        for column in ["epoch", "at", "sum", "seq", "saga"] {
            for bit in [0, 1, 2, 3, 5, 8, 13, 21, 30, 33, 62] {
                // As `x XOR bit`, which SQLite does not have. A seq or a number that is taken cannot
                // be stored.
                let bit = format!("({column} | (1<<{bit})) - ({column} & (1<<{bit}))");
                let sql = format!("UPDATE OR IGNORE journal SET {column} = {bit} {place}");
                if column == "seq" && taken(&file, &sql) {
                    continue;
                }
                let noticed = after(&file, sagas, &sql).await;
                assert!(!noticed.is_empty(), "{sql}");
            }
        }
        for (at, old) in [(1, "["), (2, "]")] {
            for bit in 0..7 {
                let new = char::from(old.as_bytes()[0] ^ (1 << bit));
                let new = u32::from(new);
                let body = if at == 1 {
                    format!("char({new}) || substr(body, 2)")
                } else {
                    format!("substr(body, 1, 1) || char({new})")
                };
                let sql = format!("UPDATE journal SET body = {body} {place}");
                assert_eq!(after(&file, sagas, &sql).await, [seq], "{sql}");
            }
        }
    }
}

/// Whether the row cannot be moved there.
fn taken(file: &Path, sql: &str) -> bool {
    let mut conn = Connection::open(file).unwrap();
    let tx = conn.transaction().unwrap();
    tx.execute(sql, []).unwrap() == 0
}

#[tokio::test]
async fn values_of_the_wrong_type_and_missing_rows_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let sagas = two(&file).await;
    let row = |seq: u32| format!("WHERE saga={} AND seq={seq}", sagas[0].0);
    for value in [
        "7",
        "x'5b5d'",
        "cast(x'ff' AS TEXT)",
        "''",
        "'[]]'",
        "'[{\"later\":{}}]'",
    ] {
        let sql = format!("UPDATE journal SET body = {value} {}", row(1));
        assert_eq!(after(&file, sagas, &sql).await, [1], "{sql}");
    }
    for column in ["epoch", "at", "sum"] {
        for value in ["'x'", "1.5", "-1", "4294967297"] {
            let sql = format!("UPDATE journal SET {column} = {value} {}", row(2));
            assert_eq!(after(&file, sagas, &sql).await, [2], "{sql}");
        }
    }
    for seq in 0..3 {
        let sql = format!("DELETE FROM journal {}", row(seq));
        assert_eq!(after(&file, sagas, &sql).await, [seq], "{sql}");
    }
    for column in ["created = created + 1", "uid = x'00'", "uid = 1"] {
        let sql = format!("UPDATE saga SET {column} WHERE id={}", sagas[0].0);
        assert_eq!(after(&file, sagas, &sql).await, [0, 1, 2], "{sql}");
    }
}

#[tokio::test]
async fn a_saga_with_a_missing_end_can_be_parked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let [id, _] = two(&file).await;
    let conn = Connection::open(&file).unwrap();
    conn.execute("DELETE FROM journal WHERE saga=?1 AND seq=2", [id.0])
        .unwrap();
    drop(conn);
    let store = SqliteStore::open(&file).await.unwrap();
    let saga = store.seize(ME, id).await.unwrap();
    let next = saga.rows.last().unwrap().seq + 1;
    let park = Next::park("row 2 is damaged");
    let parked = append(id, row(next, saga.epoch, 9), park);
    store.append(parked).await.unwrap();
    assert_eq!(store.counts().await.unwrap().stuck, 1);
    assert_eq!(damage(&store, id).await, [2]);
}

#[tokio::test]
async fn a_damaged_page_parks_the_sagas_on_it_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let store = SqliteStore::open(&file).await.unwrap();
    for n in 0..200 {
        let mut new = new_saga("order", &n.to_string(), waits(), 1);
        new.row = wide(0, 1, n);
        store.create(new).await.unwrap();
    }
    store.close().await;
    damage_a_page(&file);

    let store = SqliteStore::open(&file).await.unwrap();
    let claimed = store.claim(Claim::new(ME, 0, 1000)).await.unwrap().sagas;
    assert_eq!(claimed.len(), 200);
    let (mut parked, mut good) = (0, 0);
    for saga in claimed {
        let seq = saga.rows.last().unwrap().seq + 1;
        if saga.rows.iter().any(|row| row.decode(&UID).is_err()) {
            let reason = "it is damaged".to_owned();
            let park = append(saga.id, row(seq, saga.epoch, 9), Next::park(reason));
            store.append(park).await.unwrap();
            parked += 1;
        } else {
            let on = append(saga.id, wide(seq, saga.epoch, 1), Next::Keep);
            match store.append(on).await {
                Ok(()) => good += 1,
                // Its next row would go on the damaged page.
                Err(e) => assert!(matches!(e, StoreError::Read(_)), "{e}"),
            }
        }
    }
    assert!((1..20).contains(&parked), "{parked} are parked");
    assert!(good > 170, "{good} go on");
    let mut stuck = Query::new(100);
    stuck.statuses = vec![Status::Stuck];
    assert_eq!(store.list(stuck).await.unwrap().len(), parked);
}

/// One page that could not be read, and no ended saga was ever deleted again.
#[tokio::test]
async fn a_damaged_page_keeps_its_own_ended_sagas_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let store = SqliteStore::open(&file).await.unwrap();
    for n in 0..200 {
        let mut new = new_saga("order", &n.to_string(), Next::end(Status::Finished), 1);
        new.row = wide(0, 1, n);
        store.create(new).await.unwrap();
    }
    store.close().await;
    damage_a_page(&file);

    let store = SqliteStore::open(&file).await.unwrap();
    let mut expired = Expired::new(2, 30);
    let mut gone = 0;
    loop {
        match store.delete_ended(expired).await.unwrap() {
            0 => break,
            n => gone += n,
        }
    }
    assert!((170..200).contains(&gone), "{gone} are gone");
    assert_eq!(store.counts().await.unwrap().finished, 200 - gone as u64);
    // And those that end later go as well.
    let new = new_saga("order", "later", Next::end(Status::Finished), 1);
    store.create(new).await.unwrap();
    expired.limit = 1;
    assert_eq!(store.delete_ended(expired).await.unwrap(), 1);
}

/// Overwrites a page of the journal, which has to be closed.
fn damage_a_page(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let page = bytes.chunks(4096).skip(10).position(is_journal).unwrap() + 10;
    let disk = std::fs::File::options().write(true).open(file).unwrap();
    disk.write_all_at(&[0xaa; 4096], page as u64 * 4096)
        .unwrap();
}

/// Whether it is a leaf of the journal: each of its cells is a row. What stands in the free part of
/// a page may be anything.
fn is_journal(page: &[u8]) -> bool {
    let number = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    let row = |cell: usize| {
        page[number(8 + 2 * cell)..]
            .iter()
            .take(80)
            .copied()
            .collect::<Vec<_>>()
            .windows(7)
            .any(|part| part == b"row of ")
    };
    page[0] == 0x0a && number(3) > 0 && (0..number(3)).all(row)
}

/// A row that fills an eighth of a page.
fn wide(seq: u32, epoch: u32, n: i32) -> Row {
    let text = format!(
        r#"[{{"patch":{{"op":1,"name":"row of {n} {}"}}}}]"#,
        "-".repeat(400)
    );
    let events: Vec<seawall::saga::journal::Event> = serde_json::from_str(&text).unwrap();
    Row::encode(&UID, seq, epoch, 1, &events).unwrap()
}
