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

/// `cargo test` builds examples beside its own binary.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("order_saga{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: `cargo build --example order_saga` makes it",
        path.display()
    );
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
