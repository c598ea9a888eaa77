//! Files beside the database: their names, owners and modes.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::file::folder_of;

use super::error::StoreError;

/// The path of a file that stands beside the database: `txtgate.db` and `-wal` give `txtgate.db-wal`.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether there is such a file, and something in it.
pub(super) fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

/// Gives a file the owner of another file. Commands that root runs work for a daemon that is not root.
pub(super) fn give_to_owner_of(model: &Path, file: &Path) -> Result<(), StoreError> {
    let failed =
        |path: &Path, source: std::io::Error| StoreError::File { path: path.to_owned(), source: source.into() };
    let owner = std::fs::metadata(model).map_err(|source| failed(model, source))?;
    let is_already = std::fs::metadata(file).is_ok_and(|file| (file.uid(), file.gid()) == (owner.uid(), owner.gid()));
    if is_already {
        return Ok(());
    }
    chown(file, Some(owner.uid()), Some(owner.gid())).map_err(|source| failed(file, source))
}

/// Gives a file the owner of its folder. Only root can do so; for others nothing changes.
pub(super) fn give_to_folders_owner(path: &Path) -> Result<(), StoreError> {
    if rustix::process::geteuid().is_root() { give_to_owner_of(folder_of(path), path) } else { Ok(()) }
}

/// Creates the database file with mode 0600, or sets that mode. SQLite would let others read it; it gives the WAL the mode
/// and owner of the database.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    let failed = |source: std::io::Error| StoreError::File { path: path.to_owned(), source: source.into() };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => give_to_folders_owner(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut mode = std::fs::metadata(path).map_err(failed)?.permissions();
            if mode.mode() & 0o077 == 0 {
                return Ok(());
            }
            mode.set_mode(0o600);
            std::fs::set_permissions(path, mode).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}
