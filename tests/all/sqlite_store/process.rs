//! A process of its own with a store, which may be killed or starved: this very test binary, told by
//! the environment to run [`writes_until_it_is_stopped`] for real.
use super::*;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const FILE: &str = "SEAWALL_TEST_STORE";

/// A process that writes, and tells each row once it is acknowledged.
pub struct Writer {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// Rows that it was told are durable: saga and seq.
    pub acknowledged: Vec<(i64, u32)>,
    /// What it was refused with.
    pub refused: Vec<String>,
}

impl Writer {
    /// Starts it; `shell` runs before it, in its process.
    pub fn start(file: &Path, shell: &str) -> Writer {
        let test = concat!(module_path!(), "::writes_until_it_is_stopped");
        let mut child = Command::new("sh")
            .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test.split_once("::").unwrap().1, "--nocapture"])
            .env(FILE, file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Writer {
            child,
            lines,
            acknowledged: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Reads the next thing that it tells; `false` when it has ended.
    pub fn hear(&mut self) -> bool {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        // A line that the kill cut off was not told.
        if let Some(line) = line.strip_suffix('\n') {
            if let Some((_, row)) = line.split_once("ack ") {
                let (id, seq) = row.split_once(' ').unwrap();
                self.acknowledged
                    .push((id.parse().unwrap(), seq.parse().unwrap()));
            } else if let Some((_, why)) = line.split_once("refused ") {
                self.refused.push(why.to_owned());
            }
        }
        !line.is_empty()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Hears the rest, and waits for its end.
    pub fn end(&mut self) {
        while self.hear() {}
        self.child.wait().unwrap();
    }
}

/// The child's half. Without the environment it is nobody's child, and there is nothing to do.
#[tokio::test]
async fn writes_until_it_is_stopped() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let store = SqliteStore::open(file).await.unwrap();
    let first = store.counts().await.unwrap().running;
    let tell = |line: String| std::io::stdout().write_all(line.as_bytes()).unwrap();
    let mut writers = Vec::new();
    for lane in 0..32 {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            for n in 0_u32.. {
                let new = new_saga("order", &format!("{first}-{lane}-{n}"), Next::Keep, 1);
                let id = match store.create(new).await {
                    Ok(Created::New { id, .. }) => id,
                    Ok(exists) => panic!("{exists:?}"),
                    Err(e) => return e,
                };
                tell(format!("ack {} 0\n", id.0));
                for seq in 1..4 {
                    if let Err(e) = store.append(append(id, row(seq, 1, 2), Next::Keep)).await {
                        return e;
                    }
                    tell(format!("ack {} {seq}\n", id.0));
                }
            }
            unreachable!()
        }));
    }
    // Each of them ends, since each learns of the failure.
    for writer in writers {
        tell(format!("refused {}\n", writer.await.unwrap()));
    }
    let later = store.load(SagaId(1), false).await.unwrap_err();
    tell(format!("refused {later}\n"));
}
