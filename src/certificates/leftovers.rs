//! What a crash leaves in the state folder: half-written files and half-deleted folders. They hold private keys.

use std::fs;
use std::path::{Path, PathBuf};

use crate::file::UNFINISHED;

/// The prefix of a folder that is being deleted.
pub const DELETING: &str = ".leaving-";

/// Removes unfinished files and folders from the state folder and from the folders of its certificates. Must run before
/// anything writes there.
pub fn remove_leftovers(state: &Path) {
    let certificates = state.join("certificates");
    for path in entries(&certificates).filter(|path| file_name(path).starts_with(DELETING)) {
        // What cannot be removed, here and below, is private to the daemon's user.
        _ = fs::remove_dir_all(path);
    }
    let folders = std::iter::once(state.to_owned()).chain(entries(&certificates));
    for path in folders.flat_map(|folder| entries(&folder)).filter(|path| file_name(path).contains(UNFINISHED)) {
        _ = fs::remove_file(path);
    }
}

/// The entries of a folder; none if it cannot be read. The code that needs the folder reports the error.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_leaves_no_keys_in_the_folder_of_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let (state, one) = (folder.path(), folder.path().join("certificates/a.test"));
        fs::create_dir_all(&one).unwrap();
        fs::create_dir_all(state.join("certificates/.leaving-b.test")).unwrap();
        let kept = [state.join("api.pem"), one.join("pending.toml")];
        let left = [state.join("api.pem.new-1"), one.join("pending.toml.new-2")];
        let left =
            left.into_iter().chain([state.join("certificates/.leaving-b.test/pending.toml")]).collect::<Vec<_>>();
        kept.iter().chain(&left).for_each(|path| fs::write(path, "key").unwrap());
        remove_leftovers(state);
        assert!(kept.iter().all(|path| path.exists()));
        assert!(left.iter().all(|path| !path.exists()), "{left:?}");
    }
}
