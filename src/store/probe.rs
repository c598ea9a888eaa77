//! Whether the database could be opened, without opening it: nothing is created, locked or changed.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::file::{folder_of, usable, writable};

use super::error::StoreError;
use super::files::{has_content, with_suffix};
use super::lock::was_used;
use super::{Creation, may_create, schema};

/// The length of SQLite's header, and where it has what says whose file it is (sqlite.org/fileformat.html section 1.3).
const HEADER: usize = 100;
const SCHEMA_VERSION: usize = 40;
const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

/// Finds what [`Store::open_or_create`](super::Store::open_or_create) would find, as far as files and their header show it.
pub fn probe(path: &Path, creation: &Creation) -> Result<(), StoreError> {
    let failed =
        |path: &Path, source: std::io::Error| StoreError::File { path: path.to_owned(), source: source.into() };
    if path.is_dir() {
        return Err(failed(path, ErrorKind::IsADirectory.into()));
    }
    may_create(path, !has_content(path), was_used(path), creation)?;
    let lock = with_suffix(path, ".lock");
    writable(folder_of(path)).map_err(|source| failed(&lock, source))?;
    for file in [lock, with_suffix(path, "-wal"), with_suffix(path, "-shm"), path.to_owned()] {
        if file.symlink_metadata().is_ok() {
            usable(&file).map_err(|source| failed(&file, source))?;
        }
    }
    // A header may still be in the WAL of a daemon that runs or was killed.
    if has_content(&with_suffix(path, "-wal")) || !path.exists() {
        return Ok(());
    }
    let mut header = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEADER as u64).read_to_end(&mut header));
    read.map_err(|source| failed(path, source))?;
    judge(path, &header)
}

fn judge(path: &Path, header: &[u8]) -> Result<(), StoreError> {
    if header.is_empty() {
        return Ok(());
    }
    if header.len() < HEADER || !header.starts_with(b"SQLite format 3\0") {
        return Err(StoreError::Corrupt(format!("{}: file is not a database", path.display())));
    }
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        i64::from(u32::from_be_bytes(bytes.unwrap_or_default()))
    };
    let found = number(USER_VERSION);
    match number(APPLICATION_ID) {
        _ if number(SCHEMA_VERSION) == 0 => Ok(()),
        schema::APPLICATION_ID if found > schema::VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: schema::VERSION })
        }
        schema::APPLICATION_ID => Ok(()),
        _ => Err(StoreError::Foreign(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    fn first(path: &Path) -> Result<(), StoreError> {
        probe(path, &Creation::First { evidence: None })
    }

    #[test]
    fn what_open_refuses_is_found_without_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        assert!(first(&path).is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is created");
        drop(Store::open(&path).unwrap());
        assert!(first(&path).is_ok());
        let mut header = std::fs::read(&path).unwrap();
        assert!(matches!(first(folder.path()), Err(StoreError::File { .. })));
        assert!(matches!(first(&folder.path().join("no/t.db")), Err(StoreError::File { .. })));
        assert!(judge(&path, &header).is_ok());
        header[USER_VERSION + 3] = 200;
        assert!(matches!(judge(&path, &header), Err(StoreError::Newer { found: 200, .. })));
        header[APPLICATION_ID] = 0;
        assert!(matches!(judge(&path, &header), Err(StoreError::Foreign(_))));
        assert!(matches!(judge(&path, b"nonsense"), Err(StoreError::Corrupt(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(first(&path), Err(StoreError::Missing { .. })));
    }
}
