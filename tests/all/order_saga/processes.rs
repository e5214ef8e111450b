//! What becomes of seven processes when one of them is killed, interrupted or left alone.
#![cfg(unix)]
use super::{ALL, LONG, SERVICES, Serving, all_have_ended, alone, books, command, kill, token};
use serde_json::json;
use std::{fs::File, net::TcpStream, path::Path};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    time::timeout,
};

/// All processes have ended by now, or this fails.
fn all_ended_already(data: &Path) {
    for name in SERVICES {
        let lock = File::open(data.join(format!("{name}.lock"))).unwrap();
        assert!(lock.try_lock().is_ok(), "{name} lives on");
    }
}

#[tokio::test]
async fn after_kill_9_of_the_parent_no_service_lives() {
    let _alone = alone().await;
    let mut serving = Serving::start().await;
    kill("-9", &[serving.pid()]).await;
    serving.child.wait().await.unwrap();
    all_have_ended(serving.data.path()).await;
    for (name, url) in &serving.services {
        let address = url.trim_start_matches("http://");
        assert!(TcpStream::connect(address).is_err(), "{name} still listens");
    }
}

#[tokio::test]
async fn ctrl_c_ends_all_and_says_so() {
    let _alone = alone().await;
    for signal in ["-INT", "-TERM"] {
        let mut serving = Serving::start().await;
        // `wait` would close it, and the end of stdin is an end with another code.
        let _stdin = serving.child.stdin.take();
        kill(signal, &[serving.pid()]).await;
        let ended = timeout(LONG, serving.child.wait()).await.expect("it hangs");
        assert_eq!(ended.unwrap().code(), Some(130));
        all_ended_already(serving.data.path());
        let mut said = String::new();
        let mut stderr = serving.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "order_saga: interrupted; all services have ended\n");
        assert_eq!(serving.lines.next_line().await.unwrap(), None);
    }
}

#[tokio::test]
async fn ctrl_c_ends_a_story_in_its_middle() {
    let _alone = alone().await;
    let data = tempfile::tempdir().unwrap();
    let mut child = command(&["--data", data.path().to_str().unwrap()])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().unwrap().starts_with("4. ") {}
    kill("-INT", &[child.id().unwrap().to_string()]).await;
    let ended = timeout(LONG, child.wait()).await.expect("it hangs");
    assert_eq!(ended.unwrap().code(), Some(130));
    all_ended_already(data.path());
}

#[tokio::test]
async fn a_signal_to_the_whole_group_lets_sagas_end() {
    let _alone = alone().await;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let args = "--orders 3000 --concurrency 32 --fault-rate 0.3 --json --data";
    let args: Vec<_> = args.split(' ').chain([folder]).collect();
    let mut child = command(&args).process_group(0).spawn().unwrap();
    // Until there is something to undo.
    let log = data.path().join("orders.log");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains(": cancelled")) {
        tokio::task::yield_now().await;
    }
    kill("-TERM", &[format!("-{}", child.id().unwrap())]).await;
    let ended = timeout(LONG, child.wait()).await.expect("it hangs");
    assert_eq!(ended.unwrap().code(), Some(130));
    let orders = rusqlite::Connection::open(data.path().join("orders.db")).unwrap();
    let sql = "SELECT COUNT(*) FROM orders WHERE status IN ('pending', 'stuck')";
    let unfinished: u32 = orders.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(unfinished, 0);
}

#[tokio::test]
async fn the_end_of_stdin_ends_a_served_system() {
    let _alone = alone().await;
    let serving = Serving::start().await;
    serving.end().await;
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let _alone = alone().await;
    let serving = Serving::start().await;
    let output = super::run(&["--data", serving.data.path().to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = super::text(&output.stderr);
    assert!(stderr.contains("is in use by another run"), "{stderr}");
    serving.end().await;
}

#[tokio::test]
async fn a_stuck_saga_is_stuck_after_kill_9_too_and_ends_when_it_is_tried_again() {
    let _alone = alone().await;
    let mut serving = Serving::start().await;
    // No card is charged at once, so there is time to cancel, and no refund gets through.
    let plan = json!({ "delay_ms": 400, "refuse_undos": 1_000_000 });
    serving.faults("payments", plan).await;
    let ordered = tokio::spawn(serving.order("o-0001", "chair", 2).send());
    while !serving.log("orders").contains("o-0001: reserved") {
        tokio::task::yield_now().await;
    }
    let cancel = format!("{}/api/orders/o-0001/cancel", serving.gateway);
    let cancel = serving.http.post(cancel);
    let cancelled = cancel.bearer_auth(token("ada", ALL, 60)).send().await;
    assert_eq!(cancelled.unwrap().status(), 200);
    // Cancelled, or stuck already.
    let answer = ordered.await.unwrap().unwrap().status().as_u16();
    assert!(answer == 409 || answer == 424, "{answer}");
    let saga = loop {
        if let Some(saga) = serving.stuck().await.pop() {
            break saga;
        }
    };

    kill("-9", &[serving.pid()]).await;
    serving.child.wait().await.unwrap();
    let data = serving.data;
    // To wait for a person is no end.
    let folder = data.path().to_str().unwrap();
    let output = super::run(&["--orders", "1", "--data", folder]).await;
    let stdout = super::text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("WRONG:  the saga of o-0001 waits for an operator: backward:"),
        "{stdout}"
    );

    // Payments is well again, so trying again is all that it takes.
    let output = super::run(&["--data", folder]).await;
    let stdout = super::text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    let id = &saga["id"];
    let told = format!("An earlier run has left saga {id} stuck. It is tried again: 204");
    assert!(stdout.contains(&told), "{stdout}");
    let books = books(&["--orders", "1", "--data", folder, "--json"]).await;
    let expected = json!({
        "key": "o-0001", "product": "chair", "status": "cancelled", "saga": "compensated",
        "reserved": 2, "released": 2, "charged_cents": 23_800, "refunded_cents": 23_800,
    });
    assert_eq!(books["orders"][0], expected);
    assert_eq!(books["consistent"], true, "{books}");
}
