//! What was acknowledged is there, however the process ended.
use super::process::Writer;
use super::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Opens the file, and finds in it every row that was acknowledged, and journals without gaps.
async fn holds(file: &Path, acknowledged: &[(i64, u32)]) {
    let store = SqliteStore::open(file).await.unwrap();
    let mut last: BTreeMap<i64, u32> = BTreeMap::new();
    for (id, seq) in acknowledged {
        let known = last.entry(*id).or_default();
        *known = (*known).max(*seq);
    }
    for (id, seq) in last {
        let saga = store.load(SagaId(id), true).await.unwrap();
        assert!(
            saga.rows.last().unwrap().seq >= seq,
            "saga {id} has lost row {seq}"
        );
        for (place, row) in saga.rows.iter().enumerate() {
            assert_eq!(row.seq as usize, place, "saga {id}");
            row.decode(&UID).unwrap();
        }
    }
    store.close().await;
}

#[tokio::test]
async fn a_process_killed_at_any_moment_keeps_every_acknowledged_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let mut all = Vec::new();
    for round in 0..20 {
        let mut writer = Writer::start(&file, "");
        // Other places each time; past the first checkpoint in some rounds.
        let enough = if round % 5 == 4 { 6000 } else { 1 + 37 * round };
        while writer.acknowledged.len() < enough && writer.hear() {}
        writer.kill();
        writer.end();
        assert!(writer.acknowledged.len() >= enough, "it ended by itself");
        all.append(&mut writer.acknowledged);
        holds(&file, &all).await;
    }
}

#[tokio::test]
async fn a_write_that_fails_closes_the_store_for_everybody_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    // No file may grow past a megabyte or so; the signal that tells so is ignored.
    let mut writer = Writer::start(&file, "trap '' XFSZ; ulimit -f 2000;");
    writer.end();
    assert!(
        writer.acknowledged.len() > 100,
        "{}",
        writer.acknowledged.len()
    );
    // 32 that were waiting, and one that came later.
    assert_eq!(writer.refused.len(), 33);
    for why in &writer.refused {
        assert!(why.starts_with("the store is closed: "), "{why}");
        assert!(why.contains("sagas.db: a write failed"), "{why}");
        assert!(why.contains("recovered when it is opened anew"), "{why}");
    }
    holds(&file, &writer.acknowledged).await;
}
