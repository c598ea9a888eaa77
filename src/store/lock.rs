//! One daemon, one file: an advisory lock on `<file>.lock`.
//!
//! Not on the database itself, and not SQLite's exclusive mode: that would lock out our own reader, and closing a
//! second descriptor of the database would drop SQLite's own locks (POSIX).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::error::StoreError;
use super::files::{give_to_folders_owner, with_suffix};

/// What the file says, below the process's id, once there has been a database.
const USED: &str = "there is a database";

/// The lock; the kernel lets it go with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    /// `None` where the file system is read-only and has no such file: then nobody else can write there either.
    file: Option<File>,
    was_used: bool,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let path = with_suffix(database, ".lock");
        let failed = |source: std::io::Error| StoreError::File { path: path.clone(), source: Arc::new(source) };
        let Some(mut file) = open(&path)? else { return Ok(Self { file: None, was_used: false }) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: database.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = String::new();
        // What cannot be read is not what this program has written.
        let was_used = file.by_ref().take(100).read_to_string(&mut text).is_ok() && text.contains(USED);
        let lock = Self { file: Some(file), was_used };
        lock.describe(was_used);
        Ok(lock)
    }

    /// Whether the lock is held.
    pub fn is_held(&self) -> bool {
        self.file.is_some()
    }

    /// Whether there has been a database that the lock was for.
    pub fn was_used(&self) -> bool {
        self.was_used
    }

    /// Records that there is a database.
    pub fn set_used(&self) {
        if !self.was_used {
            self.describe(true);
        }
    }

    /// Writes the process's id, for whom the lock keeps out. It holds without that: the disk may be full or read-only.
    fn describe(&self, is_used: bool) {
        let Some(file) = &self.file else { return };
        let used = if is_used { USED } else { "" };
        let text = format!("{}\n{used}\n", std::process::id());
        // In place: a full disk takes no new block.
        if file.write_all_at(text.as_bytes(), 0).is_ok() {
            _ = file.set_len(text.len() as u64);
        }
    }
}

/// Whether there has been a database, as its lock's file says. Takes no lock.
pub fn was_used(database: &Path) -> bool {
    let text = std::fs::read(with_suffix(database, ".lock")).unwrap_or_default();
    String::from_utf8_lossy(&text).contains(USED)
}

/// `None`: there is no such file, and it cannot be created, as the file system is read-only.
fn open(path: &Path) -> Result<Option<File>, StoreError> {
    let failed = |source: std::io::Error| StoreError::File { path: path.to_owned(), source: Arc::new(source) };
    let is_new = !path.exists();
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path) {
        Ok(file) => {
            if is_new {
                give_to_folders_owner(path)?;
            }
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(failed),
        },
        Err(error) => Err(failed(error)),
    }
}

/// ` (process 123)`, or nothing where the file does not tell.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    if file.take(100).read_to_string(&mut text).is_err() {
        return String::new();
    }
    match text.lines().next().unwrap_or_default().parse::<u32>() {
        Ok(process) => format!(" (process {process})"),
        Err(_) => String::new(),
    }
}
