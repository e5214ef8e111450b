//! Ends at which everything else goes wrong too.
use super::{Heard, Log, pending, quick, saga, spawn};
use tokio_test::assert_pending;

/// What was left used to be written with `eprintln!`, which panics when standard error is a pipe
/// that nobody reads any more: out of a destructor, which aborts the process during an unwinding.
#[test]
fn a_broken_standard_error_hurts_nobody() {
    const CHILD: &str = "SEAWALL_BROKEN_STDERR";
    if std::env::var_os(CHILD).is_some() {
        // Until the parent has closed our standard error.
        let _ = std::io::read_to_string(std::io::stdin());
        let log = Log::default();
        let mut run = spawn(saga::scope(async |saga| {
            log.step(&saga, "a", 0);
            pending::<Result<(), &str>>().await
        }));
        assert_pending!(run.poll());
        return drop(run);
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "scope::ends::a_broken_standard_error_hurts_nobody",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn an_operation_that_panics_while_it_is_dropped_is_undone_all_the_same() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    let (log, heard) = (Log::default(), Heard::default());
    let mut run = spawn(quick(&heard).run(async |saga| {
        log.step(&saga, "a", 0);
        let _bomb = Bomb;
        pending::<Result<(), &str>>().await
    }));
    assert_pending!(run.poll());
    drop(run);
    tokio::task::yield_now().await;
    assert_eq!(log.all(), ["a 1"]);
}
