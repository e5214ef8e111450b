//! Which files this process has open, and which it is about to have closed.
//!
//! A store whose last handle was dropped closes on its own thread. Opening the file again must wait
//! for that, but not for a store that is in use, which would be waiting for ever.
use super::StoreError;
use super::queue::Queue;
use parking_lot::{Condvar, Mutex};
use std::path::{Path, PathBuf};
use std::sync::Arc;

static OPEN: Mutex<Vec<(PathBuf, Arc<Queue>)>> = Mutex::new(Vec::new());
static CLOSED: Condvar = Condvar::new();

/// A file that this process has open. Dropped after the connection.
pub(super) struct Place(PathBuf);

impl Place {
    /// Takes the file at `path`, waiting for a store in this process that is closing.
    pub(super) fn take(path: &Path, queue: &Arc<Queue>) -> Result<Place, StoreError> {
        let path = real(path)?;
        let mut open = OPEN.lock();
        while let Some((_, other)) = open.iter().find(|(taken, _)| *taken == path) {
            if !other.is_closed() {
                return Err(StoreError::Open(
                    format!(
                        "{}: this process has it open already; use a clone of that store, or await \
                         its `close` first",
                        path.display()
                    )
                    .into(),
                ));
            }
            CLOSED.wait(&mut open);
        }
        open.push((path.clone(), queue.clone()));
        Ok(Place(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.lock().retain(|(path, _)| *path != self.0);
        CLOSED.notify_all();
    }
}

/// The path without links, so that two names of one file are told to be one.
fn real(path: &Path) -> Result<PathBuf, StoreError> {
    let refuse = |why: String| StoreError::Open(format!("{}: {why}", path.display()).into());
    if path.is_dir() {
        return Err(refuse("it is a directory; name a file in it".into()));
    }
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let Some(name) = path.file_name() else {
        return Err(refuse("it names no file".into()));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match folder.canonicalize() {
        Ok(folder) => Ok(folder.join(name)),
        Err(e) => Err(refuse(format!(
            "its directory cannot be used ({e}); create it, or name another one"
        ))),
    }
}
