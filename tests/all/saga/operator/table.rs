//! Every command in every state: what it answers, and what it leaves in the journal.
use super::desk::{Desk, rows, settle_down, signatures};
use seawall::saga::{Find, MemoryStore, Operator, Refused, SagaId, Settlement};

const COMMANDS: [&str; 6] = ["cancel", "retry", "abort", "skip", "settle", "force_end"];

const TABLE: &str = "
state                  | cancel    | retry    | abort     | skip      | settle    | force_end
running                | ok        | NotStuck | NotStuck  | NotStuck  | NotStuck  | ok
running past its pivot | PastPivot | NotStuck | NotStuck  | NotStuck  | NotStuck  | ok
running backward       | granted   | NotStuck | NotStuck  | NotStuck  | NotStuck  | ok
waiting                | ok        | NotStuck | NotStuck  | NotStuck  | NotStuck  | ok
waiting past its pivot | PastPivot | NotStuck | NotStuck  | NotStuck  | NotStuck  | ok
waiting backward       | granted   | NotStuck | NotStuck  | NotStuck  | NotStuck  | ok
stuck unknown          | Stuck     | ok       | ok        | Operation | ok        | ok
stuck in its pivot     | Stuck     | ok       | Operation | Operation | Operation | ok
stuck past its pivot   | Stuck     | ok       | PastPivot | Operation | Operation | ok
stuck backward         | Stuck     | ok       | ok        | ok        | Operation | ok
stuck in its code      | Stuck     | ok       | ok        | Operation | Operation | ok
damaged                | Damaged   | Damaged  | Damaged   | Damaged   | Damaged   | ok
finished               | Ended     | Ended    | Ended     | Ended     | Ended     | Ended
compensated            | Ended     | Ended    | Ended     | Ended     | Ended     | Ended
forced                 | Ended     | Ended    | Ended     | Ended     | Ended     | Ended
missing                | NotFound  | NotFound | NotFound  | NotFound  | NotFound  | NotFound
";

pub async fn give(who: &Operator, command: &str, id: SagaId) -> Result<(), Refused> {
    let note = "ticket 7";
    match command {
        "cancel" => who.cancel(id, note).await,
        "retry" => who.retry(id, note).await,
        "abort" => who.abort(id, note).await,
        "skip" => who.skip(id, 0, note).await,
        "settle" => who.settle(id, 1, Settlement::NotApplied, note).await,
        _ => who.force_end(id, note).await,
    }
}

fn word(result: &Result<(), Refused>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(refused) => {
            let debug = format!("{refused:?}");
            debug.split([' ', '(', '{']).next().unwrap().to_owned()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_command_in_every_state_answers_as_the_table_says_and_refusals_write_nothing() {
    let mut table = TABLE.trim().lines();
    let head: Vec<_> = table.next().unwrap().split('|').map(str::trim).collect();
    assert_eq!(head[1..], COMMANDS);
    for line in table {
        let line: Vec<_> = line.split('|').map(str::trim).collect();
        let state = line[0];
        for (command, expected) in COMMANDS.iter().zip(&line[1..]) {
            let store = MemoryStore::new();
            let desk = Desk::on(store.clone()).await;
            let id = desk.at(state, &store).await;
            let before = (
                rows(&store, id),
                desk.alice.list(Find::any()).await.unwrap(),
            );
            let answer = give(&desk.alice, command, id).await;
            let case = format!("{command} of a saga that is {state}: {answer:?}");
            let after = (
                rows(&store, id),
                desk.alice.list(Find::any()).await.unwrap(),
            );
            match *expected {
                "ok" => {
                    assert_eq!(word(&answer), "ok", "{case}");
                    let signed = signatures(&store, id).await.unwrap();
                    let at = after.0[before.0.len()].at;
                    let by = format!(" by alice at {at}: ticket 7");
                    assert!(
                        signed.iter().any(|s| s.ends_with(&by)),
                        "{case}: {signed:?}"
                    );
                }
                "granted" => {
                    assert_eq!(word(&answer), "ok", "{case}");
                    assert!(before == after, "{case}");
                }
                refused => {
                    assert_eq!(word(&answer), refused, "{case}");
                    assert!(before == after, "{case}");
                    settle_down().await;
                    assert!(rows(&store, id) == before.0, "{case}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_to_do() {
    let mut told = Vec::new();
    for (state, command) in [
        ("running", "retry"),
        ("running past its pivot", "cancel"),
        ("stuck unknown", "cancel"),
        ("stuck unknown", "skip"),
        ("stuck in its pivot", "abort"),
        ("stuck backward", "settle"),
        ("damaged", "retry"),
        ("finished", "cancel"),
        ("missing", "retry"),
    ] {
        let store = MemoryStore::new();
        let desk = Desk::on(store.clone()).await;
        let id = desk.at(state, &store).await;
        let refused = give(&desk.alice, command, id).await.unwrap_err();
        told.push(refused.to_string());
    }
    let expected = [
        "the saga is not stuck; only cancel and force_end apply to a saga that runs",
        "the saga is past its pivot and only goes forward; it cannot be undone any more",
        "the saga is stuck: abort it, retry it, or end it by force",
        "operation 0 cannot be skipped: step `a`: no compensation of it is due",
        "operation 2 cannot be undone: step `p`: it is a pivot, and nobody knows whether it was \
         applied; settle it first",
        "operation 1 cannot be settled: step `b`: it is known not to be applied",
        "journal row 1 is damaged: ...; a damaged saga can only be ended by force (force_end), \
         after a look at what its steps have done",
        "the saga has ended",
        "there is no saga 999; one that has ended is deleted after its retention",
    ];
    for (told, expected) in told.iter().zip(expected) {
        let (begin, end) = expected.split_once("...").unwrap_or((expected, ""));
        assert!(told.starts_with(begin) && told.ends_with(end), "{told}");
    }
}
