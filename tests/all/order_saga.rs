//! The order example, as its users run it: real processes, sockets and files.
//!
//! Every service holds a lock on `DIR/NAME.lock` for as long as its process lives. So "has ended" is
//! an event to wait for: the lock can be had.
mod gateway;
mod kills;
mod participants;
mod processes;
mod runs;
mod siege;

use serde_json::Value;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::{Mutex, MutexGuard},
    time::timeout,
};

const SERVICES: [&str; 6] = [
    "users",
    "inventory",
    "payments",
    "notifications",
    "orders",
    "gateway",
];

/// The secret that the tests sign tokens with.
const SECRET: &str = "known to the tests";

/// Beyond this, something hangs.
const LONG: Duration = Duration::from_secs(60);

/// One at a time: each run is seven processes.
async fn alone() -> MutexGuard<'static, ()> {
    static STAGE: Mutex<()> = Mutex::const_new(());
    STAGE.lock().await
}

/// Whether the program is there and newer than all it was made of, which Cargo lists in a file beside it.
/// `cargo test --test all` builds no examples: it would run what an earlier command has left.
fn fresh(program: &Path) -> Result<(), String> {
    let made = |path: &Path| path.metadata().and_then(|file| file.modified());
    let built = made(program).map_err(|e| format!("{} is missing ({e})", program.display()))?;
    let list = std::fs::read_to_string(program.with_extension("d"));
    let list = list.map_err(|e| format!("{}.d is missing ({e})", program.display()))?;
    // Blanks in a path are escaped.
    let list = list.replace("\\ ", "\0");
    for source in list.split_whitespace().skip(1) {
        let source = source.replace('\0', " ");
        match made(Path::new(&source)) {
            Ok(changed) if changed <= built => {}
            Ok(_) => return Err(format!("{} is older than {source}", program.display())),
            Err(e) => return Err(format!("{source}, of which it was made, is gone ({e})")),
        }
    }
    Ok(())
}

#[test]
fn a_program_older_than_its_sources_is_told_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let (program, source) = (folder.path().join("p"), folder.path().join("a b.rs"));
    assert!(fresh(&program).unwrap_err().contains("is missing"));
    let written = |path: &Path, age: u64| {
        let file = File::create(path).unwrap();
        let then = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - age);
        file.set_modified(then).unwrap();
    };
    written(&program, 5);
    let list = format!("{}: {}", program.display(), source.display());
    let list = list.replace("a b.rs", "a\\ b.rs");
    std::fs::write(folder.path().join("p.d"), list).unwrap();
    assert!(fresh(&program).unwrap_err().contains("is gone"));
    written(&source, 7);
    assert_eq!(fresh(&program), Ok(()));
    written(&source, 3);
    assert!(fresh(&program).unwrap_err().contains("is older than"));
}

/// `cargo test` builds examples beside its own binary.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("order_saga{}", std::env::consts::EXE_SUFFIX));
    if let Err(stale) = fresh(&path) {
        panic!("{stale}: `cargo build --example order_saga` makes it anew");
    }
    path
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(args)
        .env("ORDER_SAGA_SECRET", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs it to its end.
async fn run(args: &[&str]) -> Output {
    let ended = timeout(LONG, command(args).output()).await;
    ended.expect("it hangs").unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A run with `--json`: its exit code is 0, its one line is JSON.
async fn books(args: &[&str]) -> Value {
    let output = run(args).await;
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    serde_json::from_str(stdout).unwrap()
}

/// `kill SIGNAL` of these. A group of processes has a minus.
#[cfg(unix)]
async fn kill(signal: &str, pids: &[String]) {
    let mut command = Command::new("kill");
    let killed = command.arg(signal).arg("--").args(pids).status().await;
    assert!(killed.unwrap().success());
}

/// Waits until the processes of all services on this folder have ended.
async fn all_have_ended(data: &Path) {
    for name in SERVICES {
        let lock = File::open(data.join(format!("{name}.lock"))).unwrap();
        let waiting = tokio::task::spawn_blocking(move || lock.lock());
        let had = timeout(LONG, waiting).await;
        had.unwrap_or_else(|_| panic!("{name} lives on"))
            .unwrap()
            .unwrap();
    }
}

/// A system started with `--serve`.
struct Serving {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    gateway: String,
    /// Name and address.
    services: Vec<(String, String)>,
    data: TempDir,
    http: reqwest::Client,
}

impl Serving {
    async fn start() -> Serving {
        let data = tempfile::tempdir().unwrap();
        let mut child = command(&["--serve", "--data", data.path().to_str().unwrap()])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut services = Vec::new();
        let gateway = loop {
            let line = timeout(LONG, lines.next_line()).await.expect("it hangs");
            let line = line.unwrap().expect("it ended");
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["service", name, url, ..] => services.push((name.into(), url.into())),
                ["gateway", url] => break url.to_owned(),
                _ => {}
            }
        };
        Serving {
            child,
            lines,
            gateway,
            services,
            data,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn url(&self, service: &str) -> &str {
        let (_, url) = self
            .services
            .iter()
            .find(|(name, _)| name == service)
            .unwrap();
        url
    }

    fn pid(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.data.path().join(format!("{service}.log"))).unwrap()
    }

    async fn faults(&self, service: &str, plan: Value) {
        let url = format!("{}/admin/faults", self.url(service));
        let answer = self.http.post(url).json(&plan).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.gateway))
    }

    fn order(&self, key: &str, sku: &str, quantity: u32) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}/api/orders", self.gateway))
            .bearer_auth(token("ada", ALL, 60))
            .header("idempotency-key", key)
            .json(&serde_json::json!({ "sku": sku, "quantity": quantity }))
    }

    /// The sagas that wait for an operator.
    async fn stuck(&self) -> Vec<Value> {
        let url = format!("{}/sagas/stuck", self.url("orders"));
        let answer = self.http.get(url).send().await.unwrap();
        let all: Value = answer.json().await.unwrap();
        all["sagas"].as_array().unwrap().clone()
    }

    /// Closes its stdin, and waits for its end.
    async fn end(mut self) {
        drop(self.child.stdin.take());
        let ended = timeout(LONG, self.child.wait()).await.expect("it hangs");
        assert_eq!(ended.unwrap().code(), Some(0));
        all_have_ended(self.data.path()).await;
    }
}

const ALL: &str = "users:read products:read orders:read orders:write";

/// A token that ends so many seconds from now, or has ended.
fn token(sub: &str, scope: &str, seconds: i64) -> String {
    signed(SECRET, sub, scope, seconds)
}

fn signed(secret: &str, sub: &str, scope: &str, seconds: i64) -> String {
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    let exp = get_current_timestamp().saturating_add_signed(seconds);
    let claims = serde_json::json!({ "sub": sub, "scope": scope, "exp": exp });
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), &claims, &key).unwrap()
}
