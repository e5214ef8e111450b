//! Whole runs: the story, bulk runs, and what cannot start.
use super::{SERVICES, all_have_ended, alone, books, run, text};
use serde_json::Value;
use std::{collections::BTreeMap, net::TcpListener, time::Duration};
use tokio::time::timeout;

#[tokio::test]
async fn the_story_goes_as_told_within_15_seconds() {
    let _alone = alone().await;
    let output = timeout(Duration::from_secs(15), run(&[])).await.unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert_eq!(stderr, "");
    for told in [
        "o-0001: 2 x kettle -> 201 confirmed",
        "o-0002: 1000 x telescope -> 409 cancelled",
        "o-0003: 1 x chair -> 402 cancelled",
        "circuit breaker `payments` is open",
        "o-0006: 1 x lamp -> 202 pending",
        "waits for policy `payments`",
        "o-0006 again -> 201 confirmed",
        ", then half_open, then closed.",
        "timeout `attempt` ended the call after 500ms",
        "bulkhead `inventory` is full",
        "12 x users",
        "payments has charged 18.50 EUR, once",
        "The customer is answered 502.",
        "payments has charged 49.00 EUR, once",
        "The customer asks again with the same key: 201 confirmed.",
        "the compensation of `charge_payment` failed 8 times: out of order (503)",
        "the note is empty",
        "by grace: refunded by bank transfer, ticket 771",
        "except for operation 2",
        "401 without a token",
        "*       o-0009: charge_payment stands. grace: refunded by bank transfer, ticket 771",
        "all of them agree",
    ] {
        assert!(stdout.contains(told), "`{told}` is missing in\n{stdout}");
    }
    assert!(!stdout.contains("UNEXPECTED"), "{stdout}");
    // A saga that is being undone has been given up: its status does not tell when that will be.
    let mut lines = stdout.lines().map(str::trim_start);
    assert!(
        !lines.any(|line| line.starts_with("given up at")),
        "{stdout}"
    );
}

async fn books_of(args: &str) -> Value {
    books(&args.split(' ').collect::<Vec<_>>()).await
}

/// The rules of the books, once more, by somebody else.
pub(super) fn check(books: &Value) {
    assert_eq!(books["consistent"], true, "{books}");
    let mut kept = BTreeMap::<&str, i64>::new();
    for order in books["orders"].as_array().unwrap() {
        let n = |field: &str| order[field].as_i64().unwrap();
        let stays = n("reserved") - n("released");
        let paid = n("charged_cents") - n("refunded_cents");
        match order["status"].as_str().unwrap() {
            "confirmed" => assert!(stays > 0 && paid > 0, "{order}"),
            "cancelled" => assert!(stays == 0 && paid == 0, "{order}"),
            _ => panic!("{order}"),
        }
        *kept.entry(order["product"].as_str().unwrap()).or_default() += stays;
    }
    for (sku, stock) in books["stock"].as_object().unwrap() {
        let kept = kept.get(sku.as_str()).copied().unwrap_or(0);
        assert_eq!(
            books["received"][sku].as_i64(),
            Some(stock.as_i64().unwrap() + kept)
        );
    }
}

fn with_status(books: &Value, status: &str) -> usize {
    let orders = books["orders"].as_array().unwrap();
    orders
        .iter()
        .filter(|order| order["status"] == status)
        .count()
}

#[tokio::test]
async fn with_every_fifth_call_failing_the_books_agree() {
    let _alone = alone().await;
    let books = books_of("--orders 60 --concurrency 8 --fault-rate 0.2 --seed 7 --json").await;
    check(&books);
    assert_eq!(books["orders"].as_array().unwrap().len(), 60);
    assert!(with_status(&books, "confirmed") >= 20, "{books}");
    assert!(with_status(&books, "cancelled") >= 5, "{books}");
}

