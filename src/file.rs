//! Private files that are replaced whole.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Puts `octets` in the place of a file, or makes it with mode 0600, in one step: a crash leaves the old content or the
/// new one, and readers see either.
///
/// The file keeps its mode and belongs to whom it belonged, or to its folder's owner: who types may be another user
/// than the daemon. A symlink stays one, and what it points to is replaced.
pub fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = PathBuf::from(name);
    write_beside(&path, &new, octets).inspect_err(|_| {
        // What is not whole is of no use; the error itself is told.
        _ = std::fs::remove_file(&new);
    })
}

fn write_beside(path: &Path, new: &Path, octets: &[u8]) -> io::Result<()> {
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
    file.write_all(octets)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    File::open(folder)?.sync_all()
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
}
