//! What every service is: an axum server on a loopback port, with a database of its own, that ends
//! when its standard input does.
//!
//! An open stdin is the only sign of life a child has from its parent that cannot lie: the kernel
//! closes the pipe, whatever happened to the process that held it, `kill -9` included. A parent that
//! ends in good order says [`GOODBYE`] first, and its services finish what they are at. Without that
//! word they end at once, as they are: nobody is left to wait for.
pub mod db;
pub mod faults;
pub mod ids;
pub mod keys;
pub mod log;
pub mod problem;

use crate::{flags::Flags, name::Name};
use anyhow::{Context as _, anyhow};
use axum::{
    Json, Router,
    extract::State,
    http::{Method, StatusCode, Uri},
    middleware::from_fn_with_state,
    routing,
    serve::ListenerExt as _,
};
use db::Db;
use faults::Faults;
use log::log;
use problem::Problem;
use serde_json::json;
use std::{
    fs::File,
    io::{self, Read as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, time::timeout};

/// What a service makes of its surroundings.
pub struct App {
    /// Its own routes; health, faults, ids and log lines are added.
    pub router: Router,
    pub db: Db,
    /// What has to end before the process may.
    pub unfinished: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl App {
    pub fn new(router: Router, db: Db) -> App {
        App {
            router,
            db,
            unfinished: Box::pin(std::future::ready(())),
        }
    }
}

/// What a service is given.
pub struct Surroundings {
    pub flags: Flags,
    pub data: PathBuf,
    /// Turns true when the service is to end.
    pub ending: watch::Receiver<bool>,
}

impl Surroundings {
    /// Where another service is.
    pub fn url(&self, of: Name) -> anyhow::Result<String> {
        let mut peers = self.flags.peers.iter();
        let found = peers.find(|(name, _)| *name == of);
        let (_, url) = found.with_context(|| format!("`--peer {of}=URL` is missing"))?;
        Ok(url.clone())
    }

    /// Opens the service's own database.
    pub fn db(&self, name: Name, schema: &str) -> anyhow::Result<Db> {
        Db::open(&database(&self.data, name), schema)
    }
}

/// The file of a service's database.
pub fn database(data: &Path, name: Name) -> PathBuf {
    data.join(format!("{name}.db"))
}

/// The journal of the sagas that orders runs.
pub fn sagas(data: &Path) -> PathBuf {
    data.join("orders-sagas.db")
}

/// Runs the service `name` until stdin ends.
///
/// The parent waits for one line on stdout: `ready URL`, or `error` and why not.
pub async fn run(name: Name, flags: Flags) -> anyhow::Result<()> {
    match begin(name, flags).await {
        Ok(serving) => {
            println!("ready {}", serving.url);
            log!(name, "serves on {}", serving.url);
            serving.until_the_end().await;
            log!(name, "ends");
            Ok(())
        }
        Err(error) => {
            println!("error {error:#}");
            Err(error)
        }
    }
}

/// A service that is listening.
struct Serving {
    listener: TcpListener,
    url: String,
    app: App,
    router: Router,
    ending: watch::Receiver<bool>,
    /// Held as long as the process lives; the next one on the same folder waits for it.
    _lock: File,
}

async fn begin(name: Name, flags: Flags) -> anyhow::Result<Serving> {
    let ending = end_of_stdin(Then::EndIfTold);
    // Where there are no process groups, Ctrl-C comes here too. It is the parent's business.
    #[cfg(not(unix))]
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });

    let data = flags.data.clone().context("`--data` is missing")?;
    let lock = data.join(format!("{name}.lock"));
    let lock = append(&lock).map_err(|e| {
        anyhow!(
            "cannot write to the file `{}`: {}",
            lock.display(),
            plain(&e)
        )
    })?;
    lock.lock()?;
    let port = flags.port;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|e| anyhow!("port {port}: {}", plain(&e)))?;
    let url = format!("http://{}", listener.local_addr()?);

    let faults = Faults::new(name, flags.fault_rate, flags.seed);
    let surroundings = Surroundings {
        flags,
        data,
        ending: ending.clone(),
    };
    let app = crate::service_of(name, surroundings).await?;
    let router = app.router.clone().fallback(missing);
    let router = match name {
        // The gateway speaks for all, in `gateway/health.rs`.
        Name::Gateway => router,
        _ => router.merge(health(&app.db)),
    };
    let router = router.layer(from_fn_with_state(faults.clone(), faults::inject));
    // Faults have no say in what is below.
    let router = match name {
        // The one door to all of it must not be a door to this.
        Name::Gateway => router,
        _ => router.merge(faults.admin()),
    };
    let router = router
        .route("/health/live", routing::get(async || StatusCode::OK))
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(name, log::trace));
    Ok(Serving {
        listener,
        url,
        app,
        router,
        ending,
        _lock: lock,
    })
}

impl Serving {
    async fn until_the_end(self) {
        let Serving {
            listener,
            app,
            router,
            ending,
            ..
        } = self;
        let listener = listener.tap_io(|connection| {
            // Small answers at once, not when the peer has acknowledged the one before.
            let _ = connection.set_nodelay(true);
        });
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(end(ending.clone()))
            .into_future();
        let patience = async {
            end(ending).await;
            let _ = timeout(GRACE, std::future::pending::<()>()).await;
        };
        tokio::select! {
            _ = server => {}
            () = patience => {}
        }
        let _ = timeout(LAST_GRACE, app.unfinished).await;
    }
}

/// How long requests under way may take when the service is to end.
const GRACE: Duration = Duration::from_secs(2);
/// How long what they have left behind may take: sagas that are being undone.
const LAST_GRACE: Duration = Duration::from_secs(20);

/// What a parent says before it closes its child's stdin.
pub const GOODBYE: &[u8] = b"goodbye";

/// What the end of stdin means.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    /// End in good order.
    End,
    /// End in good order after a [`GOODBYE`], and at once without.
    EndIfTold,
}

/// Turns true when stdin ends.
pub fn end_of_stdin(then: Then) -> watch::Receiver<bool> {
    let (end, ending) = watch::channel(false);
    // A thread and not a task: a read of stdin cannot be cancelled, and would keep the runtime alive.
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut said);
        if then == Then::EndIfTold && (read.is_err() || said != GOODBYE) {
            // The databases bear it. It is what a power cut would do.
            std::process::exit(1);
        }
        let _ = end.send(true);
    });
    ending
}

/// Waits for it.
pub async fn end(mut ending: watch::Receiver<bool>) {
    // An error would mean that the thread reading stdin is gone: that is an end too.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// `/health/ready` and `/health` of a service: does its database answer?
fn health(db: &Db) -> Router {
    let check = async |State(db): State<Db>| match db
        .read(|c| c.query_row("SELECT 1", [], |_| Ok(())))
        .await
    {
        Ok(()) => (StatusCode::OK, Json(json!({ "status": "up" }))),
        Err(error) => {
            let body = json!({ "status": "down", "error": format!("{error:#}") });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    };
    Router::new()
        .route("/health/ready", routing::get(check))
        .route("/health", routing::get(check))
        .with_state(db.clone())
}

async fn missing(uri: Uri) -> Problem {
    let why = format!("there is no {} here", uri.path());
    Problem::new(StatusCode::NOT_FOUND, why)
}

async fn not_allowed(method: Method, uri: Uri) -> Problem {
    let why = format!("{} takes no {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, why)
}

/// Opens a file that may have been there before, and keeps what is in it.
pub fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// An I/O error without its number.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_lowercase()
}
