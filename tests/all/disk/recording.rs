//! What a program does to its files, in order, with what it told in between: by `strace`, which
//! tells every system call with all its bytes.
//!
//! A write counts from its beginning, a sync only from its end.
use super::Running;
use super::inject::{strace, words};
use super::program::Task;
use super::told::Fact;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// One thing that it did. Files are numbered as they appear.
#[derive(Clone, Debug, PartialEq)]
pub enum Did {
    Write(usize, usize, Vec<u8>),
    Resize(usize, usize),
    Name(String, Option<usize>),
    Sync(usize),
    SyncFolder,
    Tell(Fact),
}

pub struct Recording {
    /// What each file that was there already begins with, by number; and their names.
    pub before: Vec<(String, Vec<u8>)>,
    pub did: Vec<Did>,
}

const CALLS: &str = "trace=openat,write,pwrite64,fsync,fdatasync,ftruncate,unlink,writev,pwritev,\
    fallocate,rename,sync_file_range";

pub async fn record(task: &Task) -> Recording {
    let log = tempfile::tempdir().unwrap();
    let log = log.path().join("log");
    let rest = words(&["-y", "-xx", "-s", "2000000", "-e", CALLS]);
    let before = std::fs::read_dir(&task.folder).unwrap().map(|file| {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        (name, std::fs::read(file.path()).unwrap())
    });
    let mut reader = Reader::new(&task.folder, before.collect());
    let facts = Running::start(task, &strace(&[], &log, &rest))
        .facts()
        .await;
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        reader.line(line);
    }
    // The pipe has told the same in the same order.
    let told = reader.recording.did.iter().filter_map(|did| match did {
        Did::Tell(fact) => Some(fact.clone()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), facts);
    assert_eq!(facts.last(), Some(&Fact::Over));
    reader.recording
}

struct Reader {
    folder: String,
    recording: Recording,
    files: usize,
    names: BTreeMap<String, usize>,
    /// The call that a thread is in, where the log tells of others before its end.
    unfinished: HashMap<String, String>,
}

impl Reader {
    fn new(folder: &Path, before: Vec<(String, Vec<u8>)>) -> Reader {
        let names = before.iter().enumerate();
        Reader {
            folder: folder.canonicalize().unwrap().to_str().unwrap().to_owned(),
            files: before.len(),
            names: names.map(|(n, (name, _))| (name.clone(), n)).collect(),
            recording: Recording {
                before,
                did: Vec::new(),
            },
            unfinished: HashMap::new(),
        }
    }

    fn line(&mut self, line: &str) {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            if begun.starts_with("write(") || begun.starts_with("pwrite64(") {
                self.write(begun);
            }
            self.unfinished.insert(thread.to_owned(), begun.to_owned());
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let mut whole = self.unfinished.remove(thread).unwrap();
            whole.push_str(rest.split_once("resumed>").unwrap().1);
            if whole.starts_with("write(") || whole.starts_with("pwrite64(") {
                assert!(!whole.contains("= -1"), "{whole}");
            } else {
                self.call(&whole);
            }
        } else if call.contains('(') {
            self.call(call);
        }
    }

    /// The file of the folder that this call is about, by its first `<..>`.
    fn file(&self, call: &str) -> Option<String> {
        let (_, path) = call.split_once('<')?;
        let path = text(path.split_once('>')?.0);
        let name = path.strip_prefix(&self.folder)?;
        Some(name.trim_start_matches('/').to_owned())
    }

    fn call(&mut self, call: &str) {
        let name = call.split('(').next().unwrap();
        if name.contains("write") && !name.ends_with('v') {
            return self.write(call);
        }
        if call.contains("= -1") {
            return;
        }
        let did = match (name, self.file(call)) {
            ("openat", _) => {
                let path = text(call.split('"').nth(1).unwrap());
                let in_folder = path.strip_prefix(&self.folder);
                let Some(name) = in_folder.map(|name| name.trim_start_matches('/')) else {
                    return;
                };
                if self.names.contains_key(name) || !call.contains("O_CREAT") {
                    return;
                }
                let file = self.files;
                self.files += 1;
                self.names.insert(name.to_owned(), file);
                Did::Name(name.to_owned(), Some(file))
            }
            ("unlink", _) => {
                let path = text(call.split('"').nth(1).unwrap());
                let Some(name) = path.strip_prefix(&self.folder) else {
                    return;
                };
                let name = name.trim_start_matches('/').to_owned();
                self.names.remove(&name);
                Did::Name(name, None)
            }
            (_, None) => return,
            ("fsync" | "fdatasync", Some(name)) if name.is_empty() => Did::SyncFolder,
            ("fsync" | "fdatasync", Some(name)) => Did::Sync(self.names[&name]),
            ("ftruncate", Some(name)) => {
                let size = call.rsplit_once(", ").unwrap().1;
                let size = size.split(')').next().unwrap().parse().unwrap();
                Did::Resize(self.names[&name], size)
            }
            _ => panic!("it is not known what this does to a file: {call:.200}"),
        };
        self.recording.did.push(did);
    }

    fn write(&mut self, call: &str) {
        let mut quoted = call.split('"');
        let bytes = bytes(quoted.nth(1).unwrap());
        let rest = quoted.next().unwrap();
        assert!(
            !rest.starts_with("..."),
            "more than strace tells: {call:.200}"
        );
        if call.starts_with("write(1<") {
            let fact = Fact::read(&String::from_utf8(bytes).unwrap());
            self.recording.did.extend(fact.map(Did::Tell));
        } else if let Some(name) = self.file(call) {
            assert!(
                call.starts_with("pwrite64"),
                "where does it write: {call:.200}"
            );
            let at = rest.rsplit_once(", ").unwrap().1;
            let at = at.split(')').next().unwrap().parse().unwrap();
            let did = Did::Write(self.names[&name], at, bytes);
            self.recording.did.push(did);
        }
    }
}

fn text(hex: &str) -> String {
    String::from_utf8(bytes(hex)).unwrap()
}

/// `\x2f\x74` as bytes.
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    let (mut bytes, mut before) = (Vec::with_capacity(hex.len() / 4), &b""[..]);
    // Most of it is padding: what is the same again is not read again.
    for part in hex.as_bytes().chunks(1024) {
        if part == before {
            bytes.extend_from_within(bytes.len() - part.len() / 4..);
        } else {
            let each = part.chunks_exact(4);
            assert!(each.remainder().is_empty(), "{hex:.100}");
            bytes.extend(each.map(|c| digit(c[2]) << 4 | digit(c[3])));
        }
        before = part;
    }
    bytes
}