/// What was done on purpose in a run with this seed: by service, key and attempt.
async fn faults_of(seed: &str) -> BTreeMap<String, String> {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let args = "--orders 20 --concurrency 4 --fault-rate 0.3 --json";
    let args: Vec<_> = args
        .split(' ')
        .chain(["--seed", seed, "--data", folder])
        .collect();
    check(&books(&args).await);
    let logs = ["inventory", "payments"].map(|name| {
        let log = std::fs::read_to_string(data.path().join(format!("{name}.log"))).unwrap();
        let faults = log.lines().filter_map(|line| {
            let (_, fault) = line.split_once("on purpose: ")?;
            let (fault, attempt) = fault.split_once(' ')?;
            Some((format!("{name} {attempt}"), fault.to_owned()))
        });
        faults.collect::<Vec<_>>()
    });
    logs.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_same_seed_fails_the_same_attempts() {
    let _alone = alone().await;
    let (first, second) = (faults_of("5").await, faults_of("5").await);
    // How many attempts there are is a matter of time, too. What becomes of each is not.
    let both = first
        .iter()
        .filter_map(|(at, fault)| Some((fault, second.get(at)?)));
    let both: Vec<_> = both.collect();
    assert!(both.len() >= 10, "{first:?} {second:?}");
    assert!(both.iter().all(|(a, b)| a == b), "{first:?} {second:?}");
    assert_ne!(first, faults_of("6").await);
}

#[tokio::test]
async fn as_many_at_a_time_as_there_may_be_are_all_taken() {
    let _alone = alone().await;
    let books = books_of("--orders 1024 --concurrency 1024 --json").await;
    check(&books);
    assert_eq!(books["orders"].as_array().unwrap().len(), 1_024);
}

#[tokio::test]
async fn where_every_call_fails_all_is_undone() {
    let _alone = alone().await;
    let books = books_of("--orders 3 --concurrency 3 --fault-rate 1 --json").await;
    check(&books);
    assert_eq!(with_status(&books, "cancelled"), 3);
}

#[tokio::test]
async fn a_second_run_on_the_same_folder_goes_on_counting() {
    let _alone = alone().await;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("new").to_str().unwrap().to_owned();
    let args = ["--orders", "10", "--data", &folder, "--json"];
    check(&books(&args).await);
    let books = books(&args).await;
    check(&books);
    let keys: Vec<_> = books["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| &o["key"])
        .collect();
    assert_eq!(keys.len(), 20);
    assert_eq!((keys[0], keys[19]), (&"o-0001".into(), &"o-0020".into()));
    all_have_ended(&data.path().join("new")).await;
    for name in SERVICES {
        assert!(data.path().join("new").join(format!("{name}.db")).exists());
    }
}

#[tokio::test]
async fn books_that_disagree_are_exit_code_1() {
    let _alone = alone().await;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let args = ["--orders", "10", "--data", folder, "--json"];
    let whole = books(&args).await;
    let orders = whole["orders"].as_array().unwrap().iter();
    let paid = orders
        .clone()
        .find(|order| order["charged_cents"] != 0)
        .unwrap();
    let paid = paid["key"].as_str().unwrap();

    // Somebody writes into one book, and tells nobody. What the report says of it:
    for (service, wrong, right, complaint) in [
        (
            "payments",
            "UPDATE charges SET refunded_cents = cents WHERE order_key = ?1",
            "UPDATE charges SET refunded_cents = 0 WHERE order_key = ?1",
            format!("{paid} is confirmed, with"),
        ),
        (
            "payments",
            "INSERT INTO charges SELECT 'twice', order_key, customer, cents, 0
             FROM charges WHERE order_key = ?1",
            "DELETE FROM charges WHERE step = 'twice' AND order_key = ?1",
            format!("{paid} is confirmed, with"),
        ),
        (
            "payments",
            "UPDATE charges SET customer = customer || 'x' WHERE order_key = ?1",
            "UPDATE charges SET customer = RTRIM(customer, 'x') WHERE order_key = ?1",
            "was charged for it".to_owned(),
        ),
        (
            "inventory",
            "UPDATE reservations SET released = 1 WHERE order_key = ?1",
            "UPDATE reservations SET released = 0 WHERE order_key = ?1",
            format!("{paid} is confirmed, with 0 of"),
        ),
        (
            "inventory",
            "INSERT INTO reservations VALUES ('phantom', 'of ' || ?1, 'lamp', 1, 0)",
            "DELETE FROM reservations WHERE order_key = 'of ' || ?1",
            format!("a reservation for of {paid}, orders nothing"),
        ),
        (
            "inventory",
            "UPDATE products SET received = received + 1 WHERE ?1 > '' AND sku = 'lamp'",
            "UPDATE products SET received = received - 1 WHERE ?1 > '' AND sku = 'lamp'",
            "lamp: 40".to_owned(),
        ),
        (
            "orders",
            "UPDATE orders SET status = 'cancelled' WHERE key = ?1",
            "UPDATE orders SET status = 'confirmed' WHERE key = ?1",
            format!("{paid} is cancelled"),
        ),
        (
            "orders-sagas",
            "UPDATE saga SET status = 4 WHERE key = ?1",
            "UPDATE saga SET status = 3 WHERE key = ?1",
            format!("the saga of {paid} is compensated, the order confirmed"),
        ),
        (
            "notifications",
            "INSERT INTO messages SELECT 'twice', order_key, customer, text
             FROM messages WHERE order_key = ?1",
            "DELETE FROM messages WHERE step = 'twice' AND order_key = ?1",
            format!("{paid} was told 2 times"),
        ),
    ] {
        let write = |sql| {
            let path = data.path().join(format!("{service}.db"));
            let book = rusqlite::Connection::open(path).unwrap();
            assert_eq!(book.execute(sql, [paid]).unwrap(), 1, "{sql}");
        };
        write(wrong);
        let output = run(&["--orders", "1", "--data", folder]).await;
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{wrong}: {stdout}");
        let told = |line: &str| line.contains("WRONG:  ") && line.contains(&complaint);
        assert!(stdout.lines().any(told), "{wrong}: {stdout}");
        assert!(stdout.contains("DISAGREE"), "{stdout}");

        let output = run(&["--orders", "1", "--data", folder, "--json"]).await;
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        let spoiled: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(spoiled["consistent"], false, "{wrong}");
        write(right);
        check(&books(&["--orders", "1", "--data", folder, "--json"]).await);
    }
}

/// Exit code 2, and one line that says this.
async fn cannot_start(args: &[&str], why: &str) {
    let output = run(args).await;
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.contains(why), "{args:?}: {stderr}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
}

#[tokio::test]
async fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    cannot_start(&["--frobnicate"], "unknown flag `--frobnicate`").await;
    cannot_start(&["-x"], "unknown flag `-x`").await;
    cannot_start(&["story"], "unexpected `story`").await;
    cannot_start(&["--orders"], "--orders").await;
    cannot_start(&["--orders", "0"], "a number from 1 to 1000000").await;
    cannot_start(&["--orders", "many"], "`--orders many`").await;
    cannot_start(&["--concurrency", "0"], "--concurrency").await;
    cannot_start(&["--port", "65536"], "--port").await;
    for rate in ["1.5", "-0.1", "NaN", "inf"] {
        cannot_start(&["--fault-rate", rate], "a number from 0 to 1").await;
    }
    cannot_start(&["--serve", "--json"], "`--serve` goes with none of").await;
}

#[tokio::test]
async fn a_port_in_use_is_one_line_and_exit_code_2() {
    let _alone = alone().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let why = format!("port {port}: address already in use");
    for mode in [&["--port", &port][..], &["--json", "--port", &port]] {
        cannot_start(mode, &why).await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_one_line_and_exit_code_2() {
    let _alone = alone().await;
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    for useless in [file.clone(), file.join("below")] {
        let useless = useless.to_str().unwrap();
        cannot_start(&["--data", useless], "cannot write to the folder").await;
    }
    cannot_start(&["--data", ""], "a folder is needed").await;
    for file in ["users.log", "orders.lock"] {
        let folder = data.path().join(format!("of {file}"));
        std::fs::create_dir_all(folder.join(file)).unwrap();
        let folder = folder.to_str().unwrap();
        cannot_start(&["--data", folder], &format!("{file}`: is a directory")).await;
    }
    let broken = data.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("payments.db"), "this is no database, but text").unwrap();
    let broken = broken.to_str().unwrap();
    cannot_start(&["--data", broken], "payments cannot start").await;
}
