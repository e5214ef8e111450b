//! Journals are told again: by what writes them now, and to the code that wrote them.
use super::{
    super::stage::{Stage, pass},
    file::{File, UID},
    golden, names, same, scenarios,
};
use seawall::saga::{
    Status, Store as _,
    journal::{OpState, Row, StuckKind},
    store::{Append, NewSaga, Next, Owner, SagaId},
};

#[tokio::test(start_paused = true)]
async fn s34_every_scenario_leaves_the_journal_of_its_golden_file() {
    for scenario in scenarios::all() {
        let stage = scenarios::play(&scenario).await;
        let key = stage.key_of(scenario.of).await;
        let now = File::of(&stage, scenario.of, &key).await.text();
        same(
            scenario.name,
            &now,
            &golden("scenarios", scenario.name, &now),
        );
    }
}

fn read(name: &str) -> File {
    serde_json::from_str(&golden("scenarios", name, "")).unwrap()
}

#[test]
fn s34_every_golden_journal_is_read_and_folded_as_it_was() {
    for name in names("scenarios") {
        let file = read(&name);
        for row in &file.rows {
            let again = serde_json::to_string(&row.events()).unwrap();
            assert_eq!(again, row.events.get(), "{name}");
        }
        assert_eq!(file.folded().get(), file.fold.get(), "{name}");
        assert!(!golden("scenarios", &name, "").contains("\u{1}"), "{name}");
    }
}

#[test]
fn between_them_the_golden_journals_have_every_event() {
    let journals: String = names("scenarios")
        .iter()
        .map(|name| golden("scenarios", name, ""))
        .collect();
    for event in names("events") {
        assert!(journals.contains(&format!("{{\"{event}\":{{")), "{event}");
    }
}

/// The first `rows` of a journal in a store, as if its process had died then.
async fn stored(stage: &Stage, file: &File, rows: usize) {
    let uid = [0; 16];
    assert_eq!(UID.len(), 2 * uid.len());
    let owner = Owner(1);
    let mut epoch = 1;
    let mut id = SagaId(0);
    for (seq, line) in file.rows.iter().take(rows).enumerate() {
        let seq = u32::try_from(seq).unwrap();
        let events = line.events();
        let new_run = seq > 0 && line.events.get().contains("{\"continued\":");
        let row = Row::encode(&uid, seq, line.epoch, line.at, &events).unwrap();
        if seq == 0 {
            let mut new = NewSaga::new(&*file.saga, &*file.key, uid, row, owner);
            new.version = file.version;
            stage.store.create(new).await.unwrap();
            id = stage.id(&file.saga, &file.key).await;
            continue;
        }
        while epoch < line.epoch {
            epoch = stage.store.seize(owner, id).await.unwrap().epoch;
        }
        let mut append = Append::new(id, row, Next::Keep);
        append.new_run = new_run;
        stage.store.append(append).await.unwrap();
    }
    stage.store.release(owner, Some(id)).await.unwrap();
}

/// No beginning of it is strange to the code that wrote it; what is written is not touched, and what
/// has an outcome is not done again.
#[tokio::test(start_paused = true)]
async fn s20_s34_every_beginning_of_every_golden_journal_is_taken_up_by_the_code_of_today() {
    for name in names("scenarios") {
        let file = read(&name);
        for rows in 1..=file.rows.len() {
            let what = format!("{name}, {rows} rows");
            let stage = Stage::new();
            stored(&stage, &file, rows).await;
            let before = stage.rows(&file.saga, &file.key).await;
            let engine = scenarios::open(&stage).await;
            pass(4000).await;
            drop(engine);

            let mut head = read(&name);
            head.rows.truncate(rows);
            taken_up(&stage, &head, &what).await;
            let after = stage.rows(&file.saga, &file.key).await;
            if after[0].seq == before[0].seq {
                assert_eq!(after[..before.len()], before, "{what}");
            }
            let status = stage.status(&file.saga, &file.key).await;
            let view = head.view();
            if view.phase.is_final() {
                assert_eq!(status.to_string(), file.status, "{what}");
                // What was behind was brought up, in a row that says nothing.
                let new = after.iter().skip(before.len());
                assert!(new.clone().all(|row| row.body == b"[]"), "{what}");
            }
            assert_ne!(status, Status::Running, "{what}");
            if file.saga != "parking" {
                // Whoever has the code that fits goes on with one that was parked for that.
                let stuck = view.stuck.as_ref();
                let stuck = stuck.is_some_and(|(kind, _)| *kind != StuckKind::Code);
                assert_eq!(status == Status::Stuck, stuck, "{what}");
            }
        }
    }
}

/// What the participants have met while it was taken up.
async fn taken_up(stage: &Stage, head: &File, what: &str) {
    let reason = stage.reason(&head.saga, &head.key).await;
    let view = head.view();
    if view.stuck.is_none() {
        for kind in [StuckKind::Code, StuckKind::Damage, StuckKind::Saga] {
            assert!(!reason.starts_with(kind.as_str()), "{what}: {reason}");
        }
    }
    for (op, known) in &view.ops {
        let key = format!("{UID}/{op}");
        let (runs, undos) = stage.calls(&key);
        match known.state {
            OpState::Intent => {}
            OpState::Undone | OpState::Skipped => assert_eq!((runs, undos), (0, 0), "{what}"),
            OpState::Clean => assert_eq!((runs, undos), (0, 0), "{what}"),
            _ => assert_eq!(runs, 0, "{what}: operation {op} is done again"),
        }
    }
}
