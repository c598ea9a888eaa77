//! Private files: read only if they are, and replaced whole.

pub mod state;
mod unusable;

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

pub use unusable::{Unusable, in_words, usable, writable};

/// What stands in the name of a file that is being written, before the writing process's id.
pub const UNFINISHED: &str = ".new-";

/// Puts `bytes` in the place of a file, or makes it with mode 0600, in one step: a crash leaves the old content or the
/// new one, and readers see either.
///
/// The file keeps its mode and belongs to whom it belonged, or to its folder's owner: who types may be another user
/// than the daemon. A symlink stays one, and what it points to is replaced.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.as_os_str().to_owned();
    name.push(format!("{UNFINISHED}{}", std::process::id()));
    let new = PathBuf::from(name);
    write_beside(&path, &new, bytes).inspect_err(|_| {
        // What is not whole is of no use; the error itself is told.
        _ = std::fs::remove_file(&new);
    })
}

fn write_beside(path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let old = std::fs::metadata(path).ok();
    let like = old.clone().map_or_else(|| std::fs::metadata(folder), Ok)?;
    let own = file.metadata()?;
    if (like.uid(), like.gid()) != (own.uid(), own.gid()) {
        chown(new, Some(like.uid()), Some(like.gid()))?;
    }
    if let Some(old) = old {
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    File::open(folder)?.sync_all()
}

/// Why a private file is not read.
#[derive(Debug)]
pub enum Unread {
    /// Others than its owner can read it; its mode.
    NotPrivate(u32),
    /// It cannot be read at all.
    File(io::Error),
}

/// The text of a file that nobody but its owner may read; `None` where there is none.
pub fn private_text(path: &Path) -> Result<Option<String>, Unread> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(Unread::File)?,
    };
    let mode = file.metadata().map_err(Unread::File)?.permissions().mode() & 0o7777;
    if mode & 0o177 != 0 {
        return Err(Unread::NotPrivate(mode));
    }
    io::read_to_string(&mut file).map(Some).map_err(Unread::File)
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        replace(&path, b"one").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("secrets", &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(replace(&folder.path().join("no/such"), b"").is_err());
    }

    #[test]
    fn a_file_that_others_can_read_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(matches!(private_text(&path), Ok(None)));
        replace(&path, b"text").unwrap();
        assert_eq!(private_text(&path).unwrap().as_deref(), Some("text"));
        for mode in [0o640, 0o604, 0o700] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(matches!(private_text(&path), Err(Unread::NotPrivate(found)) if found == mode));
        }
        assert!(matches!(private_text(folder.path()), Err(Unread::NotPrivate(_) | Unread::File(_))));
    }
}
