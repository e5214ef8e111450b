//! A disk that keeps what was synced, and of the rest what chance wants.
use super::recording::Did;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::mem::take;
use std::path::Path;

#[derive(Clone, Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

/// What was done to a file, with what stands on the disk of it.
#[derive(Clone, Default)]
pub struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    names_since: Vec<(String, Option<usize>)>,
}

impl Disk {
    pub fn new(before: &[(String, Vec<u8>)]) -> Disk {
        let mut disk = Disk::default();
        for (name, bytes) in before {
            disk.names.insert(name.clone(), disk.files.len());
            disk.files.push(File {
                synced: bytes.clone(),
                since: Vec::new(),
            });
        }
        disk
    }

    pub fn does(&mut self, did: &Did) {
        match did {
            Did::Write(file, at, bytes) => {
                let change = Change::Write(*at, bytes.clone());
                self.files[*file].since.push(change);
            }
            Did::Resize(file, size) => self.files[*file].since.push(Change::Resize(*size)),
            Did::Name(name, file) => {
                self.files.extend(file.map(|_| File::default()));
                self.names_since.push((name.clone(), *file));
            }
            Did::Sync(file) => {
                let file = &mut self.files[*file];
                let (synced, since) = (take(&mut file.synced), take(&mut file.since));
                file.synced = after(synced, &since, &mut Luck::good());
            }
            Did::SyncFolder => {
                self.names = self.names_after(|_| true);
                self.names_since.clear();
            }
            Did::Tell(_) => (),
        }
    }

    /// Writes the files that are there after the power has come back. Those named `books..` belong
    /// to somebody else, whose power was not cut.
    pub fn write(&self, folder: &Path, random: &mut Rng) {
        let names = random.usize(0..=self.names_since.len());
        let mut seen = 0..self.names_since.len();
        let ours = self.names_after(|_| seen.next().is_some_and(|n| n < names));
        let theirs = self.names_after(|_| true);
        let theirs = theirs.into_iter().filter(|(name, _)| is_theirs(name));
        let ours = ours.into_iter().filter(|(name, _)| !is_theirs(name));
        for (name, file) in ours.chain(theirs) {
            let mut luck = match is_theirs(&name) {
                true => Luck::good(),
                false => Luck::draw(random),
            };
            // Shared memory of those who have it open.
            if !name.ends_with("-shm") {
                let File { synced, since } = &self.files[file];
                let bytes = after(synced.clone(), since, &mut luck);
                std::fs::write(folder.join(name), bytes).unwrap();
            }
        }
    }

    fn names_after(&self, mut kept: impl FnMut(&str) -> bool) -> BTreeMap<String, usize> {
        let mut names = self.names.clone();
        for (name, file) in &self.names_since {
            if kept(name) {
                match file {
                    Some(file) => names.insert(name.clone(), *file),
                    None => names.remove(name),
                };
            }
        }
        names
    }
}

fn is_theirs(name: &str) -> bool {
    name.starts_with("books")
}

/// A file with those of its changes that luck keeps.
fn after(mut bytes: Vec<u8>, since: &[Change], luck: &mut Luck) -> Vec<u8> {
    let mut longest = bytes.len();
    for (place, change) in since.iter().enumerate() {
        let kept = luck.keeps(place, since.len());
        match change {
            Change::Resize(size) if kept => bytes.resize(*size, 0),
            Change::Resize(_) => (),
            Change::Write(at, new) => {
                let (mut from, end) = (*at, at + new.len());
                longest = longest.max(end);
                while from < end {
                    // Sectors are counted from the file's beginning.
                    let to = match luck.sector() {
                        Some(sector) => end.min((from / sector + 1) * sector),
                        None => end,
                    };
                    if luck.sector().map_or(kept, |_| luck.keeps_one()) {
                        bytes.resize(bytes.len().max(to), 0);
                        bytes[from..to].copy_from_slice(&new[from - at..to - at]);
                    }
                    from = to;
                }
            }
        }
    }
    if luck.longest {
        bytes.resize(bytes.len().max(longest), 0);
    }
    bytes
}

/// What a power cut leaves of the changes that were not synced.
struct Luck {
    random: Rng,
    what: What,
    /// Of a hundred things, so many are kept.
    rate: usize,
    /// A file is as long as it has been, with zeros where nothing was kept.
    longest: bool,
}

#[derive(Clone, Copy)]
enum What {
    All,
    /// The first ones, up to this share of a million.
    First(usize),
    Each,
    Sectors(usize),
}

impl Luck {
    fn good() -> Luck {
        Luck {
            random: Rng::with_seed(0),
            what: What::All,
            rate: 100,
            longest: false,
        }
    }

    fn draw(random: &mut Rng) -> Luck {
        let what = match random.u8(..8) {
            0 => What::All,
            1 => What::First(0),
            2 => What::First(random.usize(..=1_000_000)),
            3 | 4 => What::Each,
            5 | 6 => What::Sectors(512),
            _ => What::Sectors(4096),
        };
        Luck {
            rate: [10, 50, 90, 99][random.usize(..4)],
            longest: random.u8(..4) == 0,
            random: random.fork(),
            what,
        }
    }

    fn keeps(&mut self, place: usize, of: usize) -> bool {
        match self.what {
            What::All => true,
            What::First(share) => place * 1_000_000 < share * of,
            What::Each | What::Sectors(_) => self.keeps_one(),
        }
    }

    fn sector(&self) -> Option<usize> {
        match self.what {
            What::Sectors(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn keeps_one(&mut self) -> bool {
        self.random.usize(..100) < self.rate
    }
}
