//! SIGKILL in the middle of bulk runs, and again while the next run recovers: every order ends, the
//! books agree, and what a customer was told stays true.
//!
//! The moments are drawn at random, in lines of a service's log. With `SEAWALL_LONG=1` there are more.
#![cfg(target_os = "linux")]
use super::{LONG, all_have_ended, alone, books, command, runs::check};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// A bulk run with faults, on this folder.
fn bulk(data: &Path, orders: &str, seed: u64) -> Child {
    let seed = seed.to_string();
    let args = ["--orders", orders, "--concurrency", "16", "--json"];
    let faults = ["--fault-rate", "0.2", "--seed", &seed];
    let mut command = command(&args);
    let command = command.args(faults).arg("--data").arg(data);
    command.spawn().unwrap()
}

/// The end of a log, and what is added to it.
struct Log {
    file: Option<File>,
    path: PathBuf,
    lines: usize,
}

impl Log {
    fn from_here(data: &Path, service: &str) -> Log {
        let path = data.join(format!("{service}.log"));
        let mut file = File::open(&path).ok();
        if let Some(file) = &mut file {
            file.seek(SeekFrom::End(0)).unwrap();
        }
        let lines = 0;
        Log { file, path, lines }
    }

    /// Waits for so many lines in all, or for the end of the run.
    async fn has(&mut self, lines: usize, run: &mut Child) {
        let waiting = async {
            let mut added = Vec::new();
            while self.lines < lines && run.try_wait().unwrap().is_none() {
                added.clear();
                match &mut self.file {
                    Some(file) => drop(file.read_to_end(&mut added).unwrap()),
                    None => self.file = File::open(&self.path).ok(),
                }
                self.lines += added.iter().filter(|byte| **byte == b'\n').count();
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, waiting).await.expect("it hangs");
    }
}

/// The run's processes: the services by their names, and the parent. It is the last, so that none of
/// the others has ended by itself when its turn comes.
fn processes(run: &Child) -> Vec<(String, String)> {
    let parent = run.id().unwrap().to_string();
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(children).unwrap();
    let named = children.split_whitespace().filter_map(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let mut words = line.split('\0');
        words.find(|word| *word == "--service")?;
        Some((words.next()?.to_owned(), pid.to_owned()))
    });
    let mut all: Vec<_> = named.collect();
    all.push(("parent".to_owned(), parent));
    all
}

/// Kills them. Some may have ended by now: a parent whose service has died while it started gives up.
async fn strike(pids: &[String]) {
    let mut command = Command::new("kill");
    command.args(["-9", "--"]).args(pids).stderr(Stdio::null());
    command.status().await.unwrap();
}

/// Kills the run when orders has logged so many lines: the whole, or the parent alone, whose services
/// notice, or one service and a little later the rest.
async fn kill_after(data: &Path, mut run: Child, lines: Range<usize>) {
    let lines = fastrand::usize(lines);
    let mut log = Log::from_here(data, "orders");
    log.has(lines, &mut run).await;
    let all = processes(&run);
    let pids = |of: &dyn Fn(&str) -> bool| -> Vec<String> {
        let of = all.iter().filter(|(name, _)| of(name));
        of.map(|(_, pid)| pid.clone()).collect()
    };
    let how = fastrand::u8(0..3);
    eprintln!("after {lines} lines: way {how}, of {} processes", all.len());
    match how {
        0 => strike(&pids(&|name| name == "parent")).await,
        1 => strike(&pids(&|_| true)).await,
        _ => {
            let services = ["inventory", "payments", "notifications", "orders"];
            let service = fastrand::choice(services).unwrap();
            let mut answers = Log::from_here(data, "gateway");
            strike(&pids(&|name| name == service)).await;
            answers.has(fastrand::usize(1..20), &mut run).await;
            strike(&pids(&|name| name != service)).await;
        }
    }
    timeout(LONG, run.wait()).await.expect("it hangs").unwrap();
    all_have_ended(data).await;
}

/// Sagas that nobody has ended.
fn unfinished(data: &Path) -> u32 {
    let sagas = rusqlite::Connection::open(data.join("orders-sagas.db")).unwrap();
    let sql = "SELECT COUNT(*) FROM saga WHERE status < 2";
    sagas.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What the gateway has told customers who asked for an order: the status, and the order's key.
fn told(data: &Path) -> Vec<(String, String)> {
    let log = fs::read_to_string(data.join("gateway.log")).unwrap();
    let orders = log.lines().filter_map(|line| {
        let (_, told) = line.split_once("POST /api/orders ")?;
        let (status, rest) = told.split_once(' ')?;
        let (_, key) = rest.split_once("key=")?;
        let (key, _) = key.split_once(' ')?;
        Some((status.to_owned(), key.to_owned()))
    });
    orders.collect()
}

#[tokio::test]
async fn killed_at_any_moment_every_order_ends_and_what_was_told_stays_true() {
    let _alone = alone().await;
    let rounds = if std::env::var_os("SEAWALL_LONG").is_some() {
        40
    } else {
        3
    };
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let (mut cut_off, mut cut_off_again) = (0, 0);
    for round in 0..rounds {
        kill_after(data, bulk(data, "2000", round), 20..200).await;
        cut_off += unfinished(data);
        // And twice in a row while the next one is at what is left.
        for _ in 0..2 {
            kill_after(data, bulk(data, "2000", round), 1..30).await;
            cut_off_again += unfinished(data);
        }
        let folder = data.to_str().unwrap();
        let books = books(&["--orders", "4", "--json", "--data", folder]).await;
        check(&books);
        assert_eq!(unfinished(data), 0);
        let orders = books["orders"].as_array().unwrap().iter();
        let ended = |key: &str| -> &Value {
            let order = orders.clone().find(|order| order["key"] == key);
            order.map_or(&Value::Null, |order| &order["status"])
        };
        for (status, key) in told(data) {
            match &*status {
                "201" => assert_eq!(ended(&key), "confirmed", "{key}"),
                // Who is told why was told the end, too. 422 is for another order under this key.
                "402" | "404" | "409" | "424" => assert_eq!(ended(&key), "cancelled", "{key}"),
                "202" => assert!(ended(&key).is_string(), "{key}"),
                _ => {}
            }
        }
    }
    eprintln!("sagas that were cut off: {cut_off}, in recovery: {cut_off_again}");
    assert!(
        cut_off > 0 && cut_off_again > 0,
        "{cut_off} {cut_off_again}"
    );
}
