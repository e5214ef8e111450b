//! All services together, as seen by the process that starts them.
use crate::{flags::Flags, gateway, name::Name, service, setup};
use anyhow::{Context as _, anyhow, bail};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// The folder of databases and logs.
pub struct Data {
    path: PathBuf,
    /// Removes the folder when dropped.
    temporary: Option<TempDir>,
    /// Held as long as this process lives.
    _lock: File,
}

impl Data {
    /// Makes the folder, and makes sure that it can be used and is by nobody else.
    pub fn open(wanted: Option<&Path>) -> anyhow::Result<Data> {
        let (path, temporary) = match wanted {
            Some(path) => (path.to_owned(), None),
            None => {
                let folder = tempfile::Builder::new().prefix("order_saga-").tempdir();
                let folder = folder.map_err(|e| setup(format!("no temporary folder: {e}")))?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let useless = |e| useless("folder", &path, &e);
        fs::create_dir_all(&path).map_err(useless)?;
        let lock = service::append(&path.join("lock")).map_err(useless)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                return Err(setup(format!(
                    "the folder `{path}` is in use by another run"
                )));
            }
            Err(TryLockError::Error(e)) => return Err(useless(e)),
        }
        Ok(Data {
            path,
            temporary,
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// What a service has logged so far.
    pub fn log(&self, name: Name) -> String {
        fs::read_to_string(self.path.join(format!("{name}.log"))).unwrap_or_default()
    }
}

fn useless(what: &str, path: &Path, error: &std::io::Error) -> anyhow::Error {
    let (path, why) = (path.display(), service::plain(error));
    setup(format!("cannot write to the {what} `{path}`: {why}"))
}

/// The services, running.
pub struct System {
    // Dropped before the folder they write to.
    members: Vec<Member>,
    pub data: Data,
    flags: Flags,
    secret: String,
}

struct Member {
    name: Name,
    url: String,
    child: Child,
    /// As long as this is open, the child runs.
    stdin: Option<ChildStdin>,
}

impl System {
    /// Starts all services, those that are called before those that call.
    pub async fn start(flags: &Flags) -> anyhow::Result<System> {
        let data = Data::open(flags.data.as_deref())?;
        let secret = std::env::var(gateway::SECRET)
            .unwrap_or_else(|_| format!("{:032x}", fastrand::u128(..)));
        let mut system = System {
            members: Vec::new(),
            data,
            flags: flags.clone(),
            secret,
        };
        for name in Name::ALL {
            let port = if name == Name::Gateway { flags.port } else { 0 };
            match system.spawn(name, port).await {
                Ok(member) => system.members.push(member),
                Err(error) => {
                    system.stop().await?;
                    return Err(error);
                }
            }
        }
        Ok(system)
    }

    async fn spawn(&self, name: Name, port: u16) -> anyhow::Result<Member> {
        let log = self.data.path.join(format!("{name}.log"));
        let log = service::append(&log).map_err(|e| useless("file", &log, &e))?;
        let program = std::env::current_exe().context("where is this program?")?;
        let mut command = Command::new(program);
        command
            .args(["--service", name.as_str(), "--port", &port.to_string()])
            .args(["--seed", &self.flags.seed.to_string()])
            .args(["--client-rate", &self.flags.client_rate.to_string()])
            .arg("--data")
            .arg(&self.data.path)
            .env(gateway::SECRET, &self.secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // If all else fails. The end of stdin is gentler, and comes first.
            .kill_on_drop(true);
        // Ctrl-C in a terminal, and what `timeout` sends, go to a whole group. Ending is our business:
        // the services let the sagas under way finish first.
        #[cfg(unix)]
        command.process_group(0);
        if matches!(name, Name::Inventory | Name::Payments | Name::Notifications) {
            command.args(["--fault-rate", &self.flags.fault_rate.to_string()]);
        }
        for peer in &self.members {
            command
                .arg("--peer")
                .arg(format!("{}={}", peer.name, peer.url));
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a child without stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(START, lines.next_line()).await;
        let line = line.map_err(|_| anyhow!("{name} did not start within {START:?}"))??;
        match line.as_deref().and_then(|line| line.split_once(' ')) {
            Some(("ready", url)) => Ok(Member {
                name,
                url: url.to_owned(),
                child,
                stdin,
            }),
            Some(("error", why)) => Err(setup(format!("{name} cannot start: {why}"))),
            _ => bail!("{name} ended without a word; see {name}.log"),
        }
    }

    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// Where a service is.
    pub fn url(&self, name: Name) -> &str {
        let member = self.members.iter().find(|member| member.name == name);
        member.map_or("", |member| &member.url)
    }

    pub fn services(&self) -> impl Iterator<Item = (Name, &str, Option<u32>)> {
        self.members
            .iter()
            .map(|m| (m.name, m.url.as_str(), m.child.id()))
    }

    /// A token of an hour for this customer.
    pub fn token(&self, customer: &str, scope: &str) -> anyhow::Result<String> {
        gateway::sign(&self.secret, customer, scope, 3_600)
    }

    /// `kill -9` of one service.
    pub async fn kill(&mut self, name: Name) -> anyhow::Result<()> {
        let member = self.members.iter_mut().find(|member| member.name == name);
        member
            .with_context(|| format!("{name} does not run"))?
            .child
            .kill()
            .await?;
        Ok(())
    }

    /// Starts a killed service again, where it was.
    pub async fn restart(&mut self, name: Name) -> anyhow::Result<()> {
        let port = self
            .url(name)
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let member = self.spawn(name, port.unwrap_or(0)).await?;
        if let Some(place) = self.members.iter_mut().find(|member| member.name == name) {
            *place = member;
        }
        Ok(())
    }

    /// Ends all services, those that call before those that are called: so sagas under way find
    /// whom they need. Gives the folder back.
    pub async fn stop(self) -> anyhow::Result<Data> {
        for mut member in self.members.into_iter().rev() {
            if let Some(mut stdin) = member.stdin.take() {
                // A child that has died does not listen.
                let _ = stdin.write_all(service::GOODBYE).await;
            }
            match timeout(END, member.child.wait()).await {
                Ok(status) => {
                    status?;
                }
                // It has had its time.
                Err(_) => member.child.kill().await?,
            }
        }
        Ok(self.data)
    }
}

/// How long a service may take to say that it is ready. Orders may have sagas to undo first.
const START: Duration = Duration::from_secs(60);
/// How long a service may take to end: a little more than it allows itself.
const END: Duration = Duration::from_secs(25);
