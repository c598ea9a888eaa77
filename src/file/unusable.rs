//! What to do about a file or folder that cannot be used. Every error that names a path gets its advice here.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::folder_of;

/// A path that the system refuses: prints the path, the system's error, and what to do.
#[derive(Debug)]
pub struct Unusable<'a>(pub &'a Path, pub &'a io::Error);

impl fmt::Display for Unusable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, error) = self;
        write!(f, "{}: {}", path.display(), in_words(error))?;
        match advice(path, error) {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// The system's words for an error, without its number.
pub fn in_words(error: &io::Error) -> String {
    if error.kind() == ErrorKind::InvalidData {
        return "not a text".into();
    }
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_owned()
}

/// What to do about an error at a path; `None` where the error says it.
fn advice(path: &Path, error: &io::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::NotFound => missing_folder(path).map(|folder| {
            format!("there is no folder {}; create it: `mkdir -p {}`", folder.display(), folder_of(path).display())
        }),
        ErrorKind::PermissionDenied => Some(permission(path)),
        ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is mounted read-only; name a path on one that can be written".into())
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some space on that disk".into()),
        ErrorKind::IsADirectory => Some("that is a folder; name a file in it".into()),
        ErrorKind::NotADirectory => {
            let file = path.ancestors().find(|above| above.is_file());
            Some(
                file.map_or_else(
                    || "name a folder".into(),
                    |file| format!("{} is a file, not a folder", file.display()),
                ),
            )
        }
        ErrorKind::InvalidData => Some("it holds no text in UTF-8".into()),
        _ => None,
    }
}

/// The first folder on the way to a path that does not exist.
fn missing_folder(path: &Path) -> Option<PathBuf> {
    let folders: Vec<&Path> = folder_of(path).ancestors().filter(|folder| !folder.as_os_str().is_empty()).collect();
    let is_missing =
        |folder: &&&Path| folder.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    folders.iter().rev().find(is_missing).map(|folder| folder.to_path_buf())
}

/// Says whose the closed file or folder is, and who would be let in.
fn permission(path: &Path) -> String {
    let me = Uid::effective();
    let closed = closed(path);
    let Ok(found) = closed.metadata() else { return run_as("root", me) };
    let owner = Uid::from_raw(found.uid());
    let shown = closed.display();
    if me == owner && !me.is_root() {
        let mode = if found.is_dir() { "u+rwx" } else { "u+rw" };
        return format!("{shown} has mode {:04o}; run `chmod {mode} {shown}`", found.mode() & 0o7777);
    }
    if me.is_root() {
        return format!("even root may not use {shown} here: a sandbox or a security module forbids it");
    }
    let (whose, mode) = (name_of(owner), found.mode() & 0o7777);
    format!("{shown} belongs to {whose} (mode {mode:04o}); {}", run_as(&whose, me))
}

fn run_as(whose: &str, me: Uid) -> String {
    let other = if whose == "root" { String::new() } else { format!(" or as {whose}") };
    format!("run it with sudo{other}, or give {} access", name_of(me))
}

/// The outermost folder that this user may not enter, else the file, or the folder in which it would be.
fn closed(path: &Path) -> &Path {
    let folder = folder_of(path);
    let above: Vec<&Path> = folder.ancestors().filter(|folder| !folder.as_os_str().is_empty()).collect();
    if let Some(closed) = above.iter().rev().find(|folder| folder.is_dir() && !may(folder, Access::EXEC_OK)) {
        return closed;
    }
    if path.symlink_metadata().is_ok() && !may(path, Access::READ_OK | Access::WRITE_OK) { path } else { folder }
}

/// Whether the system lets this process use a file or folder, with the rights that it has now.
fn may(path: &Path, access: Access) -> bool {
    accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

/// Whether this process could read and write a file.
pub fn usable(path: &Path) -> io::Result<()> {
    Ok(accessat(CWD, path, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS)?)
}

/// Whether this process could create files in a folder.
pub fn writable(folder: &Path) -> io::Result<()> {
    if folder.is_file() {
        return Err(Errno::NOTDIR.into());
    }
    Ok(accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// A user's name, or number where it has none.
fn name_of(user: Uid) -> String {
    let found = User::from_uid(user).ok().flatten();
    found.map_or_else(|| format!("user {user}"), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &Path, kind: ErrorKind) -> String {
        Unusable(path, &kind.into()).to_string()
    }

    #[test]
    fn a_missing_folder_is_named_with_the_command_that_creates_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/t.db");
        let said = said(&path, ErrorKind::NotFound);
        assert!(said.contains(&format!("no folder {};", home.path().join("a").display())), "{said}");
        assert!(said.ends_with(&format!("`mkdir -p {}`", home.path().join("a/b").display())), "{said}");
    }

    #[test]
    fn every_kind_of_refusal_has_advice_and_no_number() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (path, kind, part) in [
            (file.clone(), ErrorKind::ReadOnlyFilesystem, "mounted read-only"),
            (file.clone(), ErrorKind::StorageFull, "free some space"),
            (home.path().to_owned(), ErrorKind::IsADirectory, "name a file"),
            (file.join("x"), ErrorKind::NotADirectory, "is a file, not a folder"),
        ] {
            assert!(said(&path, kind).contains(part), "{}", said(&path, kind));
        }
        let error = io::Error::from_raw_os_error(13);
        assert!(!Unusable(&file, &error).to_string().contains("os error"));
    }
}
