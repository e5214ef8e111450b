//! Random requests to the file and to the memory: equal answers, also after reopening.
use super::*;
use proptest::prelude::*;
use seawall::saga::Status;
use seawall::saga::store::{Claim, Expired, MemoryStore, Query};

#[derive(Clone, Debug)]
enum Op {
    Create(u8, u8, u8),
    Append {
        saga: i64,
        stale: bool,
        skip: i8,
        next: u8,
        consume: bool,
        to: Option<(u8, u8, u8)>,
        new_run: bool,
        clear: bool,
    },
    Claim(i64, usize, bool),
    Seize(i64),
    Release(Option<i64>),
    RunAlone(i64, bool),
    Post(u8, u8, u8),
    Delete(i64, Option<u64>, usize),
    Reopen,
}

const NAMES: [&str; 2] = ["order", "trip"];
const KEYS: [&str; 4] = ["a-1", "a-2", "b", "ü"];

fn op() -> impl Strategy<Value = Op> {
    let saga = 1..10_i64;
    let letter = (0..2_u8, 0..4_u8, 0..3_u8);
    prop_oneof![
        4 => (0..2_u8, 0..4_u8, 0..9_u8).prop_map(|(n, k, next)| Op::Create(n, k, next)),
        8 => (
            saga.clone(),
            prop::bool::weighted(0.1),
            prop_oneof![8 => Just(0), 1 => Just(-1), 1 => Just(1)],
            0..9_u8,
            any::<bool>(),
            prop::option::weighted(0.2, letter.clone()),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.2),
        )
            .prop_map(|(saga, stale, skip, next, consume, to, new_run, clear)| Op::Append {
                saga, stale, skip, next, consume, to, new_run, clear,
            }),
        3 => (0..200_i64, 0..4_usize, any::<bool>()).prop_map(|(n, l, e)| Op::Claim(n, l, e)),
        1 => saga.clone().prop_map(Op::Seize),
        1 => prop::option::of(saga.clone()).prop_map(Op::Release),
        1 => (saga, any::<bool>()).prop_map(|(id, stale)| Op::RunAlone(id, stale)),
        3 => letter.prop_map(|(n, k, id)| Op::Post(n, k, id)),
        1 => (0..200_i64, prop::option::of(0..4_u64), 0..3_usize)
            .prop_map(|(before, keep, limit)| Op::Delete(before, keep, limit)),
        1 => Just(Op::Reopen),
    ]
}

fn next(n: u8, at: i64) -> Next {
    let leave = Next::leave;
    match n {
        0..3 => Next::Keep,
        3 => leave(Status::Waiting, Some(at + 50)),
        4 => leave(Status::Waiting, None),
        5 => leave(Status::Running, Some(0)),
        6 => Next::park(format!("stuck at {at}")),
        7 => Next::end(Status::Finished),
        _ => Next::end(Status::Compensated),
    }
}

