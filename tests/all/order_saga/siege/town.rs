//! The six services, started by nobody but this test, each where it always was.
use super::super::{LONG, SERVICES, command};
use super::books;
use fastrand::Rng;
use serde_json::{Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::{interval, timeout},
};

pub struct Town {
    data: PathBuf,
    members: Vec<Member>,
    /// What goes wrong on purpose is drawn anew for each process: else a fresh one would refuse again
    /// what the one before it has refused.
    faults: Rng,
    http: reqwest::Client,
}

struct Member {
    name: &'static str,
    port: u16,
    life: Option<Life>,
}

struct Life {
    child: Child,
    /// As long as this is open, it runs.
    stdin: ChildStdin,
    /// Where it says that it is ready; `None`: it has.
    stdout: Option<Lines<BufReader<ChildStdout>>>,
}

impl Town {
    pub async fn found(data: &Path, rng: &mut Rng) -> Town {
        let members = SERVICES.map(|name| Member {
            name,
            port: a_port(rng),
            life: None,
        });
        let mut town = Town {
            data: data.to_owned(),
            members: members.into(),
            faults: rng.fork(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        town.begin_all();
        town.all_are_ready().await;
        town
    }

    pub fn size(&self) -> usize {
        self.members.len()
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.members[self.index(name)].port)
    }

    pub fn gateway(&self) -> String {
        self.url("gateway")
    }

    /// Starts a process, if there is none.
    pub fn begin(&mut self, i: usize) {
        if self.members[i].life.is_some() {
            return;
        }
        let Member { name, port, .. } = self.members[i];
        let seed = self.faults.u32(..).to_string();
        let log = self.data.join(format!("{name}.log"));
        let log = OpenOptions::new().create(true).append(true).open(log);
        let mut command = command(&["--service", name, "--client-rate", "1000000"]);
        command
            .args(["--port", &port.to_string(), "--seed", &seed])
            .arg("--data")
            .arg(&self.data)
            .stderr(log.unwrap());
        if matches!(name, "inventory" | "payments" | "notifications") {
            command.args(["--fault-rate", "0.05"]);
        }
        for peer in self.members.iter().filter(|peer| peer.name != name) {
            let peer = format!("{}={}", peer.name, self.url(peer.name));
            command.args(["--peer", &peer]);
        }
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        self.members[i].life = Some(Life {
            stdin: child.stdin.take().unwrap(),
            stdout: Some(BufReader::new(stdout).lines()),
            child,
        });
    }

    pub fn begin_all(&mut self) {
        (0..self.size()).for_each(|i| self.begin(i));
    }

    pub async fn is_ready(&mut self, i: usize) {
        let Member { name, life, .. } = &mut self.members[i];
        let life = life.as_mut().unwrap();
        let Some(stdout) = &mut life.stdout else {
            return;
        };
        let line = timeout(LONG, stdout.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{name} does not start"));
        let line = line.unwrap().unwrap_or_default();
        assert!(line.starts_with("ready http://"), "{name}: {line}");
        life.stdout = None;
    }

    pub async fn all_are_ready(&mut self) {
        for i in 0..self.size() {
            self.is_ready(i).await;
        }
    }

    /// Its log has so many bytes more than now, or it is ready: somewhere in its beginning.
    pub async fn has_spoken(&mut self, i: usize, rng: &mut Rng) {
        let name = self.members[i].name;
        let mut log = File::open(self.data.join(format!("{name}.log"))).unwrap();
        log.seek(SeekFrom::End(0)).unwrap();
        let (wanted, mut said) = (rng.usize(0..200), Vec::new());
        let speaks = async {
            let mut looks = interval(Duration::from_millis(1));
            while said.len() < wanted {
                looks.tick().await;
                log.read_to_end(&mut said).unwrap();
            }
        };
        let ready = self.is_ready(i);
        tokio::select! {
            () = speaks => {}
            () = ready => {}
        }
    }

    /// SIGKILL to those of them that run, all at once. How many that was.
    pub async fn kill(&mut self, victims: &[usize]) -> u32 {
        let mut struck = Vec::new();
        for victim in victims {
            let member = &mut self.members[*victim];
            if let Some(mut life) = member.life.take() {
                life.child.start_kill().unwrap();
                struck.push((member.name, life));
            }
        }
        let killed = u32::try_from(struck.len()).unwrap();
        for (name, mut life) in struck {
            let ended = timeout(LONG, life.child.wait()).await;
            let ended = ended.unwrap_or_else(|_| panic!("{name} lives on")).unwrap();
            // It has not ended by itself, whatever has happened to it.
            assert_eq!(ended.signal(), Some(9), "{name} had ended: {ended}");
        }
        killed
    }

    /// Every saga has ended; those that wait for an operator have one first. How many did.
    ///
    /// The journal belongs to the process of orders, which ends in good order for this: it lets its
    /// sagas end, if they can. Then everybody can read it.
    pub async fn all_sagas_have_ended(&mut self) -> u32 {
        let orders = self.index("orders");
        let mut mended = 0;
        let ended = async {
            loop {
                mended += self.mend().await;
                self.dismiss(orders).await;
                if books::unfinished(&self.data) == 0 {
                    return;
                }
                self.begin(orders);
                self.is_ready(orders).await;
            }
        };
        let waited = timeout(2 * LONG, ended).await;
        waited.expect("there are sagas that do not end");
        mended
    }

    /// While this goes on, the operator is on duty. How many sagas she has mended.
    pub async fn tended(&self, work: impl Future<Output = ()>) -> u32 {
        let mut work = pin!(work);
        let (mut looks, mut mended) = (interval(Duration::from_secs(1)), 0);
        loop {
            tokio::select! {
                () = &mut work => return mended,
                _ = looks.tick() => mended += self.mend().await,
            }
        }
    }

    /// Sends those that are stuck on their way again.
    async fn mend(&self) -> u32 {
        let stuck = self.stuck().await;
        for (id, why) in &stuck {
            eprintln!("saga {id} is stuck: {why}");
            let url = format!("{}/sagas/{id}/retry", self.url("orders"));
            let signed = json!({ "by": "grace", "note": "all is well again" });
            let answer = self.http.post(url).json(&signed).send().await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
        }
        u32::try_from(stuck.len()).unwrap()
    }

    /// The sagas that wait for a person, and why.
    async fn stuck(&self) -> Vec<(i64, String)> {
        let url = format!("{}/sagas/stuck", self.url("orders"));
        let answer = self.http.get(url).send().await.unwrap();
        let all: Value = answer.json().await.unwrap();
        let stuck = all["sagas"].as_array().unwrap().iter();
        let stuck = stuck.map(|saga| (saga["id"].as_i64().unwrap(), saga["reason"].to_string()));
        stuck.collect()
    }

    pub fn runs(&self, name: &str) -> bool {
        self.members[self.index(name)].life.is_some()
    }

    fn index(&self, name: &str) -> usize {
        let mut members = self.members.iter();
        members.position(|member| member.name == name).unwrap()
    }

    /// Tells one to end, and waits for it.
    async fn dismiss(&mut self, i: usize) {
        let Member { name, life, .. } = &mut self.members[i];
        let Some(mut life) = life.take() else { return };
        life.stdin.write_all(b"goodbye").await.unwrap();
        drop(life.stdin);
        let ended = timeout(LONG, life.child.wait()).await.expect("it hangs");
        assert!(ended.unwrap().success(), "{name}");
    }

    /// In good order, those that call before those that are called.
    pub async fn end(mut self) {
        for i in (0..self.size()).rev() {
            self.dismiss(i).await;
        }
    }
}

/// Below those that the system gives to whoever asks for any: nobody takes it while its service is
/// dead.
fn a_port(rng: &mut Rng) -> u16 {
    loop {
        let port = rng.u16(12_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