/// What the store answers to one request, as text.
async fn answer(store: &dyn Store, op: &Op, at: i64) -> String {
    match op {
        Op::Create(name, key, n) => {
            let (name, key) = (NAMES[*name as usize], KEYS[*key as usize]);
            format!(
                "{:?}",
                store.create(new_saga(name, key, next(*n, at), at)).await
            )
        }
        Op::Append {
            saga,
            stale,
            skip,
            next: n,
            consume,
            to,
            new_run,
            clear,
        } => {
            let id = SagaId(*saga);
            let known = store.load(id, false).await;
            let (epoch, seq) = known.as_ref().map_or((1, 1), |saga| {
                let last = saga.rows.last().map_or(0, |row| row.seq);
                (saga.epoch, last + 1)
            });
            let epoch = if *stale {
                epoch.saturating_sub(1)
            } else {
                epoch
            };
            let mut next = next(*n, at);
            if *skip > 0 {
                next = Next::Keep; // parking may skip a seq
            }
            let mut append = append(
                id,
                row(seq.saturating_add_signed((*skip).into()), epoch, at),
                next,
            );
            if *consume {
                let mail = store.inbox(id).await.unwrap_or_default();
                append.consumed = mail.iter().take(1).map(|mail| mail.arrival).collect();
            }
            if let Some((n, k, l)) = to {
                append.letters = vec![letter(
                    NAMES[*n as usize],
                    KEYS[*k as usize],
                    &l.to_string(),
                )];
            }
            (append.new_run, append.clear_crashes) = (*new_run, *clear);
            format!("{:?}", store.append(append).await)
        }
        Op::Claim(now, limit, except) => {
            let except = if *except {
                vec!["order".into()]
            } else {
                vec![]
            };
            let mut claim = Claim::new(ME, *now, *limit);
            claim.except = except;
            format!("{:?}", store.claim(claim).await)
        }
        Op::Seize(id) => format!("{:?}", store.seize(ME, SagaId(*id)).await),
        Op::Release(id) => format!("{:?}", store.release(ME, id.map(SagaId)).await),
        Op::RunAlone(id, stale) => {
            let epoch = store
                .load(SagaId(*id), false)
                .await
                .map_or(1, |saga| saga.epoch);
            let epoch = epoch.saturating_sub((*stale).into());
            format!("{:?}", store.run_alone(SagaId(*id), epoch).await)
        }
        Op::Post(n, k, id) => {
            let mut letter = letter(NAMES[*n as usize], KEYS[*k as usize], &id.to_string());
            letter.at = at;
            format!("{:?}", store.inbox_put(letter).await)
        }
        Op::Delete(ended_before, keep_at_most, limit) => {
            let mut expired = Expired::new(*ended_before, *limit);
            expired.keep_at_most = *keep_at_most;
            format!("{:?}", store.delete_ended(expired).await)
        }
        Op::Reopen => String::new(),
    }
}

/// Everything that can be read.
async fn whole(store: &dyn Store) -> String {
    let mut all = format!("{:?}\n", store.counts().await);
    for id in (1..12).map(SagaId) {
        all += &format!("{:?}\n", store.load(id, true).await);
        all += &format!("{:?}\n", store.inbox(id).await);
    }
    for (name, key) in NAMES.iter().flat_map(|n| KEYS.map(|k| (n, k))) {
        all += &format!("{:?}\n", store.find(name, key).await);
    }
    let any = |set: &dyn Fn(&mut Query)| {
        let mut query = Query::new(3);
        set(&mut query);
        query
    };
    let text = |t: &str| Some(t.to_owned());
    for query in [
        any(&|_| {}),
        any(&|q| q.after = Some(SagaId(2))),
        any(&|q| q.statuses = vec![Status::Stuck, Status::Waiting, Status::Stuck]),
        any(&|q| q.statuses = vec![Status::Finished, Status::Running]),
        any(&|q| {
            q.statuses = vec![Status::Compensated];
            q.after = Some(SagaId(1));
        }),
        any(&|q| q.name = text("order")),
        any(&|q| {
            (q.name, q.key_prefix) = (text("order"), text("a-"));
            q.after = Some(SagaId(1));
        }),
        any(&|q| q.key_prefix = text("ü")),
        any(&|q| (q.name, q.key_prefix) = (text("trip"), text("ü"))),
        any(&|q| (q.created_before, q.reason_contains) = (Some(30), text("at 1"))),
        Query::new(0),
    ] {
        all += &format!("{:?}\n", store.list(query).await);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn it_answers_like_the_store_in_memory(ops in prop::collection::vec(op(), 1..60)) {
        let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
        rt.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("sagas.db");
            let (memory, mut store) = (MemoryStore::new(), SqliteStore::open(&file).await.unwrap());
            for (n, op) in ops.iter().enumerate() {
                let at = 10 * i64::try_from(n).unwrap();
                if matches!(op, Op::Reopen) {
                    memory.owners_died();
                    drop(store);
                    store = SqliteStore::open(&file).await.unwrap();
                }
                let (found, right) = (answer(&store, op, at).await, answer(&memory, op, at).await);
                prop_assert_eq!(found, right, "{:?}", op);
                let (found, right) = (whole(&store).await, whole(&memory).await);
                prop_assert_eq!(found, right, "after {:?}", op);
            }
            Ok(())
        })?;
    }
}
